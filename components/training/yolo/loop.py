"""Ultralytics' loop over epochs, with our data, loss, validation and files."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader
from ultralytics.data.build import seed_worker
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.utils import SETTINGS
from ultralytics.utils.nms import non_max_suppression
from ultralytics.utils.torch_utils import unwrap_model

from components.dataset.labels import LabelledImage
from components.detections import CLASS_NAMES, Detections, clip
from components.errors import StreetveilError
from components.settings import Training
from components.training.checkpoint import Arrays, arrays_of, optimiser_arrays, optimiser_state, parts, tensors_of
from components.training.images import TrainingImage
from components.training.operating_point import OperatingPoint, operating_point
from components.training.yolo.network import RecallDetectionModel, build_model
from components.training.yolo.pictures import CanvasDataset, EpochLoader, EpochOrder, WholePictures

_REPORTS = ("sync", "clearml", "comet", "dvc", "hub", "mlflow", "neptune", "raytune", "tensorboard", "wandb")
_MAX_OBJECTS = 300
_DUPLICATE_IOU = 0.6
_REDUCED = 0.45  # of a picture, at which its largest objects are as large as the largest in training


class RecallValidator:
    """What an epoch is worth, in the place of ultralytics' validator."""

    def __init__(self, loader: DataLoader, settings: Training) -> None:
        self.dataloader = loader
        self.metrics = SimpleNamespace(keys=["pixel_recall", "object_recall", "threshold"])
        self.point: OperatingPoint | None = None
        self._settings = settings

    def __call__(self, trainer: RecallTraining) -> dict[str, float]:
        """Evaluate the averaged weights; ultralytics asks for a `fitness`."""
        choice = self._settings.choice
        pairs = find_objects(trainer.ema.ema, self.dataloader, choice.lowest_threshold, trainer.preprocess_batch)
        self.point = operating_point(pairs, choice.lowest_threshold, choice.max_pixel_fpr)
        return {"fitness": self.point.worth[0]}


@torch.no_grad()
def find_objects(
    model: RecallDetectionModel, loader: DataLoader, threshold: float, prepared: Callable[[dict], dict]
) -> list[tuple[LabelledImage, Detections]]:
    """Truth and detections of each validation picture, in px of the picture as the network saw it, without padding."""
    pairs: list[tuple[LabelledImage, Detections]] = []
    dataset: Any = loader.dataset
    for batch in loader:
        outputs = _at_two_scales(model, prepared(batch)["img"])
        # Its time limit would leave pictures without detections on a slow machine.
        found = non_max_suppression(
            outputs, threshold, _DUPLICATE_IOU, max_det=_MAX_OBJECTS, max_time_img=math.inf, end2end=model.end2end
        )
        for rows, ((gain, _), (left, top)) in zip(found, batch["ratio_pad"], strict=True):
            values = rows.float().cpu().numpy()
            truth = dataset.images[len(pairs)].truth(gain)
            boxes = clip(values[:, :4] - np.array([left, top] * 2, np.float32), truth.width, truth.height)
            pairs.append((truth, Detections.of(boxes, values[:, 4], values[:, 5])))
    return pairs


def _at_two_scales(model: RecallDetectionModel, pictures: Tensor) -> Tensor:
    """What a network says of pictures and of their reductions, as production asks it, in px of the first.

    Args:
        model: in evaluation mode.
        pictures: float [n, 3, h, w], 0 to 1.

    Returns:
        Float [n, 4 + classes, anchors]: centre, width and height, then confidences. Networks with a second branch are
        asked once; their output has another form.
    """
    near = model(pictures)
    if model.end2end:
        return near
    height, width = (max(32, round(side * _REDUCED / 32) * 32) for side in pictures.shape[2:])
    reduced = functional.interpolate(pictures, (height, width), mode="bilinear", antialias=True)
    far = model(reduced)[0]
    factor = far.new_tensor([pictures.shape[3] / width, pictures.shape[2] / height] * 2).view(1, 4, 1)
    return torch.cat([near[0], torch.cat([far[:, :4] * factor, far[:, 4:]], dim=1)], dim=2)


