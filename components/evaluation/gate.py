"""Whether a model may be promoted: one row for every requirement, and one word for all of them.

The measured figure decides, where enough was measured; its 95 % interval stands beside it. Where too little was
measured, a figure that misses its bound with its whole interval fails all the same, and nothing else is decided. What
no label says anything of is not assessed. Only what is passed in every row is passed as a whole; a model in which
nothing failed and something could not be assessed needs a person who accepts that by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pandas as pd

from components.detections import CLASS_NAMES, FACE
from components.evaluation.detector_metrics import Figures
from components.evaluation.intervals import Interval, gap_interval
from components.evaluation.slices import LEAST_OBJECTS, MORE_OFTEN, NOT_ASSESSED, OF_PEOPLE, TOO_FEW
from components.settings import Gate

LEAST_IMAGES = 30  # completely labelled pictures; with fewer, one of them decides what the background tells
RECALL, FALSE_BLUR, PEOPLE = "How much is hidden", "What is hidden without need", "Gaps between groups of people"
_NAMES = {"face": "faces", "license_plate": "licence plates"}


class Verdict(StrEnum):
    """What a requirement has come to."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_ASSESSED = NOT_ASSESSED
    TOO_FEW = TOO_FEW


class Overall(StrEnum):
    """What all requirements together have come to."""

    PASSED = "passed"
    FAILED = "failed"
    NEEDS_ACCEPTANCE = "needs a named acceptance"


@dataclass(frozen=True, slots=True)
class Requirement:
    """One row of the gate table; all figures are shares, 0 to 1.

    Attributes:
        group: what kind of requirement it is.
        key: its name in files, such as "face.object_recall".
        title: its name for people.
        at_least: the bound is a least value; else a greatest one.
        bound: what is asked for.
        measured: the figure; None if nothing could be measured.
        interval: its 95 % interval, low and high; None if there is none.
        verdict: what it has come to.
        note: on what it rests, or what is lacking.
    """

    group: str
    key: str
    title: str
    at_least: bool
    bound: float
    measured: float | None
    interval: Interval | None
    verdict: Verdict
    note: str


@dataclass(frozen=True, slots=True)
class GateTable:
    """All requirements of one model."""

    rows: tuple[Requirement, ...]

    @property
    def overall(self) -> Overall:
        """Failed if any row failed, passed only if every row passed."""
        verdicts = {row.verdict for row in self.rows}
        if Verdict.FAILED in verdicts:
            return Overall.FAILED
        return Overall.PASSED if verdicts == {Verdict.PASSED} else Overall.NEEDS_ACCEPTANCE

    def with_verdict(self, *verdicts: Verdict) -> tuple[Requirement, ...]:
        """The rows that have come to one of some verdicts."""
        return tuple(row for row in self.rows if row.verdict in verdicts)

    def as_figures(self) -> Figures:
        """The table as `dvc metrics` can compare it."""
        rows = {
            row.key: {"measured": row.measured, "bound": row.bound, "verdict": row.verdict.value} for row in self.rows
        }
        return {"overall": self.overall.value, **rows}


def gate_table(figures: Figures, slices: pd.DataFrame, gate: Gate) -> GateTable:
    """Hold a model's figures against the bounds.

    Args:
        figures: from `detector_metrics.figures`.
        slices: from `slices.slice_table`.
        gate: the bounds.
    """
    recalls = [row for name in CLASS_NAMES for row in _recalls(figures[name], name, gate)]
    faces = slices[slices["class"] == CLASS_NAMES[FACE]]
    people = [_between_people(faces[faces["attribute"] == mark], mark, gate) for mark in OF_PEOPLE]
    return GateTable((*recalls, *_false(figures, gate), *people))


