"""Ultralytics' data set and loader, fed with our training images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler
from ultralytics.data.dataset import YOLODataset

from components.detections import CLASS_NAMES
from components.errors import StreetveilError
from components.training.images import TrainingImage

_OUTSIDE = 255  # what ultralytics fills masks with where there is no picture


class StreetDataset(YOLODataset):
    """Training images with what ultralytics' own data set has no place for.

    A box's weight travels through the augmentations as a second column of its class, and the background that must
    not count as a mask beside the picture. So both stay with their objects and places in mosaics and perspectives.
    """

    def __init__(self, images: Sequence[TrainingImage], ignore_unlabelled: bool, **options: Any) -> None:
        self.images = tuple(images)
        self.with_uncounted = ignore_unlabelled and any(image.uncounted(8, 8).any() for image in images)
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
                "cls": np.stack([image.class_id, image.box_weight], axis=1).astype(np.float32),
                "bboxes": image.boxes / np.array([image.width, image.height] * 2, np.float32),
                "normalized": True,
                "bbox_format": "xyxy",
            }
            for image in self.images
        ]

    def get_image_and_label(self, index: int) -> dict[str, Any]:
        """One picture as it is before augmentation."""
        label = super().get_image_and_label(index)
        image = self.images[index]
        if tuple(label["ori_shape"]) != (image.height, image.width):
            raise StreetveilError(f"{image.path} is {label['ori_shape'][::-1]} px, but was labelled at another size")
        if self.with_uncounted:
            height, width = label["img"].shape[:2]
            label["semantic_mask"] = image.uncounted(width, height)
        return label

    def __getitem__(self, index: int) -> dict[str, Any]:
        label = super().__getitem__(index)
        rows = label["cls"] if len(label["cls"]) else torch.zeros(0, 2)
        label["cls"], label["box_weight"] = rows[:, :1], rows[:, 1]
        if self.with_uncounted:
            mask = label.pop("semantic_mask")
            label["uncounted"] = torch.from_numpy(np.where(mask == _OUTSIDE, 0, mask).astype(np.uint8))
        return label

    @staticmethod
    def collate_fn(batch: list[dict]) -> dict:
        """One batch of many pictures."""
        joined = YOLODataset.collate_fn(batch)
        joined["box_weight"] = torch.cat(joined["box_weight"])
        if "uncounted" in joined:
            joined["uncounted"] = torch.stack(joined["uncounted"])
        return joined


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
