"""Hiding areas for good: information is destroyed first and smoothed afterwards.

A Gaussian alone can be undone by whoever knows its width, and even a handful of noisy means tells one face from
hundreds. So an area becomes a few cells whose colour starts from a neutral grey, or from what is published around it,
under noise that nobody can predict; of what is hidden they keep the share `cell_contrast`, which is 0. Only these cells
are drawn: enlarged, blurred, grained. α is 1 on the whole area; the soft edge lies outside it.
"""

from __future__ import annotations

import functools

import cv2
import numpy as np
from numpy.typing import NDArray

from components.detections import intersections
from components.imaging.noise import Area, NoiseSource
from components.imaging.reading import Pixels
from components.settings import Obfuscation

Areas = NDArray[np.int32]  # [n, 4], xyxy px
Floats = NDArray[np.float32]

_WORKING_SIGMA_PX = 4.0  # the blur is computed at the scale where its σ has this size: same looks, cost by area only
_SURROUNDINGS_SHARE = 0.15  # how far around an area the colours are taken that its cells are drawn towards
_GREY = np.full(3, 118, np.float32)  # the neutral base, and the fill of `solid`


def obfuscate(pixels: Pixels, areas: Areas, rule: Obfuscation, noise: NoiseSource) -> Pixels:
    """A copy of a picture in which every area is hidden.

    Areas that overlap are joined first: they share one set of cells, so no pixel is measured twice.

    Args:
        pixels: uint8 [h, w, 3] RGB.
        areas: int32 [n, 4] xyxy px, within the picture, not empty.
        rule: how strongly.
        noise: the image's noise.

    Returns:
        uint8 [h, w, 3]; equal to `pixels` outside of `ramp_windows`.
    """
    hidden = pixels.copy()
    height, width = pixels.shape[:2]
    grain = noise.grain(rule.pixel_noise_std)
    for group in join(areas):
        whole = np.concatenate([group[:, :2].min(axis=0), group[:, 2:].max(axis=0)])
        windows = ramp_windows(group, rule, width, height)
        drawn = _drawn(_cells(pixels, whole, areas, rule, noise), group, whole, rule, max(width, height))
        left, top = whole[:2] - max(_ramp_px(area, rule) for area in group)
        for area, window in zip(group, windows, strict=True):
            x1, y1, x2, y2 = window
            piece = grain.on(drawn[y1 - top : y2 - top, x1 - left : x2 - left], area)
            weight = _alpha(area, window, _ramp_px(area, rule))
            hidden[y1:y2, x1:x2] = cv2.blendLinear(piece, hidden[y1:y2, x1:x2], weight, 1 - weight)
    return hidden


def join(areas: Areas) -> list[Areas]:
    """Areas in groups, each of those that overlap one another, directly or through others."""
    overlap = intersections(areas, areas) > 0
    labels = np.arange(len(areas))
    while True:
        lowest = np.where(overlap, labels, len(areas)).min(axis=1, initial=len(areas))
        if np.array_equal(lowest, labels):
            return [areas[labels == label] for label in np.unique(labels)]
        labels = lowest


def ramp_windows(areas: Areas, rule: Obfuscation, width: int, height: int) -> Areas:
    """The pixels that hiding an area changes: the area and the soft edge around it, cut at the border; int32 [n, 4]."""
    ramps = np.array([_ramp_px(area, rule) for area in areas], np.int32).reshape(-1, 1)
    grown = areas + ramps * np.array([-1, -1, 1, 1], np.int32)
    return np.clip(grown, 0, np.array([width, height, width, height], np.int32))


def _ramp_px(area: Area, rule: Obfuscation) -> int:
    return round(rule.ramp_share * int(min(area[2] - area[0], area[3] - area[1])))


def _cells(pixels: Pixels, whole: Area, areas: Areas, rule: Obfuscation, noise: NoiseSource) -> Floats:
    """All that is drawn of a group of areas, float32 [rows, columns, 3]: the only place that may look at its pixels."""
    x1, y1, x2, y2 = whole
    rows, columns = min(rule.cells, y2 - y1), min(rule.cells, x2 - x1)
    if rule.method == "solid":
        return np.broadcast_to(_GREY, (rows, columns, 3)).copy()
    cells = np.broadcast_to(_GREY, (rows, columns, 3)).copy()
    if rule.base == "surroundings":
        cells = _surrounding_colours(pixels, whole, areas, rows, columns)
    if rule.cell_contrast:
        means = cv2.resize(pixels[y1:y2, x1:x2], (columns, rows), interpolation=cv2.INTER_AREA)
        cells += rule.cell_contrast * (means.astype(np.float32) - cells)
    return cells + noise.cell_noise(whole, rows, columns, rule.cell_noise_std)


