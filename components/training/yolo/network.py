"""Ultralytics' network with our classification loss."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from ultralytics.nn.tasks import DetectionModel
from ultralytics.utils import YAML
from ultralytics.utils.loss import E2ELoss, v8DetectionLoss

from components.detections import CLASS_NAMES
from components.errors import StreetveilError
from components.settings import Training
from components.training.checkpoint import Arrays, tensors_of
from components.training.distillation import Distillation, with_teachers
from components.training.pruning import narrowed_like
from components.training.recall_loss import (
    RecallWeightedBCE,
    assigned_elements,
    box_weights_of_elements,
    counted_background,
)

_OWN = ("street-n", "street-s")
_MIN_FITTING_SHARE = 0.25  # of a network's numbers; YOLOv8n's backbone is half of ours


class RecallDetectionLoss(v8DetectionLoss):
    """YOLOv8's loss with our classification term; box and distribution terms are ultralytics' own.

    Args:
        model: a `RecallDetectionModel` on its device.
        tal_topk, tal_topk2: ultralytics' own, for the two branches of networks that have two.
    """

    bce: Any  # a function of (logits, targets), as is ultralytics' own

    def __init__(self, model: RecallDetectionModel, tal_topk: int = 10, tal_topk2: int | None = None) -> None:
        super().__init__(model, tal_topk, tal_topk2)
        self._element_loss = model.element_loss
        self.bce = self._weighted
        # Which anchor answers for which box is known inside ultralytics' loss alone, between these two calls.
        self.assigner.register_forward_hook(self._note_assignment)
        self._batch: dict[str, Any] = {}
        self._weights: dict[str, Tensor] = {}

    def get_assigned_targets_and_loss(self, preds: dict[str, Tensor], batch: dict[str, Any], **options: Any) -> tuple:
        """See ultralytics. A batch may have `box_weight` [boxes] and `uncounted` [images, height, width]."""
        self._batch, self._weights = batch, {}
        return super().get_assigned_targets_and_loss(preds, batch, **options)

    def _note_assignment(self, _module: nn.Module, called: tuple[Tensor, ...], assigned: tuple[Tensor, ...]) -> None:
        anchors_px, labels = called[2], called[3]
        class_id, _, _, foreground, box_index = assigned
        own = assigned_elements(class_id, foreground, self.nc)
        if "box_weight" in self._batch:
            weight = self._padded(self._batch["box_weight"], len(labels))
            self._weights["element_weight"] = box_weights_of_elements(weight, box_index, own)
        if "uncounted" in self._batch:
            height, width = self._batch["img"].shape[2:]
            shares = anchors_px / anchors_px.new_tensor([width, height])
            counted = counted_background(self._batch["uncounted"].to(self.device), shares, self.nc)
            # An object's own anchors answer with a soft target, whose second term is none of a background.
            self._weights["background_counts"] = counted | own

    def _padded(self, box_weight: Tensor, images: int) -> Tensor:
        """Weights [boxes] of a batch as [images, most boxes], in the order in which ultralytics puts its boxes."""
        index = self._batch["batch_idx"].view(-1, 1).to(self.device)
        rows = torch.cat((index, box_weight.view(-1, 1).to(self.device), index.new_zeros(len(index), 4)), 1)
        return self.preprocess(rows, images, scale_tensor=rows.new_ones(4))[..., 0]

    def _weighted(self, logits: Tensor, targets: Tensor) -> Tensor:
        return self._element_loss(logits, targets, **self._weights)


class RecallDetectionModel(DetectionModel):
    """A detection network that is trained recall-first.

    Args:
        architecture: the name of a network that ultralytics describes, as yolov8n.yaml, or the description itself.
        element_loss: the classification loss.
        classes: the number of classes.
    """

    model: nn.Sequential

    def __init__(
        self, architecture: str | dict[str, Any], element_loss: RecallWeightedBCE, classes: int = len(CLASS_NAMES)
    ) -> None:
        super().__init__(architecture, nc=classes, verbose=False)
        self.names = dict(enumerate(CLASS_NAMES))
        self.element_loss = element_loss
        self.teachers: tuple[nn.Module, ...] = ()  # in a tuple, torch takes them for no part of this network

    def init_criterion(self) -> Any:
        """The loss; in networks with a second branch, without suppression of duplicates, for both.

        Raises:
            StreetveilError: there are teachers, and a second branch, which they do not have.
        """
        if getattr(self.model[-1], "one2one_cv2", None) is not None:
            if self.teachers:
                raise StreetveilError("networks with a second branch cannot be taught: choose another architecture")
            return E2ELoss(self, RecallDetectionLoss)
        loss = RecallDetectionLoss(self)
        if not self.teachers:
            return loss
        device = next(self.parameters()).device
        return with_teachers(loss, [teacher.to(device) for teacher in self.teachers], Distillation())


def element_loss(settings: Training) -> RecallWeightedBCE:
    """The classification loss that the settings ask for."""
    weights = [getattr(settings.positive_weight, name) for name in CLASS_NAMES]
    return RecallWeightedBCE(weights, settings.focal_gamma, settings.focal_floor)


def described(architecture: str) -> str | dict[str, Any]:
    """What ultralytics builds a network from: our own description, or the name of one of its own.

    Args:
        architecture: street-n or street-s (their letters are the scales), or a name that ultralytics knows.
    """
    if architecture not in _OWN:
        return architecture
    return {**YAML.load(Path(__file__).with_name("street.yaml")), "scale": architecture[-1]}


def build_model(settings: Training, weights: Arrays | None = None) -> RecallDetectionModel:
    """The network, with given weights if there are any.

    Weights of a relative are taken too, wherever name and shape agree; everything else stays as drawn. So a network
    starts from one that was trained for other classes, or that lacks an output.

    Raises:
        StreetveilError: the weights are of another architecture.
    """
    model = RecallDetectionModel(described(settings.architecture), element_loss(settings))
    if weights is None:
        return model
    model = _as_narrow(model, weights)
    own, given = model.state_dict(), tensors_of(weights)
    fitting = {name: tensor for name, tensor in given.items() if name in own and own[name].shape == tensor.shape}
    share = sum(tensor.numel() for tensor in fitting.values()) / sum(tensor.numel() for tensor in own.values())
    if share < _MIN_FITTING_SHARE:
        raise StreetveilError(
            f"these weights do not fit {settings.architecture} (only {share:.0%} of them): choose others, or another "
            "training.architecture"
        )
    model.load_state_dict(fitting, strict=False)
    return model


def _as_narrow(model: RecallDetectionModel, weights: Arrays) -> RecallDetectionModel:
    """The network cut to the widths of pruned weights; as it is for those of a relative, which has other places."""
    try:
        return narrowed_like(model, weights)
    except StreetveilError:
        return model


def unpickled_weights(checkpoint: Path) -> dict[str, Tensor]:
    """The weights of one of ultralytics' own checkpoints. Reading it can run code: only for files of known origin."""
    found = torch.load(checkpoint, map_location="cpu", weights_only=False)
    network = found.get("ema") or found["model"]
    return {name: tensor.float() for name, tensor in network.state_dict().items()}
