"""WIDER FACE is read face by face, and what is marked as unclear is ignored rather than lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.dataset.formats.wider_face import read_wider_face
from components.dataset.labels import LabelledImage
from components.errors import StreetveilError
from tests.dataset.formats.pictures import objects, picture, text

CLEAR = "10 20 30 40 0 0 1 0 1 0"


def read(folder: Path, content: str, **options: int) -> list[LabelledImage]:
    """The pictures of an annotation file."""
    for name in ("0--Parade/a.jpg", "0--Parade/b.jpg"):
        picture(folder / name)
    return list(read_wider_face(text(folder / "gt.txt", content), folder, **options))


def test_faces_are_read_with_their_marks(tmp_path: Path) -> None:
    """Corner and size become a box, the flags become marks, and every face counts as labelled."""
    (image,) = read(tmp_path, f"0--Parade/a.jpg\n1\n{CLEAR} \n")
    assert (image.path, image.width, image.height, image.source) == ("0--Parade/a.jpg", 200, 100, "wider-face")
    assert objects(image) == [(0, [10, 20, 40, 60])]
    assert image.marks == ({"place": 0, "blur": 0, "expression": 0, "illumination": 1, "occlusion": 1, "pose": 0},)
    assert image.exhaustive == {"face"}


@pytest.mark.parametrize(
    "face",
    ["10 20 30 40 2 0 0 0 0 0", "10 20 30 40 0 0 0 1 0 0", "10 20 30 40 0 0 0 0 2 0"],
    ids=["blurred", "invalid", "occluded"],
)
def test_unclear_faces_are_ignored(tmp_path: Path, face: str) -> None:
    """Heavily blurred, invalid and heavily occluded faces are ignored boxes."""
    (image,) = read(tmp_path, f"0--Parade/a.jpg\n2\n{face}\n{CLEAR}\n")
    assert image.ignored.tolist() == [[10, 20, 40, 60]]
    assert len(image.objects) == 1
    assert image.marks[0]["place"] == 1


def test_the_bounds_of_unclear_can_be_moved(tmp_path: Path) -> None:
    """With bounds of three, blurred and occluded faces are objects."""
    rows = "10 20 30 40 2 0 0 0 0 0\n10 20 30 40 0 0 0 0 2 0"
    (image,) = read(tmp_path, f"0--Parade/a.jpg\n2\n{rows}\n", ignored_blur=3, ignored_occlusion=3)
    assert len(image.objects) == 2


@pytest.mark.parametrize("zeros", ["0 0 0 0 0 0 0 0 0 0\n", ""], ids=["with a line of zeros", "without"])
def test_a_picture_without_faces_is_background(tmp_path: Path, zeros: str) -> None:
    """A count of zero, with or without its line of zeros, gives a picture without boxes, and the next one is read."""
    first, second = read(tmp_path, f"0--Parade/a.jpg\n0\n{zeros}0--Parade/b.jpg\n1\n{CLEAR}\n")
    assert (len(first.objects), len(first.ignored)) == (0, 0)
    assert len(second.objects) == 1


@pytest.mark.parametrize("face", ["10 20 0 40 0 0 0 0 0 0", "10 20 30 0 0 0 0 0 0 0", "300 20 0 0 0 0 0 0 0 0"])
def test_a_face_without_extent_is_ignored_where_it_stands(tmp_path: Path, face: str) -> None:
    """The published files have faces of no width or height: they become ignored boxes inside of the picture."""
    (image,) = read(tmp_path, f"0--Parade/a.jpg\n1\n{face}\n")
    assert len(image.ignored) == 1
    x1, y1, x2, y2 = image.ignored[0]
    assert 0 <= x1 < x2 <= 200
    assert 0 <= y1 < y2 <= 100


@pytest.mark.parametrize(
    ("content", "where"),
    [
        ("", r"gt\.txt: is empty"),
        ("1\n10 20 30 40 0 0 0 0 0 0\n", r"gt\.txt:1: '1' is no picture"),
        ("0--Parade/a.jpg\nmany\n", r"gt\.txt:2: a number of faces"),
        ("0--Parade/a.jpg", r"gt\.txt:2: a number of faces"),
        (f"0--Parade/a.jpg\n2\n{CLEAR}\n", r"gt\.txt:4: a face has ten numbers, not 0"),
        (f"0--Parade/a.jpg\n2\n{CLEAR}\n0--Parade/b.jpg\n1\n{CLEAR}\n", r"gt\.txt:4: a face has ten numbers, not 1"),
        (f"0--Parade/a.jpg\n1\n{CLEAR}\n{CLEAR}\n", r"gt\.txt:4: .* is no picture"),
        ("0--Parade/a.jpg\n1\n10 20 x 40 0 0 0 0 0 0\n", r"gt\.txt:3: not a number"),
        ("0--Parade/a.jpg\n1\n900 20 30 40 0 0 0 0 0 0\n", r"gt\.txt:3: the box .* lies outside"),
        ("0--Parade/c.jpg\n1\n10 20 30 40 0 0 0 0 0 0\n", r"gt\.txt:1: the picture .*c\.jpg is not there"),
    ],
)
def test_a_broken_file_is_refused_with_its_line(tmp_path: Path, content: str, where: str) -> None:
    """Wrong counts, words, lost lines, boxes elsewhere and missing pictures are named by file and line."""
    with pytest.raises(StreetveilError, match=where) as raised:
        read(tmp_path, content)
    assert "\n" not in str(raised.value)
