"""From a picture to what a network takes: a plane for each channel, padded to what the network can halve."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from components.imaging.reading import Pixels


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
