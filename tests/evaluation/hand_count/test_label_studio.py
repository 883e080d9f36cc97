"""What goes through Label Studio comes back as it went, and what cannot be understood is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.dataset.formats.label_studio import from_value, read_export
from components.errors import StreetveilError
from components.evaluation.hand_count.answers import Answer, AreaMark, Mark, Missed, fault
from components.evaluation.hand_count.label_studio import (
    MISSED,
    ON_AREA,
    answers_from,
    label_config,
    tasks,
)
from components.evaluation.hand_count.sample import Area, Sample, SampledImage, make_sample
from tests.evaluation.hand_count.conftest import answer_to, image_at, sample_of


@st.composite
def counted(draw: st.DrawFn) -> tuple[Sample, Answer]:
    """A picture with areas that do not lie upon each other, and marks on it."""
    width, height = draw(st.integers(200, 9000)), draw(st.integers(40, 9000))
    step = width // 5
    areas = [
        Area(draw(st.sampled_from(["face", "license_plate"])), step * i, 1, step * i + draw(st.integers(3, step)), 30)
        for i in range(draw(st.integers(0, 4)))
    ]
    sha = "0" * 64
    image = SampledImage("a b/ü#1.jpg", sha, sha, "JPEG", width, height, 1, "m 1", "eu", tuple(areas))
    sample = make_sample([image], 9, 1, "nothing", Path("/o"), Path("/p"))
    marks: list[Mark] = []
    for i in range(len(areas)):
        if what := draw(st.sampled_from([None, "wrong_blur", "recognisable"])):
            marks.append(AreaMark(i, what))
    for _ in range(draw(st.integers(0, 3))):
        x1, y1 = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
        x2, y2 = draw(st.integers(x1 + 1, width)), draw(st.integers(y1 + 1, height))
        marks.append(Missed(draw(st.sampled_from(["face", "license_plate"])), x1, y1, x2, y2))
    return sample, Answer(sample.sample_id, image.path, 1, True, tuple(marks), draw(st.floats(0, 1e4)))


@settings(max_examples=150)
@given(counted(), st.randoms())
def test_a_round_trip_gives_the_same_answer(given: tuple[Sample, Answer], random: Any) -> None:
    """Every answer survives, though Label Studio renames and reorders the boxes."""
    sample, answer = given
    exported = json.loads(json.dumps(tasks(sample, "o/", "p/", {answer.path: answer})))
    result = exported[0]["annotations"][0]["result"]
    random.shuffle(result)
    for i, box in enumerate(result):
        box["id"] = f"Dx_{i}"
    [back] = answers_from(sample, exported)
    assert (back.path, back.counted, back.seconds) == (answer.path, True, answer.seconds)
    assert back.area_marks() == answer.area_marks()
    assert sorted(map(repr, back.missed())) == sorted(map(repr, answer.missed()))
    assert fault(back, sample) is None


def test_a_task_is_what_label_studio_reads() -> None:
    """Addresses are escaped, boxes are in percent, and every label of a task is in the interface."""
    sample = make_sample([image_at("a b/ü#1.png")], 9, 1, "nothing", Path("/o"), Path("/p"))
    [task] = tasks(sample, "/data/local-files/?d=o/", "/p/")
    assert task["data"]["original"] == "/data/local-files/?d=o/a%20b/%C3%BC%231.png"
    assert "annotations" not in task
    face, plate = task["predictions"][0]["result"]
    assert task["predictions"][0]["model_version"] == "toy 1"
    assert face["value"] == {
        "x": 6.25, "y": pytest.approx(25 / 3), "width": 12.5, "height": 20, "rotation": 0,
        "rectanglelabels": ["blurred face"],
    }  # fmt: skip
    assert (face["original_width"], face["original_height"]) == (160, 120)
    config = ElementTree.fromstring(label_config())
    labels = {label.get("value") for label in config.iter("Label")}
    assert labels >= {*MISSED.values(), *ON_AREA.values(), *face["value"]["rectanglelabels"]}
    assert plate["value"]["rectanglelabels"][0] in labels
    names = {tag.get("name") for tag in config.iter("Image")} | {tag.get("name") for tag in config.iter()}
    assert {face["from_name"], face["to_name"]} <= names


def exported(**changes: Any) -> tuple[Sample, list[dict[str, Any]]]:
    """An export of one picture whose face is recognisable."""
    sample = sample_of(1)
    answer = answer_to(sample, 0, AreaMark(0, "recognisable"))
    made = tasks(sample, "", "", {answer.path: answer})
    made[0]["annotations"][0].update(changes)
    return sample, made


def test_skipped_and_untouched_tasks_are_not_counted() -> None:
    """A cancelled annotation, or none, is no answer; an empty picture that was submitted is one."""
    sample, made = exported(was_cancelled=True)
    assert answers_from(sample, made) == []
    made[0]["annotations"] = []
    assert answers_from(sample, made) == []
    empty = sample_of(1, areas=())
    made = tasks(empty, "", "")
    made[0]["annotations"] = [{"result": []}]
    [answer] = answers_from(empty, made)
    assert answer.counted
    assert answer.marks == ()


def test_of_several_annotations_the_newest_counts() -> None:
    """The one that was changed last is the answer."""
    sample, made = exported(updated_at="2026-01-02T00:00:00Z")
    older = {**made[0]["annotations"][0], "updated_at": "2026-01-01T00:00:00Z", "result": []}
    made[0]["annotations"].append(older)
    assert answers_from(sample, made)[0].area_marks() == {0: "recognisable"}


def test_a_nudged_box_is_still_its_area_and_a_deleted_one_is_refused() -> None:
    """A few px do not matter; a box that was deleted, doubled or moved away is a question for the annotator."""
    sample, made = exported()
    result = made[0]["annotations"][0]["result"]
    result[0]["value"]["x"] += 1.5
    assert answers_from(sample, made)[0].area_marks() == {0: "recognisable"}
    for wrong in (
        result[:1],
        [*result, result[0]],
        [{**result[0], "value": {**result[0]["value"], "x": 70}}, result[1]],
    ):
        made[0]["annotations"][0]["result"] = wrong
        with pytest.raises(StreetveilError, match=r"day/000\.png: 2 areas are blurred, .* change the label"):
            answers_from(sample, made)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"image_rotation": 90}, "was turned"),
        ({"value": {"x": 1, "rectanglelabels": ["wrong blur"]}}, "lacks x, y"),
        ({"value": {"x": 1, "y": 1, "width": float("nan"), "height": 1, "rectanglelabels": ["wrong blur"]}}, "finite"),
        ({"value": {"rectanglelabels": ["cat"]}}, "one label of the configuration"),
        ({"value": {"rectanglelabels": []}}, "one label of the configuration"),
    ],
)
def test_what_cannot_be_understood_is_refused(change: dict[str, Any], told: str) -> None:
    """Turned pictures, broken boxes and foreign labels end in one line that names the picture."""
    sample, made = exported()
    made[0]["annotations"][0]["result"][0].update(change)
    with pytest.raises(StreetveilError, match=told):
        answers_from(sample, made)


def test_a_foreign_task_is_refused() -> None:
    """Tasks of another sample are not mixed in."""
    _, made = exported()
    with pytest.raises(StreetveilError, match="not of this sample"):
        answers_from(sample_of(2), made)


def test_a_turned_box_is_the_upright_one_around_it() -> None:
    """Label Studio turns around the upper left corner, clockwise: by 90° a wide box stands to the left of it."""
    value = {"x": 50, "y": 50, "width": 10, "height": 5, "rotation": 90}
    image = image_at("a")
    assert from_value(value, (image.width, image.height), "a") == pytest.approx((80 - 6, 60, 80, 60 + 16))


@pytest.mark.parametrize("content", ["", "{}", "[1]", '[{"id": 1}]'])
def test_other_files_are_no_export(content: str, tmp_path: Path) -> None:
    """Broken JSON and other shapes are refused with the format to choose."""
    (tmp_path / "e.json").write_text(content)
    with pytest.raises(StreetveilError, match="as JSON, not JSON-MIN"):
        read_export(tmp_path / "e.json")
