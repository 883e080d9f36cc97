"""The same proposals, seen differently: boxes stray, light changes, lenses blur, sensors are noisy."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from components.detection.proposal_features import GEOMETRY, Features, colour
from components.settings import CropVariation

Crop = NDArray[np.uint8]

_BOX_IN_WIDE_PX, _BOX_IN_CONTEXT_PX = 40, 16  # sides of the box in the two crops; the longer one in the second
_LOG_WIDTH, _LOG_HEIGHT, _CENTRE_X = (GEOMETRY.index(name) for name in ("log_width", "log_height", "centre_x"))
_LOG_ASPECT, _LOG_SIZE = GEOMETRY.index("log_aspect"), GEOMETRY.index("log_relative_size")


def varied(told: Features, settings: CropVariation, rng: np.random.Generator) -> Features:
    """Other views of the same proposals, with the numbers that belong to them; how they relate to others stays.

    Args:
        told: n proposals; they stay as they are.
        settings: how often, and how far.
        rng: source of all chance.
    """
    geometry, wide, context = told.geometry.copy(), told.wide.copy(), told.context.copy()
    for i in range(len(told)):
        growth = np.exp(rng.uniform(-1, 1, 2) * settings.jitter_share)
        shift = rng.uniform(-1, 1, 2) * settings.jitter_share
        mirrored = rng.random() < settings.mirrored_share
        crops = [
            _moved(wide[i], growth, shift * _BOX_IN_WIDE_PX, mirrored),
            _moved(context[i], np.ones(2), shift * _BOX_IN_CONTEXT_PX, mirrored),
        ]
        for change in (_relit, _blurred, _noisy, _compressed):
            crops = change(crops, settings, rng)
        wide[i], context[i] = crops
        wider, higher = np.log(growth)
        geometry[i, _LOG_WIDTH] += wider
        geometry[i, _LOG_HEIGHT] += higher
        geometry[i, _LOG_ASPECT] += wider - higher
        geometry[i, _LOG_SIZE] += (wider + higher) / 2
        if mirrored:
            geometry[i, _CENTRE_X] = 1 - geometry[i, _CENTRE_X]
    return Features(geometry, colour(wide), wide, context)


def _moved(crop: Crop, growth: NDArray[np.float64], shift_px: NDArray[np.float64], mirrored: bool) -> Crop:
    """A crop of a box that is so many times as large and lies elsewhere."""
    middle = (crop.shape[0] - 1) / 2
    scale_x, scale_y = -growth[0] if mirrored else growth[0], growth[1]
    place = np.array(
        [[scale_x, 0, middle * (1 - scale_x) + shift_px[0]], [0, scale_y, middle * (1 - scale_y) + shift_px[1]]]
    )
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(crop, place, crop.shape[:2], flags=how, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.uint8)


def _relit(crops: list[Crop], settings: CropVariation, rng: np.random.Generator) -> list[Crop]:
    if rng.random() >= settings.light_share:
        return crops
    levels = np.linspace(0, 1, 256)[:, None] ** np.exp(rng.uniform(-0.6, 0.6))  # gamma: 0.55 to 1.8
    gain = np.exp(rng.uniform(-0.3, 0.3) + rng.uniform(-0.08, 0.08, 3))  # of each channel: the light has a colour
    table = np.clip(levels * gain * 255 + rng.uniform(-15, 15), 0, 255).astype(np.uint8)[None]
    saturation = rng.uniform(0.3, 1.3)
    return [_saturated(np.asarray(cv2.LUT(crop, table), np.uint8), saturation) for crop in crops]


def _saturated(crop: Crop, saturation: float) -> Crop:
    grey = cv2.cvtColor(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return np.asarray(cv2.addWeighted(crop, saturation, grey, 1 - saturation, 0), np.uint8)


def _blurred(crops: list[Crop], settings: CropVariation, rng: np.random.Generator) -> list[Crop]:
    if rng.random() >= settings.blur_share:
        return crops
    box_share = rng.uniform(0.01, 0.05)  # of the box's side: it is the object that is out of focus
    sigmas_px = box_share * _BOX_IN_WIDE_PX, box_share * _BOX_IN_CONTEXT_PX
    return [np.asarray(cv2.GaussianBlur(crop, (0, 0), s), np.uint8) for crop, s in zip(crops, sigmas_px, strict=True)]


def _noisy(crops: list[Crop], settings: CropVariation, rng: np.random.Generator) -> list[Crop]:
    if rng.random() >= settings.noise_share:
        return crops
    std = np.exp(rng.uniform(np.log(2), np.log(20)))  # grey levels
    noise = (rng.standard_normal(crop.shape, np.float32) * np.float32(std) + crop for crop in crops)
    return [np.clip(levels, 0, 255).astype(np.uint8) for levels in noise]


def _compressed(crops: list[Crop], settings: CropVariation, rng: np.random.Generator) -> list[Crop]:
    if rng.random() >= settings.compression_share:
        return crops
    quality = int(rng.integers(15, 70))
    files = (cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, quality])[1] for crop in crops)
    # Channels are taken for blue, green, red on both ways, which the traces of compression hardly show.
    return [np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR), np.uint8) for file in files]
