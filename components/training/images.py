"""What the trainer wants to know of one picture."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from components.dataset.labels import LabelledImage
from components.detections import CLASS_NAMES, Boxes, Detections, heights, widths

EVERY_CLASS = frozenset(CLASS_NAMES)


@dataclass(frozen=True, slots=True, eq=False)
class TrainingImage:
    """One picture with its labels; row i of boxes, class_id and box_weight speaks of the same object.

    Attributes:
        path: the file, upright or with an EXIF orientation.
        width, height: px of the upright picture.
        boxes: float32 [n, 4] xyxy px of the upright picture.
        class_id: int16 [n], an index into `CLASS_NAMES`.
        box_weight: float32 [n], how much each object counts in the loss; 1 is usual, 0 leaves it out.
        ignored: float32 [m, 4] xyxy px, boxes that count neither as objects nor as background.
        exhaustive: classes of which every object is labelled; only these have a background.
        complete: people have labelled all classes, so that its background is known without a teacher.
    """

    path: Path
    width: int
    height: int
    boxes: Boxes
    class_id: NDArray[np.int16]
    box_weight: NDArray[np.float32]
    ignored: Boxes
    exhaustive: frozenset[str] = EVERY_CLASS
    complete: bool = False

    def __post_init__(self) -> None:
        n = len(self.boxes)
        if self.boxes.shape != (n, 4) or self.ignored.shape != (len(self.ignored), 4):
            raise ValueError(f"{self.path}: boxes need four sides")
        if len(self.class_id) != n or len(self.box_weight) != n:
            raise ValueError(f"{self.path}: {n} boxes, {len(self.class_id)} classes, {len(self.box_weight)} weights")
        if not np.all(np.isfinite(self.box_weight) & (self.box_weight >= 0)):
            raise ValueError(f"{self.path}: a box's weight is finite and not negative")
        if not np.isin(self.class_id, range(len(CLASS_NAMES))).all() or not self.exhaustive <= EVERY_CLASS:
            raise ValueError(f"{self.path}: there are the classes {', '.join(CLASS_NAMES)}")

    @classmethod
    def of(
        cls,
        path: Path,
        size: tuple[int, int],
        boxes: ArrayLike,
        class_id: ArrayLike,
        box_weight: ArrayLike = 1.0,
        ignored: ArrayLike = (),
        exhaustive: Iterable[str] = CLASS_NAMES,
    ) -> TrainingImage:
        """Build from anything array-like; `size` is (width, height) in px, a scalar weight is every box's."""
        xyxy = np.asarray(boxes, np.float32).reshape(-1, 4)
        return cls(
            path,
            *size,
            boxes=xyxy,
            class_id=np.broadcast_to(np.asarray(class_id, np.int16), (len(xyxy),)).copy(),
            box_weight=np.broadcast_to(np.asarray(box_weight, np.float32), (len(xyxy),)).copy(),
            ignored=np.asarray(ignored, np.float32).reshape(-1, 4),
            exhaustive=frozenset(exhaustive),
        )

    def uncounted(self, width: int, height: int) -> NDArray[np.uint8]:
        """Where background must not count, on this picture scaled to [height, width]: bit c speaks of class c."""
        unlabelled = sum(1 << c for c, name in enumerate(CLASS_NAMES) if name not in self.exhaustive)
        bits = np.full((height, width), unlabelled, np.uint8)
        scale = np.array([width / self.width, height / self.height] * 2)
        low = np.floor(self.ignored * scale).astype(int).clip(0)
        high = np.ceil(self.ignored * scale).astype(int).clip(0)
        for (x1, y1), (x2, y2) in zip(low[:, :2], high[:, 2:], strict=True):
            bits[y1:y2, x1:x2] = (1 << len(CLASS_NAMES)) - 1
        return bits

    def truth(self, scale: float = 1.0) -> LabelledImage:
        """The labels as metrics want them, on the picture scaled by a factor."""
        return LabelledImage(
            path=str(self.path),
            width=max(1, round(self.width * scale)),
            height=max(1, round(self.height * scale)),
            source="",
            objects=Detections.of(self.boxes * np.float32(scale), 1.0, self.class_id),
            ignored=self.ignored * np.float32(scale),
            exhaustive=self.exhaustive,
        )


def training_image(image: LabelledImage, folder: Path, min_px: Mapping[str, float]) -> TrainingImage:
    """A labelled picture for the trainer: objects too small to be hidden count neither way.

    Args:
        image: the labels.
        folder: what their path starts from.
        min_px: by class, the shorter side from which objects are hidden.
    """
    objects = image.objects
    shorter = np.minimum(widths(objects.xyxy), heights(objects.xyxy))
    least = np.array([min_px[name] for name in CLASS_NAMES], np.float32)[objects.class_id]
    counts = shorter >= least
    ignored = np.concatenate([image.ignored, objects.xyxy[~counts]])
    kept = objects.select(counts)
    size = image.width, image.height
    path = folder / image.path
    told = TrainingImage.of(path, size, kept.xyxy, kept.class_id, 1.0, ignored, image.exhaustive)
    return replace(told, complete=image.exhaustive >= EVERY_CLASS)


def images_sha256(images: Iterable[TrainingImage]) -> str:
    """Hash of all labels and of the pictures' names, in their order."""
    digest = hashlib.sha256()
    for image in images:
        facts = [image.path.name, image.width, image.height, sorted(image.exhaustive), image.complete]
        digest.update(json.dumps(facts).encode())
        for rows in (image.boxes, image.class_id, image.box_weight, image.ignored):
            digest.update(len(rows).to_bytes(4, "little") + np.ascontiguousarray(rows).tobytes())
    return digest.hexdigest()
