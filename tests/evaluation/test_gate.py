"""The gate says failed for what fails, passed for what was measured and passes, and neither for what is not known."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from components.dataset.labels import LabelledImage
from components.detections import CLASS_NAMES, FACE, LICENSE_PLATE, Detections
from components.errors import StreetveilError
from components.evaluation.detector_metrics import figures_of
from components.evaluation.gate import judge
from components.evaluation.gate_figures import export_figure, figures_of_metrics, gate_figures
from components.evaluation.intervals import gap_interval
from components.evaluation.object_table import measured
from components.evaluation.slices import OF_PEOPLE, OF_PICTURES, slice_table
from components.evaluation.verdict import Figure, Outcome, Overall, Requirement, Verdict
from components.settings import PROJECT_ROOT, SLICES, Gate, Metric, Params

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


MEASURED_ELSEWHERE = {
    "reidentification_ratio": Figure(1.0),
    "export_recall_loss": Figure(0.0),
    "images_per_s": Figure(1.0),
}


def told_of(case: Case, params: Params) -> dict[str, Figure]:
    """All figures of a case at the strict region, and those that other measurements tell."""
    region = params.regions["strict"]
    both = measured(*case, region)
    return {**gate_figures(figures_of(both, region), slice_table(both.objects)), **MEASURED_ELSEWHERE}


def judged(case: Case, params: Params) -> Verdict:
    """The verdict on a case, beside itself as champion."""
    told = told_of(case, params)
    return judge(told, told, params.gate)


def row(table: Verdict, key: str) -> Requirement:
    """A row by its key."""
    return next(row for row in table.rows if row.key == key)


def requirement(outcome: Outcome, metric: Metric = Metric.FACE_OBJECT_RECALL) -> Requirement:
    """A row that has come to something."""
    return Requirement("g", metric.value, "Faces", metric, 0.9, 0.02, 0.95, (0.9, 1.0), None, outcome, "100 faces")


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
    assert {row.outcome for row in table.rows} == {Outcome.PASSED}
    assert table.overall is Overall.PASSED
    assert table.as_figures()["overall"] == "passed"
    assert table.as_figures()["face.object_recall"] == {
        "measured": 1.0, "bound": 0.9, "verdict": "passed", "champion": 1.0,
    }  # fmt: skip


def test_a_planted_bias_is_found_and_fails_the_gate(params: Params) -> None:
    """One group in five is dropped for one value of a mark; recall as a whole stays, and the gate fails by that row."""
    people = [{**all_marks(i), "skin_type": "V" if i < 100 else "II"} for i in range(500)]
    hidden = [i % 5 != 0 if i < 100 else True for i in range(500)]
    table = judged(street(people, hidden), params)
    assert table.overall is Overall.FAILED
    assert [row.key for row in table.with_outcome(Outcome.FAILED)] == ["face.gap.skin_type"]
    failed = row(table, "face.gap.skin_type")
    assert failed.measured == pytest.approx(0.2)
    assert failed.interval is not None
    assert failed.interval[0] > 0.05
    assert "V is missed more often" in failed.note
    assert row(table, "face.object_recall").outcome is Outcome.PASSED


def test_a_gap_of_2_points_on_30_faces_is_too_few_to_say(params: Params) -> None:
    """A planted gap that 30 faces cannot show is neither passed nor failed."""
    people = [{**all_marks(i), "gender": "x" if i < 30 else "y"} for i in range(530)]
    hidden = [i not in {0} if i < 30 else i % 75 != 0 for i in range(530)]
    table = judged(street(people, hidden), params)
    told = row(table, "face.gap.gender")
    assert told.outcome is Outcome.TOO_FEW
    assert told.outcome.value == "too few to say"
    assert "x" in told.note
    assert table.overall is Overall.NEEDS_ACCEPTANCE


def test_a_gap_that_may_be_chance_is_too_few_to_say(params: Params) -> None:
    """Six points less among 60 faces are no proof, and no pass either."""
    people = [{**all_marks(i), "age": "old" if i < 60 else "young"} for i in range(200)]
    hidden = [i not in {0, 1, 2, 3} for i in range(200)]
    told = row(judged(street(people, hidden), params), "face.gap.age")
    assert told.measured == pytest.approx(4 / 60)
    assert (told.outcome, "by chance" in told.note) == (Outcome.TOO_FEW, True)


def test_a_tolerated_gap_passes_however_sure(params: Params) -> None:
    """Four points that are no chance stay within the tolerated five, and are named."""
    people = [{**all_marks(i), "mask": "on" if i < 500 else "off"} for i in range(1500)]
    hidden = [i % 25 != 0 if i < 500 else True for i in range(1500)]
    told = row(judged(street(people, hidden), params), "face.gap.mask")
    assert (told.outcome, told.note) == (Outcome.PASSED, "largest for on (500 faces)")
    assert told.measured == pytest.approx(0.04)


def test_what_no_label_says_is_not_assessed_and_never_passed(params: Params) -> None:
    """Without marks of people, and without a plate, the rows say so, and the whole needs a named acceptance."""
    table = judged(street(everybody(80), [True] * 80, plates=False), params)
    unknown = {row.key for row in table.with_outcome(Outcome.NOT_ASSESSED)}
    assert unknown == {f"face.gap.{mark}" for mark in OF_PEOPLE} | {
        "license_plate.object_recall",
        "license_plate.pixel_recall",
        "license_plate.object_recall.size",
    }
    assert table.overall is Overall.NEEDS_ACCEPTANCE
    assert all(row.measured is None for row in table.with_outcome(Outcome.NOT_ASSESSED))


def test_the_gate_sees_false_blur(params: Params) -> None:
    """A model that hides whole pictures has full recall and fails by pixel FPR and false-blur share."""
    images, _ = street([all_marks(i) for i in range(120)], [True] * 120)
    seen = {image.path: Detections.of([[0, 0, PX, PX]], 0.9, FACE) for image in images}
    table = judged((images, seen), params)
    assert {row.key for row in table.with_outcome(Outcome.FAILED)} == {"pixel_fpr", "false_blur_share"}


def test_without_complete_labels_false_blur_is_not_assessed(params: Params) -> None:
    """Where nobody has looked for all objects there is no background, and no pass for it."""
    images, seen = street([all_marks(i) for i in range(120)], [True] * 120)
    partly = [LabelledImage(i.path, PX, PX, "s", i.objects, NOTHING, frozenset(), marks=i.marks) for i in images]
    table = judged((partly, seen), params)
    assert {row.key for row in table.with_outcome(Outcome.NOT_ASSESSED)} == {"pixel_fpr", "false_blur_share"}


def test_few_objects_fail_only_where_they_are_sure(params: Params) -> None:
    """Of 20 faces, 19 hidden say nothing; 2 hidden fail the recall, however few they are."""
    nearly = judged(street([all_marks(i) for i in range(20)], [i > 0 for i in range(20)]), params)
    hardly = judged(street([all_marks(i) for i in range(20)], [i > 17 for i in range(20)]), params)
    assert row(nearly, "face.object_recall").outcome is Outcome.TOO_FEW
    assert "50 are needed" in row(nearly, "face.object_recall").note
    assert row(hardly, "face.object_recall").outcome is Outcome.FAILED


def test_no_pictures_at_all_pass_nothing(params: Params) -> None:
    """An empty test part is not assessed in any row that it should tell."""
    table = judged(([], {}), params)
    measured_there = [row for row in table.rows if row.key not in MEASURED_ELSEWHERE]
    assert {row.outcome for row in measured_there} == {Outcome.NOT_ASSESSED}
    assert table.overall is Overall.NEEDS_ACCEPTANCE


def test_the_interval_of_a_gap_is_newcombes() -> None:
    """Example (a) of table II in Newcombe 1998: 56 of 70 less 48 of 80 is 0.2, 0.0524 to 0.3339."""
    assert gap_interval((56, 70), (48, 80)) == pytest.approx((0.0524, 0.3339), abs=5e-5)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(list(Outcome)), min_size=1, max_size=6))
def test_the_whole_is_passed_only_if_all_is(outcomes: list[Outcome]) -> None:
    """For any rows: one failed fails all; passed needs all passed; everything else needs a named acceptance."""
    table = Verdict(tuple(requirement(outcome) for outcome in outcomes))
    expected = (
        Overall.FAILED
        if Outcome.FAILED in outcomes
        else Overall.PASSED
        if all(outcome is Outcome.PASSED for outcome in outcomes)
        else Overall.NEEDS_ACCEPTANCE
    )
    assert table.overall is expected
    assert table.passed is (expected is Overall.PASSED)
    assert len(table.reasons) == sum(outcome is not Outcome.PASSED for outcome in outcomes)


def test_slices_are_not_changed(params: Params) -> None:
    """Reading figures off leaves the table of slices as it was."""
    images, seen = street([all_marks(i) for i in range(60)], [True] * 60)
    region = params.regions["strict"]
    both = measured(images, seen, region)
    slices = slice_table(both.objects)
    before = slices.copy()
    gate_figures(figures_of(both, region), slices)
    pd.testing.assert_frame_equal(slices, before)


def rows_of(gates: list[Gate], figures: dict[str, Figure], champion: dict[str, Figure] | None) -> list[Outcome]:
    """What some requirements come to."""
    return [row.outcome for row in judge(figures, champion, gates).rows]


RECALL_GATE = Gate(metric=Metric.FACE_OBJECT_RECALL, at_least=0.9, max_regression=0.02)
FPR_GATE = Gate(metric=Metric.PIXEL_FPR, at_most=0.02, max_regression=0.005)


def recall(value: float, count: int = 1000) -> dict[str, Figure]:
    """A recall of faces."""
    return {"face.object_recall": Figure(value, (value - 0.01, value + 0.01), count, 50, "faces")}


@pytest.mark.parametrize(
    ("mine", "theirs", "count", "expected"),
    [
        (0.93, 0.95, 1000, Outcome.PASSED),  # exactly as much worse as may be
        (0.929, 0.95, 1000, Outcome.FAILED),
        (0.99, 0.95, 1000, Outcome.PASSED),
        (0.89, 0.85, 1000, Outcome.FAILED),  # better than the champion, and not good enough
    ],
)
def test_a_recall_must_hold_its_bound_and_the_champions(
    mine: float, theirs: float, count: int, expected: Outcome
) -> None:
    """A fall of two points passes, a little more fails, and being better than the champion excuses no missed bound."""
    assert rows_of([RECALL_GATE], recall(mine, count), recall(theirs, count)) == [expected]


def test_what_should_be_low_regresses_upwards() -> None:
    """A pixel FPR below its bound fails if the champion's is lower by more than is tolerated; a lower one passes."""
    low, high = ({"pixel_fpr": Figure(value, None, 100, 30, "pictures")} for value in (0.01, 0.018))
    assert rows_of([FPR_GATE], high, low) == [Outcome.FAILED]
    assert rows_of([FPR_GATE], low, high) == [Outcome.PASSED]


