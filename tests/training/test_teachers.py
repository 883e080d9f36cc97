"""Teachers fill in what people have not labelled, and never change what people have said."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from components.dataset.labels import LabelledImage, read_labels, write_labels
from components.detection.cascade import Proposals
from components.detections import CLASS_NAMES, FACE, LICENSE_PLATE, Detections
from components.evaluation import looks
from components.evaluation.sightings import read_sightings
from components.imaging.reading import Pixels
from components.settings import Params, Teachers
from components.training import teachers
from components.training.images import TrainingImage
from components.training.teachers import filled, main
from tests.training.conftest import Render

RULES = Teachers(fill=True, sure_from=0.5, doubt_from=0.2, box_weight=0.7)
OWN_FACE = [10, 10, 30, 30]
KEPT = "taught/seen.jsonl"
IGNORED = [60, 10, 80, 30]


def image(exhaustive: tuple[str, ...] = ("face",)) -> TrainingImage:
    """A picture of 200 × 100 px with a face that people have labelled, and a place that they have ignored."""
    return TrainingImage.of(Path("a.png"), (200, 100), [OWN_FACE], [FACE], [2.0], [IGNORED], exhaustive)


def taught(*rows: tuple[list[float], float, int]) -> Detections:
    """What teachers have seen: box, confidence and class."""
    return Detections.of([row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows])


def test_what_people_said_stays() -> None:
    """Objects, weights and ignored boxes of people come first and unchanged, whatever a teacher says."""
    lesson = taught(([100, 50, 140, 60], 0.9, LICENSE_PLATE), ([100, 80, 140, 90], 0.3, LICENSE_PLATE))
    for given in (image(), image(()), image(CLASS_NAMES)):
        found = filled(given, lesson, RULES)
        assert found.boxes[:1].tolist() == [OWN_FACE]
        assert found.class_id[:1].tolist() == [FACE]
        assert found.box_weight[:1].tolist() == [2]
        assert found.ignored[:1].tolist() == [IGNORED]
        assert (found.path, found.width, found.height) == (given.path, 200, 100)
        assert (len(given.boxes), len(given.ignored)) == (1, 1)  # the given one is not changed


@pytest.mark.parametrize("confidence", [0.5, 0.9])
def test_what_a_teacher_is_sure_of_becomes_an_object(confidence: float) -> None:
    """From the sure confidence on, a box becomes an object of its class, with the weight of the settings."""
    found = filled(image(), taught(([100, 50, 140, 60], confidence, LICENSE_PLATE)), RULES)
    assert found.boxes.tolist() == [OWN_FACE, [100, 50, 140, 60]]
    assert found.class_id.tolist() == [FACE, LICENSE_PLATE]
    np.testing.assert_allclose(found.box_weight, [2, 0.7])
    assert found.ignored.tolist() == [IGNORED]


@pytest.mark.parametrize("confidence", [0.2, 0.49])
def test_what_a_teacher_doubts_counts_neither_way(confidence: float) -> None:
    """Between the two confidences, a box becomes an ignored place, and no object."""
    found = filled(image(), taught(([100, 50, 140, 60], confidence, LICENSE_PLATE)), RULES)
    assert found.boxes.tolist() == [OWN_FACE]
    assert found.ignored.tolist() == [IGNORED, [100, 50, 140, 60]]


def test_what_a_teacher_hardly_sees_is_background() -> None:
    """Below the confidence of doubt, nothing comes of a box."""
    found = filled(image(), taught(([100, 50, 140, 60], 0.19, LICENSE_PLATE)), RULES)
    assert (len(found.boxes), len(found.ignored)) == (1, 1)
    assert not found.uncounted(200, 100)[50:60, 100:140].any()


@pytest.mark.parametrize("confidence", [0.3, 0.9])
@pytest.mark.parametrize(
    ("box", "passed_over"),
    [
        (OWN_FACE, True),
        (IGNORED, True),
        ([12, 12, 28, 28], True),
        ([24, 10, 44, 30], True),  # 30 % of it
        ([25, 10, 45, 30], False),  # 25 % of it
        ([40, 0, 100, 40], False),  # around a place that is a sixth of it
    ],
)
def test_a_place_that_people_spoke_of_is_passed_over(box: list[float], passed_over: bool, confidence: float) -> None:
    """A teacher's box of which 30 % lie on a person's label or ignored box is taken for the same, sure or not."""
    found = filled(image(()), taught((box, confidence, LICENSE_PLATE)), RULES)
    assert ((len(found.boxes), len(found.ignored)) == (1, 1)) == passed_over


def test_classes_that_people_labelled_are_not_touched() -> None:
    """Where every face is labelled, a teacher's face is a mistake; where every class is, nothing at all is taken."""
    lesson = taught(([100, 10, 120, 30], 0.9, FACE), ([100, 50, 140, 60], 0.9, LICENSE_PLATE))
    assert filled(image(("face",)), lesson, RULES).class_id.tolist() == [FACE, LICENSE_PLATE]
    assert filled(image(("license_plate",)), lesson, RULES).class_id.tolist() == [FACE, FACE]
    assert filled(image(()), lesson, RULES).class_id.tolist() == [FACE, FACE, LICENSE_PLATE]
    assert filled(image(CLASS_NAMES), lesson, RULES).class_id.tolist() == [FACE]
    doubts = taught(([100, 10, 120, 30], 0.3, FACE))
    assert filled(image(("face",)), doubts, RULES).ignored.tolist() == [IGNORED]


