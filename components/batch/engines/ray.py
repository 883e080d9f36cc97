"""The engine for many machines: Ray actors, each holding a model, on whatever nodes a cluster has.

Paths travel to them and rows come back; pixels never leave the node that blurs them. Ray starts an actor anew when it
or its node has died, but repeats no call by itself: what is begun is counted in the journal, and the engine decides.
"""

from __future__ import annotations

import os
import queue
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import ray
from ray.exceptions import RayActorError, RayError, RayTaskError

from components.batch.engines.engine import Engine, Failure, ends_all
from components.batch.work_order import WorkOrder
from components.batch.worker import start_worker
from components.detection.bundle import Bundle
from components.errors import StreetveilError

Answer = TypeVar("Answer")

_START_TIMEOUT_S = 300.0
_LOOK_S = 0.5  # how long a wait lasts before time limits are looked at again


class _Worker:
    """One actor: a process of its own that holds the model and takes one call after another."""

    def __init__(self, order: WorkOrder, networks: Sequence[bytes]) -> None:
        start_worker(replace(order, bundle=_on_this_node(order.bundle, networks)))

    def call(self, function: Callable[..., Answer], arguments: tuple[object, ...]) -> Answer:
        return function(*arguments)


def _on_this_node(bundle: Bundle, networks: Sequence[bytes]) -> Bundle:
    """A bundle whose files lie on this node; each is verified by its hash when it is read."""
    if all(file.path.exists() for file in bundle.files):
        return bundle
    folder = Path(tempfile.mkdtemp(prefix="streetveil-model-"))
    files = []
    for file, content in zip(bundle.files, networks, strict=True):
        path = folder / f"{file.sha256[:16]}-{file.path.name}"
        path.write_bytes(content)
        files.append(replace(file, path=path))
    return replace(bundle, files=tuple(files))


@dataclass(frozen=True, slots=True)
class RayPool:
    """Actors of a cluster; a `Pool`.

    Attributes:
        idle: actors that nobody has given a call to, each with the sign of life that it was asked for when it was
            started, or None once it has given that.
    """

    idle: queue.Queue[tuple[Any, Any]]

    def answers(
        self,
        function: Callable[..., Answer],
        calls: Sequence[tuple[object, ...]],
        timeout_s: float,
        deadline_s: float,
        is_alone: bool = False,
    ) -> Iterator[tuple[int, Answer | Failure | Exception]]:
        """See `Pool.answers`: an actor has one call at a time, so each is alone."""
        left = deque(enumerate(calls))
        in_hand: dict[Any, _InHand] = {}
        try:
            while left or in_hand:
                if time.monotonic() >= deadline_s:
                    raise TimeoutError
                while left and (actor := self._ready_actor()) is not None:
                    number, call = left.popleft()
                    answer = actor.call.remote(function, call)
                    in_hand[answer] = _InHand(number, actor, time.monotonic() + timeout_s)
                if not in_hand:
                    time.sleep(_LOOK_S)
                for number, outcome in self._finished(in_hand):
                    if ends_all(outcome):
                        left.clear()
                    yield number, outcome
        finally:
            for held in in_hand.values():
                self._stop(held.actor)

    def started(self, actor: Any) -> None:
        """Take in an actor that is being started, for the first time or anew."""
        self.idle.put((actor, actor.call.remote(os.getpid, ())))

    def _ready_actor(self) -> Any:
        """An actor that can take a call now, or None: one on a lost node may be long in coming back."""
        for _ in range(self.idle.qsize()):
            try:
                actor, sign = self.idle.get_nowait()
            except queue.Empty:
                return None
            if sign is None:
                return actor
            if not ray.wait([sign], timeout=0)[0]:
                self.idle.put((actor, sign))
            elif _outcome(sign) is Failure.DIED:
                self.started(actor)
            else:
                return actor
        return None

    def _finished(self, in_hand: dict[Any, _InHand]) -> Iterator[tuple[int, Any]]:
        if not in_hand:
            return
        ready, _ = ray.wait(list(in_hand), timeout=_LOOK_S)
        for answer in ready:
            held = in_hand.pop(answer)
            outcome = _outcome(answer)
            if outcome is Failure.DIED:
                self.started(held.actor)
            else:
                self.idle.put((held.actor, None))
            yield held.number, outcome
        now_s = time.monotonic()
        for answer in [answer for answer, held in in_hand.items() if held.until_s <= now_s]:
            held = in_hand.pop(answer)
            self._stop(held.actor)
            yield held.number, Failure.TIMED_OUT

    def _stop(self, actor: Any) -> None:
        """End what an actor is at; it is started anew."""
        ray.kill(actor, no_restart=False)
        self.started(actor)


@dataclass(frozen=True, slots=True)
class _InHand:
    """A call that an actor is at, until when at most."""

    number: int
    actor: Any
    until_s: float


def _outcome(answer: Any) -> Any:
    try:
        return ray.get(answer)
    except RayActorError:
        return Failure.DIED
    except RayTaskError as error:
        return error.cause if isinstance(error.cause, Exception) else error
    except RayError as error:
        return StreetveilError(f"Ray has lost an answer: {' '.join(str(error).split())[:200]}; run again")


@contextmanager
def ray_engine(order: WorkOrder, workers: int) -> Iterator[Engine]:
    """Actors for as long as the block lasts: on the cluster of `RAY_ADDRESS`, or on one of this machine's own.

    Every node needs the same release of Streetveil, and sees source and destination under the same names.

    Raises:
        StreetveilError: no cluster answers.
    """
    is_ours = not ray.is_initialized()
    if is_ours:
        _join_or_start(workers)
    networks = ray.put([file.read() for file in order.bundle.files])
    options = {"num_cpus": 0 if order.device == "cuda" else 1, "num_gpus": 1 if order.device == "cuda" else 0}
    worker = ray.remote(**options, max_restarts=-1, max_task_retries=0)(_Worker)
    actors = [worker.remote(order, networks) for _ in range(workers)]
    pool = RayPool(queue.Queue())
    for actor in actors:
        pool.started(actor)
    try:
        _wait_for_one(pool)
        yield Engine(order, pool)
    finally:
        for actor in actors:
            ray.kill(actor)
        if is_ours:
            ray.shutdown()


def _wait_for_one(pool: RayPool) -> None:
    """Wait until a worker holds its model.

    Raises:
        StreetveilError: none can.
    """
    try:
        ready, _ = ray.wait([sign for _, sign in list(pool.idle.queue)], timeout=_START_TIMEOUT_S)
        if not ready:
            raise StreetveilError(f"no worker has started in {_START_TIMEOUT_S:.0f} s: look at `ray status`")
        ray.get(ready[0])
    except RayError as error:
        said = " ".join(str(error).split())[-300:]
        raise StreetveilError(f"no worker can start on the Ray cluster: {said}") from error


def _join_or_start(workers: int) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would tell its makers
    address = os.environ.get("RAY_ADDRESS")
    try:
        if address:
            ray.init(address, log_to_driver=False)
        else:
            ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False)
    except Exception as error:  # it raises whatever it has, bare exceptions too
        said = " ".join(str(error).split())[:300]
        raise StreetveilError(f"no Ray cluster at {address or 'this machine'}: {said}; see RAY_ADDRESS") from error
