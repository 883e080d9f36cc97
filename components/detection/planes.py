"""From a picture to what a network takes: padded to what it can halve, as planes or, for a GPU, as it is."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from components.imaging.reading import Pixels


@dataclass(frozen=True, slots=True)
class Frame:
    """How a picture is shown to a network.

    Attributes:
        grey: of the padding at the right and at the bottom, 0 to 255.
        multiple_px: of which both sides must be.
        divisor: of the pixels' values, 0 to 255, for networks that want 0 to 1.
        as_pixels: the network makes the planes by itself (`onnx_graph.pixel_form`), where that costs next to nothing.
    """

    grey: int
    multiple_px: int = 32  # networks that halve five times
    divisor: float = 1.0
    as_pixels: bool = False

    def sides(self, pixels: Pixels) -> tuple[int, int]:
        """Height and width with the padding, px."""
        height, width = pixels.shape[:2]
        return _ceil(height, self.multiple_px), _ceil(width, self.multiple_px)

    def around(self, pixels: Pixels) -> NDArray:
        """A picture [h, w, 3] as one input: float32 [1, 3, H, W], or uint8 [1, H, W, 3] as pixels."""
        if self.as_pixels:
            height, width = pixels.shape[:2]
            framed = np.empty((1, *self.sides(pixels), 3), np.uint8)
            framed[0, :height, :width] = pixels
            framed[0, height:], framed[0, :, width:] = self.grey, self.grey
            return framed
        planes = padded_planes(pixels, self.multiple_px, self.grey)[None]
        return planes if self.divisor == 1 else planes / np.float32(self.divisor)


def padded_planes(pixels: Pixels, multiple_px: int, grey: int) -> NDArray[np.float32]:
    """A picture [h, w, 3] as float32 [3, H, W], 0 to 255, H and W the next multiples; it stands at the top left.

    Args:
        pixels: uint8.
        multiple_px: of the network.
        grey: of the padding, 0 to 255.
    """
    height, width = pixels.shape[:2]
    planes = np.empty((3, _ceil(height, multiple_px), _ceil(width, multiple_px)), np.float32)
    for plane, channel in zip(planes, cv2.split(pixels), strict=True):  # each by itself is three times as fast
        plane[:height, :width] = channel
    planes[:, height:], planes[:, :, width:] = grey, grey
    return planes


def _ceil(side_px: int, multiple_px: int) -> int:
    return -(-side_px // multiple_px) * multiple_px