@pytest.mark.parametrize("exhaustive", [(), ("face",), ("license_plate",), CLASS_NAMES])
def test_afterwards_every_class_has_a_background(exhaustive: tuple[str, ...]) -> None:
    """Whatever was missing, after filling all classes are exhaustive, also if the teacher saw nothing."""
    for lesson in (Detections.empty(), taught(([100, 50, 140, 60], 0.9, LICENSE_PLATE))):
        found = filled(image(exhaustive), lesson, RULES)
        assert found.exhaustive == frozenset(CLASS_NAMES)
        assert not found.uncounted(200, 100)[70:].any()


def test_a_teachers_duplicates_are_one_object() -> None:
    """Of several boxes around one object, the surest one counts; a doubtful one beside a sure one adds nothing."""
    lesson = taught(
        ([100, 50, 140, 60], 0.9, LICENSE_PLATE),
        ([101, 50, 141, 60], 0.6, LICENSE_PLATE),
        ([99, 50, 139, 60], 0.3, LICENSE_PLATE),
    )
    found = filled(image(), lesson, RULES)
    assert found.boxes[1:].tolist() == [[100, 50, 141, 60]]
    assert len(found.ignored) == 1


class Cascade:
    """A stand-in that sees one plate in every picture, and counts how often it is asked."""

    def __init__(self, stops_after: int | None = None) -> None:
        self.asked: list[Pixels] = []
        self._stops_after = stops_after

    def examine(self, pixels: Pixels, _region: object) -> Proposals:
        """Look at a picture, or be interrupted."""
        if len(self.asked) == self._stops_after:
            raise KeyboardInterrupt
        self.asked.append(pixels)
        return Proposals.of_stage1(taught(([5, 6, 25, 16], 0.75, LICENSE_PLATE)))


@pytest.fixture
def teach(tmp_path: Path, rendered: Render, monkeypatch: pytest.MonkeyPatch) -> Callable[[Cascade], Path]:
    """Run the command on three pictures to train on, two to validate with, and one of the test part."""
    for part, count in (("train", 3), ("val", 2), ("test", 1)):
        images = [
            LabelledImage(str(image.path), image.width, image.height, "s", Detections.empty(), np.zeros((0, 4)))
            for image in rendered(count)
        ]
        write_labels(tmp_path / f"{part}.json", images)
    out = tmp_path / KEPT
    monkeypatch.setattr(sys, "argv", ["teachers", "--prepared", str(tmp_path), "--out", str(out.parent)])
    monkeypatch.setattr(teachers, "peer_files", lambda: (SimpleNamespace(role="stage1", sha256="0"),))

    def run(cascade: Cascade) -> Path:
        monkeypatch.setattr(looks, "load_cascade", lambda *_: cascade)
        main()
        return out

    return run


def test_teachers_look_at_training_and_validation(teach: Callable[[Cascade], Path], tmp_path: Path) -> None:
    """Every picture of the two parts is looked at once, and none of the test part, which keeps people's labels."""
    cascade = Cascade()
    lessons = read_sightings(teach(cascade))
    wanted = {image.path for part in ("train", "val") for image in read_labels(tmp_path / f"{part}.json", folder="")}
    assert set(lessons) == wanted
    assert len(cascade.asked) == len(wanted) == 5
    assert all(lesson.xyxy.tolist() == [[5, 6, 25, 16]] for lesson in lessons.values())
    assert all(lesson.confidence.tolist() == [0.75] for lesson in lessons.values())


@pytest.mark.parametrize("cut", [1, 25, None])
def test_an_interrupted_file_is_gone_on_with(teach: Callable[[Cascade], Path], cut: int | None, tmp_path: Path) -> None:
    """After an interruption, even in the middle of a line, only the pictures that are not on file are looked at."""
    with pytest.raises(KeyboardInterrupt):
        teach(Cascade(stops_after=3))
    (work,) = tmp_path.rglob("seen.jsonl")
    assert not (tmp_path / KEPT).exists()
    if cut:
        work.write_text(work.read_text()[:-cut])
    rest = Cascade()
    lessons = read_sightings(teach(rest))
    assert len(rest.asked) == (3 if cut else 2)
    assert len(lessons) == 5
    whole = [json.loads(line) for line in (tmp_path / KEPT).read_text().splitlines() if line.endswith("}")]
    assert len({entry["file"] for entry in whole}) == len(whole) == 5
    again = Cascade()
    teach(again)
    assert not again.asked


def test_lessons_become_labels(teach: Callable[[Cascade], Path], params: Params, tmp_path: Path) -> None:
    """What the command has written fills the labels of the prepared pictures."""
    lessons = read_sightings(teach(Cascade()))
    path, lesson = next(iter(lessons.items()))
    empty = TrainingImage.of(Path(path), (96, 80), [], [], exhaustive=())
    found = filled(empty, lesson, params.training.teachers)
    assert found.boxes.tolist() == [[5, 6, 25, 16]]
    np.testing.assert_allclose(found.box_weight, [params.training.teachers.box_weight])
