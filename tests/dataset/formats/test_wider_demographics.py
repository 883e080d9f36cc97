"""What is perceived of a face becomes its mark, of that face and no other."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from components.dataset.formats.labelled_set import read_set
from components.dataset.formats.wider_demographics import read_perceived, with_perceived
from components.dataset.formats.wider_face import read_wider_face
from components.errors import StreetveilError
from components.settings import LabelledSet
from tests.dataset.formats.pictures import picture, text

HEAD = ",file,perceived_gender,perceived_age,perceived_skin,face\n"
CLEAR = "10 20 30 40 0 0 0 0 0 0"
BLURRED = "10 20 30 40 2 0 0 0 0 0"
NAMES = ("gender", "age", "skin_type")


def told(folder: Path, rows: str, faces: str = f"3\n{CLEAR}\n{BLURRED}\n{CLEAR}\n") -> list[dict[str, object]]:
    """The perceived marks of the faces of one picture."""
    picture(folder / "0--Parade/a.jpg")
    images = read_wider_face(text(folder / "gt.txt", f"0--Parade/a.jpg\n{faces}"), folder)
    (image,) = with_perceived(images, read_perceived(text(folder / "perceived.csv", HEAD + rows)))
    return [{name: mark[name] for name in NAMES if name in mark} for mark in image.marks]


def test_a_face_is_found_by_its_place_in_the_annotation(tmp_path: Path) -> None:
    """Faces are counted from 0 with the ignored ones, so the third face's marks are the second object's."""
    rows = "0,images/0--Parade/a.jpg,Female,Senior,VI,2\n1,images/0--Parade/a.jpg,Male,Adult,I,1\n"
    assert told(tmp_path, rows) == [{}, {"gender": "Female", "age": "Senior", "skin_type": "VI"}]


def test_what_annotators_were_not_sure_of_is_no_mark(tmp_path: Path) -> None:
    """The words "Not Sure" leave the mark out, so that such faces are in no slice."""
    assert told(tmp_path, "0,images/0--Parade/a.jpg,Not Sure,Adult,Not Sure,0\n") == [{"age": "Adult"}, {}]


def test_other_pictures_are_not_touched(tmp_path: Path) -> None:
    """A line for another picture says nothing of this one."""
    assert told(tmp_path, "0,images/0--Parade/b.jpg,Male,Adult,I,0\n") == [{}, {}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("file,face\na.jpg,0\n", "no demographics of WIDER FACE"),
        (HEAD + "0,images/a.jpg,Male,Adult,I,first\n", "no demographics of WIDER FACE"),
        (HEAD + "0,images/a.jpg,Male,Adult,I,0\n1,images/a.jpg,Male,Adult,II,0\n", "twice of one face"),
    ],
    ids=["other columns", "no number", "twice"],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: str, message: str) -> None:
    """A missing column, a place that is no number, and two lines for one face are named with the remedy."""
    with pytest.raises(StreetveilError, match=message):
        read_perceived(text(tmp_path / "perceived.csv", content))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """Settings that name a file that is not there do not read as a set without demographics."""
    with pytest.raises(StreetveilError, match="no demographics"):
        read_perceived(tmp_path / "perceived.csv")


def test_a_set_reads_them_where_its_settings_say(tmp_path: Path) -> None:
    """A set of format wider_face with `demographics` has the marks; another format with it is refused."""
    picture(tmp_path / "wider/0--Parade/a.jpg")
    text(tmp_path / "gt.txt", f"0--Parade/a.jpg\n1\n{CLEAR}\n")
    text(tmp_path / "perceived.csv", HEAD + "0,images/0--Parade/a.jpg,Male,Adult,III,0\n")
    wanted = {"name": "w", "pictures": "wider", "labels": "gt.txt", "demographics": "{folder}/perceived.csv"}
    (image,) = read_set(LabelledSet.model_validate({**wanted, "format": "wider_face"}), tmp_path, ".")
    assert (image.path, image.marks[0]["skin_type"]) == ("wider/0--Parade/a.jpg", "III")
    with pytest.raises(ValidationError, match="format wider_face only"):
        LabelledSet.model_validate({**wanted, "format": "coco"})
