"""COCO files are read whole, and an annotation that belongs nowhere is an error."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.dataset.formats.coco import read_coco
from components.dataset.labels import LabelledImage
from components.errors import StreetveilError
from tests.dataset.formats.pictures import objects, text

IMAGE = {"id": 7, "file_name": "a.jpg", "width": 200, "height": 100}
CATEGORIES = [{"id": 1, "name": "person"}, {"id": 2, "name": "Face"}, {"id": 3, "name": "Licence-Plate"}]
FACE: dict[str, Any] = {"id": 1, "image_id": 7, "category_id": 2, "bbox": [10, 20, 30, 40], "iscrowd": 0}


def coco(*annotations: object, **parts: object) -> dict[str, Any]:
    """A COCO file's content."""
    return {"images": [IMAGE], "annotations": list(annotations), "categories": CATEGORIES, **parts}


def read(folder: Path, content: object, **options: Any) -> list[LabelledImage]:
    """The pictures of a file."""
    return list(read_coco(text(folder / "c.json", json.dumps(content)), **options))


def test_faces_plates_and_crowds_are_told_apart(tmp_path: Path) -> None:
    """Names are understood in their usual spellings, crowds are ignored, and people are passed over."""
    plate = {**FACE, "category_id": 3, "bbox": [0, 0, 20, 10]}
    crowd = {**FACE, "iscrowd": 1, "bbox": [50, 50, 500, 10]}
    (image,) = read(tmp_path, coco(FACE, plate, crowd, {**FACE, "category_id": 1}), exhaustive=["face"])
    assert objects(image) == [(0, [10, 20, 40, 60]), (1, [0, 0, 20, 10])]
    assert image.ignored.tolist() == [[50, 50, 200, 60]]
    assert image.exhaustive == {"face"}


def test_a_picture_without_annotations_stays(tmp_path: Path) -> None:
    """Empty pictures are pictures; whether they are background is said by the caller alone."""
    (image,) = read(tmp_path, coco())
    assert (len(image.objects), image.exhaustive) == (0, frozenset())


def test_other_names_can_be_told(tmp_path: Path) -> None:
    """A set's own names count when the settings say what they mean, and null passes one over."""
    categories = [{"id": 2, "name": "with_mask"}, {"id": 3, "name": "paper plate"}]
    options = {"classes": {"with_mask": "face", "paper plate": None}}
    (image,) = read(tmp_path, coco(FACE, {**FACE, "category_id": 3}, categories=categories), **options)
    assert objects(image) == [(0, [10, 20, 40, 60])]


def without(entry: dict[str, Any], key: str) -> dict[str, Any]:
    """The entry with one key less."""
    return {name: value for name, value in entry.items() if name != key}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "no list 'images'"),
        (without(coco(), "annotations"), "no list 'annotations'"),
        (coco(3), "no list 'annotations' of objects"),
        (coco(images=[IMAGE, IMAGE]), "same id"),
        (coco(images=[without(IMAGE, "width")]), "image 7: no 'width'"),
        (coco(images=[{**IMAGE, "height": 0}]), "image 7: .*no size"),
        (coco({**FACE, "image_id": 8}), "annotation 1: there is no image 8"),
        (coco({**FACE, "category_id": 9}), "annotation 1: there is no category 9"),
        (coco(without(FACE, "category_id")), "annotation 1: no 'category_id'"),
        (coco(without(FACE, "bbox")), "annotation 1: 'bbox' must be"),
        (coco({**FACE, "bbox": [1, 2, 3]}), "annotation 1: 'bbox' must be"),
        (coco({**FACE, "bbox": [1, 2, "x", 4]}), "annotation 1: not a number"),
        (coco({**FACE, "bbox": [1, 2, 0, 4]}), "annotation 1: .*empty"),
        (coco({**FACE, "bbox": [300, 2, 5, 4]}), "annotation 1: .*outside"),
        (coco(categories=[{"id": 2, "name": "dog"}]), "no category is a face or a plate .dog."),
        (coco(categories=[{"id": 2, "name": "with_mask"}]), "category 2: class 'with_mask' may be"),
        (coco(categories=[{"id": 2}]), "category 2: an object without a class name"),
    ],
)
def test_what_is_broken_is_refused_by_its_id(tmp_path: Path, content: object, message: str) -> None:
    """Missing parts, unknown ids, impossible boxes and doubtful names are one line that names file and entry."""
    with pytest.raises(StreetveilError, match=message) as raised:
        read(tmp_path, content)
    assert str(raised.value).startswith(str(tmp_path / "c.json"))
    assert "\n" not in str(raised.value)


def test_a_file_that_is_no_json_is_refused(tmp_path: Path) -> None:
    """Broken JSON and a missing file are named."""
    with pytest.raises(StreetveilError, match=r"c\.json: not JSON"):
        list(read_coco(text(tmp_path / "c.json", "{")))
    with pytest.raises(StreetveilError, match=r"nowhere\.json: cannot be read"):
        list(read_coco(tmp_path / "nowhere.json"))


boxes = st.tuples(st.integers(0, 190), st.integers(0, 90), st.integers(1, 10), st.integers(1, 10)).map(list)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(boxes, st.sampled_from([2, 3]), st.booleans()), max_size=8))
def test_no_annotation_is_lost(rows: list[tuple[list[int], int, bool]]) -> None:
    """Every annotation of a random file comes back, in order, as an object or as an ignored box."""
    annotations = [
        {"id": i, "image_id": 7, "category_id": category, "bbox": box, "iscrowd": int(crowd)}
        for i, (box, category, crowd) in enumerate(rows)
    ]
    with tempfile.TemporaryDirectory() as folder:
        (image,) = read(Path(folder), coco(*annotations))
    sides = [([x, y, x + w, y + h], category - 2, crowd) for (x, y, w, h), category, crowd in rows]
    assert objects(image) == [(class_id, box) for box, class_id, crowd in sides if not crowd]
    assert image.ignored.tolist() == [box for box, _, crowd in sides if crowd]
