"""CCPD's file names say where the plate is and how it is tilted."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.dataset.formats.ccpd import read_ccpd
from components.errors import StreetveilError
from tests.dataset.formats.pictures import objects, picture

NAME = "025-95_113-154&383_386&473-386&473_177&454_154&383_363&402-0_0_22_27_27_33_16-37-15"
GREEN = "04-90_267-158&448_542&553-541&553_162&551_158&448_542&450-0_1_3_24_27_33_30_24-99-116"


def test_a_name_gives_box_and_tilt(tmp_path: Path) -> None:
    """The box, the four corners and the degrees from upright are read, and one plate is not all plates."""
    picture(tmp_path / "base" / f"{NAME}.jpg", 720, 1160)
    (image,) = read_ccpd(tmp_path)
    assert image.path == f"base/{NAME}.jpg"
    assert objects(image) == [(1, [154, 383, 386, 473])]
    assert image.marks[0]["tilt_deg"] == [5, 23]
    assert image.marks[0]["corners"] == [[386, 473], [177, 454], [154, 383], [363, 402]]
    assert (image.marks[0]["brightness"], image.marks[0]["blur"]) == (37, 15)
    assert (image.region, image.exhaustive) == ("cn", frozenset())


def test_a_tilt_given_the_other_way_round_is_small(tmp_path: Path) -> None:
    """Names of green plates write 267 for three degrees, and are read as such."""
    picture(tmp_path / f"{GREEN}.jpg", 720, 1160)
    (image,) = read_ccpd(tmp_path)
    assert image.marks[0]["tilt_deg"] == [0, -3]


def test_pictures_without_plates_are_background(tmp_path: Path) -> None:
    """The folder of pictures without plates gives background for plates, whatever the names say."""
    picture(tmp_path / "ccpd_np" / "1.jpg")
    (image,) = read_ccpd(tmp_path)
    assert (len(image.objects), image.exhaustive) == (0, {"license_plate"})


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("holiday", "the name does not say where the plate is"),
        (NAME.replace("154&383_386&473-", ""), "the name does not say where the plate is"),
        (NAME.replace("154&383_386&473-386", "386&473_154&383-386"), "empty or inside out"),
        (NAME.replace("154&383_386&473-386", "854&383_986&473-386"), "lies outside"),
    ],
)
def test_a_name_without_a_plate_is_refused(tmp_path: Path, name: str, message: str) -> None:
    """A name of another form, or with an impossible box, is an error that names the file."""
    picture(tmp_path / f"{name}.jpg", 720, 1160)
    with pytest.raises(StreetveilError, match=message) as raised:
        list(read_ccpd(tmp_path))
    assert name in str(raised.value)


def test_an_empty_folder_and_a_broken_picture_are_refused(tmp_path: Path) -> None:
    """No picture at all, or a file that is none, is an error."""
    with pytest.raises(StreetveilError, match="no picture in it"):
        list(read_ccpd(tmp_path))
    (tmp_path / f"{NAME}.jpg").write_bytes(b"no picture")
    with pytest.raises(StreetveilError, match="cannot be read"):
        list(read_ccpd(tmp_path))