def _surrounding_colours(pixels: Pixels, whole: Area, areas: Areas, rows: int, columns: int) -> Floats:
    """For each cell the mean colours left, right, above and below, weighted by nearness; never from a hidden area."""
    height, width = pixels.shape[:2]
    x1, y1, x2, y2 = (int(side) for side in whole)
    reach = max(1, round(_SURROUNDINGS_SHARE * max(x2 - x1, y2 - y1)))
    left, top, right, below = max(0, x1 - reach), max(0, y1 - reach), min(width, x2 + reach), min(height, y2 + reach)
    near = areas[intersections(areas, np.array([[left, top, right, below]]))[:, 0] > 0]
    strips = ((left, y1, x1, y2), (x2, y1, right, y2), (x1, top, x2, y1), (x1, y2, x2, below))
    colours = [_mean_of_visible(pixels, strip, near) for strip in strips]
    seen = [side for side, colour in enumerate(colours) if colour is not None]
    if not seen:
        return np.broadcast_to(_GREY, (rows, columns, 3)).copy()
    nearness = _nearness(rows, columns)[seen]
    weighted = np.tensordot(nearness, np.array([colours[side] for side in seen], np.float32), axes=(0, 0))
    return weighted / nearness.sum(axis=0)[:, :, None]


@functools.cache
def _nearness(rows: int, columns: int) -> Floats:
    """One over the distance of each cell from the left, right, upper and lower side; float32 [4, rows, columns]."""
    across, down = np.meshgrid((np.arange(columns) + 0.5) / columns, (np.arange(rows) + 0.5) / rows)
    return (1 / np.stack([across, 1 - across, down, 1 - down])).astype(np.float32)


def _mean_of_visible(pixels: Pixels, strip: tuple[int, int, int, int], areas: Areas) -> tuple[float, ...] | None:
    x1, y1, x2, y2 = strip
    if x1 >= x2 or y1 >= y2:
        return None
    visible = None
    for ox1, oy1, ox2, oy2 in areas.tolist():
        if min(ox2, x2) > max(ox1, x1) and min(oy2, y2) > max(oy1, y1):
            visible = np.ones((y2 - y1, x2 - x1), np.uint8) if visible is None else visible
            visible[max(0, oy1 - y1) : max(0, oy2 - y1), max(0, ox1 - x1) : max(0, ox2 - x1)] = 0
    if visible is not None and not visible.any():
        return None
    return cv2.mean(pixels[y1:y2, x1:x2], visible)[:3]


def _drawn(cells: Floats, group: Areas, whole: Area, rule: Obfuscation, long_side_px: int) -> Pixels:
    """The cells as they will look on the whole group and on its ramps, where the last colours go on; uint8."""
    wide, high = int(whole[2] - whole[0]), int(whole[3] - whole[1])
    if rule.method == "gaussian":
        tallest_px = int((group[:, 3] - group[:, 1]).max())
        least_px = rule.blur_sigma_px * max(1.0, long_side_px / rule.blur_sigma_at_px)
        sigma_px = max(least_px, rule.blur_sigma_share * tallest_px)
        shrink = max(1.0, sigma_px / _WORKING_SIGMA_PX)
        small = cv2.resize(cells, (max(1, round(wide / shrink)), max(1, round(high / shrink))))
        smooth = cv2.GaussianBlur(small, (0, 0), sigma_px / shrink, borderType=cv2.BORDER_REPLICATE)
        cells = np.asarray(smooth, np.float32).reshape(*small.shape[:2], 3)
    levels = np.clip(cells, 0, 255).round().astype(np.uint8)
    interpolation = cv2.INTER_NEAREST if rule.method == "mosaic" else cv2.INTER_LINEAR
    drawn = cv2.resize(levels, (wide, high), interpolation=interpolation)
    ramp_px = max(_ramp_px(area, rule) for area in group)
    around = cv2.copyMakeBorder(drawn, ramp_px, ramp_px, ramp_px, ramp_px, cv2.BORDER_REPLICATE)
    return np.asarray(around, np.uint8)


def _alpha(area: Area, window: Area, ramp_px: int) -> Floats:
    """1 on the area, falling smoothly (3t² - 2t³) to 0 over the ramp outside; float32 [h, w]."""
    sides = []
    for axis in (1, 0):
        places = np.arange(window[axis], window[axis + 2])
        outside_px = np.maximum(np.maximum(area[axis] - places, places - (area[axis + 2] - 1)), 0)
        t = 1 - outside_px.astype(np.float32) / (ramp_px + 1)
        sides.append(t * t * (3 - 2 * t))
    return np.outer(*sides)
