"""What light and lens make of a plate: as bright, as blurred and as grainy as the place that it is set into."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from components.imaging.reading import Pixels

Light = Literal["day", "night", "glare", "glass", "dark"]
Values = NDArray[np.float32]  # [h, w, channels], 0 to 255

_BRIGHT_LUMA = 170.0  # of the brighter parts of a sunlit street
_MOTION_SHARE = 0.15


def through_lens(
    patch: NDArray[np.uint8], behind: Pixels, around: Pixels, rng: np.random.Generator, light: Light
) -> Pixels:
    """A plate in front of what is behind it.

    Args:
        patch: uint8 [h, w, 4], colours premultiplied with alpha, with a transparent margin.
        behind: uint8 [h, w, 3], what the patch will cover.
        around: uint8 [h', w', 3], `behind` and more of its surroundings.
        rng: how the light falls, and the lens.
        light: see `set_into`.

    Returns:
        uint8 [h, w, 3].
    """
    plate = _blurred(patch.astype(np.float32), _blur_px(around), rng)
    alpha = plate[..., 3:] / np.float32(255)
    ground = behind.astype(np.float32)
    lit = _LIT[light](plate[..., :3], alpha, ground, _gain(around), rng)
    grain_sd = max(_grain_sd(around), 3.0 if light == "night" else 0.8)
    lit += alpha * (rng.standard_normal(lit.shape, np.float32) * np.float32(grain_sd))
    return cv2.convertScaleAbs(np.clip(ground * (1 - alpha) + lit, 0, 255))


def _gain(around: Pixels) -> Values:
    """How bright a plate is there, float32 [3]: after the brighter parts, because a black car stands in the sun too."""
    sample = cv2.resize(around, (12, 12), interpolation=cv2.INTER_AREA).reshape(-1, 3).astype(np.float32)
    bright = sample[np.argsort(sample.sum(axis=1))[100:]].mean(axis=0)
    colour = 0.9 + 0.1 * bright / max(1.0, float(bright.mean()))
    return (colour * np.clip(0.2 + 0.8 * bright.mean() / _BRIGHT_LUMA, 0.2, 1.0)).astype(np.float32)


def _blur_px(around: Pixels) -> float:
    """σ of the blur around, from its steepest edge; where there is no edge, a usual lens's."""
    green = cv2.extractChannel(around, 1)
    darkest, brightest, _, _ = cv2.minMaxLoc(green)
    steepest = cv2.minMaxLoc(cv2.absdiff(green[:, 1:], green[:, :-1]))[1] if green.shape[1] > 1 else 0.0
    contrast = brightest - darkest
    # The steepest step of an edge that is blurred with σ is its height / (σ · √2π).
    return float(np.clip(contrast / (2.5 * steepest), 0.3, 1.3)) if steepest > 12 else 0.6


def _grain_sd(around: Pixels) -> float:
    """Standard deviation of the grain around: fine differences where there is no edge."""
    green = around[:: 1 + len(around) // 16, :, 1].astype(np.float32)
    if green.shape[1] < 3:
        return 0.0
    fine = green[:, 1:-1] - (green[:, :-2] + green[:, 2:]) / 2
    return float(np.clip(1.48 * np.median(np.abs(fine)) / 1.22, 0, 8))


def _blurred(plate: Values, around_px: float, rng: np.random.Generator) -> Values:
    """Out of focus as its surroundings are; some moved while the shutter was open."""
    height = plate.shape[0]
    # What is illegible by size alone need not be blurred away as well.
    sigma = min(around_px * rng.uniform(0.7, 1.2), 0.4 + 0.02 * height)
    seen = cv2.GaussianBlur(plate, (0, 0), sigma)
    length = round(rng.uniform(0.05, 0.16) * height)
    if rng.random() < _MOTION_SHARE and length > 1:
        seen = cv2.blur(seen, (length, 1))
    return np.asarray(seen, np.float32)


def _day(plate: Values, alpha: Values, behind: Values, gain: Values, rng: np.random.Generator) -> Values:
    return plate * (gain * np.float32(rng.uniform(0.85, 1.12)))


def _night(plate: Values, alpha: Values, behind: Values, gain: Values, rng: np.random.Generator) -> Values:
    """Either in the lamps of the next car, where plates shine back and wash out, or under a weak bulb."""
    lamp = np.array([1.0, rng.uniform(0.85, 1.0), rng.uniform(0.65, 1.0)], np.float32)
    if rng.random() < 0.5:
        share = plate * lamp * np.float32(rng.uniform(1.0, 3.0) / 255)
        return np.float32(255) * (1 - np.exp(-share)) * np.float32(rng.uniform(0.85, 1.1))
    width = plate.shape[1]
    fall = np.abs(np.linspace(-1, 1, width, dtype=np.float32) - np.float32(rng.uniform(-0.7, 0.7)))
    return plate * lamp * np.float32(rng.uniform(0.28, 0.7)) * (1 - np.float32(0.3) * fall)[None, :, None]


def _glare(plate: Values, alpha: Values, behind: Values, gain: Values, rng: np.random.Generator) -> Values:
    """The sun or a lamp mirrored in the plate: a soft bright streak that covers some of it."""
    height, width = plate.shape[:2]
    x, y = np.arange(width, dtype=np.float32)[None], np.arange(height, dtype=np.float32)[:, None]
    slope, x0, y0 = rng.uniform(-0.8, 0.8), rng.uniform(0.2, 0.8) * width, rng.uniform(0.25, 0.75) * height
    across, along = (x - x0) + slope * (y - y0), (y - y0) - slope * (x - x0)
    wide, long = height * rng.uniform(0.15, 0.6), height * rng.uniform(0.4, 1.6)
    spot = np.exp(-((across / wide) ** 2) - (along / long) ** 2).astype(np.float32)[..., None]
    return _day(plate, alpha, behind, gain, rng) + alpha * spot * np.float32(rng.uniform(90, 260))


def _glass(plate: Values, alpha: Values, behind: Values, gain: Values, rng: np.random.Generator) -> Values:
    """Behind a pane that mirrors what is around it, and the sky."""
    share = np.float32(rng.uniform(0.3, 0.65))
    mirrored = cv2.GaussianBlur(cv2.flip(behind, 1), (0, 0), 0.8)
    sky = rng.uniform(60, 210, (3, 3, 1)) * np.array([0.9, 1.0, 1.1]) * gain
    sky = cv2.resize(sky.astype(np.float32), behind.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    veil = mirrored + (sky - mirrored) * np.float32(rng.uniform(0.4, 0.9))
    return _day(plate, alpha, behind, gain, rng) * (1 - share) + alpha * veil * share


def _dark(plate: Values, alpha: Values, behind: Values, gain: Values, rng: np.random.Generator) -> Values:
    """In the shadow of a bumper, or dirty all over: dim and of little contrast."""
    flat = np.array(cv2.mean(plate)[:3], np.float32) / max(float(alpha.mean()), 1e-3)
    share = np.float32(rng.uniform(0.1, 0.5))
    dim = np.maximum(gain * np.float32(rng.uniform(0.3, 0.6)), np.float32(0.15))
    return (plate * (1 - share) + alpha * flat * share) * dim


_LIT = {"day": _day, "night": _night, "glare": _glare, "glass": _glass, "dark": _dark}
