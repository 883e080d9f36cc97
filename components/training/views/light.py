"""Light, lens and compression: what the street does to a picture before the network sees it."""

from __future__ import annotations

import cv2
import numpy as np

from components.detections import FACE, Boxes
from components.imaging.reading import Pixels
from components.settings import Light
from components.training.views.view import View


def relit(pixels: Pixels, settings: Light, rng: np.random.Generator) -> Pixels:
    """A picture in another light, through another lens: each change with the share that the settings give it."""
    values = pixels.astype(np.float32)
    values = _graded(values, settings, rng)
    if rng.random() < settings.night_share:
        values = _at_night(values, rng)
    if rng.random() < settings.glare_share:
        values = _glared(values, rng)
    if rng.random() < settings.veil_share:
        values = _veiled(values, rng)
    if rng.random() < settings.blur_share:
        values = _blurred(values, rng)
    if rng.random() < settings.noise_share:
        values += rng.normal(0, rng.uniform(2, 12), values.shape).astype(np.float32)
    seen = np.clip(values, 0, 255).astype(np.uint8)
    return _compressed(seen, rng) if rng.random() < settings.compression_share else seen


def _graded(values: np.ndarray, settings: Light, rng: np.random.Generator) -> np.ndarray:
    """Brightness, contrast, saturation and a colour cast."""
    spread = settings.brightness_share
    gain = rng.uniform(1 - spread, 1 + spread) * rng.uniform(1 - settings.cast_share, 1 + settings.cast_share, 3)
    grey = values.mean(axis=2, keepdims=True)
    saturation = rng.uniform(1 - settings.saturation_share, 1 + settings.saturation_share)
    values = grey + (values - grey) * np.float32(saturation)
    return values * gain.astype(np.float32) + np.float32(rng.uniform(-20, 20) * spread)


def _at_night(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Little light, more noise, and the yellow of lamps; noise grows as light falls, as in a sensor."""
    dark = np.power(np.clip(values, 0, 255) / 255, rng.uniform(1.2, 2.2)) * 255 * rng.uniform(0.2, 0.6)
    lamp = np.array([1.0, rng.uniform(0.8, 1.0), rng.uniform(0.6, 1.0)], np.float32)
    return (dark * lamp + rng.normal(0, rng.uniform(2, 8), values.shape)).astype(np.float32)


def _glared(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Lamps and the low sun: bright spots with a soft halo."""
    height, width = values.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    for _ in range(int(rng.integers(1, 4))):
        centre_y, centre_x = rng.uniform(0, [height, width])
        radius = rng.uniform(0.03, 0.2) * max(height, width)
        halo = np.exp(-((y - centre_y) ** 2 + (x - centre_x) ** 2) / np.float32(2 * radius**2))
        values = values + halo[..., None] * np.float32(rng.uniform(60, 255))
    return values.astype(np.float32)


def _veiled(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Behind glass or in fog: less contrast, under a smooth reflection."""
    share = np.float32(rng.uniform(0.2, 0.6))
    coarse = rng.uniform(40, 230, (4, 4, 3)).astype(np.float32)
    veil = cv2.resize(coarse, values.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    return values * (1 - share) + veil * share


def _blurred(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Out of focus, in motion, or enlarged from a coarser picture."""
    kind = rng.integers(3)
    if kind == 0:
        return cv2.GaussianBlur(values, (0, 0), rng.uniform(0.5, 1.6))
    if kind == 1:
        length = int(rng.integers(3, 8))
        kernel = np.zeros((length, length), np.float32)
        kernel[length // 2] = 1 / length
        turn = cv2.getRotationMatrix2D(((length - 1) / 2, (length - 1) / 2), rng.uniform(0, 180), 1)
        streak = np.asarray(cv2.warpAffine(kernel, turn, (length, length)), np.float32)
        return cv2.filter2D(values, -1, streak / max(float(streak.sum()), 1e-3)).astype(np.float32)
    factor = rng.uniform(0.35, 0.8)
    coarse = cv2.resize(values, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(coarse, values.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def _compressed(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    _, code = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(35, 92))])
    return np.asarray(cv2.imdecode(code, cv2.IMREAD_UNCHANGED), np.uint8)


def disguised(view: View, settings: Light, rng: np.random.Generator) -> View:
    """Some faces with sunglasses, a mask or a hat: drawn flat, which is enough to hide what detectors rely on."""
    pixels = view.pixels
    for box in view.boxes[view.class_id == FACE]:
        if rng.random() < settings.disguise_share:
            pixels = _worn(pixels, box, rng)
    return View(pixels, view.boxes, view.class_id, view.box_weight, view.uncounted)


def _worn(pixels: Pixels, box: Boxes, rng: np.random.Generator) -> Pixels:
    x1, y1, x2, y2 = (float(side) for side in box)
    top, bottom = ((0.28, 0.5), (0.5, 1.0), (-0.15, 0.25))[int(rng.integers(3))]  # sunglasses, a mask, a hat
    low = round(x1 + 0.05 * (x2 - x1)), round(y1 + top * (y2 - y1))
    high = round(x2 - 0.05 * (x2 - x1)), round(y1 + bottom * (y2 - y1))
    colour = tuple(int(value) for value in rng.integers(0, 256, 3) * rng.uniform(0.1, 1))
    return np.asarray(cv2.rectangle(pixels.copy(), low, high, colour, -1), np.uint8)
