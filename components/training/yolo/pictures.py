"""Our training images in the form that ultralytics' loop takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler
from ultralytics.data.dataset import YOLODataset

from components.detections import CLASS_NAMES
from components.errors import StreetveilError
from components.imaging.reading import Pixels
from components.settings import Training
from components.training.images import TrainingImage
from components.training.views.canvas import canvas_of
from components.training.views.view import View

_KEPT_PICTURES = 4096  # decoded, in memory


class CanvasDataset(Dataset[dict[str, Any]]):
    """One canvas for each training image; what is on it follows from the seed, the epoch and the image's place.

    Args:
        images: the training split.
        settings: how views vary, and whether background counts where nobody has looked.
    """

    def __init__(self, images: Sequence[TrainingImage], settings: Training) -> None:
        self.images = tuple(images)
        self.epoch = 0
        self._settings = settings
        with_class = [[i for i, image in enumerate(images) if c in image.class_id] for c in range(len(CLASS_NAMES))]
        self._with_class = [np.array(rows) for rows in with_class if rows]
        self._complete = np.flatnonzero([image.complete for image in images])

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return _sample(self.canvas(index), str(self.images[index].path), self._settings.ignore_unlabelled)

    def canvas(self, index: int) -> View:
        """The canvas that begins with one of the images."""
        seed = [self._settings.seed, self.epoch, index]
        first = self._picture(index)
        return canvas_of(first, self._draw, self._settings.views, self._settings.canvas_px, seed)

    def _draw(self, rng: np.random.Generator) -> tuple[TrainingImage, Pixels]:
        """A random picture: a share of those that people have labelled completely, or each class equally often."""
        if len(self._complete) and rng.random() < self._settings.complete_share:
            return self._picture(int(self._complete[rng.integers(len(self._complete))]))
        if not self._with_class:
            return self._picture(int(rng.integers(len(self.images))))
        rows = self._with_class[int(rng.integers(len(self._with_class)))]
        return self._picture(int(rows[rng.integers(len(rows))]))

    def _picture(self, index: int) -> tuple[TrainingImage, Pixels]:
        image = self.images[index]
        return image, _read(image)

    @staticmethod
    def collate_fn(batch: list[dict[str, Any]]) -> dict[str, Any]:
        """One batch of many canvases, in ultralytics' form."""
        joined: dict[str, Any] = {
            key: torch.cat([sample[key] for sample in batch]) for key in ("cls", "bboxes", "box_weight")
        }
        counts = torch.tensor([len(sample["cls"]) for sample in batch])
        joined["batch_idx"] = torch.repeat_interleave(torch.arange(len(batch)), counts).float()
        joined["img"] = torch.stack([sample["img"] for sample in batch])
        joined["im_file"] = [sample["im_file"] for sample in batch]
        if "uncounted" in batch[0]:
            joined["uncounted"] = torch.stack([sample["uncounted"] for sample in batch])
        return joined


def _sample(view: View, name: str, with_uncounted: bool) -> dict[str, Any]:
    side = float(len(view.pixels))
    low, high = view.boxes[:, :2] / side, view.boxes[:, 2:] / side
    sample = {
        "img": torch.from_numpy(np.ascontiguousarray(view.pixels.transpose(2, 0, 1))),
        "cls": torch.from_numpy(view.class_id.astype(np.float32)).view(-1, 1),
        "bboxes": torch.from_numpy(np.concatenate([(low + high) / 2, high - low], axis=1).astype(np.float32)),
        "box_weight": torch.from_numpy(view.box_weight.astype(np.float32)),
        "im_file": name,
    }
    return {**sample, "uncounted": torch.from_numpy(view.uncounted)} if with_uncounted else sample


@lru_cache(maxsize=_KEPT_PICTURES)
def _decoded(path: str) -> Pixels:
    pixels = cv2.imread(path, cv2.IMREAD_COLOR)
    if pixels is None:
        raise StreetveilError(f"{path} cannot be read: fetch the labelled pictures again")
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)


def _read(image: TrainingImage) -> Pixels:
    pixels = _decoded(str(image.path))
    if pixels.shape[:2] != (image.height, image.width):
        size = f"{pixels.shape[1]} × {pixels.shape[0]}"
        raise StreetveilError(f"{image.path} is {size} px, but was labelled at another size")
    return pixels


class WholePictures(YOLODataset):
    """Validation pictures, each fitted into the network's square."""

    def __init__(self, images: Sequence[TrainingImage], **options: Any) -> None:
        self.images = tuple(images)
        names = dict(enumerate(CLASS_NAMES))
        super().__init__(img_path="", data={"names": names, "nc": len(names), "channels": 3}, task="detect", **options)

    def get_img_files(self, img_path: str | list[str]) -> list[str]:
        """The pictures' paths, in the given order."""
        return [str(image.path) for image in self.images]

    def get_labels(self) -> list[dict[str, Any]]:
        """The labels in ultralytics' form; nothing is read from files beside the pictures."""
        return [
            {
                "im_file": str(image.path),
                "shape": (image.height, image.width),
                "cls": image.class_id.astype(np.float32)[:, None],
                "bboxes": image.boxes / np.array([image.width, image.height] * 2, np.float32),
                "normalized": True,
                "bbox_format": "xyxy",
            }
            for image in self.images
        ]

    def get_image_and_label(self, index: int) -> dict[str, Any]:
        """One picture as it is before it is fitted."""
        label = super().get_image_and_label(index)
        image = self.images[index]
        if tuple(label["ori_shape"]) != (image.height, image.width):
            raise StreetveilError(f"{image.path} is {label['ori_shape'][::-1]} px, but was labelled at another size")
        return label


class EpochOrder(Sampler[int]):
    """A permutation that follows from the seed and the epoch alone, so that an epoch can be repeated."""

    def __init__(self, count: int, seed: int) -> None:
        self._count, self._seed = count, seed
        self.epoch = 0

    def __iter__(self) -> Iterator[int]:
        return iter(np.random.default_rng([self._seed, self.epoch]).permutation(self._count).tolist())

    def __len__(self) -> int:
        return self._count


class EpochLoader(DataLoader):
    """A loader that starts anew in every epoch."""

    def reset(self) -> None:
        """Ultralytics asks for this when it changes the augmentations; there is nothing to do."""
