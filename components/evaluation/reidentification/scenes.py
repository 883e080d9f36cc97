"""All faces in the same surroundings, so that what tells them apart is what was hidden and nothing beside it.

What stands around a hidden area is published anyway: hair, clothes, the wall behind, and how wide the box is. An
attacker who uses it needs no hidden pixel. So every face gets the same box, and outside of the area the mean of all
photographs, and then even a colour taken from around the area says nothing about the person.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from components.evaluation.reidentification.photograph import Box, Photograph
from components.imaging.reading import Pixels

_MARGIN = 0.5  # share of the box that is shown on every side of it
_WIDTH_SHARE = 0.8  # a face's box is four fifths as wide as it is high


@dataclass(frozen=True, slots=True, eq=False)
class Scenes:
    """Every person at the same place of the same picture.

    Attributes:
        people: uint8 [people, h, w, 3].
        surroundings: uint8 [h, w, 3], the mean of all.
        box: the face, the same in all.
    """

    people: NDArray[np.uint8]
    surroundings: Pixels
    box: Box

    def with_face(self, face: Pixels, area: Box, shape: NDArray[np.uint8]) -> Pixels:
        """The common surroundings, and a person in the part of an area that a shape marks."""
        picture = self.surroundings.copy()
        x1, y1, x2, y2 = area
        cv2.copyTo(face[y1:y2, x1:x2], shape, picture[y1:y2, x1:x2])
        return picture


def scenes_of(photographs: Sequence[Photograph], height_px: int) -> Scenes:
    """Faces at a height, their boxes brought to one shape."""
    inner = height_px, round(_WIDTH_SHARE * height_px)
    margin = round(_MARGIN * inner[0]), round(_MARGIN * inner[1])
    box = np.array([margin[1], margin[0], margin[1] + inner[1], margin[0] + inner[0]], np.int32)
    size = inner[1] + 2 * margin[1], inner[0] + 2 * margin[0]
    people = np.array([_brought_to(photograph, box, size) for photograph in photographs])
    return Scenes(people, people.mean(axis=0).round().astype(np.uint8), box)


def another_photograph(face: Pixels, rng: np.random.Generator) -> Pixels:
    """The same face as another photograph might show it: in other light, a little elsewhere, a little larger."""
    height, width = face.shape[:2]
    scale = rng.uniform(0.93, 1.07)
    shift = rng.uniform(-0.025, 0.025, 2) * (width, height)
    centre = np.array([width, height]) / 2
    matrix = np.column_stack([np.eye(2) * scale, centre - scale * centre + shift])
    moved = cv2.warpAffine(face, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    gain = rng.uniform(0.8, 1.25) * rng.uniform(0.95, 1.05, 3)
    levels = np.arange(256)[:, None] * gain + rng.uniform(-10, 10)
    return np.asarray(cv2.LUT(moved, np.clip(levels, 0, 255).round().astype(np.uint8)[:, None]), np.uint8)


def _brought_to(photograph: Photograph, box: Box, size: tuple[int, int]) -> Pixels:
    source, target = photograph.box.astype(np.float64), box.astype(np.float64)
    scale = (target[2:] - target[:2]) / (source[2:] - source[:2])
    height, width = photograph.pixels.shape[:2]
    shrunk_size = max(1, round(width * scale[0])), max(1, round(height * scale[1]))
    method = cv2.INTER_AREA if scale.min() < 1 else cv2.INTER_CUBIC
    resized = cv2.resize(photograph.pixels, shrunk_size, interpolation=method)
    shift = target[:2] - source[:2] * scale
    matrix = np.column_stack([np.eye(2), np.round(shift)])
    brought = cv2.warpAffine(resized, matrix, size, flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(brought, np.uint8)
