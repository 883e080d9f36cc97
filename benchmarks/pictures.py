"""Pictures with a known number of faces and plates, of any size, for benchmarks that ask what an object costs."""

from __future__ import annotations

import math

import cv2
import numpy as np
import simplejpeg
from PIL import Image

from components.dataset.plates import STYLES, plate_text, render_plate
from components.imaging.reading import Pixels
from components.packages import package_folder

_ASPECT = 4 / 3
_QUALITY = 90
_GRAIN_STD = 2.0  # a sensor's; without it a rendered JPEG is half the size of a photograph
_COUNTRIES = ("de", "us-ca", "br")
_PATCH_SHARE = 0.8  # of its place in the grid
_LARGEST_PATCH_SHARE = 0.1  # of the picture's height: people across the street
_FACE = (140, 0, 340, 200)  # of scikit-image's astronaut: head and collar, px


def picture(number: int, megapixels: float, objects: int, seed: int = 17) -> Pixels:
    """A picture of 4:3 with plates and faces in turn, on an empty road.

    Args:
        number: which one; each has its own grain, plates and order.
        megapixels: 10⁶ px.
        objects: faces and plates on it.
        seed: other pictures for another one.

    Returns:
        uint8 [h, w, 3] RGB.
    """
    height = max(64, round(math.sqrt(megapixels * 1e6 / _ASPECT) / 8) * 8)
    width = max(64, round(height * _ASPECT / 8) * 8)
    rng = np.random.default_rng((seed, number))
    shown = _road(width, height)
    side = math.ceil(math.sqrt(objects))
    for place, i in enumerate(rng.permutation(side * side)[:objects] if objects else ()):
        patch = _face() if place % 2 else _bumper(_COUNTRIES[place // 2 % len(_COUNTRIES)], rng)
        _paste(shown, patch, int(i), side)
    grain = rng.standard_normal(shown.shape, np.float32) * _GRAIN_STD
    return np.clip(shown + grain, 0, 255).astype(np.uint8)


def jpeg(number: int, megapixels: float, objects: int) -> bytes:
    """Such a picture as a camera would store it: quality 90, 4:2:0."""
    return simplejpeg.encode_jpeg(picture(number, megapixels, objects), quality=_QUALITY, colorsubsampling="420")


def _road(width: int, height: int) -> Pixels:
    """Sky above asphalt."""
    sky = np.linspace((120, 160, 215), (205, 215, 225), height // 2)
    asphalt = np.linspace((120, 118, 116), (80, 80, 82), height - height // 2)
    return np.repeat(np.concatenate([sky, asphalt])[:, None], width, axis=1).astype(np.uint8)


def _face() -> Pixels:
    whole = np.asarray(Image.open(package_folder("skimage") / "data" / "astronaut.png").convert("RGB"))
    x1, y1, x2, y2 = _FACE
    return np.ascontiguousarray(whole[y1:y2, x1:x2])


def _bumper(country: str, rng: np.random.Generator) -> Pixels:
    """A plate on a plain dark bumper four times its width, and nothing else that could be taken for one."""
    plate = render_plate(STYLES[country], plate_text(STYLES[country], rng))
    height, width = plate.shape[:2]
    bumper = np.full((2 * height, 4 * width, 3), 52, np.uint8)
    bumper[height // 2 : height // 2 + height, 3 * width // 2 : 3 * width // 2 + width] = plate
    return bumper


def _paste(shown: Pixels, patch: Pixels, place: int, side: int) -> None:
    """A patch in the middle of its place of a grid of side × side, in the picture itself."""
    height, width = shown.shape[:2]
    scale = _PATCH_SHARE / side * min(height / patch.shape[0], width / patch.shape[1])
    scale = min(scale, _LARGEST_PATCH_SHARE * height / patch.shape[0])
    size = max(1, int(patch.shape[1] * scale)), max(1, int(patch.shape[0] * scale))
    x = (2 * (place % side) + 1) * width // (2 * side) - size[0] // 2
    y = (2 * (place // side) + 1) * height // (2 * side) - size[1] // 2
    shown[y : y + size[1], x : x + size[0]] = cv2.resize(patch, size, interpolation=cv2.INTER_AREA)
