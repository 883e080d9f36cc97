"""Many pictures in the hands of one process: the same outputs, and nobody suffers for a neighbour."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from components.batch.engines.choice import open_engine
from components.batch.engines.crews import CrewPool, crew_engine, threads_of
from components.batch.engines.engine import Engine, Failure
from components.batch.journal import Journal
from components.batch.manifest import PUBLISHED, ImageRow, comparable
from components.batch.shards import plan_shards
from components.batch.sources import list_images
from components.batch.storage import LocalStorage
from components.batch.work_order import WorkOrder
from components.batch.worker import load_blurring, process_image
from components.detection.batching import ProcessLostError
from components.detection.bundle import Bundle
from components.errors import ModelError, Reason, StreetveilError
from components.settings import Params
from tests.batch.conftest import tree
from tests.batch.test_local_engine import DeadlyStorage, by_path, one_shard, with_batch

MakeOrder = Callable[..., WorkOrder]
_in_hand: set[str] = set()  # of a process, in which `Witness` is


class Witness(LocalStorage):
    """Writes down which files were written while a file called `poison` killed its worker, next to the destination."""

    def write(self, path: str, content: bytes, durable: bool = True) -> None:
        """Write, or note the company that the first time is waited for, and die."""
        if ".streetveil" in path:
            return super().write(path, content, durable)
        _in_hand.add(path)
        log = self.root.with_suffix(".log")
        while "poison" in path and not log.exists() and len(_in_hand) == 1:
            time.sleep(0.01)
        time.sleep(0.2 if "poison" in path else 0.5)
        if "poison" in path:
            with log.open("a") as lines:
                lines.write(f"{len(_in_hand) - 1}\n")
            os.kill(os.getpid(), signal.SIGKILL)
        super().write(path, content, durable)
        _in_hand.discard(path)
        return None


class Once(LocalStorage):
    """What goes wrong at the first file of a name, and not again: memory is short, or the GPU is lost."""

    def write(self, path: str, content: bytes, durable: bool = True) -> None:
        """Write, or fail."""
        crowded, lost = (self.root.with_suffix(f".{name}") for name in ("crowded", "lost"))
        if path == "crowded.jpg" and not crowded.exists():
            crowded.touch()
            raise MemoryError
        if path == "lost.jpg" and not lost.exists():
            while not crowded.exists():
                time.sleep(0.01)
            lost.touch()
            raise ProcessLostError("the GPU has failed")
        if path == "hungry.jpg":
            raise MemoryError
        super().write(path, content, durable)


def write_beside(order: WorkOrder, files: dict[str, bytes], *names: str) -> None:
    """Put copies of a picture beside the others."""
    for name in names:
        (Path(str(order.source)) / name).write_bytes(files["street-1/0001.jpg"])


def test_outputs_are_those_of_a_worker_with_one_picture(order: MakeOrder, fill: Callable, tmp_path: Path) -> None:
    """Byte for byte and row for row the same, with three pictures in hand as with one."""
    made = order()
    fill(made.source, 14)
    blurring, journal = load_blurring(made), Journal(made.destination, "alone")
    expected = [process_image(made, blurring, journal, image) for image in one_shard(made).images]
    crowded = order(destination=LocalStorage(tmp_path / "crowded"))
    with open_engine("local", crowded, 1, 14, 3) as engine:
        rows = engine.blur_shard(one_shard(crowded))
    assert comparable(rows) == comparable(expected)
    assert tree(crowded.destination) == tree(made.destination)  # type: ignore[arg-type]


@pytest.mark.parametrize("max_attempts", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_a_poison_file_is_quarantined_and_its_neighbours_are_published(
    max_attempts: int, order: MakeOrder, fill: Callable, params: Params
) -> None:
    """Whoever was in hand when the process died is published, however few attempts there are; the poison is counted."""
    made = order()
    files = fill(made.source, 6)
    write_beside(made, files, "poison.jpg")
    storage = Witness(made.destination.root)  # type: ignore[attr-defined]
    deadly = order(destination=storage, params=with_batch(params, max_attempts=max_attempts))
    with crew_engine(deadly, 1, 3) as engine:
        rows = by_path(engine.blur_shard(one_shard(deadly)))
    assert {path for path, row in rows.items() if row.state == PUBLISHED} == set(files)
    assert {row.attempts for row in rows.values() if row.state == PUBLISHED} == {1}
    assert (rows["poison.jpg"].reason, rows["poison.jpg"].attempts) == (Reason.DECODER_CRASH, max_attempts)
    first, *later = storage.root.with_suffix(".log").read_text().split()
    assert int(first) > 0
    assert later == ["0"] * max_attempts


@pytest.mark.slow
def test_a_suspect_is_alone_though_another_shard_is_under_way(order: MakeOrder, fill: Callable, params: Params) -> None:
    """Of two shards on one process, one kills it thrice more: the other's pictures were in hand at none of these."""
    made = order()
    files = fill(made.source, 24)
    write_beside(made, files, "a-poison.jpg")
    storage = Witness(made.destination.root)  # type: ignore[attr-defined]
    deadly = order(destination=storage)
    shards = list(plan_shards(list_images(deadly.source, Path("/nowhere")), {}, 13))
    assert len(shards) == 2
    with crew_engine(deadly, 1, 3) as engine, ThreadPoolExecutor(2) as flows:
        rows = by_path([row for rows in flows.map(engine.blur_shard, shards) for row in rows])
    assert {path for path, row in rows.items() if row.state == PUBLISHED} == set(files)
    assert rows["a-poison.jpg"].reason == Reason.DECODER_CRASH
    company = storage.root.with_suffix(".log").read_text().split()
    assert len(company) == 1 + params.batch.max_attempts
    assert company[1:] == ["0"] * params.batch.max_attempts


