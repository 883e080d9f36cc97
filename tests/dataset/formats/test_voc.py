"""VOC files are read safely, with their own way of counting pixels."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.dataset.formats.voc import read_voc
from components.errors import StreetveilError
from tests.dataset.formats.pictures import objects, text

FACE = (
    "<object><name>face</name><truncated>1</truncated><difficult>0</difficult>"
    "<bndbox><xmin>11</xmin><ymin>21</ymin><xmax>40</xmax><ymax>60</ymax></bndbox></object>"
)


def voc(*found: str, size: str = "<width>200</width><height>100</height>") -> str:
    """The XML of one picture."""
    return f"<annotation><filename>a.jpg</filename><size>{size}</size>{''.join(found)}</annotation>"


def test_boxes_are_counted_as_ours(tmp_path: Path) -> None:
    """Counting from one and including the last pixel becomes counting from zero and excluding it."""
    text(tmp_path / "a.xml", voc(FACE, FACE.replace("face", "dog")))
    (image,) = read_voc(tmp_path, exhaustive=["face"])
    assert (image.path, image.width, image.height) == ("a.jpg", 200, 100)
    assert objects(image) == [(0, [10, 20, 40, 60])]
    assert image.marks == ({"truncated": True},)
    assert image.exhaustive == {"face"}
    (image,) = read_voc(tmp_path, first_pixel=0)
    assert objects(image) == [(0, [11, 21, 40, 60])]


def test_difficult_objects_are_ignored(tmp_path: Path) -> None:
    """What the labellers could hardly see is neither object nor background."""
    text(tmp_path / "a.xml", voc(FACE.replace("<difficult>0", "<difficult>1")))
    (image,) = read_voc(tmp_path)
    assert (len(image.objects), image.ignored.tolist()) == (0, [[10, 20, 40, 60]])


def test_other_names_are_kept_as_marks(tmp_path: Path) -> None:
    """A class of the set that means a face stays known by its own name."""
    text(tmp_path / "a.xml", voc(FACE.replace(">face<", ">with_mask<")))
    (image,) = read_voc(tmp_path, classes={"with_mask": "face"})
    assert image.marks[0]["label"] == "with_mask"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<annotation>", "not an XML file"),
        ("<other/>", "<other> instead of <annotation>"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotation>&b;</annotation>', "not an XML file that can be trusted"),
        ("<annotation><size><width>1</width><height>1</height></size></annotation>", "no <filename>"),
        (voc(FACE, size="<width>200</width>"), "no <size/height>"),
        (voc(FACE, size="<width>0</width><height>0</height>"), "is no size"),
        (voc(FACE.replace("<name>face</name>", "")), "object 1: no <name>"),
        (voc(FACE, FACE.replace("<xmin>11</xmin>", "")), "object 2: no <bndbox/xmin>"),
        (voc(FACE.replace("11", "left")), "object 1: not a number"),
        (voc(FACE.replace("11", "90")), "object 1: .*inside out"),
        (voc(FACE.replace("11", "900").replace("40", "950")), "object 1: .*outside"),
        (voc(FACE.replace(">face<", ">with_mask<")), "object 1: class 'with_mask' may be"),
        (voc(FACE.replace(">face<", ">dog<")), "no object is a face or a plate .dog."),
    ],
)
def test_what_is_broken_is_refused_by_its_place(tmp_path: Path, content: str, message: str) -> None:
    """Broken or hostile XML, lost fields and impossible boxes are one line with the file and the object."""
    text(tmp_path / "a.xml", content)
    with pytest.raises(StreetveilError, match=message) as raised:
        list(read_voc(tmp_path))
    assert str(raised.value).startswith(str(tmp_path))
    assert "\n" not in str(raised.value)


def test_a_folder_without_files_is_refused(tmp_path: Path) -> None:
    """An empty folder is a wrong folder."""
    with pytest.raises(StreetveilError, match="no XML file in it"):
        list(read_voc(tmp_path))
