"""What the gate has come to: one row for every requirement, and one word for all of them.

Only what is passed in every row is passed as a whole; a model in which nothing failed and something could not be
assessed needs a person who accepts that by name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from components.errors import StreetveilError
from components.evaluation.gate_text import reason_text
from components.evaluation.intervals import Interval
from components.evaluation.slices import NOT_ASSESSED, TOO_FEW
from components.settings import Metric


class Outcome(StrEnum):
    """What a requirement has come to."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_ASSESSED = NOT_ASSESSED
    TOO_FEW = TOO_FEW


GRAVEST_FIRST = (Outcome.FAILED, Outcome.TOO_FEW, Outcome.NOT_ASSESSED, Outcome.PASSED)


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
        return tuple(sorted(self.rows, key=lambda row: GRAVEST_FIRST.index(row.outcome)))

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
