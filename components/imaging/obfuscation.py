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
    windows, ramps_px = ramp_windows(areas, rule, width, height), _ramps_px(areas, rule)
    groups = join(areas)
    wholes = np.array([(*areas[rows, :2].min(axis=0), *areas[rows, 2:].max(axis=0)) for rows in groups], np.int32)
    cell_noises = noise.cell_noise(wholes, rule.cells, rule.cell_noise_std)
    grain = noise.grain(rule.pixel_noise_std)
    for rows, whole, cell_noise in zip(groups, wholes, cell_noises, strict=True):
        cells = _cells(pixels, whole, areas, rule, cell_noise)
        margin_px = int(ramps_px[rows].max())
        drawn = _drawn(cells, areas[rows], whole, rule, max(width, height), margin_px)
        left, top = int(whole[0]) - margin_px, int(whole[1]) - margin_px
        for row in rows:
            x1, y1, x2, y2 = windows[row].tolist()
            piece = grain.on(drawn[y1 - top : y2 - top, x1 - left : x2 - left], areas[row])
            alpha = _alpha(areas[row], windows[row], int(ramps_px[row]))
            hidden[y1:y2, x1:x2] = cv2.blendLinear(piece, hidden[y1:y2, x1:x2], alpha, 1 - alpha)
    return hidden


def join(areas: Areas) -> list[NDArray[np.intp]]:
    """The rows of areas in groups, each of those that overlap one another, directly or through others."""
    overlap = intersections(areas, areas) > 0
    labels = np.arange(len(areas))
    while True:
        lowest = np.where(overlap, labels, len(areas)).min(axis=1, initial=len(areas))
        if np.array_equal(lowest, labels):
            return [np.flatnonzero(labels == label) for label in np.unique(labels)]
        labels = lowest


def ramp_windows(areas: Areas, rule: Obfuscation, width: int, height: int) -> Areas:
    """The pixels that hiding an area changes: the area and the soft edge around it, cut at the border; int32 [n, 4]."""
    grown = areas + _ramps_px(areas, rule)[:, None] * np.array([-1, -1, 1, 1], np.int32)
    return np.clip(grown, 0, np.array([width, height, width, height], np.int32))


def _ramps_px(areas: Areas, rule: Obfuscation) -> NDArray[np.int32]:
    return np.rint(rule.ramp_share * (areas[:, 2:] - areas[:, :2]).min(axis=1, initial=2**30)).astype(np.int32)


def _cells(pixels: Pixels, whole: Area, areas: Areas, rule: Obfuscation, cell_noise: Floats) -> Floats:
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
    return cells + cell_noise[:rows, :columns]


def _surrounding_colours(pixels: Pixels, whole: Area, areas: Areas, rows: int, columns: int) -> Floats:
    """For each cell the mean colours left, right, above and below, weighted by nearness; never from a hidden area."""
    height, width = pixels.shape[:2]
    x1, y1, x2, y2 = whole.tolist()
    reach = max(1, round(_SURROUNDINGS_SHARE * max(x2 - x1, y2 - y1)))
    left, top, right, below = max(0, x1 - reach), max(0, y1 - reach), min(width, x2 + reach), min(height, y2 + reach)
    is_near = (areas[:, 0] < right) & (areas[:, 2] > left) & (areas[:, 1] < below) & (areas[:, 3] > top)
    strips = ((left, y1, x1, y2), (x2, y1, right, y2), (x1, top, x2, y1), (x1, y2, x2, below))
    near = areas[is_near].tolist()
    colours = [_mean_of_visible(pixels, strip, near) for strip in strips]
    seen = tuple(side for side, colour in enumerate(colours) if colour is not None)
    if not seen:
        return np.broadcast_to(_GREY, (rows, columns, 3)).copy()
    colours_seen = np.array([colours[side] for side in seen], np.float32)
    return (_nearness(rows, columns, seen) @ colours_seen).reshape(rows, columns, 3)