def test_a_process_that_is_killed_in_the_middle_loses_nothing(order: MakeOrder, fill: Callable) -> None:
    """A SIGKILL from outside: every picture is published once, and what was in hand is done anew."""
    made = order()
    files = fill(made.source, 24)
    killed: list[int] = []

    def strike(row: ImageRow) -> None:
        if not killed:
            assert isinstance(engine.pool, CrewPool)
            killed.append(engine.pool.crews[0].pid or 0)
            os.kill(killed[0], signal.SIGKILL)

    with crew_engine(made, 1, 3) as engine:
        rows = by_path(engine.blur_shard(one_shard(made), strike))
        assert isinstance(engine.pool, CrewPool)
        assert engine.pool.crews[0].pid != killed[0]
    assert set(rows) == set(files) == set(tree(made.destination))  # type: ignore[arg-type]
    assert {row.state for row in rows.values()} == {PUBLISHED}


@pytest.mark.slow
def test_a_file_that_hangs_is_stopped_in_time_and_only_it(order: MakeOrder, fill: Callable, params: Params) -> None:
    """It is stopped once in company, when it may be another's fault, and once alone; then it is quarantined."""
    made = order()
    files = fill(made.source, 6)
    write_beside(made, files, "slow.jpg")
    storage = DeadlyStorage(made.destination.root)  # type: ignore[attr-defined]
    hanging = order(destination=storage, params=with_batch(params, image_timeout_s=8))
    with crew_engine(hanging, 1, 3) as engine:
        rows = by_path(engine.blur_shard(one_shard(hanging)))
    assert (rows["slow.jpg"].reason, rows["slow.jpg"].attempts) == (Reason.TIMEOUT, 1)
    assert {path for path, row in rows.items() if row.state == PUBLISHED} == set(files)


@pytest.mark.slow
def test_time_limits_hold_while_others_never_stop_answering(order: MakeOrder) -> None:
    """A call that hangs is stopped although its process keeps on saying that other calls are done."""
    with crew_engine(order(), 1, 2) as engine:
        calls = [(3600,), *[(0.05,)] * 200]
        outcomes = list(engine.pool.answers(time.sleep, calls, 3, float("inf")))
    assert dict(outcomes)[0] is Failure.IN_COMPANY
    assert [number for number, _ in outcomes].index(0) < 190
    assert len(outcomes) == len(calls)


@pytest.mark.slow
def test_a_shard_that_takes_too_long_is_an_error_and_its_journal_stays(
    order: MakeOrder, fill: Callable, params: Params
) -> None:
    """The deadline stops what is in hand; the process is there for the next shard."""
    made = order()
    files = fill(made.source, 4)
    write_beside(made, files, "slow.jpg")
    storage = DeadlyStorage(made.destination.root)  # type: ignore[attr-defined]
    hanging = order(destination=storage, params=with_batch(params, shard_timeout_s=15))
    shard = one_shard(hanging)
    with crew_engine(hanging, 1, 2) as engine:
        with pytest.raises(StreetveilError, match="shard_timeout_s"):
            engine.blur_shard(shard)
        assert set(Journal(made.destination, shard.id).rows()) == set(files)
        rest = replace(shard, images=tuple(image for image in shard.images if image.path != "slow.jpg"))
        assert set(by_path(engine.blur_shard(rest))) == set(files)


def test_want_of_memory_in_company_is_nobodys_fault_until_it_is_met_alone(order: MakeOrder, fill: Callable) -> None:
    """A picture that lacked memory once, or met a lost GPU, is published; one that lacks it alone is quarantined."""
    made = order()
    files = fill(made.source, 5)
    write_beside(made, files, "crowded.jpg", "hungry.jpg", "lost.jpg")
    storage = Once(made.destination.root)  # type: ignore[attr-defined]
    with crew_engine(order(destination=storage), 1, 3) as engine:
        rows = by_path(engine.blur_shard(one_shard(made)))
    assert {path for path, row in rows.items() if row.state == PUBLISHED} == {*files, "crowded.jpg", "lost.jpg"}
    assert (rows["hungry.jpg"].reason, rows["hungry.jpg"].attempts) == (Reason.OUT_OF_MEMORY, 1)


def test_a_process_that_cannot_start_is_told_at_once(order: MakeOrder, toy: Bundle, tmp_path: Path) -> None:
    """Without its model nothing is begun, and the message says what is missing."""
    gone = replace(toy, files=(replace(toy.files[0], path=tmp_path / "gone.onnx"),))
    with pytest.raises(ModelError, match=r"gone\.onnx cannot be read"), crew_engine(order(bundle=gone), 1, 2):
        pass


class Fickle:
    """A pool whose calls fail in company, and are answered alone."""

    def answers(
        self, function: Callable, calls: list[tuple], timeout_s: float, deadline_s: float, is_alone: bool = False
    ) -> Iterator[tuple[int, object]]:
        """Answer, or not."""
        for number, arguments in enumerate(calls):
            yield number, function(*arguments) if is_alone or number else Failure.IN_COMPANY


def test_a_look_that_failed_in_company_is_taken_again(order: MakeOrder) -> None:
    """Shadow and backfill hear of every row, those whose worker died beside others among them."""
    engine = Engine(order(), Fickle())  # type: ignore[arg-type]
    assert sorted(engine.each(lambda row: row * 2, [1, 2, 3])) == [(1, 2), (2, 4), (3, 6)]  # type: ignore[arg-type]


def test_host_threads_are_stated_or_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixteen cores are 16 pictures in one process, 8 in each of two, and never less than one."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))
    assert [threads_of(None, n) for n in (1, 2, 32)] == [16, 8, 1]
    assert threads_of(5, 2) == 5
