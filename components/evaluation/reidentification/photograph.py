"""A face, or a plate, cut out of a picture together with what is around it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from components.imaging.reading import Pixels

Box = NDArray[np.int32]  # [4], xyxy px

_MARGIN = 0.6  # share of the box that a photograph shows around it, so that a blur sees what it sees in a street


@dataclass(frozen=True, slots=True, eq=False)
class Photograph:
    """A face, or a plate, and what is around it.

    Attributes:
        pixels: uint8 [h, w, 3] RGB.
        box: the object in it.
    """

    pixels: Pixels
    box: Box

    @property
    def height_px(self) -> int:
        """Height of the object."""
        return int(self.box[3] - self.box[1])


def cut_out(pixels: Pixels, box: list[float]) -> Photograph:
    """The surroundings of a box, the picture's edge repeated where they reach beyond it."""
    x1, y1, x2, y2 = np.round(box).astype(int)
    pad_x, pad_y = round(_MARGIN * (x2 - x1)), round(_MARGIN * (y2 - y1))
    padded = cv2.copyMakeBorder(pixels, pad_y, pad_y, pad_x, pad_x, cv2.BORDER_REPLICATE)
    crop = padded[y1 : y2 + 2 * pad_y, x1 : x2 + 2 * pad_x]
    inner = np.array([pad_x, pad_y, pad_x + x2 - x1, pad_y + y2 - y1], np.int32)
    return Photograph(np.ascontiguousarray(crop), inner)


def at_height(photograph: Photograph, height_px: int) -> Photograph:
    """The photograph with its object at a height."""
    scale = height_px / photograph.height_px
    height, width = photograph.pixels.shape[:2]
    size = max(1, round(width * scale)), max(1, round(height * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    box = np.round(photograph.box * scale).astype(np.int32)
    box[3] = box[1] + height_px
    return Photograph(np.asarray(cv2.resize(photograph.pixels, size, interpolation=method), np.uint8), box)


def dilated(photograph: Photograph, share: float) -> Box:
    """The box grown on every side by a share of its own width and height, within the picture."""
    x1, y1, x2, y2 = photograph.box
    grow_x, grow_y = share * (x2 - x1), share * (y2 - y1)
    height, width = photograph.pixels.shape[:2]
    area = np.array([np.floor(x1 - grow_x), np.floor(y1 - grow_y), np.ceil(x2 + grow_x), np.ceil(y2 + grow_y)])
    return np.clip(area, 0, [width, height, width, height]).astype(np.int32)
