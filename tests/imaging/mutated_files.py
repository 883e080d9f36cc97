"""Files with flipped bytes, and what may become of them: a fault, or an output in which everything is hidden."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
from PIL import Image

from components.errors import ImageFault
from components.imaging.metadata import exif
from components.imaging.metadata.inspection import find_forbidden
from components.imaging.publication import Recipe, publish
from components.imaging.reading import decode
from components.imaging.verification import verify_output
from tests.imaging.nasty_files import FORMATS, SECRET, nasty

SIDE = 48
REFUSED, PUBLISHED = "refused", "published"


def seeds() -> list[bytes]:
    """Small files of every format, coding and sampling, full of metadata."""
    pixels = np.random.default_rng(1).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    files = [nasty(file_format, pixels) for file_format in FORMATS]
    image = Image.fromarray(pixels)
    for options in (
        {"progressive": True},
        {"subsampling": 0, "restart_marker_blocks": 2},
        {"subsampling": 1, "optimize": True},
        {"keep_rgb": True},
    ):
        out = io.BytesIO()
        image.save(out, "JPEG", quality=80, **options)
        files.append(out.getvalue())
    for mode in ("L", "CMYK"):
        out = io.BytesIO()
        image.convert(mode).save(out, "JPEG", quality=80)
        files.append(out.getvalue())
    return files


def mutants(seed: int, count: int) -> Iterator[bytes]:
    """Files with one to eight flipped, dropped, doubled or overwritten bytes; some cut off, some with a tail."""
    rng = np.random.default_rng(seed)
    originals = seeds()
    for _ in range(count):
        content = bytearray(originals[rng.integers(len(originals))])
        # half of all flips go to the front, where headers and tables stand
        reach = len(content) if rng.random() < 0.5 else min(len(content), 700)
        for _ in range(int(rng.integers(1, 9))):
            at, kind = int(rng.integers(reach)) % max(1, len(content)), rng.integers(5)
            if kind < 3:
                content[at] ^= 1 << int(rng.integers(8))
            elif kind == 3:
                content[at : at + 1] = b"" if rng.random() < 0.5 else bytes(content[at : at + 1] * 2)
            else:
                content[at] = int(rng.choice([0, 1, 0x7F, 0x80, 0xFF, 0xD8, 0xD9, 0xDA, 0xC0, 0xC2]))
        if rng.random() < 0.05:
            content = content[: int(rng.integers(len(content)))]
        yield bytes(content)


def outcome(content: bytes, recipe: Recipe) -> str:
    """Read, hide, write and verify one file as the product does.

    Raises:
        AssertionError: an output that passed verification still shows something.
    """
    try:
        picture = decode(content, recipe.reading)
        x, y = picture.width // 4, picture.height // 4
        area = np.array([[x, y, max(x + 1, 3 * x), max(y + 1, 3 * y)]], np.int32)
        output = publish(content, area, recipe, picture)
        verify_output(picture, content, output, area, recipe)
    except ImageFault:
        return REFUSED
    kept = exif.read(picture.metadata.exif)  # a flip can make an allowed text, such as the camera's name, of any other
    allowed = b"".join(
        bytes(value.content) for value in (*kept.main.values(), *kept.camera.values()) if value.type == 2
    )
    assert output.file_bytes.count(SECRET) == allowed.count(SECRET)
    assert find_forbidden(output.file_bytes, picture.format) == []
    with Image.open(io.BytesIO(output.file_bytes)) as seen_by_others:
        seen_by_others.load()  # another decoder must see a whole file, and no more than one picture
        assert getattr(seen_by_others, "n_frames", 1) == 1
    return PUBLISHED
