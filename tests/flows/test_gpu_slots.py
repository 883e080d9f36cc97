"""GPU work takes a slot of Prefect's global limit, on a real (temporary) server."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from prefect import flow, task
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
from prefect.testing.utilities import prefect_test_harness

import flows.gpu_slots as module
from components.batch.run import Run, commit_shard
from components.batch.shards import Shard
from flows.daily_blur import daily_blur
from flows.gpu_slots import LIMIT, gpu_slots


@pytest.fixture(scope="module", autouse=True)
def _prefect() -> Iterator[None]:
    with prefect_test_harness(server_startup_timeout=180):
        yield


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine that says it has two GPUs, and the limit that belongs to it."""
    monkeypatch.setattr(module, "resolve_device", lambda device: "cpu" if device == "cpu" else "cuda")
    monkeypatch.setattr(module, "gpu_count", lambda: 2)
    with get_client(sync_client=True) as client:
        client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=LIMIT, limit=2))
        yield
        client.delete_global_concurrency_limit_by_name(LIMIT)


def taken() -> int:
    """Slots that somebody holds at this moment."""
    with get_client(sync_client=True) as client:
        return client.read_global_concurrency_limit_by_name(LIMIT).active_slots


@pytest.mark.slow
@pytest.mark.usefixtures("two_gpus")
def test_a_night_on_gpus_holds_their_slots_while_it_blurs(
    day: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both slots are held as shards are committed, and free after the night; on a CPU, none is ever taken."""
    seen = []

    def commit(run: Run, shard: Shard, rows: list) -> str:
        seen.append(taken())
        return commit_shard(run, shard, rows)

    monkeypatch.setattr(sys.modules["flows.daily_blur"], "commit_shard", commit)
    folders = {"source": str(day), "region": "eu", "workers": 2, "host_threads": 2}
    for device in ("auto", "cpu"):
        daily_blur(day=date(2026, 2, 28), destination=str(tmp_path / device), device=device, **folders)
    assert seen == [2, 0]
    assert taken() == 0


@pytest.mark.usefixtures("two_gpus")
def test_who_comes_second_waits_for_a_slot_and_who_fails_leaves_his() -> None:
    """A task with both slots lets no other begin until it has ended, though it ends with an error."""
    begun, may_end = threading.Event(), threading.Event()
    order = []

    @task
    def holder() -> None:
        with gpu_slots("cuda", 3):
            begun.set()
            may_end.wait(30)
            order.append("held")
            raise ValueError("a bug")

    @task
    def waiter() -> int:
        begun.wait(30)
        threading.Timer(1.0, may_end.set).start()
        with gpu_slots("cuda"):
            order.append("waited")
            return taken()

    @flow
    def both() -> int:
        first, second = holder.submit(), waiter.submit()
        first.wait()
        return second.result()

    assert both() == 1
    assert order == ["held", "waited"]
    assert taken() == 0


def test_without_the_limit_nothing_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a server on which nobody has made the limit, the work goes on as before."""
    monkeypatch.setattr(module, "resolve_device", lambda device: "cuda")

    @flow
    def free() -> str:
        with gpu_slots("cuda"):
            return "done"

    assert free() == "done"
