"""The gate says failed for what fails, passed for what was measured and passes, and neither for what is not known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.dataset.labels import LabelledImage
from components.detections import CLASS_NAMES, FACE, LICENSE_PLATE, Detections
from components.evaluation.detector_metrics import figures_of
from components.evaluation.gate import GateTable, Overall, Requirement, Verdict, gate_table
from components.evaluation.intervals import gap_interval
from components.evaluation.object_table import measured
from components.evaluation.slices import OF_PEOPLE, slice_table
from components.settings import Params

BOTH = frozenset(CLASS_NAMES)
NOTHING = np.zeros((0, 4), np.float32)
PX = 240
FACE_BOX, PLATE_BOX = [10, 10, 30, 30], [60, 60, 90, 75]
Case = tuple[list[LabelledImage], dict[str, Detections]]


def street(people: list[dict[str, object]], hidden: list[bool], plates: bool = True) -> Case:
    """One completely labelled picture for each face, with a plate that is always found."""
    images, seen = [], {}
    for i, (marks, found) in enumerate(zip(people, hidden, strict=True)):
        boxes, classes = ([FACE_BOX, PLATE_BOX], [FACE, LICENSE_PLATE]) if plates else ([FACE_BOX], [FACE])
        path = f"{i}.png"
        told = (marks, {})[: len(boxes)]
        objects = Detections.of(boxes, 1.0, classes)
        images.append(LabelledImage(path, PX, PX, "s", objects, NOTHING, BOTH, marks=told))
        shown = [True, *[True] * (len(boxes) - 1)] if found else [False, *[True] * (len(boxes) - 1)]
        seen[path] = objects.select(shown)
    return images, seen


def judged(case: Case, params: Params) -> GateTable:
    """The gate of a case at the strict region."""
    region = params.regions["strict"]
    both = measured(*case, region)
    return gate_table(figures_of(both, region), slice_table(both.objects), params.gate)


def row(table: GateTable, key: str) -> Requirement:
    """A row by its key."""
    return next(row for row in table.rows if row.key == key)


def everybody(count: int, **marks: object) -> list[dict[str, object]]:
    """People of whom a label says the same."""
    return [dict(marks)] * count


def all_marks(i: int) -> dict[str, object]:
    """One of two values for every mark of people."""
    return dict.fromkeys(OF_PEOPLE, "ab"[i % 2])


def test_a_model_that_hides_everything_and_is_fully_assessed_passes(params: Params) -> None:
    """With every mark labelled, enough of each group, and nothing missed, the word is passed."""
    people = [all_marks(i) for i in range(120)]
    table = judged(street(people, [True] * 120), params)
    assert {row.verdict for row in table.rows} == {Verdict.PASSED}
    assert table.overall is Overall.PASSED
    assert table.as_figures()["overall"] == "passed"
    assert table.as_figures()["face.object_recall"] == {"measured": 1.0, "bound": 0.9, "verdict": "passed"}


def test_a_planted_bias_is_found_and_fails_the_gate(params: Params) -> None:
    """One group in five is dropped for one value of a mark; recall as a whole stays, and the gate fails by that row."""
    people = [{**all_marks(i), "skin_type": "V" if i < 100 else "II"} for i in range(500)]
    hidden = [i % 5 != 0 if i < 100 else True for i in range(500)]
    table = judged(street(people, hidden), params)
    assert table.overall is Overall.FAILED
    assert [row.key for row in table.with_verdict(Verdict.FAILED)] == ["face.gap.skin_type"]
    failed = row(table, "face.gap.skin_type")
    assert failed.measured == pytest.approx(0.2)
    assert failed.interval is not None
    assert failed.interval[0] > params.gate.max_gap_between_people
    assert "V is missed more often" in failed.note
    assert row(table, "face.object_recall").verdict is Verdict.PASSED


def test_a_gap_of_2_points_on_30_faces_is_too_few_to_say(params: Params) -> None:
    """A planted gap that 30 faces cannot show is neither passed nor failed."""
    people = [{**all_marks(i), "gender": "x" if i < 30 else "y"} for i in range(530)]
    hidden = [i not in {0} if i < 30 else i % 75 != 0 for i in range(530)]
    table = judged(street(people, hidden), params)
    told = row(table, "face.gap.gender")
    assert told.verdict is Verdict.TOO_FEW
    assert told.verdict.value == "too few to say"
    assert "x" in told.note
    assert table.overall is Overall.NEEDS_ACCEPTANCE


def test_a_gap_that_may_be_chance_is_too_few_to_say(params: Params) -> None:
    """Six points less among 60 faces are no proof, and no pass either."""
    people = [{**all_marks(i), "age": "old" if i < 60 else "young"} for i in range(200)]
    hidden = [i not in {0, 1, 2, 3} for i in range(200)]
    told = row(judged(street(people, hidden), params), "face.gap.age")
    assert told.measured == pytest.approx(4 / 60)
    assert (told.verdict, "by chance" in told.note) == (Verdict.TOO_FEW, True)


def test_a_tolerated_gap_passes_however_sure(params: Params) -> None:
    """Four points that are no chance stay within the tolerated five, and are named."""
    people = [{**all_marks(i), "mask": "on" if i < 500 else "off"} for i in range(1500)]
    hidden = [i % 25 != 0 if i < 500 else True for i in range(1500)]
    told = row(judged(street(people, hidden), params), "face.gap.mask")
    assert (told.verdict, told.note) == (Verdict.PASSED, "largest for on")
    assert told.measured == pytest.approx(0.04)


def test_what_no_label_says_is_not_assessed_and_never_passed(params: Params) -> None:
    """Without marks of people, and without a plate, the rows say so, and the whole needs a named acceptance."""
    table = judged(street(everybody(80), [True] * 80, plates=False), params)
    unknown = {row.key for row in table.with_verdict(Verdict.NOT_ASSESSED)}
    assert unknown == {f"face.gap.{mark}" for mark in OF_PEOPLE} | {
        "license_plate.object_recall",
        "license_plate.pixel_recall",
    }
    assert table.overall is Overall.NEEDS_ACCEPTANCE
    assert all(row.measured is None for row in table.with_verdict(Verdict.NOT_ASSESSED))


def test_the_gate_sees_false_blur(params: Params) -> None:
    """A model that hides whole pictures has full recall and fails by pixel FPR and false-blur share."""
    images, _ = street([all_marks(i) for i in range(120)], [True] * 120)
    seen = {image.path: Detections.of([[0, 0, PX, PX]], 0.9, FACE) for image in images}
    table = judged((images, seen), params)
    assert {row.key for row in table.with_verdict(Verdict.FAILED)} == {"pixel_fpr", "false_blur_share"}


def test_without_complete_labels_false_blur_is_not_assessed(params: Params) -> None:
    """Where nobody has looked for all objects there is no background, and no pass for it."""
    images, seen = street([all_marks(i) for i in range(120)], [True] * 120)
    partly = [LabelledImage(i.path, PX, PX, "s", i.objects, NOTHING, frozenset(), marks=i.marks) for i in images]
    table = judged((partly, seen), params)
    assert {row.key for row in table.with_verdict(Verdict.NOT_ASSESSED)} == {"pixel_fpr", "false_blur_share"}


def test_few_objects_fail_only_where_they_are_sure(params: Params) -> None:
    """Of 20 faces, 19 hidden say nothing; 2 hidden fail the recall, however few they are."""
    nearly = judged(street([all_marks(i) for i in range(20)], [i > 0 for i in range(20)]), params)
    hardly = judged(street([all_marks(i) for i in range(20)], [i > 17 for i in range(20)]), params)
    assert row(nearly, "face.object_recall").verdict is Verdict.TOO_FEW
    assert "50 are needed" in row(nearly, "face.object_recall").note
    assert row(hardly, "face.object_recall").verdict is Verdict.FAILED


def test_no_pictures_at_all_pass_nothing(params: Params) -> None:
    """An empty test part is not assessed in any row."""
    table = judged(([], {}), params)
    assert {row.verdict for row in table.rows} == {Verdict.NOT_ASSESSED}
    assert table.overall is Overall.NEEDS_ACCEPTANCE


def test_the_interval_of_a_gap_is_newcombes() -> None:
    """Example (a) of table II in Newcombe 1998: 56 of 70 less 48 of 80 is 0.2, 0.0524 to 0.3339."""
    assert gap_interval((56, 70), (48, 80)) == pytest.approx((0.0524, 0.3339), abs=5e-5)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(list(Verdict)), min_size=1, max_size=6))
def test_the_whole_is_passed_only_if_all_is(verdicts: list[Verdict]) -> None:
    """For any rows: one failed fails all; passed needs all passed; everything else needs a named acceptance."""
    table = GateTable(tuple(Requirement("g", "k", "t", True, 0.9, None, None, verdict, "") for verdict in verdicts))
    expected = (
        Overall.FAILED
        if Verdict.FAILED in verdicts
        else Overall.PASSED
        if all(verdict is Verdict.PASSED for verdict in verdicts)
        else Overall.NEEDS_ACCEPTANCE
    )
    assert table.overall is expected


def test_slices_are_not_changed(params: Params) -> None:
    """Judging leaves the table of slices as it was."""
    images, seen = street([all_marks(i) for i in range(60)], [True] * 60)
    region = params.regions["strict"]
    both = measured(images, seen, region)
    slices = slice_table(both.objects)
    before = slices.copy()
    gate_table(figures_of(both, region), slices, params.gate)
    pd.testing.assert_frame_equal(slices, before)
