"""Labels are read as they stand, and what is no label is refused."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.dataset.labels import LabelledBox, LabelledImage, labelled_image, read_labels, write_labels
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


@pytest.mark.parametrize(
    ("said", "mostly", "exhaustive"),
    [
        (True, False, {"face", "license_plate"}),
        (False, True, set()),
        ("mostly", False, set()),
        ("mostly", True, {"face", "license_plate"}),
        (["face"], False, {"face"}),
        ([], True, set()),
    ],
)
def test_an_entry_can_say_what_is_exhaustive(tmp_path: Path, said: object, mostly: bool, exhaustive: set[str]) -> None:
    """A list names classes, true means those of the boxes, and "mostly" counts only for who accepts that."""
    (image,) = read_labels(written(tmp_path, [{**ENTRY, "exhaustive": said}]), mostly_is_exhaustive=mostly)
    assert image.exhaustive == exhaustive


@pytest.mark.parametrize(
    ("lighting", "night"), [("night", True), ("day_or_dusk", False), ("day", False), ("neon", None), (None, None)]
)
def test_night_is_known_from_the_lighting(tmp_path: Path, lighting: str | None, night: bool | None) -> None:
    """Only what the labels say counts as night or day; everything else stays unknown."""
    entry = {key: value for key, value in ENTRY.items() if key != "lighting"}
    (image,) = read_labels(written(tmp_path, [entry if lighting is None else {**entry, "lighting": lighting}]))
    assert image.night is night


def test_what_labels_say_of_origin_has_its_place(tmp_path: Path) -> None:
    """Region, video, place in it and brightness are attributes of their own, and marks stand with their objects."""
    origin = {"region": "br", "video": "v.mp4", "t": 12, "mean_luma": 91.5}
    boxes = [{"cls": "car", "box": [0, 0, 9, 9]}, {"cls": "face", "box": [1, 2, 3, 4], "mask": "with"}]
    (image,) = read_labels(written(tmp_path, [{**ENTRY, **origin, "boxes": boxes}]))
    assert (image.region, image.video, image.t, image.mean_luma) == ("br", "v.mp4", 12, 91.5)
    assert image.marks == ({"mask": "with"},)


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ({"cls": "face", "box": [3, 2, 3, 4]}, "empty or inside out"),
        ({"cls": "face", "box": [1, 2, float("nan"), 4]}, "not finite"),
        ({"cls": "face", "box": [101, 2, 120, 4]}, "outside of the picture"),
        ({"cls": "Licence", "box": [1, 2, 3, 4]}, "class 'Licence' may be"),
        ({"cls": "any", "box": [1, 2, 3, 4]}, "only what is ignored"),
        ({"cls": "", "box": [1, 2, 3, 4]}, "without a class name"),
    ],
)
def test_a_box_that_would_be_lost_is_refused_by_its_place(tmp_path: Path, box: object, message: str) -> None:
    """Impossible boxes and misspelt classes end in one line that names file, entry, picture and box."""
    path = written(tmp_path, [ENTRY, *with_boxes({"cls": "car", "box": []}, box)])
    with pytest.raises(StreetveilError, match=rf"entry 2, images/a\.jpg: .*box 2.*{message}") as raised:
        list(read_labels(path))
    assert "\n" not in str(raised.value)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    """Every attribute comes back as it was, boxes to the last bit, and a second writing gives the same bytes."""
    boxes = [
        LabelledBox((1 / 3, 2.2, 30.7, 40), "license_plate", marks={"tilt_deg": [3, -4]}),
        LabelledBox((5, 6, 7.1, 8), "face", ignored=True),
        LabelledBox((50, 60, 70, 80), "face"),
    ]
    more: dict[str, Any] = {"region": "jp", "video": "v", "t": 3.5, "night": False, "mean_luma": 7.25}
    image = labelled_image(
        "x/ä.jpg", (100, 80), "here", boxes, exhaustive=frozenset({"face"}), attributes={"group": "g"}, **more
    )
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    write_labels(first, [image])
    (again,) = read_labels(first, folder="")
    for name in ("path", "width", "height", "source", "exhaustive", "attributes", "marks", *more):
        assert getattr(again, name) == getattr(image, name), name
    assert again.objects.xyxy.tobytes() == image.objects.xyxy.tobytes()
    assert again.objects.class_id.tolist() == image.objects.class_id.tolist()
    assert again.ignored.tobytes() == image.ignored.tobytes()
    write_labels(second, [again])
    assert first.read_bytes() == second.read_bytes()
    write_labels(second, [])
    assert list(read_labels(second)) == []


def test_marks_belong_to_objects() -> None:
    """As many marks as objects, or none: another number is a fault of the program."""
    image = labelled_image("a", (9, 9), "s", [LabelledBox((1, 1, 2, 2), "face")])
    with pytest.raises(ValueError, match="2 marks for 1 objects"):
        replace(image, marks=({}, {}))
