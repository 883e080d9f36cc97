"""A small day of pictures for the demo: photographs from installed packages, rendered plates, two bad files."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from components.dataset.plates import STYLES, at_night, paste_plate, plate_text, render_plate
from components.imaging.reading import Pixels
from components.packages import package_folder

_SEED = 13
_SCENE_SIZE = (640, 432)
# Where a plate hangs on the motorcycle of skimage's `motorcycle_left.png`, as shares of width and height; its slope;
# and the width of each country's plate as a share of the picture's.
_PLATE_CENTRE, _PLATE_SKEW = (0.756, 0.5), 0.2
_PLATE_WIDTH = {"de": 0.2, "fr": 0.17, "us-ca": 0.125, "br": 0.125, "jp": 0.13}
_USUAL_PLATE_WIDTH = 0.14


def write_demo_day(folder: Path) -> list[Path]:
    """Write the day's files.

    Returns:
        What was written, sorted.
    """
    for name, content in _files():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _files() -> Iterator[tuple[str, bytes]]:
    photographs = package_folder("ultralytics") / "assets"
    bus, zidane = ((photographs / f"{name}.jpg").read_bytes() for name in ("bus", "zidane"))
    yield "centre/bus.jpg", bus
    yield "centre/stadium.jpg", zidane
    yield "centre/astronaut.png", (package_folder("skimage") / "data" / "astronaut.png").read_bytes()
    yield "centre/coffee.webp", _encoded(_photograph("coffee.png"), "WEBP", lossless=True)
    yield "centre/stadium-rotated.jpg", _lying_on_its_side(zidane)
    rng = np.random.default_rng(_SEED)
    for country in _PLATE_WIDTH:
        yield f"garage/day-{country}.jpg", _encoded(garage_scene(country, rng)[0], "JPEG", quality=92)
    for country in ("us-ca", "br", "jp"):
        night = at_night(garage_scene(country, rng)[0], rng)
        yield f"garage/night-{country}.jpg", _encoded(night, "JPEG", quality=92)
    yield "bad/broken.jpg", bus[: len(bus) // 3]
    yield "bad/hostile.png", _decompression_bomb()


def _photograph(name: str) -> Pixels:
    return np.asarray(Image.open(package_folder("skimage") / "data" / name).convert("RGB"))


def garage_scene(country: str, rng: np.random.Generator) -> tuple[Pixels, NDArray[np.float32]]:
    """The motorcycle with a plate, mirrored or not, a little brighter or darker; and the box [4] of the plate."""
    photograph = Image.fromarray(_photograph("motorcycle_left.png"))
    scene: Pixels = np.asarray(photograph.resize(_SCENE_SIZE, Image.Resampling.BOX))
    centre_x, skew = _PLATE_CENTRE[0], _PLATE_SKEW
    if rng.random() < 0.5:
        scene, centre_x, skew = np.ascontiguousarray(scene[:, ::-1]), 1 - centre_x, -skew
    style = STYLES[country]
    plate = render_plate(style, plate_text(style, rng))
    width = _PLATE_WIDTH.get(country, _USUAL_PLATE_WIDTH) * _SCENE_SIZE[0]
    height = width * plate.shape[0] / plate.shape[1]
    x, y = centre_x * _SCENE_SIZE[0], _PLATE_CENTRE[1] * _SCENE_SIZE[1]
    slope = width * skew / 2
    corners = np.array(
        [
            [x - width / 2, y - height / 2 - slope],
            [x + width / 2, y - height / 2 + slope],
            [x + width / 2, y + height / 2 + slope],
            [x - width / 2, y + height / 2 - slope],
        ],
        np.float32,
    )
    scene, box = paste_plate(scene, plate, corners)
    return np.clip(scene * rng.uniform(0.85, 1.1), 0, 255).astype(np.uint8), box


def _lying_on_its_side(jpeg: bytes) -> bytes:
    """The same picture as a camera held sideways stores it: turned, with an EXIF orientation of 6."""
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(io.BytesIO(jpeg)) as upright:
        stored = upright.transpose(Image.Transpose.ROTATE_90)
    out = io.BytesIO()
    stored.save(out, "JPEG", quality=92, exif=exif)
    return out.getvalue()


def _decompression_bomb(side_px: int = 60000) -> bytes:
    """A PNG of a few bytes that declares 3.6 gigapixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side_px, side_px, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(10000)))
        + chunk(b"IEND", b"")
    )


def _encoded(pixels: Pixels, file_format: str, **options: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, file_format, **options)
    return out.getvalue()
