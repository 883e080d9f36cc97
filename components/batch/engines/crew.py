"""A crew: one process whose threads each work on a picture, on one model, so that all stages go on at the same time.

While one thread decodes, others wait for a network, hide or write. As many pictures are in hand as there are threads,
and no call waits in the process, so memory is bounded by their number.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any

from components.batch.engines.engine import Failure
from components.batch.work_order import WorkOrder
from components.batch.worker import start_worker
from components.detection.batching import ProcessLostError
from components.detection.runtime import Sharing
from components.errors import StreetveilError
from components.event_log import log_event

Outcomes = SimpleQueue[tuple[int, Any]]

_LOOK_S = 0.5  # how long the listener waits before it looks at time limits again
_STARTS = 3  # so many in a row without a word from the process are no accident
_STARTED = -1  # the number of the first thing that a process says


@dataclass(slots=True, eq=False)
class Call:
    """A call in hand: whose it is, until when it may take at most, and whether that has passed."""

    number: int
    outcomes: Outcomes
    until_s: float
    is_alone: bool
    is_late: bool = False

    def end(self, outcome: object) -> None:
        """Tell whoever asked what has come of it."""
        self.outcomes.put((self.number, outcome))


class Crew:
    """A process with threads, started anew when it dies.

    Args:
        order: what its worker is told.
        sharing: how its threads share the model.
        threads: how many there are.
    """

    def __init__(self, order: WorkOrder, sharing: Sharing, threads: int) -> None:
        self.failure: Exception | None = None
        self.is_ready = False
        self._arguments = order, sharing, threads
        self._threads = threads
        self._lock = Lock()
        self._in_hand: dict[int, Call] = {}
        self._taken = 0
        self._cleared_for: Outcomes | None = None
        self._is_closed = False
        self._starts = 0
        self._start()
        self._listener = Thread(target=self._listen, daemon=True)
        self._listener.start()

    @property
    def pid(self) -> int | None:
        """Of the process that it is at present."""
        return self._process.pid

    def take(self, function: Callable[..., object], arguments: tuple[object, ...], call: Call) -> bool:
        """Begin a call, if there is room for it.

        For one that is to be alone, nothing else is begun from now on until it has ended.
        """
        with self._lock:
            if call.is_alone:
                self._cleared_for = self._cleared_for or call.outcomes
            is_free = not self._in_hand if call.is_alone else len(self._in_hand) < self._threads
            if not (self.is_ready and is_free and self._cleared_for in (None, call.outcomes)):
                return False
            self._taken += 1
            try:
                self._connection.send((self._taken, function, arguments))
            except OSError:  # it has just died; the listener sees to it
                return False
            self._in_hand[self._taken] = call
            return True

    def give_up(self, outcomes: Outcomes) -> None:
        """Stop what somebody has begun and no longer waits for, and what was to be kept free."""
        with self._lock:
            if self._cleared_for is outcomes:
                self._cleared_for = None
            if any(call.outcomes is outcomes for call in self._in_hand.values()):
                self._process.kill()

    def close(self, at_once: bool) -> None:
        """End the process, when it has nothing in hand, or at once."""
        with self._lock:
            self._is_closed = True
            if at_once:
                self._process.kill()
            elif self.is_ready:
                with suppress(OSError):  # it has just died
                    self._connection.send(None)
            else:
                self._process.terminate()
        self._listener.join()
        self._process.join()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, *self._arguments), daemon=True)
        self._process.start()
        theirs.close()  # so that the end of the process is the end of the pipe

    def _listen(self) -> None:
        is_over = False
        while not is_over:
            try:
                is_said = self._connection.poll(_LOOK_S)
                self._stop_if_late()  # also where others never stop talking
                if is_said:
                    self._heard(*self._connection.recv())
            except (EOFError, OSError):
                self._process.join()
                is_over = self._is_over()
            except Exception:  # a process that says what nobody understands
                self._process.kill()

    def _is_over(self) -> bool:
        """After the death of the process: whether that is the end, or another one has been started."""
        with self._lock:
            if self._ended():
                return True
            try:
                self._start()
            except OSError as error:
                self.failure = StreetveilError(f"no worker can be started ({error.strerror}): free memory, run again")
            return self.failure is not None

    def _heard(self, number: int, answer: Any) -> None:
        with self._lock:
            if number == _STARTED:
                self._starts = 0
                self.is_ready, self.failure = answer is None, answer
                return
            call = self._in_hand.pop(number)
            if self._cleared_for is call.outcomes and call.is_alone:
                self._cleared_for = None
        call.end(Failure.IN_COMPANY if isinstance(answer, MemoryError) and not call.is_alone else answer)

    def _stop_if_late(self) -> None:
        now_s = time.monotonic()
        with self._lock:
            for call in self._in_hand.values():
                call.is_late = call.until_s <= now_s
            if any(call.is_late for call in self._in_hand.values()):
                self._process.kill()

    def _ended(self) -> bool:
        """Say of all that was in hand that it is lost; whether this is the end of the crew, too."""
        if not self._is_closed:
            log_event("worker.died", "warning", images=len(self._in_hand))
        for call in self._in_hand.values():
            if call.is_alone:
                call.end(Failure.TIMED_OUT if call.is_late else Failure.DIED)
            else:
                call.end(Failure.IN_COMPANY)
        self._in_hand.clear()
        self._starts += 1
        self.is_ready, self._cleared_for = False, None
        if self._starts >= _STARTS and self.failure is None:
            self.failure = StreetveilError(
                f"a process has died {_STARTS} times before it had loaded the model, of lack of memory or of what "
                "stands above: mend it, or take fewer --workers"
            )
        return self._is_closed or self.failure is not None


def serve(connection: Connection, order: WorkOrder, sharing: Sharing, threads: int) -> None:
    """What a crew's process does: answer calls until it is told that there are no more."""
    sending = Lock()

    def say(number: int, answer: object) -> None:
        with sending:
            try:
                connection.send((number, answer))
            except (AttributeError, TypeError, ValueError) as error:  # what cannot be pickled
                connection.send((number, StreetveilError(f"an answer cannot be sent ({error}); please report")))

    def answer(number: int, function: Callable[..., object], arguments: tuple[object, ...]) -> None:
        try:
            told = function(*arguments)
        except Exception as error:
            told = error
        except ProcessLostError as lost:
            print(f"streetveil: {lost}; this process ends, another one is started", file=sys.stderr, flush=True)
            os._exit(1)
        say(number, told)

    warnings.simplefilter("ignore")  # threads that set and restore filters at the same time would let some through
    try:
        start_worker(order, sharing, threads)
    except Exception as error:
        say(_STARTED, error if isinstance(error, StreetveilError) else StreetveilError(f"no worker can start: {error}"))
        return
    say(_STARTED, None)
    with ThreadPoolExecutor(threads) as host:
        while (call := _received(connection)) is not None:
            host.submit(answer, *call)


def _received(connection: Connection) -> Any:
    try:
        return connection.recv()
    except (EOFError, OSError):
        os._exit(1)  # whoever asked is gone, and with it the lock on the destination: nothing may be written any more
