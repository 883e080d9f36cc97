"""Hiding areas for good: information is destroyed first and smoothed afterwards.

A Gaussian alone can be undone by whoever knows its width, and even a handful of noisy means tells one face from
hundreds. So an area becomes a few cells whose colour starts from a neutral grey, or from what is published around it,
under noise that nobody can predict; of what is hidden they keep the share `cell_contrast`, which is 0. Only these cells
are drawn: enlarged, blurred, grained. α is 1 on the whole area; the soft edge lies outside it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from components.detections import intersections
from components.imaging.noise import Area, Noise
from components.imaging.reading import Pixels
from components.settings import Obfuscation

Areas = NDArray[np.int32]  # [n, 4], xyxy px
Floats = NDArray[np.float32]

_SURROUNDINGS_SHARE = 0.15  # how far around an area its surroundings give the base colour
_GREY = 118.0  # the neutral base, and the fill of `solid`
_SAMPLES = 24  # a blurred area is computed at this many places a side and interpolated between


def obfuscate(pixels: Pixels, areas: Areas, rule: Obfuscation, noise: Noise) -> Pixels:
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
    if not len(areas):
        return hidden
    height, width = pixels.shape[:2]
    areas = areas[np.lexsort(areas.T)]  # in whatever order they come, the same bytes
    group_of, wholes = join(areas)
    windows, ramps_px = ramp_windows(areas, rule, width, height), _ramps_px(areas, rule)
    cells = _cells(pixels, wholes, areas, rule, noise)[group_of]
    if rule.method == "mosaic":
        drawn = _mosaics(cells, wholes[group_of], windows)
    else:
        drawn = _blurs(cells, wholes[group_of], windows, _sigmas_px(areas, group_of, rule, max(width, height)))
    grain = noise.grain(rule.pixel_noise_std)
    for area, window, ramp_px, piece in zip(areas.tolist(), windows.tolist(), ramps_px.tolist(), drawn, strict=True):
        x1, y1, x2, y2 = window
        across = _profile(area[2] - area[0], ramp_px, area[0] - x1, x2 - area[2])
        alpha = _profile(area[3] - area[1], ramp_px, area[1] - y1, y2 - area[3])[:, None] * across
        place = hidden[y1:y2, x1:x2]
        place[:] = cv2.blendLinear(grain.on(piece, x1, y1), place, alpha, 1 - alpha)
    return hidden


def join(areas: Areas) -> tuple[NDArray[np.intp], Areas]:
    """Which group each of n ≥ 1 areas belongs to [n], and the box around each group [groups, 4].

    Areas are of one group if they overlap, directly or through others.
    """
    overlap = intersections(areas, areas) > 0
    labels = np.arange(len(areas))
    while True:
        lowest = np.where(overlap, labels, len(areas)).min(axis=1)
        if np.array_equal(lowest, labels):
            break
        labels = lowest
    _, group_of = np.unique(labels, return_inverse=True)
    order = np.argsort(group_of, kind="stable")
    starts = np.flatnonzero(np.diff(group_of[order], prepend=-1))
    low = np.minimum.reduceat(areas[order, :2], starts)
    return group_of, np.concatenate([low, np.maximum.reduceat(areas[order, 2:], starts)], axis=1)


def ramp_windows(areas: Areas, rule: Obfuscation, width: int, height: int) -> Areas:
    """The pixels that hiding an area changes: the area and the soft edge around it, cut at the border; int32 [n, 4]."""
    grown = areas + _ramps_px(areas, rule)[:, None] * np.array([-1, -1, 1, 1], np.int32)
    return np.clip(grown, 0, np.array([width, height, width, height], np.int32))


def _ramps_px(areas: Areas, rule: Obfuscation) -> NDArray[np.int32]:
    return np.rint(rule.ramp_share * (areas[:, 2:] - areas[:, :2]).min(axis=1, initial=2**30)).astype(np.int32)


@functools.lru_cache(maxsize=4096)
def _profile(inside_px: int, ramp_px: int, before_px: int, behind_px: int) -> Floats:
    """α along one side of a window: 1 on the area, over the ramp outside it falling to 0 as 3t² - 2t³; float32.

    Args:
        inside_px: length of the area.
        ramp_px: length of a whole ramp.
        before_px: how much of the ramp before the area lies within the picture.
        behind_px: how much of the one behind it.
    """
    t = np.arange(1, ramp_px + 1, dtype=np.float32) / (ramp_px + 1)
    falloff = t * t * (3 - 2 * t)
    inside = np.ones(inside_px, np.float32)
    return np.concatenate([falloff[ramp_px - before_px :], inside, falloff[::-1][:behind_px]])


def _cells(pixels: Pixels, wholes: Areas, areas: Areas, rule: Obfuscation, noise: Noise) -> Floats:
    """All that is drawn of each group of areas: the only place that may look at its pixels.

    Returns:
        float32 [groups, cells, cells, 3].
    """
    cells = np.full((len(wholes), rule.cells, rule.cells, 3), _GREY, np.float32)
    if rule.method == "solid":
        return cells
    if rule.base == "surroundings":
        for group, whole in enumerate(wholes):
            _take_surrounding_colours(cells[group], pixels, whole, areas)
    if rule.cell_contrast:
        for group, (x1, y1, x2, y2) in enumerate(wholes):
            size = min(rule.cells, x2 - x1), min(rule.cells, y2 - y1)  # never more cells than pixels
            means = cv2.resize(pixels[y1:y2, x1:x2], size, interpolation=cv2.INTER_AREA).astype(np.float32)
            spread = cv2.resize(means, (rule.cells, rule.cells), interpolation=cv2.INTER_NEAREST)
            cells[group] += rule.cell_contrast * (spread - cells[group])
    return cells + noise.cell_noise(wholes, rule.cells, rule.cell_noise_std)


def _take_surrounding_colours(cells: Floats, pixels: Pixels, whole: Area, areas: Areas) -> None:
    """Give cells the mean colours left, right, above and below, weighted by nearness; never from a hidden area."""
    height, width = pixels.shape[:2]
    x1, y1, x2, y2 = whole.tolist()
    reach = max(1, round(_SURROUNDINGS_SHARE * max(x2 - x1, y2 - y1)))
    left, top, right, below = max(0, x1 - reach), max(0, y1 - reach), min(width, x2 + reach), min(height, y2 + reach)
    is_near = (areas[:, 0] < right) & (areas[:, 2] > left) & (areas[:, 1] < below) & (areas[:, 3] > top)
    strips = ((left, y1, x1, y2), (x2, y1, right, y2), (x1, top, x2, y1), (x1, y2, x2, below))
    near = areas[is_near].tolist()
    colours = [_mean_of_visible(pixels, strip, near) for strip in strips]
    seen = tuple(side for side, colour in enumerate(colours) if colour is not None)
    if seen:
        colours_seen = np.array([colours[side] for side in seen], np.float32)
        cells[:] = (_nearness(len(cells), seen) @ colours_seen).reshape(cells.shape)


@functools.cache
def _nearness(cells: int, sides: tuple[int, ...]) -> Floats:
    """How much each cell takes from each side (0 left, 1 right, 2 above, 3 below): one over the distance, of sum 1.

    Returns:
        float32 [cells × cells, sides].
    """
    across, down = np.meshgrid((np.arange(cells) + 0.5) / cells, (np.arange(cells) + 0.5) / cells)
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


def _sigmas_px(areas: Areas, group_of: NDArray[np.intp], rule: Obfuscation, long_side_px: int) -> NDArray[np.float64]:
    """σ of the Gaussian over each area [n]: it follows the tallest area of its group, and the picture's size."""
    tallest_px = np.zeros(group_of.max() + 1)
    np.maximum.at(tallest_px, group_of, areas[:, 3] - areas[:, 1])
    least_px = rule.blur_sigma_px * max(1.0, long_side_px / rule.blur_sigma_at_px)
    return np.maximum(least_px, rule.blur_sigma_share * tallest_px)[group_of]


