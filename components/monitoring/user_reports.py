"""What people report: a face or a plate that is not hidden, or a blur that hides neither, by image and place.

One SQLite file, readable by its owner alone: it tells where faces are. No name, address or free text of a reporter is
kept.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass, fields, replace
from enum import StrEnum
from pathlib import Path

import numpy as np

from components.detections import CLASS_IDS, STAGE_PERSON, Detections, hull, iou
from components.errors import StreetveilError


class Kind(StrEnum):
    """What is wrong at a place."""

    MISSED = "missed"
    WRONG_BLUR = "wrong_blur"


class State(StrEnum):
    """How far a report has come."""

    NEW = "new"
    CONFIRMED = "confirmed"
    FIXED = "fixed"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Place:
    """What a report is about.

    Attributes:
        folder: the destination that holds the image; None for one that the service has blurred and not kept.
        image: its path in there, or else its blurring id.
        kind: what is wrong.
        class_name: of the object that is not hidden, or that the blur was meant for.
        x1, y1, x2, y2: px of the upright picture.
    """

    folder: str | None
    image: str
    kind: Kind
    class_name: str
    x1: float
    y1: float
    x2: float
    y2: float

    def drawn(self) -> Detections:
        """The place as a person's detection."""
        box = [self.x1, self.y1, self.x2, self.y2]
        return Detections.of([box], 1.0, CLASS_IDS[self.class_name], STAGE_PERSON)


@dataclass(frozen=True, slots=True)
class Report:
    """A report, with how often it was made and what became of it; times in seconds since 1970."""

    id: str
    place: Place
    state: State
    times: int
    reported_at: float
    decided_at: float | None = None
    decided_by: str | None = None
    reason: str | None = None
    fixed_at: float | None = None


@dataclass(frozen=True, slots=True)
class ReportCounts:
    """What a dashboard asks for.

    Attributes:
        by_state: how many reports there are, by kind and state.
        fix_s: from the first report to the fix, of each that is fixed.
        waiting_since_s: when the oldest that is new or confirmed was made, s since 1970; None if none waits.
    """

    by_state: dict[tuple[Kind, State], int]
    fix_s: tuple[float, ...]
    waiting_since_s: float | None = None


_PLACE = [column.name for column in fields(Place)]
_COLUMNS = ["id", *_PLACE, "state", "times", "reported_at", "decided_at", "decided_by", "reason", "fixed_at"]
_SCHEMA = """
CREATE TABLE IF NOT EXISTS reports (
    id TEXT PRIMARY KEY, folder TEXT, image TEXT NOT NULL, kind TEXT NOT NULL, class_name TEXT NOT NULL,
    x1 REAL NOT NULL, y1 REAL NOT NULL, x2 REAL NOT NULL, y2 REAL NOT NULL, state TEXT NOT NULL,
    times INTEGER NOT NULL, reported_at REAL NOT NULL, decided_at REAL, decided_by TEXT, reason TEXT, fixed_at REAL);
CREATE INDEX IF NOT EXISTS reports_of_an_image ON reports (image, kind);
CREATE INDEX IF NOT EXISTS reports_in_a_state ON reports (state);
PRAGMA user_version = 1;
"""
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM reports"  # noqa: S608 - of our own names