def _recalls(told: Figures, name: str, gate: Gate) -> Iterator[Requirement]:
    least, objects = gate.least(name), told["objects"]
    for key, title in (("object_recall", ""), ("pixel_recall", ", by area")):
        yield _judged(
            RECALL, f"{name}.{key}", f"{_NAMES[name].capitalize()}{title}", getattr(least, key), told[key],
            told[f"{key}_interval"], True, (objects, LEAST_OBJECTS, _NAMES[name]),
        )  # fmt: skip


def _false(told: Figures, gate: Gate) -> Iterator[Requirement]:
    rest = told["background_images"], LEAST_IMAGES, "completely labelled pictures"
    for key, title, bound in (
        ("pixel_fpr", "Background", gate.max_pixel_fpr),
        ("false_blur_share", "Of all that is hidden: no face, no plate", gate.max_false_blur_share),
    ):
        yield _judged(FALSE_BLUR, key, title, bound, told[key], told[f"{key}_interval"], False, rest)


def _judged(
    group: str, key: str, title: str, bound: float, measured: float | None, interval: Interval | None, at_least: bool,
    rests_on: tuple[int, int, str],
) -> Requirement:  # fmt: skip
    """A figure against its bound; rests_on: how many there were, how many are needed, and of what."""
    count, needed, what = rests_on
    if measured is None:
        note = "nothing is hidden in them" if count else f"no {what} in the test pictures"
        return Requirement(group, key, title, at_least, bound, None, None, Verdict.NOT_ASSESSED, note)
    keeps = measured >= bound if at_least else measured <= bound
    low, high = interval or (0.0, 1.0)
    surely_fails = high < bound if at_least else low > bound
    verdict = Verdict.PASSED if keeps else Verdict.FAILED
    note = f"{count:,} {what}"
    if count < needed and not surely_fails:
        verdict, note = Verdict.TOO_FEW, f"{note}; {needed} are needed"
    elif low <= bound <= high:
        note += "; the interval reaches over the bound"
    return Requirement(group, key, title, at_least, bound, measured, interval, verdict, note)


def _between_people(values: pd.DataFrame, mark: str, gate: Gate) -> Requirement:
    """The group that is missed most against all others, for one mark of people."""
    name, bound = mark.replace("_", " "), gate.max_gap_between_people

    def row(measured: float | None, interval: Interval | None, verdict: Verdict, *notes: str) -> Requirement:
        note = "; ".join(note for note in notes if note)
        return Requirement(
            PEOPLE, f"face.gap.{mark}", f"Faces, by {name}", False, bound, measured, interval, verdict, note
        )

    if not (values["objects"] > 0).any():
        return row(None, None, Verdict.NOT_ASSESSED, f"no label says the {name}")
    able = values[values["p"].notna()]
    few = values.loc[values["p"].isna(), "value"].tolist()
    lacking = f"too few faces ({LEAST_OBJECTS} are needed): {', '.join(few)}" if few else ""
    if not len(able):
        return row(None, None, Verdict.TOO_FEW, lacking)
    failed = able[(able["verdict"] == MORE_OFTEN) & (-able["gap"] > bound)]
    worst = (failed if len(failed) else able).sort_values("gap", kind="stable").iloc[0]
    measured, interval = max(0.0, -float(worst["gap"])), _gap_interval(worst, values)
    if len(failed):
        return row(measured, interval, Verdict.FAILED, f"{worst['value']} is missed more often than others", lacking)
    if measured > bound:
        return row(
            measured, interval, Verdict.TOO_FEW, f"{worst['value']} may be missed more often, or by chance", lacking
        )
    return row(measured, interval, Verdict.TOO_FEW if few else Verdict.PASSED, f"largest for {worst['value']}", lacking)


def _gap_interval(worst: pd.Series, values: pd.DataFrame) -> Interval:
    """Of how much lower a group's recall is than that of all others together."""
    objects, hidden = (np.array([int(worst[key]), int(values[key].sum())]) for key in ("objects", "hidden"))
    return gap_interval((hidden[1] - hidden[0], objects[1] - objects[0]), (hidden[0], objects[0]))
