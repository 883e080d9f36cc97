"""A watched run: what is on disk after every shard, and after every kind of end."""

from __future__ import annotations

import fcntl
import io
from pathlib import Path

import pytest

from components.batch.manifest import commit_manifest
from components.batch.plan import Plan
from components.batch.quarantine import discard
from components.batch.storage import STATE_FOLDER
from components.detection.bundle import Bundle
from components.errors import Reason, StreetveilError
from components.monitoring.run_record import RECORD, RunRecord, read_record, recount
from components.monitoring.run_watch import watch_run
from components.settings import Params
from tests.monitoring.runs import open_run_of, record, row


def test_every_shard_is_told(tmp_path: Path, toy: Bundle, params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    """After each shard, the record and the text file have its images; at the end they say finished."""
    metrics = tmp_path / "metrics"
    metrics.mkdir()
    monkeypatch.setenv("STREETVEIL_METRICS_DIR", str(metrics))
    run = open_run_of(tmp_path, toy, params)
    with watch_run(run, "daily") as watch:
        watch.planned(Plan(0, 2, 0, io.BytesIO()))
        for count in (1, 2):
            watch.committed([row(count)])
            kept = RunRecord.from_json((run.destination / RECORD).read_bytes())
            assert (kept.state, kept.figures.published) == ("running", count)
            told = (metrics / "streetveil-run-daily.prom").read_text()
            assert f'streetveil_run_images_total{{run="daily",state="published"}} {count}.0' in told
            assert 'streetveil_run_state{run="daily",state="running"} 1.0' in told
    assert 'streetveil_run_state{run="daily",state="finished"} 1.0' in next(metrics.iterdir()).read_text()
    assert [file.name for file in metrics.iterdir()] == ["streetveil-run-daily.prom"]
    ended = read_record(run.destination)
    assert ended is not None
    assert (ended.state, ended.day, dict(ended.whole)) == ("finished", "2026-02-28", {"published": 2})


@pytest.mark.parametrize(
    ("error", "state"), [(StreetveilError("no room"), "failed"), (KeyboardInterrupt(), "interrupted")]
)
def test_a_run_that_ends_early_says_how(
    tmp_path: Path, toy: Bundle, params: Params, error: BaseException, state: str
) -> None:
    """An error and Ctrl-C are told apart, with the error's words, and go on to whoever has called."""
    run = open_run_of(tmp_path, toy, params)
    with pytest.raises(type(error)), watch_run(run, "folder"):
        raise error
    ended = read_record(run.destination)
    assert ended is not None
    assert ended.state == state
    assert str(error) in (ended.error or "")


@pytest.mark.parametrize(("state", "is_kept"), [("finished", True), ("interrupted", False), ("failed", False)])
def test_a_run_with_nothing_to_do_leaves_the_record(
    tmp_path: Path, toy: Bundle, params: Params, state: str, is_kept: bool
) -> None:
    """Who finds all work done does not put its own nothing in the place of what was done, if that was finished."""
    run = open_run_of(tmp_path, toy, params)
    before = record(state=state).to_json().encode()
    run.storage.write(RECORD, before)
    with watch_run(run, "daily") as watch:
        watch.planned(Plan(0, 0, 5, io.BytesIO()))
    assert (run.storage.read(RECORD) == before) == is_kept


def test_too_few_published_is_a_failure(tmp_path: Path, toy: Bundle, params: Params) -> None:
    """A run below batch.min_published_share is told as failed, although every image has its end state."""
    run = open_run_of(tmp_path, toy, params)
    with watch_run(run, "daily") as watch:
        watch.committed([row(0), row(1, reason=Reason.STILL_DETECTED)])
    ended = read_record(run.destination)
    assert ended is not None
    assert ended.state == "failed"
    assert "50.0%" in (ended.error or "")


def test_metrics_that_cannot_be_written_stop_nothing(
    tmp_path: Path, toy: Bundle, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the folder for metrics gone, the run ends as it would have, and its record stands."""
    monkeypatch.setenv("STREETVEIL_METRICS_DIR", str(tmp_path / "gone"))
    run = open_run_of(tmp_path, toy, params)
    with watch_run(run, "daily") as watch:
        watch.committed([row(0)])
    ended = read_record(run.destination)
    assert ended is not None
    assert ended.state == "finished"


def test_a_run_that_was_killed_is_interrupted(tmp_path: Path) -> None:
    """A record that says running is believed for as long as somebody holds the destination's lock."""
    state = tmp_path / STATE_FOLDER
    state.mkdir()
    (tmp_path / RECORD).write_text(record(state="running").to_json())
    with (state / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert read_record(tmp_path) == record(state="running")
    assert read_record(tmp_path) == record(state="interrupted")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"figures": 3}', record().to_json()[:-20]])
def test_a_damaged_record_is_none(tmp_path: Path, content: str) -> None:
    """Whatever stands in the file, reading it raises nothing and makes nothing up."""
    (tmp_path / STATE_FOLDER).mkdir()
    (tmp_path / RECORD).write_text(content)
    assert read_record(tmp_path) is None


def test_a_run_that_goes_on_counts_the_whole_day(tmp_path: Path, toy: Bundle, params: Params) -> None:
    """After an interruption and a retry, the record has the day's images once each, in their last state."""
    run = open_run_of(tmp_path, toy, params)
    commit_manifest(run.storage, "first", [row(0), row(1, reason=Reason.TIMEOUT), row(2, reason=Reason.EMPTY)])
    with watch_run(run, "daily") as watch:
        watch.planned(Plan(1, 1, 2, io.BytesIO()))
        retried = [row(1)]
        commit_manifest(run.storage, "second", retried)
        watch.committed(retried)
    ended = read_record(run.destination)
    assert ended is not None
    assert (ended.figures.total, dict(ended.whole)) == (1, {"published": 2, "quarantined": 1})


def test_what_is_given_up_waits_no_longer(tmp_path: Path, toy: Bundle, params: Params) -> None:
    """After a person has discarded an image, the latest run's record no longer counts it among the quarantined."""
    run = open_run_of(tmp_path, toy, params)
    rows = [row(0), row(1, reason=Reason.DECODE_REFUSED), row(2, reason=Reason.EMPTY)]
    with watch_run(run, "daily") as watch:
        commit_manifest(run.storage, "first", rows)
        watch.committed(rows)
    discard(run.storage, [rows[2].path], "ada", "sent twice")
    recount(run.storage)
    ended = read_record(run.destination)
    assert ended is not None
    assert (ended.state, dict(ended.whole)) == ("finished", {"published": 1, "quarantined": 1, "discarded": 1})
