"""Ultralytics' network with our classification loss."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from ultralytics.nn.tasks import DetectionModel
from ultralytics.utils.loss import E2ELoss, v8DetectionLoss

from components.detections import CLASS_NAMES
from components.errors import StreetveilError
from components.settings import Training
from components.training.checkpoint import Arrays, tensors_of
from components.training.recall_loss import (
    RecallWeightedBCE,
    assigned_elements,
    box_weights_of_elements,
    counted_background,
)


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
        architecture: the name of a network that ultralytics describes, as yolov8n.yaml.
        element_loss: the classification loss.
        classes: the number of classes.
    """

    model: nn.Sequential

    def __init__(self, architecture: str, element_loss: RecallWeightedBCE, classes: int = len(CLASS_NAMES)) -> None:
        super().__init__(architecture, nc=classes, verbose=False)
        self.names = dict(enumerate(CLASS_NAMES))
        self.element_loss = element_loss

    def init_criterion(self) -> RecallDetectionLoss | E2ELoss:
        """The loss; in networks with a second branch, without suppression of duplicates, for both."""
        if getattr(self.model[-1], "one2one_cv2", None) is not None:
            return E2ELoss(self, RecallDetectionLoss)
        return RecallDetectionLoss(self)


def element_loss(settings: Training) -> RecallWeightedBCE:
    """The classification loss that the settings ask for."""
    weights = [getattr(settings.positive_weight, name) for name in CLASS_NAMES]
    return RecallWeightedBCE(weights, settings.focal_gamma, settings.focal_floor)


def build_model(settings: Training, weights: Arrays | None = None) -> RecallDetectionModel:
    """The network, with weights of the same architecture if there are any.

    Weights for other classes are taken too: their last layers stay as drawn, and the classification branch gets the
    width that it has in them. Widths in ultralytics follow from the number of classes.

    Raises:
        StreetveilError: the weights are of another architecture.
    """
    model = RecallDetectionModel(settings.architecture, element_loss(settings))
    if weights is None:
        return model
    tensors = tensors_of(weights)
    branch = next((name for name in tensors if name.endswith(".cv3.0.2.weight")), None)
    if branch is None:
        raise StreetveilError(
            f"these weights are none of {settings.architecture}: its classification branch is missing"
        )
    classes, width = tensors[branch].shape[:2]
    try:
        if width != model.state_dict()[branch].shape[1]:
            model.load(DetectionModel(settings.architecture, nc=max(int(width), classes), verbose=False), verbose=False)
        if classes != len(CLASS_NAMES):
            source = DetectionModel(settings.architecture, nc=classes, verbose=False)
            source.load_state_dict(tensors)
            source.names = {i: f"another class {i}" for i in range(classes)}  # no row is taken over by its name
            model.load(source, verbose=False)
        else:
            model.load_state_dict(tensors)
    except (RuntimeError, KeyError) as error:
        message = str(error).splitlines()[0]
        raise StreetveilError(f"these weights do not fit {settings.architecture}: {message}") from error
    return model


def unpickled_weights(checkpoint: Path) -> dict[str, Tensor]:
    """The weights of one of ultralytics' own checkpoints. Reading it can run code: only for files of known origin."""
    found = torch.load(checkpoint, map_location="cpu", weights_only=False)
    network = found.get("ema") or found["model"]
    return {name: tensor.float() for name, tensor in network.state_dict().items()}
