"""The log of JSON lines: what is in it, and what can never be."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest

from components.errors import StreetveilError
from components.event_log import log_event, log_failure, start_json_log

NAME = "anna-example.jpg"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """A JSON log in memory; logging is as before after the test."""
    root, ours = logging.getLogger(), logging.getLogger("streetveil")
    before = root.handlers[:], root.level, ours.level, sys.excepthook
    stream = io.StringIO()
    start_json_log(stream)
    yield stream
    root.handlers[:], sys.excepthook = before[0], before[3]
    root.setLevel(before[1])
    ours.setLevel(before[2])
    logging.captureWarnings(False)


def lines(log: io.StringIO) -> list[dict[str, object]]:
    """What was logged."""
    return [json.loads(line) for line in log.getvalue().splitlines()]


def test_an_event_is_one_object(log: io.StringIO) -> None:
    """Time, severity, name and fields, with nothing that is None."""
    log_event("shard.committed", run="daily", images=10, images_per_s=1.23456, reason=None)
    (told,) = lines(log)
    assert str(told.pop("time")).endswith("+00:00")
    assert told == {
        "severity": "info", "event": "shard.committed", "run": "daily", "images": 10, "images_per_s": 1.235,
    }  # fmt: skip


@pytest.mark.parametrize("word", ["photos/anna.jpg", "Anna Example", "52.5,13.4", "a\nb", "x" * 61])
def test_a_word_that_could_be_somebodys_is_withheld(log: io.StringIO, word: str) -> None:
    """Paths, names with spaces, coordinates and long texts do not pass; nor does a folder's name as a day."""
    log_event("run.started", region=word, day="wedding-of-anna")
    (told,) = lines(log)
    assert (told["region"], told["day"]) == ("withheld", "withheld")


def test_an_unknown_field_is_an_error() -> None:
    """Nobody can begin to log paths by giving them a name."""
    with pytest.raises(ValueError, match="path"):
        log_event("x", path="a.jpg")


def test_errors_and_libraries_are_told_by_their_place(log: io.StringIO) -> None:
    """Neither the words of an error nor those of a library's log, which hold names, are written; kind and line are."""
    try:
        raise StreetveilError(f"cannot read {NAME}")
    except StreetveilError as error:
        log_failure("command.failed", error)
        logging.getLogger("somebody").exception("while %s was read", NAME)
        logging.getLogger("somebody").warning(f"{NAME} %s", error)
    logging.getLogger("somebody").info("not asked for")
    assert NAME not in log.getvalue()
    told = lines(log)
    assert [line["event"] for line in told] == ["command.failed", "library", "library"]
    assert {line["error"] for line in told} == {"StreetveilError"}
    assert all(str(line["where"]).startswith("test_event_log:") for line in told)


def test_a_crash_is_told_without_words(log: io.StringIO) -> None:
    """What ends the process by surprise leaves one line and no traceback with values in it."""
    try:
        raise RuntimeError(NAME)
    except RuntimeError as error:
        sys.excepthook(type(error), error, error.__traceback__)
    (told,) = lines(log)
    assert (told["event"], told["error"], told["severity"]) == ("program.crashed", "RuntimeError", "error")
    assert NAME not in log.getvalue()
