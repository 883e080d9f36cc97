"""The one type that detectors, rules, blur, manifest and metrics speak, and the geometry of boxes.

Boxes are `xyxy` in pixels of the upright picture: x to the right, y down, the right and lower edge exclusive.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Boxes = NDArray[np.float32]  # [n, 4]
Mask = NDArray[np.bool_]

FACE = 0
LICENSE_PLATE = 1
CLASS_NAMES: tuple[str, ...] = ("face", "license_plate")
CLASS_IDS: dict[str, int] = {name: index for index, name in enumerate(CLASS_NAMES)}

STAGE_DETECTOR = 1  # the high-recall detector
STAGE_VERIFIER = 2  # confirmed by the verifier
STAGE_SECONDARY = 3  # put back by the high-precision safety check
STAGE_PERSON = 4  # drawn by a person


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """Objects found in one picture; row i of every array speaks of the same object.

    Attributes:
        xyxy: float32 [n, 4], px.
        confidence: float32 [n], 0 to 1.
        class_id: int16 [n], an index into `CLASS_NAMES`.
        stage: int16 [n], the stage that decided last (`STAGE_*`).
    """

    xyxy: Boxes
    confidence: NDArray[np.float32]
    class_id: NDArray[np.int16]
    stage: NDArray[np.int16]

    def __post_init__(self) -> None:
        n = len(self.xyxy)
        if self.xyxy.shape != (n, 4) or not (len(self.confidence) == len(self.class_id) == len(self.stage) == n):
            raise ValueError(
                f"Detections disagree in length: xyxy {self.xyxy.shape}, confidence {len(self.confidence)}, "
                f"class_id {len(self.class_id)}, stage {len(self.stage)}"
            )

    def __len__(self) -> int:
        return len(self.xyxy)

    @classmethod
    def of(
        cls, xyxy: ArrayLike, confidence: ArrayLike, class_id: ArrayLike, stage: ArrayLike = STAGE_DETECTOR
    ) -> Detections:
        """Build from anything array-like; scalars are repeated for every box."""
        boxes = np.asarray(xyxy, np.float32).reshape(-1, 4)
        n = len(boxes)

        def column(values: ArrayLike, dtype: type[np.generic]) -> NDArray:
            return np.broadcast_to(np.asarray(values, dtype), (n,)).copy()

        return cls(boxes, column(confidence, np.float32), column(class_id, np.int16), column(stage, np.int16))

    @classmethod
    def empty(cls) -> Detections:
        """No object at all."""
        return cls.of(np.zeros((0, 4)), 0.0, FACE)

    @classmethod
    def concatenate(cls, parts: Iterable[Detections]) -> Detections:
        """All rows of all parts, in order."""
        found = [cls.empty(), *parts]
        return cls(
            np.concatenate([part.xyxy for part in found]),
            np.concatenate([part.confidence for part in found]),
            np.concatenate([part.class_id for part in found]),
            np.concatenate([part.stage for part in found]),
        )

    def select(self, rows: ArrayLike) -> Detections:
        """The rows chosen by a boolean mask or by indices."""
        rows = np.asarray(rows)
        if rows.size == 0:  # an empty list has no type of its own
            rows = rows.astype(np.intp)
        return Detections(self.xyxy[rows], self.confidence[rows], self.class_id[rows], self.stage[rows])

    def with_boxes(self, xyxy: Boxes) -> Detections:
        """The same objects with other boxes."""
        return Detections(np.asarray(xyxy, np.float32), self.confidence, self.class_id, self.stage)

    def of_class(self, class_id: int) -> Detections:
        """The rows of one class."""
        return self.select(self.class_id == class_id)


def widths(xyxy: Boxes) -> NDArray[np.float32]:
    """Width of each box, px [n]; never negative."""
    return np.maximum(xyxy[:, 2] - xyxy[:, 0], 0)


def heights(xyxy: Boxes) -> NDArray[np.float32]:
    """Height of each box, px [n]; never negative."""
    return np.maximum(xyxy[:, 3] - xyxy[:, 1], 0)


def areas(xyxy: Boxes) -> NDArray[np.float32]:
    """Area of each box, px² [n]."""
    return widths(xyxy) * heights(xyxy)


def intersections(a: NDArray, b: NDArray) -> NDArray:
    """Area that each box of `a` [n] shares with each of `b` [m], px² [n, m]; of the boxes' own dtype."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    return np.clip(high - low, 0, None).prod(axis=2)


def iou(a: Boxes, b: Boxes) -> NDArray[np.float32]:
    """Intersection over union of each pair [n, m]; 0 where both boxes are empty."""
    shared = intersections(a, b)
    union = areas(a)[:, None] + areas(b)[None, :] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def clip(xyxy: Boxes, width: int, height: int) -> Boxes:
    """Boxes cut at the border of a picture."""
    limit = np.array([width, height, width, height], np.float32)
    return np.clip(xyxy, 0, limit)


def dilate(xyxy: Boxes, share: ArrayLike) -> Boxes:
    """Boxes grown on every side by a share of their own width and height (scalar or [n])."""
    grown = np.stack([widths(xyxy), heights(xyxy)], axis=1) * np.asarray(share, np.float32).reshape(-1, 1)
    return np.concatenate([xyxy[:, :2] - grown, xyxy[:, 2:] + grown], axis=1).astype(np.float32)


def hull(xyxy: Boxes) -> Boxes:
    """The smallest box [1, 4] around all of them (n ≥ 1)."""
    return np.concatenate([xyxy[:, :2].min(axis=0), xyxy[:, 2:].max(axis=0)])[None].astype(np.float32)


def pixel_boxes(xyxy: Boxes, width: int, height: int) -> NDArray[np.int32]:
    """Whole-pixel boxes [m, 4] that cover at least the given ones, cut at the border; empty ones are left out."""
    outward = np.concatenate([np.floor(xyxy[:, :2]), np.ceil(xyxy[:, 2:])], axis=1)
    cut = clip(outward, width, height).astype(np.int32)
    return cut[(cut[:, 2] > cut[:, 0]) & (cut[:, 3] > cut[:, 1])]


def pixel_mask(xyxy: Boxes, width: int, height: int) -> Mask:
    """The pixels [height, width] that at least one box touches."""
    mask = np.zeros((height, width), bool)
    for x1, y1, x2, y2 in pixel_boxes(xyxy, width, height):
        mask[y1:y2, x1:x2] = True
    return mask
