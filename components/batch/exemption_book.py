"""The book of exemptions: what may stay visible, by whose word and for how long, and what was ended.

Lines are only ever added; a line that cannot be understood makes the whole book unusable, since it could be the end of
an exemption. The file is written whole or not at all, and is readable by its owner alone.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, TypeAdapter, ValidationError

from components.dataset.labelling.files import OWNER_ONLY_FILE, make_private, write_whole
from components.detection.exemptions import Exemption, Sides
from components.errors import StreetveilError
from components.settings import ExemptionLimits, Frozen

ClassName = Literal["face", "license_plate"]


class Granted(Frozen):
    """The line of an exemption that was granted; see `Exemption`."""

    event: Literal["granted"] = "granted"
    id: Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]
    pattern: Annotated[str, Field(min_length=1)]
    input_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None
    width: Annotated[int, Field(ge=1)]
    height: Annotated[int, Field(ge=1)]
    box: Sides
    class_name: ClassName
    by: str
    why: str
    granted_at: AwareDatetime
    until: date

    def exemption(self) -> Exemption:
        """What it grants."""
        return Exemption(**self.model_dump(exclude={"event"}))


class Ended(Frozen):
    """The line of an exemption that was ended before its time."""

    event: Literal["ended"] = "ended"
    id: str
    by: Annotated[str, Field(min_length=1)]
    why: Annotated[str, Field(min_length=1)]
    at: AwareDatetime


_LINE: TypeAdapter[Granted | Ended] = TypeAdapter(Annotated[Granted | Ended, Field(discriminator="event")])


@dataclass(frozen=True, slots=True)
class Entry:
    """An exemption with what became of it."""

    exemption: Exemption
    ended: Ended | None

    def state(self, now: datetime, limits: ExemptionLimits) -> str:
        """In force, ended, expired or void: one beyond the limits grants nothing."""
        if self.ended is not None:
            return "ended"
        if self.exemption.fault(limits) is not None:
            return "void"
        return "in force" if self.exemption.holds(now) else "expired"


@dataclass(frozen=True, slots=True)
class ExemptionBook:
    """All exemptions.

    Attributes:
        file: where they are kept; made when it is first needed.
    """

    file: Path

    def entries(self) -> list[Entry]:
        """All that was ever granted, the oldest first.

        Raises:
            StreetveilError: the file cannot be read, or a line of it cannot be understood.
        """
        lines = self._lines()
        ended = {line.id: line for line in lines if isinstance(line, Ended)}
        return [Entry(line.exemption(), ended.get(line.id)) for line in lines if isinstance(line, Granted)]

    def granted(self) -> tuple[Exemption, ...]:
        """What has not been ended; whether it holds at a moment, it says itself.

        Raises:
            StreetveilError: as `entries`.
        """
        return tuple(entry.exemption for entry in self.entries() if entry.ended is None)

    def grant(self, line: Granted) -> None:
        """Add an exemption.

        Raises:
            StreetveilError: the file cannot be used.
        """
        with self._adding() as lines:
            lines.append(line)

    def end(self, exemption_id: str, by: str, why: str) -> Entry:
        """End an exemption; one that was ended before stays as it was.

        Raises:
            StreetveilError: there is none of this id, or the file cannot be used.
        """
        if not (by.strip() and why.strip()):
            raise StreetveilError("an end names who has decided it, and why: add --by and --why")
        with self._adding() as lines:
            if not any(line.id == exemption_id for line in lines):
                raise StreetveilError(f"there is no exemption {exemption_id!r}: see `streetveil allow list`")
            if not any(line.id == exemption_id and isinstance(line, Ended) for line in lines):
                lines.append(Ended(id=exemption_id, by=by, why=why, at=datetime.now(UTC)))
        return next(entry for entry in self.entries() if entry.exemption.id == exemption_id)

    def _lines(self) -> list[Granted | Ended]:
        try:
            text = self.file.read_text(encoding="utf-8") if self.file.exists() else ""
        except (OSError, UnicodeDecodeError) as error:
            raise StreetveilError(
                f"the exemptions in {self.file} cannot be read ({error}): mend it, or set STREETVEIL_EXEMPTIONS"
            ) from error
        return [self._line(number, line) for number, line in enumerate(text.splitlines(), start=1)]

    def _line(self, number: int, text: str) -> Granted | Ended:
        try:
            return _LINE.validate_json(text)
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            key = ".".join(str(step) for step in fault["loc"])
            raise StreetveilError(
                f"{self.file} line {number}: {key}: {fault['msg']}; mend or remove the line, until then no run starts"
            ) from error

    @contextmanager
    def _adding(self) -> Iterator[list[Granted | Ended]]:
        """One writer at a time; what was read is still so when it is written."""
        try:
            make_private(self.file.parent)
            with self.file.with_name(f".{self.file.name}.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                lines = self._lines()
                yield lines
                write_whole(self.file, "".join(f"{line.model_dump_json()}\n" for line in lines))
                self.file.chmod(OWNER_ONLY_FILE)
        except OSError as error:
            raise StreetveilError(
                f"cannot write {self.file}: {error.strerror}; make room, or set STREETVEIL_EXEMPTIONS"
            ) from error