@dataclass(frozen=True, slots=True)
class ReportBook:
    """All reports.

    Attributes:
        file: where they are kept; made when it is first needed.
        same_place_iou: from which overlap on two boxes of one kind on one image are one report.
    """

    file: Path
    same_place_iou: float

    def add(self, place: Place) -> tuple[Report, bool]:
        """Keep a report, or join it to the one that is about the same place.

        A report that waits grows to cover both boxes; one that was rejected stays as it is and counts. After a fix,
        the same place is a new report: the fix was not enough.

        Returns:
            The report, and whether it is new.
        """
        with self._writing() as database:
            for report in _read(database, "state IN ('new', 'rejected')", place):
                if _is_same(report.place, place, self.same_place_iou):
                    _join(database, report, place)
                    return _one(database, report.id), False
            values = (secrets.token_hex(6), *astuple(place), State.NEW, 1, time.time(), None, None, None, None)
            database.execute(f"INSERT INTO reports VALUES ({', '.join('?' * len(values))})", values)  # noqa: S608
            return _one(database, str(values[0])), True

    def get(self, report_id: str) -> Report:
        """One report.

        Raises:
            StreetveilError: there is none of this id.
        """
        with self._reading() as database:
            return _one(database, report_id)

    def reports(self, states: Iterable[State] = tuple(State)) -> list[Report]:
        """Reports in any of the states, those that wait longest first."""
        wanted = [str(state) for state in states]
        marks = ", ".join("?" * len(wanted))
        with self._reading() as database:
            rows = database.execute(f"{_SELECT} WHERE state IN ({marks}) ORDER BY reported_at, id", wanted)
            return [_report(row) for row in rows]

    def confirm(self, report_id: str, by: str, reason: str | None = None) -> Report:
        """A person has looked, and it is so; one that was rejected by mistake can be confirmed, too."""
        return self._decide(report_id, State.CONFIRMED, (State.NEW, State.REJECTED), by, reason)

    def reject(self, report_id: str, by: str, reason: str | None = None) -> Report:
        """A person has looked, and it is not so."""
        return self._decide(report_id, State.REJECTED, (State.NEW, State.CONFIRMED), by, reason)

    def fixed(self, report_id: str) -> Report:
        """The published image hides it."""
        with self._writing() as database:
            database.execute(
                "UPDATE reports SET state = 'fixed', fixed_at = ? WHERE id = ? AND state = 'confirmed'",
                (time.time(), report_id),
            )
            return _one(database, report_id)

    def counts(self) -> ReportCounts:
        """How many there are in each state, and how long fixes took."""
        with self._reading() as database:
            found = database.execute("SELECT kind, state, count(*) FROM reports GROUP BY kind, state").fetchall()
            took = database.execute("SELECT fixed_at - reported_at FROM reports WHERE state = 'fixed'").fetchall()
            waiting = "SELECT min(reported_at) FROM reports WHERE state IN ('new', 'confirmed')"
            ((oldest_s,),) = database.execute(waiting).fetchall()
        by_state = {(kind, state): 0 for kind in Kind for state in State}
        by_state.update({(Kind(kind), State(state)): count for kind, state, count in found})
        return ReportCounts(by_state, tuple(seconds for (seconds,) in took), oldest_s)

    def _decide(self, report_id: str, to: State, among: tuple[State, ...], by: str, reason: str | None) -> Report:
        with self._writing() as database:
            before = _one(database, report_id)
            if before.state not in among:
                raise StreetveilError(
                    f"report {report_id} is {before.state} and cannot become {to}: see `streetveil report list --all`"
                )
            database.execute(
                "UPDATE reports SET state = ?, decided_at = ?, decided_by = ?, reason = ? WHERE id = ?",
                (to, time.time(), by, reason, report_id),
            )
            return _one(database, report_id)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One writer at a time: what is read in here still holds when it is written."""
        with self._reading() as database:
            database.execute("BEGIN IMMEDIATE")
            with database:
                yield database

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self.file.touch(mode=0o600)
            with closing(sqlite3.connect(self.file, timeout=30, isolation_level=None)) as database:
                database.executescript(_SCHEMA)
                yield database
        except (sqlite3.Error, OSError) as error:
            raise StreetveilError(
                f"the reports in {self.file} cannot be used ({error}): mend it, or set STREETVEIL_REPORTS elsewhere"
            ) from error


def export(reports: Iterable[Report]) -> str:
    """Confirmed places as lines of JSON, for the next labelling sample.

    Each has `path`, that of the published image with its folder's name before it, and where something was missed also
    `x0`, `y0`, `x1`, `y1` (px, upright) and `class`: of a wrong blur, only the image is of use. Images that nobody has
    kept are left out.
    """
    lines = []
    for report in reports:
        place = report.place
        if report.state in (State.CONFIRMED, State.FIXED) and place.folder is not None:
            told: dict[str, str | float] = {"path": f"{Path(place.folder).name}/{place.image}"}
            if place.kind == Kind.MISSED:
                told |= {"x0": place.x1, "y0": place.y1, "x1": place.x2, "y1": place.y2, "class": place.class_name}
            lines.append(json.dumps(told, ensure_ascii=False) + "\n")
    return "".join(lines)


def _is_same(one: Place, other: Place, least_iou: float) -> bool:
    same_object = (one.folder, one.class_name) == (other.folder, other.class_name)
    return same_object and float(iou(one.drawn().xyxy, other.drawn().xyxy)[0, 0]) >= least_iou


def _join(database: sqlite3.Connection, report: Report, place: Place) -> None:
    box = report.place.drawn().xyxy
    if report.state == State.NEW:
        box = hull(np.concatenate([box, place.drawn().xyxy]))
    database.execute(
        "UPDATE reports SET times = times + 1, x1 = ?, y1 = ?, x2 = ?, y2 = ? WHERE id = ?",
        (*box[0].tolist(), report.id),
    )


def _read(database: sqlite3.Connection, where: str, place: Place) -> list[Report]:
    asked = f"{_SELECT} WHERE image = ? AND kind = ? AND {where}"
    return [_report(row) for row in database.execute(asked, (place.image, place.kind))]


def _one(database: sqlite3.Connection, report_id: str) -> Report:
    row = database.execute(f"{_SELECT} WHERE id = ?", (report_id,)).fetchone()
    if row is None:
        raise StreetveilError(f"there is no report {report_id!r}: see `streetveil report list --all`")
    return _report(row)


def _report(row: tuple) -> Report:
    values = dict(zip(_COLUMNS, row, strict=True))
    place = Place(**{name: values.pop(name) for name in _PLACE})
    place = replace(place, kind=Kind(place.kind))
    return Report(place=place, **{**values, "state": State(values["state"])})
