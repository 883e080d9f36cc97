"""The eight EXIF orientations: how stored pixels become the upright picture, and the way back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# EXIF 2.32, tag 0x0112, as three questions: are rows and columns swapped, and is the upright picture then mirrored?
_SWAPPED = frozenset({5, 6, 7, 8})
_MIRRORED_X = frozenset({2, 3, 6, 7})
_MIRRORED_Y = frozenset({3, 4, 7, 8})


def upright(pixels: NDArray, orientation: int) -> NDArray:
    """Turn stored pixels [h, w] or [h, w, c] so that the picture stands upright; contiguous in memory.

    Args:
        pixels: in the file's own order.
        orientation: EXIF orientation, 1 to 8.
    """
    swapped = pixels.swapaxes(0, 1) if orientation in _SWAPPED else pixels
    return np.ascontiguousarray(_mirrored(swapped, orientation))


def stored(pixels: NDArray, orientation: int) -> NDArray:
    """The inverse of `upright`, as a view: nothing is copied."""
    mirrored = _mirrored(pixels, orientation)
    return mirrored.swapaxes(0, 1) if orientation in _SWAPPED else mirrored


def stored_areas(areas: NDArray[np.int32], orientation: int, width: int, height: int) -> NDArray[np.int32]:
    """Where areas of the upright picture lie in the stored one.

    Args:
        areas: int32 [n, 4] xyxy px, upright.
        orientation: EXIF orientation, 1 to 8.
        width: of the upright picture, px.
        height: of the upright picture, px.
    """
    x1, y1, x2, y2 = areas.reshape(-1, 4).T
    if orientation in _MIRRORED_X:
        x1, x2 = width - x2, width - x1
    if orientation in _MIRRORED_Y:
        y1, y2 = height - y2, height - y1
    sides = (y1, x1, y2, x2) if orientation in _SWAPPED else (x1, y1, x2, y2)
    return np.stack(sides, axis=1).astype(np.int32)


def _mirrored(pixels: NDArray, orientation: int) -> NDArray:
    step_y = -1 if orientation in _MIRRORED_Y else 1
    step_x = -1 if orientation in _MIRRORED_X else 1
    return pixels[::step_y, ::step_x]
