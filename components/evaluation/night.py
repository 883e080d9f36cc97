"""Night, where no labelled set has any: the same pictures with the light of one."""

from __future__ import annotations

import hashlib

import numpy as np

from components.imaging.reading import Pixels

_GAMMA = 1.6
_GAIN = 0.35
_NOISE_STD = 5.0  # grey levels, as a small sensor's at a high sensitivity
_LAMP = np.array([1.0, 0.92, 0.78], np.float32)  # the yellow of street lamps


def at_night(pixels: Pixels, path: str) -> Pixels:
    """A picture as it might look at night; simulated, and called so wherever its figures are shown.

    Args:
        pixels: uint8 [h, w, 3] RGB.
        path: of the picture; the noise follows from it.
    """
    seed = int.from_bytes(hashlib.sha256(path.encode()).digest()[:8], "little")
    dark = np.power(pixels.astype(np.float32) / 255, _GAMMA) * (255 * _GAIN) * _LAMP
    noise = np.random.default_rng(seed).standard_normal(pixels.shape, np.float32) * np.float32(_NOISE_STD)
    return np.clip(dark + noise, 0, 255).astype(np.uint8)
