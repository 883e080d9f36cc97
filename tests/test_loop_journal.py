"""What a loop has done is kept whole, found again, and asked for once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from components.errors import StreetveilError
from components.loop_journal import Result, journals, open_loop
from components.registry.models import Registry
from components.settings import Params
from flows import monthly_waits
from flows.monthly_loop import Loop
from flows.monthly_steps import LEFT, run_loop
from flows.monthly_waits import begin_wait, is_over

DAY = date(2026, 12, 1)


def test_a_begun_loop_is_gone_on_with_and_a_finished_one_is_not(tmp_path: Path) -> None:
    """A step is done once for a loop, also by the next process; after its end, or anew, another key begins."""
    done = []
    for _ in range(2):
        with open_loop(tmp_path, DAY) as journal:
            assert journal.once("sample", lambda: done.append(1) or {"images": 3}) == {"images": 3}
    assert done == [1]
    with open_loop(tmp_path, DAY, anew=True) as other:
        assert other.key != journal.key
        assert other.result("sample") is None
        other.finish("promoted")
    with open_loop(tmp_path, DAY) as third:
        assert third.key not in (journal.key, other.key)
    assert [entry.key for entry in journals(tmp_path) if entry.is_finished] == sorted(
        [journal.key, other.key], key=[entry.key for entry in journals(tmp_path)].index
    )


def test_a_step_that_fails_is_not_noted(tmp_path: Path) -> None:
    """What a step came to is kept only when it came to its end."""
    with open_loop(tmp_path, DAY) as journal:
        with pytest.raises(ZeroDivisionError):
            journal.once("chain", lambda: {"share": 1 / 0})
        assert journal.result("chain") is None


def test_two_processes_are_not_at_a_loop_at_once_and_damage_is_told(tmp_path: Path) -> None:
    """A held loop is refused at once, and a damaged journal is an error that names the file."""
    with open_loop(tmp_path, DAY) as journal, pytest.raises(StreetveilError, match="another run"):
        open_loop(tmp_path, DAY).__enter__()
    journal.file.write_text("{")
    with pytest.raises(StreetveilError, match=r"journal\.json"), open_loop(tmp_path, DAY):
        pass


def test_a_deadline_runs_from_the_first_wait_on(
    tmp_path: Path, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits again does not wait longer: after the settings' days, or as soon as it has come, it is over."""
    come: list[bool] = []
    monkeypatch.setitem(monthly_waits.HAS_COME, "labels", lambda loop: bool(come))
    now, days = datetime(2026, 12, 1, tzinfo=UTC), params.retraining.labels_wait_days
    with open_loop(tmp_path, DAY) as journal:
        loop = Loop(journal, tmp_path, params, Registry("m", "sqlite:///none.db"), lambda chain: ())
        until = begin_wait(loop, "labels", now)
        assert until == now + timedelta(days=days)
        assert begin_wait(loop, "labels", now + timedelta(days=3)) == until
        assert not is_over(loop, "labels", until - timedelta(seconds=1))
        assert is_over(loop, "labels", until)
        come.append(True)
        assert is_over(loop, "labels", now)


def test_whoever_goes_on_waits_for_nothing_that_is_noted(tmp_path: Path, params: Params) -> None:
    """A loop that dies at the review waits for the review alone when it goes on, however its labels came about."""
    told = {"sample": {"images": 3}, "gate": {"overall": "passed"}, "promote": {"outcome": LEFT}}
    waited: list[str] = []

    def go_on(die_at: str | None) -> str:
        with open_loop(tmp_path, DAY) as journal:
            loop = Loop(journal, tmp_path, params, Registry("m", "sqlite:///none.db"), lambda chain: ())

            def do(name: str, step: Callable[[Loop], Result]) -> Result:
                return journal.once(name, lambda: told.get(name, {}))

            def wait(what: str) -> None:
                waited.append(what)
                if what == die_at:
                    raise KeyboardInterrupt

            return run_loop(loop, do, wait)

    with pytest.raises(KeyboardInterrupt):
        go_on("review")
    assert waited == ["labels", "shadow", "review"]
    assert go_on(None) == LEFT
    assert waited[3:] == ["review"]
