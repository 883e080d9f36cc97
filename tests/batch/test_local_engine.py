"""Workers may die or hang; the images do not get lost by it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from components.batch.engines.local import local_engine
from components.batch.journal import Journal
from components.batch.manifest import PUBLISHED, ImageRow
from components.batch.shards import Shard, plan_shards
from components.batch.sources import list_images
from components.batch.storage import LocalStorage
from components.batch.work_order import WorkOrder
from components.detection.bundle import Bundle
from components.errors import Reason, StreetveilError
from components.settings import Params

MakeOrder = Callable[..., WorkOrder]


class DeadlyStorage(LocalStorage):
    """Kills the worker that writes a file called `poison`, or hangs it for one called `slow`."""

    def write(self, path: str, content: bytes, durable: bool = True) -> None:
        """Write, die or hang."""
        if "poison" in path:
            os.kill(os.getpid(), signal.SIGKILL)
        if "slow" in path:
            time.sleep(3600)
        super().write(path, content, durable)


def one_shard(order: WorkOrder) -> Shard:
    """All images of the order's source as one shard."""
    (shard,) = plan_shards(list_images(order.source, Path("/nowhere")), {}, 10_000)
    return shard


def with_batch(params: Params, **changes: object) -> Params:
    """The settings with other batch values."""
    return params.model_copy(update={"batch": params.batch.model_copy(update=changes)})


def by_path(rows: list[ImageRow]) -> dict[str, ImageRow]:
    """Rows by path, each once."""
    assert len({row.path for row in rows}) == len(rows)
    return {row.path: row for row in rows}


def test_a_poison_file_is_quarantined_after_its_attempts_and_the_others_are_published(
    order: MakeOrder, fill: Callable, params: Params
) -> None:
    """Two files that kill their worker each time end in quarantine with their count; nobody else is hurt."""
    made = order()
    files = fill(made.source, 12)
    for name in ("poison-a.jpg", "poison-b.jpg"):
        (made.source / name).write_bytes(files["street-1/0001.jpg"])
    deadly = order(destination=DeadlyStorage(made.destination.root))  # type: ignore[attr-defined]
    with local_engine(deadly, workers=2) as engine:
        rows = by_path(engine.blur_shard(one_shard(deadly)))
    assert {path for path, row in rows.items() if row.state == PUBLISHED} == set(files)
    for name in ("poison-a.jpg", "poison-b.jpg"):
        assert (rows[name].reason, rows[name].attempts) == (Reason.DECODER_CRASH, params.batch.max_attempts)
        assert not made.destination.exists(name)


def test_a_file_that_hangs_its_worker_is_stopped_in_time(order: MakeOrder, fill: Callable, params: Params) -> None:
    """A worker that does not come back is killed, its image quarantined, and the rest goes on."""
    made = order()
    files = fill(made.source, 6)
    (made.source / "slow.jpg").write_bytes(files["street-1/0001.jpg"])
    hanging = order(
        destination=DeadlyStorage(made.destination.root),  # type: ignore[attr-defined]
        params=with_batch(params, image_timeout_s=8),
    )
    with local_engine(hanging, workers=2) as engine:
        rows = by_path(engine.blur_shard(one_shard(hanging)))
    assert rows["slow.jpg"].reason == Reason.TIMEOUT
    assert {path for path, row in rows.items() if row.state == PUBLISHED} == set(files)


def test_a_shard_that_takes_too_long_is_an_error_and_its_journal_stays(
    order: MakeOrder, fill: Callable, params: Params
) -> None:
    """A shard's deadline ends the call; finished images stand in the journal for the next one."""
    made = order()
    files = fill(made.source, 4)
    (made.source / "slow.jpg").write_bytes(files["street-1/0001.jpg"])
    hanging = order(
        destination=DeadlyStorage(made.destination.root),  # type: ignore[attr-defined]
        params=with_batch(params, shard_timeout_s=30),
    )
    shard = one_shard(hanging)
    with pytest.raises(StreetveilError, match="shard_timeout_s"), local_engine(hanging, workers=2) as engine:
        engine.blur_shard(shard)
    assert set(Journal(made.destination, shard.id).rows()) == set(files)


def test_finished_rows_of_an_interrupted_shard_are_taken_over_unread(order: MakeOrder, fill: Callable) -> None:
    """An image that the journal knows as done, with its output in place, is not blurred again."""
    made = order()
    fill(made.source, 5)
    shard = one_shard(made)
    with local_engine(made, workers=1) as engine:
        first = by_path(engine.blur_shard(shard))
        stamps = {path: (made.destination.root / path).stat().st_mtime_ns for path in first}  # type: ignore[attr-defined]
        made.destination.delete("street-2/0002.jpg")
        seen: list[str] = []
        again = by_path(engine.blur_shard(shard, lambda row: seen.append(row.path)))
    assert sorted(seen) == sorted(first)
    changed = [
        path
        for path, stamp in stamps.items()
        if (made.destination.root / path).stat().st_mtime_ns != stamp  # type: ignore[attr-defined]
    ]
    assert changed == ["street-2/0002.jpg"]
    assert {path: row.output_sha256 for path, row in again.items()} == {
        path: row.output_sha256 for path, row in first.items()
    }


def test_rows_of_another_model_or_region_are_not_taken_over(
    order: MakeOrder, fill: Callable, toy: Bundle, params: Params
) -> None:
    """A run that goes on with other rules or another model does the interrupted shard anew: one run, one model."""
    made = order()
    fill(made.source, 3)
    shard = one_shard(made)
    with local_engine(made, workers=1) as engine:
        engine.blur_shard(shard)
    for other in (order(region_name="us"), order(bundle=replace(toy, version="2"))):
        with local_engine(other, workers=1) as engine:
            rows = engine.blur_shard(shard)
        assert {(row.region, row.model_version) for row in rows} == {(other.region_name, other.bundle.version)}
