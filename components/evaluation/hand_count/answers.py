"""What a counter has marked: one file for each, to which every change of a picture is appended whole.

The last answer to a picture is true. An answer is acknowledged when it is on the disk; what a crash leaves behind its
last newline never was, so it is dropped. Whoever was not acknowledged sends again, which changes nothing if it had
arrived (equal answers of one revision are one).
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from components.durable import sync
from components.errors import StreetveilError
from components.evaluation.hand_count.sample import ClassName, Sample, SampledImage

_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
_COUNTER = re.compile(r"[\w-]{1,40}")
AreaFault = Literal["wrong_blur", "recognisable"]
WRONG_BLUR: AreaFault = "wrong_blur"
RECOGNISABLE: AreaFault = "recognisable"


@dataclass(frozen=True, slots=True)
class Missed:
    """An object that nothing covers: a box around it, whole px of the upright picture, `x2` and `y2` exclusive."""

    __pydantic_config__ = _STRICT
    class_name: ClassName
    x1: int
    y1: int
    x2: int
    y2: int


@dataclass(frozen=True, slots=True)
class AreaMark:
    """A blurred area that is not right: it hides neither face nor plate, or what it covers can still be recognised."""

    __pydantic_config__ = _STRICT
    area: Annotated[int, Field(ge=0)]
    what: AreaFault


Mark = Missed | AreaMark


@dataclass(frozen=True, slots=True)
class Answer:
    """All that a counter says about one picture.

    Attributes:
        sample_id: of the sample that it belongs to.
        path: of the picture.
        revision: grows with every change, from 1.
        counted: the counter has looked at the whole picture and is done with it.
        marks: in the order in which they were made.
        seconds: how long the picture has been looked at.
    """

    __pydantic_config__ = _STRICT
    sample_id: str
    path: str
    revision: Annotated[int, Field(ge=1)]
    counted: bool
    marks: Annotated[tuple[Mark, ...], Field(max_length=10_000)]
    seconds: Annotated[float, Field(ge=0)] = 0.0

    def missed(self) -> tuple[Missed, ...]:
        """The objects that nothing covers."""
        return tuple(mark for mark in self.marks if isinstance(mark, Missed))

    def area_marks(self) -> dict[int, AreaFault]:
        """What is wrong with which area, by the area's index."""
        return {mark.area: mark.what for mark in self.marks if isinstance(mark, AreaMark)}


Answers = Mapping[str, Answer]  # by path
ANSWER = TypeAdapter(Answer)


class Conflict(StreetveilError):  # noqa: N818 - not a fault: somebody else was faster
    """The picture has a newer answer already; the page joins the two."""

    def __init__(self, stands: Answer) -> None:
        super().__init__(f"{stands.path} was answered in another window: reload the page")
        self.stands = stands


def fault(answer: Answer, sample: Sample) -> str | None:
    """Why an answer cannot belong to a sample, or None."""
    if answer.sample_id != sample.sample_id:
        return "it belongs to another sample; reload the page"
    image = next((image for image in sample.images if image.path == answer.path), None)
    if image is None:
        return f"{answer.path} is not in the sample"
    return next((why for why in (_mark_fault(mark, image) for mark in answer.marks) if why), None) or (
        "an area is marked twice" if len(answer.area_marks()) + len(answer.missed()) != len(answer.marks) else None
    )


def _mark_fault(mark: Mark, image: SampledImage) -> str | None:
    if isinstance(mark, AreaMark):
        return None if mark.area < len(image.areas) else f"there is no area {mark.area} in {image.path}"
    inside = 0 <= mark.x1 < mark.x2 <= image.width and 0 <= mark.y1 < mark.y2 <= image.height
    return None if inside else f"a mark lies outside of {image.path}"


def answers_folder(sample_file: Path) -> Path:
    """Where the answers to a sample lie: beside it."""
    return sample_file.with_suffix(".answers")


@dataclass(frozen=True, slots=True)
class AnswerBook:
    """The answers of one counter; several processes may use it at a time."""

    file: Path

    @classmethod
    def of(cls, sample_file: Path, counter: str) -> AnswerBook:
        """The book of a counter, which need not exist yet.

        Raises:
            StreetveilError: the name does not fit a file.
        """
        if not _COUNTER.fullmatch(counter):
            raise StreetveilError(f"{counter!r} is no name for a counter: use up to 40 letters, digits, - and _")
        return cls(answers_folder(sample_file) / f"{counter}.jsonl")

    def read(self) -> dict[str, Answer]:
        """The last answer to every picture, by path; none without a file.

        Raises:
            StreetveilError: a whole line is damaged, which no crash can do.
        """
        try:
            return _parsed(self.file.read_bytes(), self.file)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise StreetveilError(f"cannot read {self.file}: {error.strerror}; mend its rights") from error

    def append(self, answer: Answer) -> None:
        """Put an answer on the disk; when this returns, it survives a power cut.

        Raises:
            Conflict: the picture has another answer of this or a later revision.
            StreetveilError: it cannot be written.
        """
        line = ANSWER.dump_json(answer) + b"\n"
        try:
            with self._alone() as descriptor:
                stands = self.read().get(answer.path)
                if stands == answer:
                    return
                if stands and stands.revision >= answer.revision:
                    raise Conflict(stands)
                _drop_torn_line(descriptor)
                written = os.write(descriptor, line)
                if written < len(line):
                    raise OSError(0, "the disk is full")
                os.fsync(descriptor)
        except OSError as error:
            raise StreetveilError(f"cannot write {self.file}: {error.strerror}; make room, mend its rights") from error

    @contextmanager
    def _alone(self) -> Iterator[int]:
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = not self.file.exists()
        descriptor = os.open(self.file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if new:  # its name must survive as well
                for folder in (self.file.parent, self.file.parent.parent):
                    sync(folder)
            yield descriptor
        finally:
            os.close(descriptor)


def read_books(sample_file: Path, sample: Sample) -> dict[str, dict[str, Answer]]:
    """The answers of every counter of a sample, by counter and path.

    Raises:
        StreetveilError: a file is damaged or belongs to another sample.
    """
    books = {file.stem: AnswerBook(file).read() for file in sorted(answers_folder(sample_file).glob("*.jsonl"))}
    for counter, answers in books.items():
        for answer in answers.values():
            if (why := fault(answer, sample)) is not None:
                raise StreetveilError(f"the answers of {counter} do not fit the sample: {why}")
    return books


def _parsed(content: bytes, file: Path) -> dict[str, Answer]:
    answers: dict[str, Answer] = {}
    for number, line in enumerate(content.split(b"\n")[:-1], start=1):
        try:
            answer = ANSWER.validate_json(line)
        except ValidationError as error:
            raise StreetveilError(
                f"line {number} of {file} is damaged: restore the file, or remove that line"
            ) from error
        answers[answer.path] = answer
    return answers


def _drop_torn_line(descriptor: int) -> None:
    """Cut what a killed writer left behind the last newline: it was never acknowledged."""
    size = os.fstat(descriptor).st_size
    whole = os.pread(descriptor, size, 0).rfind(b"\n") + 1
    if whole < size:
        os.ftruncate(descriptor, whole)
