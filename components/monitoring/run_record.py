"""What a run has noted of itself beside its manifests: what it is, how far it has come, and how it ended."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from components.batch.index import indexed
from components.batch.storage import STATE_FOLDER, Storage
from components.monitoring.run_figures import RunFigures

RECORD = f"{STATE_FOLDER}/run.json"

Kind = Literal["daily", "folder"]
State = Literal["running", "finished", "failed", "interrupted"]
KINDS: tuple[Kind, ...] = ("daily", "folder")
STATES: tuple[State, ...] = ("running", "finished", "failed", "interrupted")


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run; times in seconds since 1970.

    Attributes:
        kind: the nightly run, or somebody's folder.
        day: the destination's name.
        model_version, region: what it works with.
        started_s, updated_s: its start, and the latest word of it.
        planned: images that were left to do; None before the plan stands.
        finished_before: images that earlier runs over this destination had finished.
        fallback_reason: why @previous is used; None if @champion is.
        state: how far it is; interrupted if nobody works on it and it has not said how it ended.
        error: why it failed, in one line. It may name files, and is for people on this machine.
        figures: of this run.
        whole: images of the destination by state (or `discarded`), those of earlier runs with them.
    """

    kind: Kind
    day: str
    model_version: str
    region: str
    started_s: float
    updated_s: float
    planned: int | None = None
    finished_before: int = 0
    fallback_reason: str | None = None
    state: State = "running"
    error: str | None = None
    figures: RunFigures = field(default_factory=RunFigures)
    whole: Mapping[str, int] = field(default_factory=dict)

    @property
    def images_per_s(self) -> float:
        """Images that reached their end state, by the time since the start."""
        took_s = self.updated_s - self.started_s
        return self.figures.total / took_s if took_s > 0 else 0.0

    @property
    def left(self) -> int:
        """Images that wait for their turn."""
        return max(0, (self.planned or 0) - self.figures.total)

    def to_json(self) -> str:
        """As it is kept."""
        return json.dumps({**asdict(self), "figures": self.figures.to_dict()})

    @classmethod
    def from_json(cls, text: str | bytes) -> RunRecord:
        """The inverse of `to_json`.

        Raises:
            ValueError: this is no record.
        """
        try:
            values: dict[str, Any] = json.loads(text)
            return cls(**{**values, "figures": RunFigures.from_dict(values["figures"])})
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"no record of a run: {type(error).__name__} {error}") from error


def keep_record(storage: Storage, record: RunRecord) -> None:
    """Write a record; the former one of this destination goes."""
    storage.write(RECORD, record.to_json().encode())


def read_record(destination: Path) -> RunRecord | None:
    """What the latest run over a destination has noted; None if nothing, or nothing that can be read."""
    try:
        record = RunRecord.from_json((destination / RECORD).read_bytes())
    except (OSError, ValueError):
        return None
    if record.state == "running" and not _is_held(destination):
        return replace(record, state="interrupted")
    return record


def count_states(storage: Storage) -> dict[str, int]:
    """How many images of a destination are in which state, by its manifests: the last one counts.

    Raises:
        StreetveilError: a manifest cannot be read.
    """
    with indexed(storage) as index:
        return index.states()


def was_finished(storage: Storage) -> bool:
    """Whether the latest run over a destination has come to its end."""
    try:
        return RunRecord.from_json(storage.read(RECORD)).state == "finished"
    except (OSError, ValueError):
        return False


def recount(storage: Storage) -> None:
    """Count a destination's images anew, after somebody has decided on what its latest run has left.

    Raises:
        StreetveilError: a manifest cannot be read.
    """
    try:
        record = RunRecord.from_json(storage.read(RECORD))
    except (OSError, ValueError):
        return  # of a release that kept no records
    keep_record(storage, replace(record, whole=count_states(storage)))


def _is_held(destination: Path) -> bool:
    """Whether a run works on a destination: runs hold its lock, and the system frees that of one that has died."""
    try:
        with (destination / STATE_FOLDER / "lock").open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
