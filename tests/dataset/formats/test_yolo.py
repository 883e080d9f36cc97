"""YOLO folders are read as ultralytics would read them, and written so that nothing is lost."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from components.dataset.formats.yolo import read_yolo, write_yolo
from components.dataset.labels import LabelledBox, LabelledImage, labelled_image, read_labels
from components.detections import CLASS_NAMES
from components.errors import StreetveilError
from tests.dataset.formats.pictures import objects, picture, text


def read(folder: Path, *lines: str, names: str = "names: [face, license_plate, car]") -> list[LabelledImage]:
    """The one picture of a folder of one."""
    picture(folder / "images" / "a.jpg")
    text(folder / "labels" / "a.txt", "\n".join(lines))
    return list(read_yolo(text(folder / "data.yaml", names), folder / "images"))


def image_of(path: str, *boxes: LabelledBox, **more: object) -> LabelledImage:
    """A labelled picture of 200×100 px."""
    return labelled_image(path, (200, 100), "test", boxes, **more)


def test_shares_become_pixels(tmp_path: Path) -> None:
    """Centre and size in shares become sides in pixels, outlines their boxes, and other classes are passed over."""
    (image,) = read(tmp_path, "0 0.5 0.5 0.1 0.2", "", "1 0.1 0.2 0.3 0.2 0.2 0.4", "2 0.5 0.5 1 1")
    assert (image.path, image.width, image.height) == ("a.jpg", 200, 100)
    assert objects(image) == [(0, pytest.approx([90, 40, 110, 60])), (1, pytest.approx([20, 20, 60, 40]))]


def test_names_can_be_listed_by_number(tmp_path: Path) -> None:
    """`names` is a list or a mapping from numbers."""
    (image,) = read(tmp_path, "5 0.5 0.5 0.1 0.2", names="names: {4: car, 5: number plate}")
    assert objects(image)[0][0] == 1


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 0.5 0.5 0.1", r"a\.txt:2: a line has"),
        ("0 0.5 0.5 0.1 0.2 0.9", r"a\.txt:2: a line has"),
        ("7 0.5 0.5 0.1 0.2", r"a\.txt:2: data\.yaml has no class 7"),
        ("face 0.5 0.5 0.1 0.2", r"a\.txt:2: not a number"),
        ("0 90 40 110 60", r"a\.txt:2: values are shares"),
        ("0 0.5 0.5 0 0.2", r"a\.txt:2: .*empty"),
        ("0 1.5 0.5 0.1 0.2", r"a\.txt:2: .*outside"),
        ("0 0.5 0.5 inf 0.2", r"a\.txt:2: .*not finite"),
    ],
)
def test_a_broken_line_is_refused_by_its_number(tmp_path: Path, line: str, message: str) -> None:
    """Too few values, predictions with a confidence, unknown classes and pixels are named by file and line."""
    with pytest.raises(StreetveilError, match=message) as raised:
        read(tmp_path, "0 0.5 0.5 0.1 0.2", line)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("names: [", "not YAML"),
        ("nc: 2", "no `names`"),
        ("names: {a: face}", "no `names`"),
        ("names: [dog, cat]", "no name is a face or a plate .dog, cat."),
        ("names: [mask]", "class 'mask' may be"),
    ],
)
def test_names_that_say_nothing_are_refused(tmp_path: Path, names: str, message: str) -> None:
    """Without names that mean a face or a plate every box would be lost."""
    with pytest.raises(StreetveilError, match=message):
        read(tmp_path, "0 0.5 0.5 0.1 0.2", names=names)


def test_pictures_and_label_files_must_match(tmp_path: Path) -> None:
    """A lost label file would make background of its objects, and a lost picture would lose boxes."""
    read(tmp_path, "0 0.5 0.5 0.1 0.2")
    picture(tmp_path / "images" / "b.jpg")
    with pytest.raises(StreetveilError, match=r"b\.txt: is missing; write an empty one"):
        list(read_yolo(tmp_path / "data.yaml", tmp_path / "images"))
    (tmp_path / "images" / "b.jpg").unlink()
    text(tmp_path / "labels" / "c.txt", "")
    with pytest.raises(StreetveilError, match=r"c\.txt: labels without a picture"):
        list(read_yolo(tmp_path / "data.yaml", tmp_path / "images"))
    with pytest.raises(StreetveilError, match="no picture in it"):
        list(read_yolo(tmp_path / "data.yaml", tmp_path / "labels"))


def test_what_is_written_says_where_everything_is(tmp_path: Path) -> None:
    """Pictures are links under names of their own, and a labels.json beside them keeps what YOLO cannot say."""
    for name in ("x/a.jpg", "y/a.jpg"):
        picture(tmp_path / "all" / name)
    face = LabelledBox((10, 20, 30, 40), "face", marks={"mask": "with"})
    unclear = LabelledBox((50, 50, 60, 60), "face", ignored=True)
    parts = {
        "train": [image_of("x/a.jpg", face, unclear, exhaustive=frozenset({"face"}))],
        "val": [image_of("y/a.jpg")],
    }
    data = write_yolo(tmp_path / "out", parts, tmp_path / "all")
    content = yaml.safe_load(data.read_text())
    assert content["names"] == dict(enumerate(CLASS_NAMES))
    assert (content["train"], content["val"]) == ("images/train", "images/val")
    (train,) = (tmp_path / "out" / "images" / "train").iterdir()
    assert train.resolve() == (tmp_path / "all" / "x" / "a.jpg").resolve()
    (label_file,) = (tmp_path / "out" / "labels" / "train").iterdir()
    assert label_file.stem == train.stem
    first, second = read_labels(tmp_path / "out" / "labels.json", folder="")
    assert first.path == f"images/train/{train.name}"
    assert (first.exhaustive, first.ignored.tolist()) == ({"face"}, [[50, 50, 60, 60]])
    assert first.marks == ({"mask": "with"},)
    assert second.exhaustive == frozenset()


def test_a_used_folder_and_a_missing_picture_are_refused(tmp_path: Path) -> None:
    """Old labels never mix with new ones, and a link never leads nowhere."""
    with pytest.raises(StreetveilError, match=r"a\.jpg: the picture is not there"):
        write_yolo(tmp_path / "out", {"train": [image_of("a.jpg")]}, tmp_path)
    with pytest.raises(StreetveilError, match="is not empty"):
        write_yolo(tmp_path / "out", {"train": []}, tmp_path)


@st.composite
def drawn(draw: st.DrawFn) -> LabelledBox:
    """A box of at least half a pixel somewhere in the picture."""
    x1 = draw(st.floats(0, 199, width=32))
    y1 = draw(st.floats(0, 99, width=32))
    x2 = draw(st.floats(x1 + 0.5, 200))
    y2 = draw(st.floats(y1 + 0.5, 100))
    return LabelledBox((x1, y1, x2, y2), draw(st.sampled_from(CLASS_NAMES)))


@settings(deadline=None, max_examples=50)
@given(st.lists(drawn(), max_size=6))
def test_what_is_written_is_read_again(boxes: list[LabelledBox]) -> None:
    """Boxes of any place and size come back in order, with their class, to a hundredth of a pixel."""
    with tempfile.TemporaryDirectory() as folder:
        picture(Path(folder) / "a.jpg")
        image = image_of("a.jpg", *boxes)
        data = write_yolo(Path(folder) / "out", {"train": [image]}, Path(folder))
        (again,) = read_yolo(data, data.parent / "images" / "train")
    assert again.objects.class_id.tolist() == image.objects.class_id.tolist()
    np.testing.assert_allclose(again.objects.xyxy, image.objects.xyxy, atol=0.01)