def _blurs(cells: Floats, wholes: Areas, windows: Areas, sigmas_px: NDArray[np.float64]) -> Iterator[Pixels]:
    """What is drawn in each window: the part of its group's mosaic that lies there, under a Gaussian.

    The blurred mosaic is known in closed form. A step under a Gaussian is its cumulative distribution Φ, so along each
    side cell i has the weight Φ((x - eᵢ) / σ) - Φ((x - eᵢ₊₁) / σ) at place x, with eᵢ the cells' edges, the outermost
    at infinity; and the Gaussian is separable. So all areas are computed at once, and the cost is that of the areas.

    Args:
        cells: float32 [n, cells, cells, 3], those of each area's group.
        wholes: int32 [n, 4], the box around each area's group, which its cells divide.
        windows: int32 [n, 4], what is to be drawn.
        sigmas_px: [n].
    """
    n, side = cells.shape[:2]
    across = _weights(windows[:, 0::2], wholes[:, 0::2], sigmas_px, side)
    down = _weights(windows[:, 1::2], wholes[:, 1::2], sigmas_px, side)
    rows = down @ cells.reshape(n, side, -1)  # [n, samples, cells × 3]
    rows = rows.reshape(n, _SAMPLES, side, 3).swapaxes(2, 3).reshape(n, _SAMPLES * 3, side)
    samples = (rows @ across.swapaxes(1, 2)).reshape(n, _SAMPLES, 3, _SAMPLES).swapaxes(2, 3)
    levels = np.clip(samples + 0.5, 0, 255).astype(np.uint8, order="C")
    for area_levels, (x1, y1, x2, y2) in zip(levels, windows.tolist(), strict=True):
        yield np.asarray(cv2.resize(area_levels, (x2 - x1, y2 - y1)), np.uint8)


def _weights(windows: NDArray[np.int32], wholes: NDArray[np.int32], sigmas_px: NDArray, cells: int) -> Floats:
    """Along one side, what each cell adds at each sample's place; float32 [n, samples, cells]."""
    places = (np.arange(_SAMPLES) + 0.5) / _SAMPLES
    x = windows[:, :1] + places * (windows[:, 1:] - windows[:, :1])
    edges = wholes[:, :1] + np.arange(1, cells) / cells * (wholes[:, 1:] - wholes[:, :1])
    reached = ndtr((x[:, :, None] - edges[:, None, :]) / sigmas_px[:, None, None])
    return -np.diff(reached, axis=2, prepend=1, append=0).astype(np.float32)


def _mosaics(cells: Floats, wholes: Areas, windows: Areas) -> Iterator[Pixels]:
    """What is drawn in each window: the part of its group's mosaic that lies there; arguments as of `_blurs`."""
    levels = np.clip(cells + 0.5, 0, 255).astype(np.uint8)
    side = cells.shape[1]
    for area_levels, whole, window in zip(levels, wholes, windows, strict=True):
        columns, rows = (
            ((np.arange(window[i], window[i + 2]) - whole[i]) * side // (whole[i + 2] - whole[i])).clip(0, side - 1)
            for i in (0, 1)
        )
        yield area_levels[rows[:, None], columns]
