"""A day of rendered street pictures for `streetveil benchmark`: the size of a street camera's, with things to hide."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import simplejpeg
from PIL import Image

from components.dataset.demo_day import garage_scene
from components.dataset.rendered_streets import background
from components.imaging.reading import Pixels
from components.packages import package_folder

_SEED = 13
_ASPECT = 4 / 3
_QUALITY = 90
_COUNTRIES = ("de", "us-ca", "br")  # a plate each
_PEOPLE = ("bus", "zidane")  # photographs with faces, of which each picture gets one
_GRAIN_STD = 2.0  # a sensor's; without it a rendered JPEG is half the size of a photograph
_ENLARGED = 4  # drawn at full size a street has hundreds of windows, of which dozens are taken for plates
_PATCH_SHARE = 0.3  # of the picture's height


def write_benchmark_day(folder: Path, count: int, megapixels: float, seed: int = _SEED) -> list[Path]:
    """Write JPEG pictures of about five faces and plates each.

    Args:
        folder: where to.
        count: how many.
        megapixels: of each, 10⁶ px, 4:3.
        seed: other pictures for another one.

    Returns:
        The files, sorted.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for number, jpeg in enumerate(_jpegs(count, megapixels, seed)):
        files.append(folder / f"{number:06d}.jpg")
        files[-1].write_bytes(jpeg)
    return files


def _jpegs(count: int, megapixels: float, seed: int) -> Iterator[bytes]:
    height = max(64, round(math.sqrt(megapixels * 1e6 / _ASPECT) / 8) * 8)
    width = max(64, round(height * _ASPECT / 8) * 8)
    for number in range(count):
        rng = np.random.default_rng((seed, number))
        street = background(rng, (width // _ENLARGED, height // _ENLARGED))
        picture: Pixels = np.asarray(cv2.resize(street, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
        patches = [_photograph(_PEOPLE[number % len(_PEOPLE)])]
        patches += [garage_scene(country, rng)[0] for country in _COUNTRIES]
        slots = rng.permutation(len(patches))
        for slot, patch in zip(slots, patches, strict=True):
            _paste(picture, patch, int(slot), len(patches))
        grain = rng.standard_normal(picture.shape, np.float32) * _GRAIN_STD
        grained = np.clip(picture + grain, 0, 255).astype(np.uint8)
        yield simplejpeg.encode_jpeg(np.ascontiguousarray(grained), quality=_QUALITY, colorsubsampling="420")


def _paste(picture: Pixels, patch: Pixels, slot: int, slots: int) -> None:
    """A patch in its column of the picture's lower half, in place."""
    height, width = picture.shape[:2]
    scale = min(_PATCH_SHARE * height / patch.shape[0], width / slots / patch.shape[1])
    size = max(1, int(patch.shape[1] * scale)), max(1, int(patch.shape[0] * scale))
    x, y = slot * width // slots, height // 2
    picture[y : y + size[1], x : x + size[0]] = cv2.resize(patch, size, interpolation=cv2.INTER_AREA)


def _photograph(name: str) -> Pixels:
    return np.asarray(Image.open(package_folder("ultralytics") / "assets" / f"{name}.jpg").convert("RGB"))
