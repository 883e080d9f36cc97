"""Ray's actors may die, and their nodes: no image gets lost by it, and outputs are those of any other engine."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from components.batch.journal import Journal
from components.batch.manifest import PUBLISHED, ImageRow, comparable
from components.batch.work_order import WorkOrder
from components.batch.worker import load_blurring, process_image
from components.errors import Reason
from components.settings import Params
from tests.batch.conftest import tree
from tests.batch.test_local_engine import DeadlyStorage, by_path, one_shard

ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")
MakeOrder = Callable[..., WorkOrder]

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster


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


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A Ray cluster of one node with one core, in processes of its own; the test may add nodes and take them away."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    monkeypatch.setenv("RAY_ADDRESS", made.address)
    yield made
    ray.shutdown()
    made.shutdown()


@pytest.mark.slow
def test_an_actor_and_a_node_that_are_killed_lose_nothing(
    order: MakeOrder, fill: Callable, params: Params, cluster: Cluster, tmp_path: Path
) -> None:
    """An actor's process is killed at work, then a node of two: every image has one end, and outputs are the same."""
    from components.batch.engines.ray import RayPool, ray_engine

    second = cluster.add_node(num_cpus=1)
    made = order()
    files = fill(made.source, 40)
    blurring, journal = load_blurring(made), Journal(made.destination, "here")
    for image in one_shard(made).images:
        process_image(made, blurring, journal, image)
    expected = tree(made.destination)
    # The last in line, so that it kills nobody before they are killed here.
    (made.source / "zz-poison.jpg").write_bytes(files["street-1/0001.jpg"])
    deadly = order(destination=DeadlyStorage(tmp_path / "far"))
    killed: list[str] = []
    done: list[ImageRow] = []
    with ray_engine(deadly, workers=2) as engine:
        assert isinstance(engine.pool, RayPool)
        places = [ray.get(actor.call.remote(place, ()), timeout=120) for actor, _ in list(engine.pool.idle.queue)]
        pids = dict(places)
        assert len(pids) == 2  # one on each node
        victim = next(pid for node, pid in pids.items() if node != second.node_id)

        def strike(row: ImageRow) -> None:
            done.append(row)
            if len(done) == 3:
                os.kill(victim, signal.SIGKILL)
                killed.append("actor")
            if len(done) == 8:
                cluster.remove_node(second, allow_graceful=False)
                killed.append("node")

        rows = by_path(engine.blur_shard(one_shard(deadly), strike))
    assert killed == ["actor", "node"]
    assert not psutil.pid_exists(pids[second.node_id])
    poison = rows.pop("zz-poison.jpg")
    assert (poison.reason, poison.attempts) == (Reason.DECODER_CRASH, params.batch.max_attempts)
    assert set(rows) == set(files)
    assert {row.state for row in rows.values()} == {PUBLISHED}
    assert max(row.attempts for row in rows.values()) == 2  # those that were in the hands of what was killed
    assert tree(deadly.destination) == expected
    assert len(done) == len(rows) + 1


@pytest.mark.slow
def test_a_node_that_joins_in_the_middle_takes_the_place_of_a_lost_one(
    order: MakeOrder, fill: Callable, cluster: Cluster
) -> None:
    """The only node with a free core is lost, and the actor that was on it goes on with work on a new one."""
    from components.batch.engines.ray import ray_engine

    second = cluster.add_node(num_cpus=1)
    made = order()
    files = fill(made.source, 60)
    done: list[ImageRow] = []
    with ray_engine(made, workers=2) as engine:

        def strike(row: ImageRow) -> None:
            done.append(row)
            if len(done) == 5:
                cluster.remove_node(second, allow_graceful=False)
                cluster.add_node(num_cpus=1)

        rows = by_path(engine.blur_shard(one_shard(made), strike))
        again = [ray.get(actor.call.remote(place, ()), timeout=120) for actor, _ in list(engine.pool.idle.queue)]
    assert {row.state for row in rows.values()} == {PUBLISHED}
    assert set(rows) == set(files)
    assert len({node for node, _ in again}) == 2
    assert second.node_id not in {node for node, _ in again}


def place() -> tuple[str, int]:
    """Where an actor is: its node and its process."""
    return ray.get_runtime_context().get_node_id(), os.getpid()
