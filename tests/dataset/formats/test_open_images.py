"""Open Images' shares become pixels, and groups and depictions are ignored."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.dataset.formats.open_images import read_open_images
from components.dataset.labels import LabelledImage
from components.errors import StreetveilError
from tests.dataset.formats.pictures import objects, picture, text

HEADER = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside"
FACE = "a,xclick,/m/0dzct,1,0.1,0.2,0.3,0.5,1,-1,0,0,0"
PLATE = "b,xclick,/m/01jfm_,1,0.5,0.75,0.5,1,0,0,0,0,0"
CAR = "c,xclick,/m/0k4j,1,0,1,0,1,0,0,0,0,0"


def read(folder: Path, *lines: str, header: str = HEADER) -> list[LabelledImage]:
    """The pictures of a CSV."""
    for name in "ab":
        picture(folder / f"{name}.jpg")
    return list(read_open_images(text(folder / "boxes.csv", "\n".join((header, *lines)) + "\n"), folder))


def test_boxes_are_scaled_to_each_picture(tmp_path: Path) -> None:
    """Faces and plates stand in pixels, only pictures with one are read, and only their classes are exhaustive."""
    face, plate = read(tmp_path, FACE, CAR, PLATE)
    assert (face.path, plate.path) == ("a.jpg", "b.jpg")
    assert objects(face) == [(0, pytest.approx([20, 30, 40, 50]))]
    assert objects(plate) == [(1, pytest.approx([100, 50, 150, 100]))]
    assert (face.exhaustive, plate.exhaustive) == ({"face"}, {"license_plate"})
    assert face.marks == ({"occluded": True},)
    assert plate.marks == ({"occluded": False, "truncated": False},)


@pytest.mark.parametrize("flags", ["0,0,1,0,0", "0,0,0,1,0"], ids=["group", "depiction"])
def test_groups_and_depictions_are_ignored(tmp_path: Path, flags: str) -> None:
    """A crowd in one box and a face on a poster are neither objects nor background."""
    (image,) = read(tmp_path, FACE, f"a,xclick,/m/0dzct,1,0.5,1,0,1,{flags}")
    assert len(image.objects) == 1
    assert image.ignored.tolist() == [[100, 0, 200, 100]]


def test_a_picture_lying_on_its_side_is_measured_upright(tmp_path: Path) -> None:
    """Shares are of the picture as it is seen, not as it is stored."""
    picture(tmp_path / "a.jpg", 200, 100, orientation=6)
    labels = text(tmp_path / "boxes.csv", f"{HEADER}\n{FACE}\n")
    (image,) = read_open_images(labels, tmp_path)
    assert (image.width, image.height) == (100, 200)
    assert objects(image) == [(0, pytest.approx([10, 60, 20, 100]))]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (FACE.replace("0.2", "wide"), r"boxes\.csv:2: not a number"),
        (FACE.replace("0.2", "nan"), r"boxes\.csv:2: .*not finite"),
        (FACE.replace("0.2", "20"), r"boxes\.csv:2: sides are shares"),
        (FACE.replace("0.2", "0.05"), r"boxes\.csv:2: .*inside out"),
        (FACE + ",1", r"boxes\.csv:2: not as many fields"),
        ("a,xclick,/m/0dzct,1,0.1", r"boxes\.csv:2: not as many fields"),
        (FACE.replace("a,", "z,", 1), r"boxes\.csv:2: the picture .*z\.jpg is not there"),
        (FACE.replace("/m/0dzct", "Face mask"), r"boxes\.csv:2: class 'Face mask' may be"),
        (CAR, r"boxes\.csv: no face and no plate"),
    ],
)
def test_a_broken_line_is_refused_by_its_number(tmp_path: Path, line: str, message: str) -> None:
    """Words, pixels instead of shares, boxes inside out, lost fields and missing pictures are named by line."""
    with pytest.raises(StreetveilError, match=message) as raised:
        read(tmp_path, line)
    assert "\n" not in str(raised.value)


def test_a_missing_column_or_file_is_refused(tmp_path: Path) -> None:
    """Without the flags nobody could tell a crowd from a face; the message names the column."""
    with pytest.raises(StreetveilError, match=r":1: no column IsDepiction"):
        read(tmp_path, FACE, header=HEADER.replace("IsDepiction", "Other"))
    with pytest.raises(StreetveilError, match=r"nowhere\.csv: cannot be read"):
        list(read_open_images(tmp_path / "nowhere.csv", tmp_path))
