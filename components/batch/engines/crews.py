"""The engine for GPUs: one process for each, with many pictures in hand."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from components.batch.engines.crew import Call, Crew, Outcomes
from components.batch.engines.engine import Engine, Failure, ends_all
from components.batch.work_order import WorkOrder
from components.detection.gpus import gpu_count
from components.detection.onnx_runtime import Precision, resolve_device
from components.detection.runtime import Sharing

Answer = TypeVar("Answer")

_LOOK_S = 0.1  # how long a wait lasts before free places and deadlines are looked at again


@dataclass(frozen=True, slots=True)
class CrewPool:
    """Processes of this machine, each with many calls in hand; a `Pool`.

    Calls travel to a crew when it has room, and no sooner. A call that takes too long ends its process, and so do calls
    that nobody waits for any more: what else was in its hands fails `IN_COMPANY`.
    """

    crews: Sequence[Crew]

    def answers(
        self,
        function: Callable[..., Answer],
        calls: Sequence[tuple[object, ...]],
        timeout_s: float,
        deadline_s: float,
        is_alone: bool = False,
    ) -> Iterator[tuple[int, Answer | Failure | Exception]]:
        """See `Pool.answers`. Of a call that took too long in company, it is not said that it timed out."""
        left, in_hand = deque(enumerate(calls)), 0
        outcomes: Outcomes = SimpleQueue()
        try:
            while left or in_hand:
                if time.monotonic() >= deadline_s:
                    raise TimeoutError
                self.check()
                while left and self._is_taken(function, *left[0], timeout_s, outcomes, is_alone):
                    left.popleft()
                    in_hand += 1
                try:
                    number, outcome = outcomes.get(timeout=_LOOK_S)
                except Empty:
                    continue
                in_hand -= 1
                if ends_all(outcome):
                    left.clear()
                yield number, outcome
        finally:
            for crew in self.crews:
                crew.give_up(outcomes)

    def check(self) -> None:
        """Go on as long as one crew can work.

        Raises:
            Exception: why none can.
        """
        failures = [crew.failure for crew in self.crews if crew.failure is not None]
        if len(failures) == len(self.crews):
            raise failures[0]

    def _is_taken(
        self,
        function: Callable[..., object],
        number: int,
        arguments: tuple[Any, ...],
        timeout_s: float,
        outcomes: Outcomes,
        is_alone: bool,
    ) -> bool:
        call = Call(number, outcomes, time.monotonic() + timeout_s, is_alone)
        ready = [crew for crew in self.crews if crew.is_ready]
        # What is to be alone waits for the first one, so that the others can go on.
        return any(crew.take(function, arguments, call) for crew in (ready[:1] if is_alone else ready))


@contextmanager
def crew_engine(order: WorkOrder, processes: int, threads: int | None = None) -> Iterator[Engine]:
    """Crews for as long as the block lasts; on an error they are stopped at once.

    Args:
        order: what to do.
        processes: on as many GPUs, as far as there are so many.
        threads: of each; None for `gpu.host_threads`.

    Raises:
        StreetveilError: none can load the model.
    """
    on_gpu = resolve_device(order.device) == "cuda"
    gpus = gpu_count() if on_gpu else 1
    precision: Precision = order.params.detection.gpu_precision if on_gpu else "file"
    threads = threads_of(threads or order.params.gpu.host_threads, processes)
    crews = [Crew(order, Sharing(order.params.gpu, i % gpus, precision), threads) for i in range(processes)]
    pool = CrewPool(crews)
    is_done = False
    try:
        while not any(crew.is_ready for crew in crews):
            pool.check()
            time.sleep(_LOOK_S)
        yield Engine(order, pool)
        is_done = True
    finally:
        for crew in crews:
            crew.close(at_once=not is_done)


def threads_of(stated: int | None, processes: int) -> int:
    """Threads of each process: as stated, else one a core of this machine, shared among the processes."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return stated or max(1, cores // processes)