def test_without_a_comparable_champion_nothing_is_said_of_regressions() -> None:
    """No champion leaves the bound to decide; one measured on other pictures, or without the figure, is none."""
    assert rows_of([RECALL_GATE], recall(0.95), None) == [Outcome.PASSED]
    (other,) = judge(recall(0.95), recall(0.95, count=999), [RECALL_GATE]).rows
    assert (other.outcome, "same pictures" in other.note) == (Outcome.NOT_ASSESSED, True)
    without = {**recall(0.95), "pixel_fpr": Figure(0.01, None, 100, 30, "pictures")}
    assert rows_of([FPR_GATE], without, recall(0.95)) == [Outcome.NOT_ASSESSED]
    alone = Gate(metric=Metric.FACE_OBJECT_RECALL, max_regression=0.02)
    assert rows_of([alone], recall(0.95), None) == [Outcome.NOT_ASSESSED]


def test_a_slice_that_falls_behind_another_worst_one_is_found(params: Params) -> None:
    """The worst size stays the worst; another one falls by ten points, the row fails and names it."""

    def seen(large: float) -> dict[str, Figure]:
        values = {"0–8 px": 0.6, "from 64 px": large}
        figures = {f"face.object_recall.size={k}": Figure(v, None, 100, 50, "faces", k) for k, v in values.items()}
        return {**figures, "face.object_recall.size": figures["face.object_recall.size=0–8 px"]}

    (gate,) = [gate for gate in params.gate if gate.key == "face.object_recall.size"]
    verdict = judge(seen(0.88), seen(0.98), [gate])
    assert verdict.overall is Overall.FAILED
    assert verdict.rows[0].measured == 0.6
    assert "at from 64 px, 10 points worse than the champion (98.0" in verdict.reasons[0]
    one = Gate(metric=Metric.FACE_OBJECT_RECALL, slice="size=from 64 px", at_least=0.95)
    assert rows_of([one], seen(0.94), None) == [Outcome.FAILED]


