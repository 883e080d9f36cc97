"""Hiding an area for good: information is destroyed first and smoothed afterwards.

A Gaussian alone can be undone by whoever knows its width. Here an area becomes a few cell means, each under noise that
nobody can predict, and only these are drawn: enlarged, blurred, and grained. α is 1 on the whole area.
"""

from __future__ import annotations

import cv2
import numpy as np

from components.imaging.noise import Area, NoiseSource
from components.imaging.reading import Pixels
from components.settings import Obfuscation

_WORKING_SIGMA_PX = 4.0  # the blur is computed at the scale where its σ has this size: same looks, cost by area only


def obfuscate(pixels: Pixels, areas: Area, rule: Obfuscation, noise: NoiseSource) -> Pixels:
    """A copy of a picture in which every area is hidden.

    Areas are hidden one after the other, each from what the ones before have left, so an overlap is never
    measured twice from the original.

    Args:
        pixels: uint8 [h, w, 3] RGB.
        areas: int32 [n, 4] xyxy px, within the picture, not empty.
        rule: how strongly.
        noise: the image's noise.

    Returns:
        uint8 [h, w, 3]; equal to `pixels` outside the areas.
    """
    hidden = pixels.copy()
    for area in sorted(areas.tolist()):
        x1, y1, x2, y2 = area
        hidden[y1:y2, x1:x2] = _hide(hidden[y1:y2, x1:x2], np.asarray(area, np.int32), rule, noise)
    return hidden


def _hide(patch: Pixels, area: Area, rule: Obfuscation, noise: NoiseSource) -> Pixels:
    height, width = patch.shape[:2]
    rows, columns = min(rule.cells, height), min(rule.cells, width)
    cells = cv2.resize(patch, (columns, rows), interpolation=cv2.INTER_AREA).astype(np.float32)
    cells += noise.cell_noise(area, rows, columns, rule.cell_noise_std)

    sigma_px = max(rule.blur_sigma_px, rule.blur_sigma_share * height)
    shrink = max(1.0, sigma_px / _WORKING_SIGMA_PX)
    small = cv2.resize(
        cells, (max(1, round(width / shrink)), max(1, round(height / shrink))), interpolation=cv2.INTER_LINEAR
    )
    small = cv2.GaussianBlur(small, (0, 0), sigma_px / shrink, borderType=cv2.BORDER_REPLICATE)
    smooth = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)

    grain = noise.pixel_noise(area, height, width, rule.pixel_noise_std)
    return np.clip(smooth.reshape(height, width, 3) + grain, 0, 255).round().astype(np.uint8)