@functools.cache
def _nearness(rows: int, columns: int, sides: tuple[int, ...]) -> Floats:
    """How much each cell takes from each side (0 left, 1 right, 2 above, 3 below): one over the distance, of sum 1.

    Returns:
        float32 [rows × columns, sides].
    """
    across, down = np.meshgrid((np.arange(columns) + 0.5) / columns, (np.arange(rows) + 0.5) / rows)
    nearness = (1 / np.stack([across, 1 - across, down, 1 - down]))[list(sides)].reshape(len(sides), -1).T
    return np.asarray(nearness / nearness.sum(axis=1, keepdims=True), np.float32)


def _mean_of_visible(
    pixels: Pixels, strip: tuple[int, int, int, int], areas: list[list[int]]
) -> tuple[float, ...] | None:
    x1, y1, x2, y2 = strip
    if x1 >= x2 or y1 >= y2:
        return None
    visible = None
    for ox1, oy1, ox2, oy2 in areas:
        if min(ox2, x2) > max(ox1, x1) and min(oy2, y2) > max(oy1, y1):
            visible = np.ones((y2 - y1, x2 - x1), np.uint8) if visible is None else visible
            visible[max(0, oy1 - y1) : max(0, oy2 - y1), max(0, ox1 - x1) : max(0, ox2 - x1)] = 0
    if visible is not None and not visible.any():
        return None
    return cv2.mean(pixels[y1:y2, x1:x2], visible)[:3]


def _drawn(cells: Floats, group: Areas, whole: Area, rule: Obfuscation, long_side_px: int, margin_px: int) -> Pixels:
    """The cells as they will look on the whole group and a margin around it, where the last colours go on; uint8."""
    wide, high = int(whole[2] - whole[0]), int(whole[3] - whole[1])
    levels = np.asarray(np.clip(cells + 0.5, 0, 255), np.uint8)
    if rule.method == "gaussian":
        tallest_px = int((group[:, 3] - group[:, 1]).max())
        least_px = rule.blur_sigma_px * max(1.0, long_side_px / rule.blur_sigma_at_px)
        sigma_px = max(least_px, rule.blur_sigma_share * tallest_px)
        shrink = max(1.0, sigma_px / _WORKING_SIGMA_PX)
        small = cv2.resize(levels, (max(1, round(wide / shrink)), max(1, round(high / shrink))))
        smooth = cv2.GaussianBlur(small, (0, 0), sigma_px / shrink, borderType=cv2.BORDER_REPLICATE)
        levels = np.asarray(smooth, np.uint8).reshape(*small.shape[:2], 3)
    interpolation = cv2.INTER_NEAREST if rule.method == "mosaic" else cv2.INTER_LINEAR
    drawn = cv2.resize(levels, (wide, high), interpolation=interpolation)
    around = cv2.copyMakeBorder(drawn, margin_px, margin_px, margin_px, margin_px, cv2.BORDER_REPLICATE)
    return np.asarray(around, np.uint8)


def _alpha(area: Area, window: Area, ramp_px: int) -> Floats:
    """1 on the area; over the ramp outside it falls as 3t² - 2t³, in the corners as the product of two; [h, w]."""
    falloff = _falloff(ramp_px)
    x1, y1, x2, y2 = (area - window[[0, 1, 0, 1]]).tolist()
    across = np.ones(window[2] - window[0], np.float32)
    down = np.ones(window[3] - window[1], np.float32)
    for alpha, first, last in ((across, x1, x2), (down, y1, y2)):
        alpha[:first] = falloff[ramp_px - first :]
        alpha[last:] = falloff[::-1][: len(alpha) - last]
    return down[:, None] * across


@functools.cache
def _falloff(ramp_px: int) -> Floats:
    """α of the pixels of a ramp, from the outermost to the one beside the area; float32 [ramp_px]."""
    t = np.arange(1, ramp_px + 1, dtype=np.float32) / (ramp_px + 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)