def test_what_was_not_measured_is_not_assessed(params: Params) -> None:
    """Irreversibility, export and speed are rows that no figure is invented for."""
    verdict = judge({}, None, params.gate)
    assert {row.outcome for row in verdict.rows} == {Outcome.NOT_ASSESSED}
    assert {"reidentification_ratio", "export_recall_loss", "images_per_s"} <= {row.key for row in verdict.rows}
    assert "no figure was given" in " ".join(verdict.reasons)
    gates = [gate for gate in params.gate if gate.key in MEASURED_ELSEWHERE]
    worse = {"reidentification_ratio": Figure(3.0), "export_recall_loss": Figure(0.02), "images_per_s": Figure(0.1)}
    assert rows_of(gates, MEASURED_ELSEWHERE, None) == [Outcome.PASSED] * 3
    assert rows_of(gates, worse, None) == [Outcome.FAILED] * 3


def test_a_verdict_survives_its_file_and_cannot_be_talked_over(params: Params) -> None:
    """What is read is what was written, to the last figure; a word that the rows do not come to is refused."""
    people = [{**all_marks(i), "skin_type": "V" if i < 100 else "II"} for i in range(200)]
    verdict = judged(street(people, [i % 5 != 0 if i < 100 else True for i in range(200)]), params)
    text = verdict.to_json()
    assert Verdict.from_json(text) == verdict
    assert Verdict.from_json(text).figures["face.gap.skin_type"].proven is not None
    for wrong in (text.replace('"overall": "failed"', '"overall": "passed"'), text[:-20], "[]", "{}"):
        with pytest.raises(StreetveilError, match="evaluate the model anew"):
            Verdict.from_json(wrong)


