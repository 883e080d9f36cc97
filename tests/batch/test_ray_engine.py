"""Ray's actors may die, and their nodes: no image gets lost by it, and outputs are those of any other engine."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from components.batch.journal import Journal
from components.batch.manifest import PUBLISHED, comparable
from components.batch.worker import WorkOrder, load_blurring, process_image
from components.errors import Reason
from components.settings import Params
from tests.batch.conftest import tree
from tests.batch.test_local_engine import DeadlyStorage, by_path, one_shard

ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")
MakeOrder = Callable[..., WorkOrder]


@pytest.mark.slow
def test_outputs_are_the_same_bit_for_bit_and_a_poison_file_does_not_circulate(
    order: MakeOrder, fill: Callable, params: Params, tmp_path: Path
) -> None:
    """Actors publish what this process would, and a file that kills them each time ends in quarantine, counted."""
    from components.batch.engines.ray import ray_engine

    made = order()
    files = fill(made.source, 8)
    shard = one_shard(made)
    blurring, journal = load_blurring(made), Journal(made.destination, "here")
    expected = [process_image(made, blurring, journal, image) for image in shard.images]
    outputs = tree(made.destination)
    (made.source / "poison.jpg").write_bytes(files["street-1/0001.jpg"])
    deadly = order(destination=DeadlyStorage(tmp_path / "far"))
    with ray_engine(deadly, workers=2) as engine:
        rows = by_path(engine.blur_shard(one_shard(deadly)))
    poison = rows.pop("poison.jpg")
    assert (poison.reason, poison.attempts) == (Reason.DECODER_CRASH, params.batch.max_attempts)
    assert comparable(rows.values()) == comparable(expected)
    assert tree(deadly.destination) == outputs


@pytest.mark.slow
def test_an_actor_and_a_node_that_are_killed_lose_nothing(
    order: MakeOrder, fill: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An actor's process is killed in the middle, then a node of two: every image is published, once."""
    from ray.cluster_utils import Cluster

    from components.batch.engines.ray import RayPool, ray_engine

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    made = order()
    files = fill(made.source, 30)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    second = cluster.add_node(num_cpus=1)
    ray.init(cluster.address, log_to_driver=False)
    done = []
    try:
        with ray_engine(made, workers=2) as engine:
            assert isinstance(engine.pool, RayPool)
            victim = ray.get(engine.pool.idle.queue[0][1])
            killed = threading.Event()

            def strike(row: object) -> None:
                done.append(row)
                if len(done) == 3 and not killed.is_set():
                    killed.set()
                    os.kill(victim, signal.SIGKILL)
                if len(done) == 8:
                    cluster.remove_node(second, allow_graceful=False)

            rows = by_path(engine.blur_shard(one_shard(made), strike))
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert killed.is_set()
    assert set(rows) == set(files)
    assert {row.state for row in rows.values()} == {PUBLISHED}
    assert set(tree(made.destination)) == set(files)
