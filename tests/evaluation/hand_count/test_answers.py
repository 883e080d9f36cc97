"""Answers outlive whatever dies, and nothing that does not fit the sample becomes one."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.errors import StreetveilError
from components.evaluation.hand_count.answers import (
    ANSWER,
    Answer,
    AnswerBook,
    AreaMark,
    Conflict,
    Mark,
    Missed,
    answers_folder,
    fault,
    read_books,
)
from components.evaluation.hand_count.sample import Sample
from components.settings import PROJECT_ROOT
from tests.evaluation.hand_count.conftest import answer_to, sample_of

MISSED = Missed("face", 1, 2, 30, 40)


@pytest.fixture
def book(tmp_path: Path) -> AnswerBook:
    """An empty book."""
    return AnswerBook.of(tmp_path / "count.json", "ada")


def test_the_last_answer_to_a_picture_is_true(book: AnswerBook) -> None:
    """Every change is appended, and reading gives the newest of each picture."""
    sample = sample_of(2)
    book.append(answer_to(sample, 0, MISSED))
    book.append(answer_to(sample, 1))
    book.append(answer_to(sample, 0, revision=2))
    assert book.read() == {
        "day/000.png": answer_to(sample, 0, revision=2),
        "day/001.png": answer_to(sample, 1),
    }
    assert book.file.read_bytes().count(b"\n") == 3
    assert stat.S_IMODE(book.file.stat().st_mode) == 0o600
    assert stat.S_IMODE(book.file.parent.stat().st_mode) == 0o700


def test_sending_again_changes_nothing_and_what_is_older_is_refused(book: AnswerBook) -> None:
    """An answer that arrived twice stands once; another one of the same or an earlier revision tells what stands."""
    sample = sample_of(1)
    stands = answer_to(sample, 0, MISSED, revision=2)
    book.append(stands)
    book.append(stands)
    assert book.file.read_bytes().count(b"\n") == 1
    for revision in (1, 2):
        with pytest.raises(Conflict) as caught:
            book.append(answer_to(sample, 0, revision=revision))
        assert caught.value.stands == stands


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kept=st.integers(0, 400))
def test_a_torn_file_keeps_every_whole_answer_and_can_be_written_on(kept: int, tmp_path: Path) -> None:
    """Cut anywhere, the file holds the answers before the cut, and the next one is not glued to the torn rest."""
    sample = sample_of(3)
    book = AnswerBook(tmp_path / f"{kept}.jsonl")
    book.file.unlink(missing_ok=True)
    for index in range(2):
        book.append(answer_to(sample, index, MISSED))
    content = book.file.read_bytes()
    book.file.write_bytes(content[:kept])
    whole = content[:kept].count(b"\n")
    assert len(book.read()) == whole
    book.append(answer_to(sample, 2))
    assert set(book.read()) == {f"day/{i:03d}.png" for i in [*range(whole), 2]}


def test_a_whole_line_that_is_damaged_is_no_crash_and_is_told(book: AnswerBook) -> None:
    """What no crash can do is an error with the number of the line."""
    sample = sample_of(2)
    for index in range(2):
        book.append(answer_to(sample, index))
    book.file.write_bytes(book.file.read_bytes().replace(b'"counted"', b'"couNted"', 1))
    with pytest.raises(StreetveilError, match=r"line 1 of .* is damaged: restore"):
        book.read()


WRITER = """
import sys
from components.evaluation.hand_count.answers import Answer, AnswerBook
from pathlib import Path
book = AnswerBook(Path(sys.argv[1]))
for revision in range(1, 100_000):
    book.append(Answer("s", f"{revision % 7}.png", revision, True, ()))
    print(revision, flush=True)