class RecallTraining(DetectionTrainer):
    """Ultralytics' loop over epochs, with our data, loss, validation and files.

    Args:
        settings: how to train.
        training, validation: the pictures.
        weights: the network's first weights; drawn from the seed if there are none.
        state: what `state` returned after an earlier epoch.
        device: cpu, or the number of a CUDA device.
        workers: processes that read pictures, on CUDA.
        folder: for the little that ultralytics writes.
        teachers: weights of networks that are learnt from beside the labels.
        threads: for torch on a CPU; another number gives other last digits.
        after_epoch: is called with this trainer when an epoch is done; returns whether to stop.
    """

    # Ultralytics says None of these before they are set.
    model: Any
    ema: Any
    loss: Any
    tloss: Any
    optimizer: Any
    validator: Any

    def __init__(
        self,
        settings: Training,
        training: Sequence[TrainingImage],
        validation: Sequence[TrainingImage],
        weights: Arrays | None,
        state: tuple[Arrays, dict[str, Any]] | None,
        device: str,
        workers: int,
        folder: Path,
        after_epoch: Callable[[RecallTraining], bool],
        teachers: Sequence[Arrays] = (),
        threads: int = 1,
    ) -> None:
        self._settings, self._weights, self._state = settings, weights, state
        self._images = {"train": training, "val": validation}
        self._after_epoch = after_epoch
        self._teachers, self._threads = teachers, threads
        dict.update(SETTINGS, dict.fromkeys(_REPORTS, False))  # in memory only: the user's own file stays as it is
        super().__init__(overrides=_arguments(settings, device, workers, folder))
        # Whatever ultralytics would tell other programs hangs on these; ours are the only ones.
        self.callbacks = defaultdict(list)
        self.add_callback("on_train_epoch_start", RecallTraining._begin_epoch)
        self.add_callback("on_model_save", RecallTraining._end_epoch)

    def get_dataset(self) -> dict[str, Any]:
        """The names of the classes; the pictures are known already."""
        names = dict(enumerate(CLASS_NAMES))
        return {"train": "train", "val": "val", "names": names, "nc": len(names), "channels": 3}

    def build_dataset(
        self, img_path: str, mode: str = "train", batch: int | None = None
    ) -> CanvasDataset | WholePictures:
        """The pictures of a split."""
        if mode == "train":
            return CanvasDataset(self._images[mode], self._settings)
        return WholePictures(
            self._images[mode],
            imgsz=self.args.imgsz,
            augment=False,
            hyp=self.args,
            batch_size=batch or self.batch_size,
            stride=self.stride,
        )

    def get_dataloader(
        self, dataset_path: str, batch_size: int = 16, rank: int = 0, mode: str = "train"
    ) -> EpochLoader:
        """Batches of a split."""
        dataset = self.build_dataset(dataset_path, mode, batch_size)
        return EpochLoader(
            dataset,
            batch_size=min(batch_size, len(dataset)),
            sampler=EpochOrder(len(dataset), self.args.seed) if mode == "train" else None,
            num_workers=self.args.workers,
            collate_fn=dataset.collate_fn,
            pin_memory=self.device.type == "cuda",
            worker_init_fn=seed_worker,
        )

    def get_model(
        self, cfg: str | dict | None = None, weights: nn.Module | None = None, verbose: bool = True
    ) -> RecallDetectionModel:
        """The network with its first weights."""
        first = self._weights if self._state is None else parts(self._state[0], "model:")
        model = build_model(self._settings, first)
        model.teachers = tuple(build_model(self._settings, weights) for weights in self._teachers)
        return model

    def get_validator(self) -> RecallValidator:
        """What says how good an epoch is."""
        return RecallValidator(self.test_loader, self._settings)

    def _setup_train(self) -> None:
        super()._setup_train()
        # Its own average needs tens of thousands of steps before it averages anything.
        decay = self._settings.average_decay
        self.ema.decay = lambda updates: decay * (1 - math.exp(-updates * (1 - decay)))

    def resume_training(self, ckpt: object) -> None:
        """Go on after the epoch of the given state, if there is one."""
        if self._state is None:
            return
        arrays, facts = self._state
        self.optimizer.load_state_dict(optimiser_state(arrays, "optimiser:", facts["optimiser_groups"]))
        self.ema.ema.load_state_dict(tensors_of(arrays, "ema:"))
        self.ema.updates = facts["ema_updates"]
        self.scaler.load_state_dict(facts["scaler"])
        self.start_epoch = facts["epoch"] + 1
        model: Any = unwrap_model(self.model)
        model.criterion = model.init_criterion()
        if hasattr(model.criterion, "update"):  # two branches, whose balance moves with the epochs
            model.criterion.updates = self.start_epoch - 1
            model.criterion.update()

    def state(self) -> tuple[Arrays, dict[str, Any]]:
        """Everything that the next epoch depends on, in full precision."""
        optimiser, groups = optimiser_arrays(self.optimizer.state_dict(), "optimiser:")
        model, ema = unwrap_model(self.model).state_dict(), self.ema.ema.state_dict()
        facts = {
            "epoch": self.epoch,
            "ema_updates": self.ema.updates,
            "optimiser_groups": groups,
            "scaler": self.scaler.state_dict(),
        }
        return {**arrays_of(model, "model:"), **arrays_of(ema, "ema:"), **optimiser}, facts

    def save_model(self) -> bool:
        """Nothing is pickled; true lets ultralytics call `after_epoch`."""
        return True

    def save_metrics(self, metrics: dict[str, float]) -> None:
        """The figures go into our own history."""

    def final_eval(self) -> None:
        """The best epoch was evaluated when it was saved."""

    def _handle_nan_recovery(self, epoch: int) -> bool:
        tensors = self.ema.ema.state_dict().values()
        if not bool(self.loss.isfinite()) or not all(bool(tensor.isfinite().all()) for tensor in tensors):
            raise StreetveilError(
                f"the loss or a weight is no number after epoch {epoch + 1}: lower training.learning_rate and start "
                "in another folder; the epochs before are kept"
            )
        return False

    def _begin_epoch(self) -> None:
        torch.set_num_threads(self._threads)  # ultralytics takes one core less than there are
        seed = int(np.random.SeedSequence([self.args.seed, self.epoch]).generate_state(1)[0])
        random.seed(seed)
        np.random.seed(seed)  # ultralytics draws from it
        torch.manual_seed(seed)
        self.train_loader.sampler.epoch = self.epoch
        self.train_loader.dataset.epoch = self.epoch

    def _model_train(self) -> None:
        super()._model_train()
        if self.epoch >= self._settings.fixed_norm_from_epoch:
            # With statistics of its own, a batch of canvases is judged differently from a picture in production.
            for module in unwrap_model(self.model).modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()

    def _end_epoch(self) -> None:
        self.stop |= self._after_epoch(self)


def _arguments(settings: Training, device: str, workers: int, folder: Path) -> dict[str, Any]:
    """Our settings in ultralytics' words."""
    return {
        "model": "street.yaml",  # never opened: `get_model` builds the network
        "epochs": settings.epochs,
        "imgsz": settings.image_px,
        "batch": settings.batch_size,
        "nbs": settings.batch_size,  # one batch, one step: no gradient waits at the end of an epoch
        "seed": settings.seed,
        "deterministic": True,
        "device": device,
        "workers": workers,
        "amp": False if device == "cpu" else "bf16",  # its other mode downloads a network to compare with
        "save_dir": str(folder),
        "pretrained": False,
        "optimizer": "AdamW",
        "momentum": 0.9,  # AdamW's first beta
        "lr0": settings.learning_rate,
        "lrf": settings.last_learning_rate_share,
        "weight_decay": settings.weight_decay,
        "warmup_epochs": settings.warmup_epochs,
        "warmup_bias_lr": 0.0,
        "patience": 0,
        "plots": False,
        "verbose": False,
        "close_mosaic": 0,
    }
