"""Only the files that were drawn are shown, and every browser can show them."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.errors import StreetveilError
from components.evaluation.hand_count.pictures import for_browser, read_picture
from components.evaluation.hand_count.sample import Sample
from components.settings import Params
from tests.conftest import encoded
from tests.evaluation.hand_count.conftest import image_at


def test_a_changed_picture_is_refused(on_disk: tuple[Path, Sample]) -> None:
    """One other byte, on either side, and the picture is not shown."""
    path, sample = on_disk
    assert read_picture(sample, sample.images[0], "original")
    for side in ("originals", "published"):
        file = path.parent / side / "day" / "0.png"
        file.write_bytes(file.read_bytes() + b"\0")
    for side in ("original", "published"):
        with pytest.raises(StreetveilError, match=rf"the {side} of day/0\.png has changed since the blur"):
            read_picture(sample, sample.images[0], side)  # type: ignore[arg-type]


def test_a_missing_picture_is_told(on_disk: tuple[Path, Sample]) -> None:
    """The error names the file, the cause and where it belongs."""
    path, sample = on_disk
    (path.parent / "originals" / "day" / "0.png").unlink()
    with pytest.raises(StreetveilError, match=r"day/0\.png cannot be read \(No such file.*restore it below"):
        read_picture(sample, sample.images[0], "original")


def test_nothing_outside_of_the_folders_is_read(on_disk: tuple[Path, Sample]) -> None:
    """Neither dots nor a link lead out, even with the right hash."""
    path, sample = on_disk
    secret = path.parent / "secret.png"
    secret.write_bytes(b"secret")
    (path.parent / "originals" / "link.png").symlink_to(secret)
    for way_out in ("../secret.png", str(secret), "link.png"):
        with pytest.raises(StreetveilError, match="lies outside"):
            read_picture(sample, image_at(way_out, content=b"secret"), "original")


def test_what_browsers_cannot_show_upright_becomes_png(params: Params, rng: np.random.Generator) -> None:
    """JPEG passes byte for byte; a TIFF, and a turned PNG, become an upright PNG with the same pixels."""
    pixels = rng.integers(0, 255, (12, 20, 3), np.uint8)
    jpeg = encoded(pixels, "JPEG")
    assert for_browser(jpeg, replace(image_at("a"), image_format="JPEG", orientation=6), params.reading) == (
        jpeg,
        "image/jpeg",
    )
    shown, media_type = for_browser(
        encoded(pixels, "TIFF"), replace(image_at("a"), image_format="TIFF"), params.reading
    )
    assert media_type == "image/png"
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(shown))), pixels)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = encoded(pixels, "PNG", exif=exif)
    shown, _ = for_browser(turned, replace(image_at("a"), orientation=6), params.reading)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(shown))), np.rot90(pixels, -1))
