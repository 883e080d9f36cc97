"""What a monthly loop has done so far: one small file for each loop, by which whoever comes next goes on.

A loop has a key of its own, which everything outside that it makes carries along: asked for again under the same key,
it is not made twice. A step's result is kept whole or not at all, so a step that was interrupted is done again.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from components.errors import StreetveilError

Result = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LoopJournal:
    """The journal of one loop.

    Attributes:
        file: `<folder>/<key>/journal.json`.
    """

    file: Path

    @property
    def key(self) -> str:
        """The loop's own."""
        return self.file.parent.name

    @property
    def folder(self) -> Path:
        """Where the loop's other files lie."""
        return self.file.parent

    def result(self, step: str) -> Result | None:
        """What a step came to; None if it is not done."""
        entry = self._read()["steps"].get(step)
        return None if entry is None else entry["result"]

    def once(self, step: str, do: Callable[[], Result]) -> Result:
        """A step's result: the kept one, or that of doing it now."""
        kept = self.result(step)
        if kept is not None:
            return kept
        result = do()
        told = self._read()
        told["steps"][step] = {"at": _now(), "result": dict(result)}
        self._write(told)
        return result

    def forget(self, *steps: str) -> None:
        """Let steps be done again."""
        told = self._read()
        self._write({**told, "steps": {name: kept for name, kept in told["steps"].items() if name not in steps}})

    def note(self, **facts: Any) -> None:
        """Keep facts that may change, such as who is at it and until when it waits."""
        self._write({**self._read(), **facts})

    def fact(self, name: str) -> Any:
        """A noted fact; None if there is none."""
        return self._read().get(name)

    def finish(self, outcome: str) -> None:
        """The loop is over; the next one gets a key of its own."""
        self._write({**self._read(), "finished_at": _now(), "outcome": outcome})

    @property
    def is_finished(self) -> bool:
        """Whether it is over."""
        return "finished_at" in self._read()

    def _read(self) -> dict[str, Any]:
        try:
            told = json.loads(self.file.read_text(encoding="utf-8"))
            return {**told, "steps": dict(told["steps"])}
        except FileNotFoundError:
            return {"begun_at": _now(), "steps": {}}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StreetveilError(f"{self.file} cannot be read ({error}); restore it, or start anew") from error

    def _write(self, told: Mapping[str, Any]) -> None:
        draft = self.file.with_suffix(".draft")
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with draft.open("w", encoding="utf-8") as out:
                json.dump(told, out, indent=1, ensure_ascii=False)
                out.flush()
                os.fsync(out.fileno())
            draft.replace(self.file)
        except OSError as error:
            raise StreetveilError(f"cannot write {self.file}: {error.strerror}; make room, then run again") from error


def journals(folder: Path) -> list[LoopJournal]:
    """The journals of all loops, oldest first."""
    found = [LoopJournal(file) for file in folder.glob("*/journal.json")]
    return sorted(found, key=lambda journal: (journal.fact("begun_at"), journal.key))


def new_key(today: date) -> str:
    """A key that no other loop has, not even one whose folder was deleted."""
    return f"{today.isoformat()}-{secrets.token_hex(4)}"


@contextmanager
def open_loop(folder: Path, today: date, *, anew: bool = False) -> Iterator[LoopJournal]:
    """Hold the loop that is to be gone on with, or a new one.

    Args:
        folder: of all loops.
        today: after which a new one is named.
        anew: abandon what was begun.

    Raises:
        StreetveilError: another process is at a loop, or a journal is damaged.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StreetveilError(f"another run is at a loop in {folder}: wait until it ends or waits") from error
        begun = [journal for journal in journals(folder) if not journal.is_finished]
        for journal in begun if anew else begun[:-1]:
            journal.finish("abandoned")
        journal = begun[-1] if begun and not anew else LoopJournal(folder / new_key(today) / "journal.json")
        journal.note()
        yield journal


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