def test_the_shipped_model_is_judged_as_it_was(params: Params) -> None:
    """The rows that its metrics.json tells come to what stands there; it is no worse than itself."""
    told = json.loads((PROJECT_ROOT / "components/detection/weights/metrics.json").read_text(encoding="utf-8"))
    figures = figures_of_metrics(told["cascade"])
    verdict = judge(figures, figures, params.gate)
    of_its_own = [key for key in told["gate"]["own"] if key != "overall" and ".gap." not in key and ".size" not in key]
    stated = {key: told["gate"]["own"][key] for key in of_its_own}
    assert len(stated) == 9
    assert {key: verdict.as_figures()[key] | {"champion": None} for key in stated} == {
        key: {**value, "champion": None} for key, value in stated.items()
    }
    assert row(verdict, "face.object_recall.size").outcome is Outcome.PASSED
    assert {gate.key: gate.bound for gate in params.gate if ".gap." in gate.key} == {
        key: value["bound"] for key, value in told["gate"]["own"].items() if ".gap." in key
    }


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"metric": "face.object_recall", "at_most": 0.9}, "would pass what is worse; write at_least"),
        ({"metric": "pixel_fpr", "at_least": 0.9}, "write at_most"),
        ({"metric": "pixel_fpr"}, "asks for nothing"),
        ({"metric": "pixel_fpr", "at_most": 0.1, "slice": "size"}, "not known of slices"),
        ({"metric": "face.object_recall", "at_least": 0.1, "slice": "shoe=42"}, "no slice"),
        ({"metric": "face.gap", "at_most": 0.1}, "a gap is between"),
        ({"metric": "face.recall", "at_least": 0.1}, "metric"),
    ],
)
def test_a_requirement_that_cannot_be_meant_is_refused(values: dict[str, object], words: str) -> None:
    """A bound on the wrong side, on nothing, or on what is not measured is an error that names it."""
    with pytest.raises(ValidationError, match=words):
        Gate.model_validate(values)


def test_the_slices_that_can_be_asked_for_are_those_that_are_measured() -> None:
    """The settings know every attribute of the table of slices, and no other."""
    assert set(SLICES) == {*OF_PEOPLE, *OF_PICTURES}


def test_an_export_is_judged_by_the_class_that_loses_most() -> None:
    """Two points less of the plates are told, whatever the faces gain; without a label nothing is."""
    before, after = {"face": 0.90, "license_plate": 0.95}, {"face": 0.92, "license_plate": 0.93}
    told = export_figure({"pixel_recall": after}, {"pixel_recall": before})
    assert (told.value, told.note.startswith("most for licence plates")) == (pytest.approx(0.02), True)
    nothing = dict.fromkeys(before)
    assert export_figure({"pixel_recall": nothing}, {"pixel_recall": nothing}).value is None
