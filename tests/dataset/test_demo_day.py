"""The demo's day is a day as it comes: sound pictures of all kinds, and exactly two files that must not pass."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.dataset.demo_day import write_demo_day
from components.errors import ImageFault, Reason
from components.imaging.reading import Picture, decode
from components.settings import Params

BAD = {"bad/broken.jpg": Reason.DECODE_REFUSED, "bad/hostile.png": Reason.TOO_LARGE}


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The day, written once."""
    folder = tmp_path_factory.mktemp("day") / "2024-02-29"
    written = write_demo_day(folder)
    assert written == sorted(path for path in folder.rglob("*") if path.is_file())
    return folder


@pytest.fixture(scope="module")
def decoded(day: Path, params: Params) -> dict[str, Picture | ImageFault]:
    """Every file as it is read, or its fault."""
    found: dict[str, Picture | ImageFault] = {}
    for path in day.rglob("*.*"):
        try:
            found[path.relative_to(day).as_posix()] = decode(path.read_bytes(), params.reading)
        except ImageFault as fault:
            found[path.relative_to(day).as_posix()] = fault
    return found


def test_exactly_two_files_are_bad(decoded: dict[str, Picture | ImageFault]) -> None:
    """The broken and the hostile file are refused for what they are, and every other file is read."""
    faults = {name: found.reason for name, found in decoded.items() if isinstance(found, ImageFault)}
    assert faults == BAD
    assert len(decoded) > 10


def test_the_day_has_pictures_of_all_kinds(decoded: dict[str, Picture | ImageFault]) -> None:
    """There are JPEG, PNG and WebP, one picture lies on its side, and there are days and nights in the garage."""
    pictures = {name: found for name, found in decoded.items() if isinstance(found, Picture)}
    assert {picture.format for picture in pictures.values()} == {"JPEG", "PNG", "WEBP"}
    assert [name for name, picture in pictures.items() if picture.orientation != 1] == ["centre/stadium-rotated.jpg"]
    nights = [picture.brightness() for name, picture in pictures.items() if name.startswith("garage/night")]
    days = [picture.brightness() for name, picture in pictures.items() if name.startswith("garage/day")]
    assert max(nights) < 0.5 * min(days)


def test_the_picture_that_lies_stands_up_when_read(decoded: dict[str, Picture | ImageFault], day: Path) -> None:
    """Upright, it is the picture it was made of; stored, it lies on its side."""
    upright, turned = decoded["centre/stadium.jpg"], decoded["centre/stadium-rotated.jpg"]
    assert isinstance(upright, Picture)
    assert isinstance(turned, Picture)
    assert upright.pixels.shape == turned.pixels.shape
    assert np.abs(upright.pixels.astype(int) - turned.pixels).mean() < 3
    with Image.open(day / "centre/stadium-rotated.jpg") as stored:
        assert stored.size == (upright.height, upright.width)


def test_the_hostile_file_is_small(day: Path) -> None:
    """Billions of declared pixels take less than a kilobyte."""
    assert (day / "bad/hostile.png").stat().st_size < 1000


def test_the_same_day_comes_again(day: Path, tmp_path: Path) -> None:
    """Written twice, the day has the same files with the same bytes."""
    again = write_demo_day(tmp_path)
    assert {path.relative_to(tmp_path): path.read_bytes() for path in again} == {
        path.relative_to(day): path.read_bytes() for path in day.rglob("*") if path.is_file()
    }
