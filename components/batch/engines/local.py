"""The engine for one machine: a pool of worker processes that may die one by one."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from pebble import ProcessExpired, ProcessPool

from components.batch.engines.engine import Engine, Failure, ends_all
from components.batch.work_order import WorkOrder
from components.batch.worker import start_worker

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class LocalPool:
    """Processes of this machine; a `Pool`."""

    processes: ProcessPool

    def answers(
        self,
        function: Callable[..., Answer],
        calls: Sequence[tuple[object, ...]],
        timeout_s: float,
        deadline_s: float,
        is_alone: bool = False,
    ) -> Iterator[tuple[int, Answer | Failure | Exception]]:
        """See `Pool.answers`: a process has one call at a time, so each is alone."""
        futures: dict[Future[Answer], int] = {
            self.processes.schedule(function, args=call, timeout=timeout_s): number for number, call in enumerate(calls)
        }
        patience_s = None if deadline_s == float("inf") else max(0.0, deadline_s - time.monotonic())
        try:
            for future in as_completed(futures, timeout=patience_s):
                if future.cancelled():
                    continue
                outcome: Answer | Failure | Exception = _outcome(future)
                if ends_all(outcome):
                    _cancel(waiting for waiting in futures if not waiting.running())
                yield futures[future], outcome
        finally:
            _cancel(futures)


def _cancel(futures: Iterable[Future[Answer]]) -> None:
    for future in futures:
        future.cancel()


def _outcome(future: Future[Answer]) -> Answer | Failure | Exception:
    error = future.exception()
    if isinstance(error, TimeoutError):
        return Failure.TIMED_OUT
    if isinstance(error, ProcessExpired):
        return Failure.DIED
    if isinstance(error, Exception):
        return error
    return future.result()


@contextmanager
def local_engine(order: WorkOrder, workers: int) -> Iterator[Engine]:
    """A pool of worker processes for as long as the block lasts; on an error they are stopped at once."""
    pool = ProcessPool(
        max_workers=workers,
        initializer=start_worker,
        initargs=(order,),
        context=multiprocessing.get_context("spawn"),
    )
    try:
        yield Engine(order, LocalPool(pool))
        pool.close()
    except BaseException:
        pool.stop()
        raise
    finally:
        pool.join()
