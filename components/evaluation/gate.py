"""Whether a model may be promoted: one row for every requirement, and one word for all of them.

The measured figure decides, where enough was measured; its 95 % interval stands beside it. Where too little was
measured, a figure that misses its bound with its whole interval fails all the same, and nothing else is decided. What
no label says anything of, and what cannot be compared with the champion, is not assessed. Only what is passed in every
row is passed as a whole; a model in which nothing failed and something could not be assessed needs a person who accepts
that by name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from math import inf
from typing import Any

from components.errors import StreetveilError
from components.evaluation.gate_text import champion_text, group_of, reason_text, title_of
from components.evaluation.intervals import Interval
from components.evaluation.slices import NOT_ASSESSED, TOO_FEW
from components.settings import Gate, Metric

_ROUNDING = 1e-9  # 0.95 - 0.93 is a little more than 0.02 in binary fractions


class Outcome(StrEnum):
    """What a requirement has come to."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_ASSESSED = NOT_ASSESSED
    TOO_FEW = TOO_FEW


_GRAVEST_FIRST = (Outcome.FAILED, Outcome.TOO_FEW, Outcome.NOT_ASSESSED, Outcome.PASSED)


class Overall(StrEnum):
    """What all requirements together have come to."""

    PASSED = "passed"
    FAILED = "failed"
    NEEDS_ACCEPTANCE = "needs a named acceptance"


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured of a model, by one metric.

    Attributes:
        value: in the metric's unit; None if nothing could be measured.
        interval: its 95 % interval, low and high; None if there is none.
        count: on how many it rests, such as objects.
        needed: how many are needed to decide by it.
        of: what they are, such as "faces".
        where: the slice that it is of, where it is the worst of several.
        note: why there is no value, or what else is to be known.
        by_chance: more than the bound may be chance, so it does not fail by that.
        lacking: what was not measured, so that it cannot pass.
        proven: the worst part of it that is no chance; it fails by that.
    """

    value: float | None
    interval: Interval | None = None
    count: int = 0
    needed: int = 0
    of: str = ""
    where: str = ""
    note: str = ""
    by_chance: bool = False
    lacking: str = ""
    proven: Figure | None = None


@dataclass(frozen=True, slots=True)
class Requirement:
    """One row of the verdict; all values are in the metric's unit.

    Attributes:
        group: what kind of requirement it is.
        key: its name in files, such as "face.object_recall".
        title: its name for people.
        metric: what is measured.
        bound: the least or greatest value; None if only the champion counts.
        max_regression: so much worse than the champion's it may be; None if that does not count.
        measured: the figure; None if nothing could be measured.
        interval: its 95 % interval, low and high; None if there is none.
        champion: the champion's figure; None if there is none to compare with.
        outcome: what it has come to.
        note: on what it rests, or what is lacking.
    """

    group: str
    key: str
    title: str
    metric: Metric
    bound: float | None
    max_regression: float | None
    measured: float | None
    interval: Interval | None
    champion: float | None
    outcome: Outcome
    note: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """All requirements of one model, and all figures, which are what the next model is compared with."""

    rows: tuple[Requirement, ...]
    figures: Mapping[str, Figure] = field(default_factory=dict)

    @property
    def overall(self) -> Overall:
        """Failed if any row failed, passed only if every row passed."""
        outcomes = {row.outcome for row in self.rows}
        if Outcome.FAILED in outcomes:
            return Overall.FAILED
        return Overall.PASSED if outcomes == {Outcome.PASSED} else Overall.NEEDS_ACCEPTANCE

    @property
    def passed(self) -> bool:
        """Whether it may be promoted without anybody who accepts something."""
        return self.overall is Overall.PASSED

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is not passed, a sentence for each row; what failed comes first."""
        return tuple(reason_text(row) for row in self.gravest_first if row.outcome is not Outcome.PASSED)

    @property
    def gravest_first(self) -> tuple[Requirement, ...]:
        """The rows that failed, then those that could not be decided, then the others."""
        return tuple(sorted(self.rows, key=lambda row: _GRAVEST_FIRST.index(row.outcome)))

    def with_outcome(self, *outcomes: Outcome) -> tuple[Requirement, ...]:
        """The rows that have come to one of some outcomes."""
        return tuple(row for row in self.rows if row.outcome in outcomes)

    def as_figures(self) -> dict[str, Any]:
        """The rows as `dvc metrics` can compare them."""
        rows = {
            row.key: {"measured": row.measured, "bound": row.bound, "verdict": row.outcome.value}
            | ({} if row.champion is None else {"champion": row.champion})
            for row in self.rows
        }
        return {"overall": self.overall.value, **rows}

    def to_json(self) -> str:
        """Everything, for `from_json`; the words are for whoever reads the file."""
        told = {"overall": self.overall.value, "reasons": self.reasons, **asdict(self)}
        return json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Verdict:
        """What `to_json` has written.

        Raises:
            StreetveilError: it is no such text, or its word is not what its rows come to.
        """
        try:
            told = json.loads(text)
            rows = tuple(_requirement(row) for row in told["rows"])
            verdict = cls(rows, {key: _figure(value) for key, value in told["figures"].items()})
            stated = Overall(told["overall"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StreetveilError(
                f"not a verdict ({type(error).__name__}: {error}); evaluate the model anew"
            ) from error
        if stated is not verdict.overall:
            raise StreetveilError(
                f"the verdict says {stated.value!r}, but its rows come to {verdict.overall.value!r}: somebody has "
                "changed it; evaluate the model anew"
            )
        return verdict


def judge(
    figures: Mapping[str, Figure], champion_figures: Mapping[str, Figure] | None, gates: Sequence[Gate]
) -> Verdict:
    """Hold a model's figures against the bounds, and against the champion's figures.

    Args:
        figures: by key, as `gate_figures` makes them and others add to; a row without a figure is not assessed.
        champion_figures: the same of the champion, measured on the same pictures; None if there is no champion.
        gates: the requirements.
    """
    champion = champion_figures
    if champion is not None and not _same_pictures(figures, champion):
        champion = {}
    return Verdict(tuple(_judged(gate, figures, champion) for gate in gates), figures)


def _same_pictures(figures: Mapping[str, Figure], others: Mapping[str, Figure]) -> bool:
    """Whether the figures of whole classes rest on as many objects and pictures."""
    whole = [metric.value for metric in Metric if metric.value in figures and metric.value in others]
    return all(figures[key].count == others[key].count for key in whole if figures[key].count)


def _judged(gate: Gate, figures: Mapping[str, Figure], champion: Mapping[str, Figure] | None) -> Requirement:
    figure = figures.get(gate.key, Figure(None, note="no figure was given"))
    other = champion.get(gate.key) if champion else None
    shown = figure
    if figure.value is None:
        outcome = Outcome.TOO_FEW if figure.lacking else Outcome.NOT_ASSESSED
        notes = [figure.note or figure.lacking or f"no {figure.of} in the test pictures"]
    else:
        shown, by_bound, bound_note = _against_bound(figure, gate)
        by_champion, champion_note = _against_champion(gate, figures, champion)
        outcome = min(by_bound, by_champion, key=_GRAVEST_FIRST.index)
        notes = [_rests_on(shown), bound_note, champion_note, figure.lacking]
    return Requirement(
        group_of(gate), gate.key, title_of(gate), gate.metric, gate.bound, gate.max_regression, shown.value,
        shown.interval, other.value if other else None, outcome, "; ".join(note for note in notes if note),
    )  # fmt: skip


def _rests_on(figure: Figure) -> str:
    rests = f"{figure.count:,} {figure.of}" if figure.count else ""
    lead = figure.note or figure.where
    return f"{lead} ({rests})" if lead and rests else lead or rests


def _against_bound(figure: Figure, gate: Gate) -> tuple[Figure, Outcome, str]:
    """What is shown, what it has come to, and why."""
    if gate.bound is None:
        return figure, Outcome.PASSED, ""
    assert figure.value is not None
    if figure.proven is not None and not _keeps(gate, figure.proven.value):
        return figure.proven, Outcome.FAILED, ""
    keeps = _keeps(gate, figure.value)
    if figure.by_chance and not keeps:
        return figure, Outcome.TOO_FEW, "it may be by chance"
    if figure.lacking:
        return figure, Outcome.TOO_FEW, ""
    low, high = figure.interval or (-inf, inf)
    surely_fails = high < gate.bound if gate.metric.higher_is_better else low > gate.bound
    if figure.count < figure.needed and not surely_fails:
        return figure, Outcome.TOO_FEW, f"{figure.needed} are needed"
    over = figure.needed and figure.interval and low <= gate.bound <= high
    outcome = Outcome.PASSED if keeps else Outcome.FAILED
    return figure, outcome, "the interval reaches over the bound" if over else ""


def _keeps(gate: Gate, value: float | None) -> bool:
    assert value is not None
    assert gate.bound is not None
    return value >= gate.bound if gate.metric.higher_is_better else value <= gate.bound


def _against_champion(
    gate: Gate, figures: Mapping[str, Figure], champion: Mapping[str, Figure] | None
) -> tuple[Outcome, str]:
    """Whether it is no worse than the champion, as a whole or in any value of a slice."""
    if gate.max_regression is None:
        return Outcome.PASSED, ""
    if champion is None:
        return Outcome.NOT_ASSESSED if gate.bound is None else Outcome.PASSED, "no champion to compare with"
    if not champion:
        return Outcome.NOT_ASSESSED, "the champion was not measured on the same pictures"
    falls = list(_falls(gate, figures, champion))
    if not falls:
        return Outcome.NOT_ASSESSED, "there is no such figure of the champion"
    fall, where, figure, other = max(falls, key=lambda one: one[0])
    if fall <= gate.max_regression + _ROUNDING:
        return Outcome.PASSED, ""
    told = champion_text(gate.metric, other.value, fall, where)
    if min(figure.count, other.count) < figure.needed:
        return Outcome.TOO_FEW, f"{told}; {figure.needed} {figure.of} are needed"
    return Outcome.FAILED, told


def _falls(
    gate: Gate, figures: Mapping[str, Figure], champion: Mapping[str, Figure]
) -> Iterator[tuple[float, str, Figure, Figure]]:
    """How much worse than the champion's each figure is that counts: by how much, where, and both."""
    by_value = gate.slice is not None and "=" not in gate.slice and not gate.metric.is_gap
    keys = [key for key in figures if key.startswith(f"{gate.key}=")] if by_value else [gate.key]
    for key in keys:
        figure, other = figures[key], champion.get(key)
        if other is None or figure.value is None or other.value is None:
            continue
        if by_value and min(figure.count, other.count) < figure.needed:
            continue  # a slice that is too small for its own figure; the others are compared
        better = other.value - figure.value if gate.metric.higher_is_better else figure.value - other.value
        yield better, key.partition("=")[2], figure, other


def _requirement(told: dict[str, Any]) -> Requirement:
    interval = told["interval"]
    return Requirement(
        **{
            **told,
            "metric": Metric(told["metric"]),
            "outcome": Outcome(told["outcome"]),
            "interval": interval and (interval[0], interval[1]),
        }
    )


def _figure(told: dict[str, Any]) -> Figure:
    interval, proven = told["interval"], told["proven"]
    return Figure(**{**told, "interval": interval and (interval[0], interval[1]), "proven": proven and _figure(proven)})