"""


def test_what_was_acknowledged_before_the_writer_was_killed_is_there(tmp_path: Path) -> None:
    """SIGKILL in the middle of writing loses nothing that was acknowledged."""
    file = tmp_path / "ada.jsonl"
    command = [sys.executable, "-c", WRITER, str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=PROJECT_ROOT) as writer:
        assert writer.stdout is not None
        for _ in range(25):
            acknowledged = int(writer.stdout.readline())
        os.kill(writer.pid, signal.SIGKILL)
        acknowledged = max([acknowledged, *(int(line) for line in writer.stdout if line.endswith("\n"))])
    lines = file.read_bytes().split(b"\n")[:-1]
    assert [json.loads(line)["revision"] for line in lines] == list(range(1, len(lines) + 1))
    assert len(lines) >= acknowledged
    assert len(AnswerBook(file).read()) == 7


def test_two_windows_write_one_book_without_tearing_it(tmp_path: Path) -> None:
    """Two processes that append at once leave only whole lines, one after the other."""
    file = tmp_path / "ada.jsonl"
    script = WRITER.replace("100_000", "30").replace('f"{revision % 7}.png"', "sys.argv[2] + str(revision)")
    writers = [
        subprocess.Popen([sys.executable, "-c", script, file, name], stdout=subprocess.DEVNULL, cwd=PROJECT_ROOT)
        for name in "ab"
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    assert len(AnswerBook(file).read()) == 58


def test_a_full_disk_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch, book: AnswerBook) -> None:
    """A write that comes to nothing is an error, and the file can still be read and written."""
    sample, write = sample_of(1), os.write
    monkeypatch.setattr(os, "write", lambda descriptor, content: write(descriptor, content[:10]))
    with pytest.raises(StreetveilError, match=r"cannot write .*full"):
        book.append(answer_to(sample, 0))
    monkeypatch.undo()
    assert book.read() == {}
    book.append(answer_to(sample, 0))
    assert len(book.read()) == 1


@pytest.mark.parametrize("name", ["", "../ada", "a/b", "ada.", "x" * 41])
def test_a_counters_name_is_no_path(name: str) -> None:
    """Names that could lead elsewhere are refused."""
    with pytest.raises(StreetveilError, match="is no name for a counter"):
        AnswerBook.of(Path("count.json"), name)


@pytest.mark.parametrize(
    ("marks", "told"),
    [
        ((Missed("face", 150, 0, 161, 9),), "outside"),
        ((Missed("face", 5, 5, 5, 9),), "outside"),
        ((AreaMark(2, "wrong_blur"),), "no area 2"),
        ((AreaMark(1, "wrong_blur"), AreaMark(1, "recognisable")), "marked twice"),
    ],
)
def test_marks_must_fit_the_picture(marks: tuple[Mark, ...], told: str) -> None:
    """A mark outside of the picture, on no area, or twice on one is refused with its reason."""
    sample = sample_of(1)
    assert told in (fault(answer_to(sample, 0, *marks), sample) or "")


def test_answers_to_another_sample_or_picture_are_refused(on_disk: tuple[Path, Sample]) -> None:
    """Neither a foreign sample's answer nor one to a picture that was not drawn is counted."""
    path, sample = on_disk
    foreign = answer_to(sample_of(1), 0)
    assert "another sample" in (fault(foreign, sample) or "")
    assert "not in the sample" in (fault(Answer(sample.sample_id, "x", 1, True, ()), sample) or "")
    AnswerBook.of(path, "ada").append(answer_to(sample, 1, MISSED))
    assert read_books(path, sample) == {"ada": {"day/1.png": answer_to(sample, 1, MISSED)}}
    AnswerBook.of(path, "bob").append(foreign)
    with pytest.raises(StreetveilError, match="answers of bob do not fit"):
        read_books(path, sample)
    assert answers_folder(path).name == "count.answers"


MARKS = st.one_of(
    st.builds(Missed, st.sampled_from(["face", "license_plate"]), *[st.integers(-5, 9999)] * 4),
    st.builds(AreaMark, st.integers(0, 99), st.sampled_from(["wrong_blur", "recognisable"])),
)


@given(st.lists(MARKS, max_size=5), st.text(st.characters(exclude_categories=["Cs"])), st.booleans())
def test_every_answer_is_one_line_and_comes_back(marks: list[Mark], path: str, counted: bool) -> None:
    """JSON and back is the identity, and no path can break the line."""
    answer = Answer("s", path, 1, counted, tuple(marks), 1.5)
    line = ANSWER.dump_json(answer)
    assert b"\n" not in line
    assert ANSWER.validate_json(line) == answer
