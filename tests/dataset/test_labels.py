"""Labels are read as they stand, and what is no label is refused."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from components.dataset.labels import LabelledImage, read_labels
from components.detections import CLASS_NAMES, FACE, LICENSE_PLATE
from components.errors import StreetveilError
from components.settings import PROJECT_ROOT

STREET = PROJECT_ROOT / "data" / "hand_labels" / "street.json"
ENTRY: dict[str, Any] = {
    "file": "images/a.jpg",
    "w": 100,
    "h": 80,
    "source": "here",
    "lighting": "night",
    "boxes": [
        {"cls": "face", "box": [1, 2, 3.5, 4]},
        {"cls": "car", "box": [0, 0, 50, 50]},
        {"cls": "license_plate", "box": [5, 6, 7, 8], "ignore": False},
        {"cls": "face", "box": [9, 9, 10, 10], "ignore": True},
        {"cls": "car", "box": [0, 0, 50, 50], "ignore": True},
    ],
}


def written(folder: Path, content: object) -> Path:
    """A labels.json of its own."""
    path = folder / "labels.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def street() -> list[LabelledImage]:
    """The hand labels in the repository."""
    return list(read_labels(STREET, exhaustive=CLASS_NAMES, folder="street"))


def test_an_entry_is_read_whole(tmp_path: Path) -> None:
    """Faces and plates become objects, ignored ones stand apart, other classes are passed over, the rest is kept."""
    (image,) = read_labels(written(tmp_path, [ENTRY]), exhaustive=["face"])
    assert (image.path, image.width, image.height) == (f"{tmp_path.name}/images/a.jpg", 100, 80)
    assert image.source == "here"
    assert image.objects.xyxy.tolist() == [[1, 2, 3.5, 4], [5, 6, 7, 8]]
    assert image.objects.class_id.tolist() == [FACE, LICENSE_PLATE]
    assert image.objects.confidence.tolist() == [1, 1]
    assert image.ignored.tolist() == [[9, 9, 10, 10]]
    assert image.exhaustive == {"face"}
    assert image.attributes == {"lighting": "night"}


def test_nothing_is_exhaustive_unless_told(tmp_path: Path) -> None:
    """Without a word about it nobody may count a background."""
    (image,) = read_labels(written(tmp_path, [ENTRY]))
    assert image.exhaustive == frozenset()


def test_the_folder_can_be_named(tmp_path: Path) -> None:
    """Paths begin with the folder that the caller names."""
    (image,) = read_labels(written(tmp_path, [ENTRY]), folder="elsewhere")
    assert image.path == "elsewhere/images/a.jpg"


def test_a_picture_without_boxes_is_a_picture(tmp_path: Path) -> None:
    """An empty street counts as background."""
    (image,) = read_labels(written(tmp_path, [{**ENTRY, "boxes": []}]))
    assert len(image.objects) == 0
    assert image.ignored.shape == (0, 4)
    assert list(read_labels(written(tmp_path, []))) == []


def with_boxes(*boxes: object) -> list[dict[str, Any]]:
    """One entry with other boxes."""
    return [{**ENTRY, "boxes": list(boxes)}]


NO_LABELS: dict[str, object] = {
    "nothing": "",
    "broken": "{broken",
    "null": "null",
    "a number": "3",
    "an object": {"images": []},
    "names": ["a.jpg"],
    "an entry of null": [None],
    "an entry that is a list": [[]],
    **{
        f"no {missing}": [{key: value for key, value in ENTRY.items() if key != missing}]
        for missing in ("file", "w", "h", "source", "boxes")
    },
    "a wide width": [{**ENTRY, "w": "wide"}],
    "no height": [{**ENTRY, "h": None}],
    "boxes that are a number": [{**ENTRY, "boxes": 3}],
    "no class": with_boxes({"box": [1, 2, 3, 4]}),
    "no box": with_boxes({"cls": "face"}),
    "a box of null": with_boxes({"cls": "face", "box": None}),
    "words in a box": with_boxes({"cls": "face", "box": ["left", 2, 3, 4]}),
    "three sides": with_boxes({"cls": "face", "box": [1, 2, 3]}),
    "three and five sides": with_boxes({"cls": "face", "box": [1, 2, 3]}, {"cls": "face", "box": [1, 2, 3, 4, 5]}),
    "eight sides": with_boxes({"cls": "face", "box": [1, 2, 3, 4, 5, 6, 7, 8]}),
    "four boxes of three sides": with_boxes(*[{"cls": "face", "box": [1, 2, 3]}] * 4),
    "three ignored sides": with_boxes({"cls": "face", "box": [1, 2, 3], "ignore": True}),
    "eight ignored sides": with_boxes({"cls": "face", "box": [1, 2, 3, 4, 5, 6, 7, 8], "ignore": True}),
    "four ignored boxes of three sides": with_boxes(*[{"cls": "face", "box": [1, 2, 3], "ignore": True}] * 4),
}


@pytest.mark.parametrize("name", NO_LABELS)
def test_what_is_no_label_is_refused(tmp_path: Path, name: str) -> None:
    """Broken JSON, missing keys and boxes that have not four numbers end in an error that names the file."""
    path = written(tmp_path, NO_LABELS[name])
    with pytest.raises(StreetveilError, match=r"labels\.json: not a labels\.json"):
        list(read_labels(path))


def test_a_missing_file_and_bytes_are_refused(tmp_path: Path) -> None:
    """A path without a file and a file that is no text are errors that name it."""
    with pytest.raises(StreetveilError, match=r"nowhere\.json"):
        list(read_labels(tmp_path / "nowhere.json"))
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(StreetveilError, match=r"bytes\.json"):
        list(read_labels(tmp_path / "bytes.json"))


def test_the_hand_labels_have_their_115_pictures(street: list[LabelledImage]) -> None:
    """Every picture stands once, with a source that is documented."""
    assert len(street) == len({image.path for image in street}) == 115
    assert set(Counter(image.source for image in street)) == {"camvid-segnet", "vn-traffic", "coco128+128"}
    assert all(image.path.startswith("street/images/") for image in street)


def test_the_hand_labels_have_both_classes(street: list[LabelledImage]) -> None:
    """There are enough faces and plates to tell recall, and pictures without any to tell false blur."""
    counts = Counter(class_id for image in street for class_id in image.objects.class_id.tolist())
    assert counts[FACE] > 200
    assert counts[LICENSE_PLATE] > 100
    assert sum(len(image.objects) == 0 for image in street) > 5


def test_the_hand_labels_lie_inside_of_their_pictures(street: list[LabelledImage]) -> None:
    """No box is empty, turned inside out or across the border, whether it counts or is ignored."""
    for image in street:
        for boxes in (image.objects.xyxy, image.ignored):
            for x1, y1, x2, y2 in boxes:
                assert 0 <= x1 < x2 <= image.width, image.path
                assert 0 <= y1 < y2 <= image.height, image.path


def test_the_hand_labels_speak_of_boxes_and_nothing_else() -> None:
    """The file holds coordinates, no picture, no name and no number of a plate; every class is one that we know."""
    for entry in json.loads(STREET.read_text(encoding="utf-8")):
        assert set(entry) == {"file", "w", "h", "source", "boxes"}
        for box in entry["boxes"]:
            assert set(box) <= {"cls", "box", "ignore"}
            assert box["cls"] in CLASS_NAMES
            assert len(box["box"]) == 4
