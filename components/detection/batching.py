"""One network for many threads: what waits at the same time goes through it as one batch."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Condition
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from components.errors import DeviceError, ModelError, OutOfMemoryError

Outcome = list[NDArray] | BaseException
_REMEDY = "raise gpu.network_memory_mib, or take --device cpu"


class Runtime(Protocol):
    """A loaded network."""

    def run(self, blob: NDArray, outputs: Sequence[str]) -> list[NDArray]:
        """The named outputs for one batch [n, c, h, w]."""
        ...


class ProcessLostError(BaseException):
    """This process can do no more work, and whoever holds it must end it; nothing else catches this."""


@dataclass(slots=True, eq=False)
class _Request:
    """What one thread waits for; the outcome is set once."""

    blob: NDArray
    outputs: tuple[str, ...]
    outcome: Outcome | None = None

    def fits(self, other: _Request) -> bool:
        """Whether both can stand in one batch."""
        ours = self.outputs, self.blob.dtype, self.blob.shape[1:]
        return ours == (other.outputs, other.blob.dtype, other.blob.shape[1:])


class Batched:
    """A network that threads share.

    There is no thread of its own: of the threads that wait, one leads. It takes what fits the request that has waited
    longest, up to the limit, runs it, and hands out the results; then another one leads. So while a batch runs the next
    one gathers, and no more than one request of each thread is ever kept.

    Args:
        network: runs in one thread at a time.
        limit: how many requests make a batch, at most. It is halved when memory runs out, and stays so.
        wait_s: how long a leader waits for company.
        joined: puts blobs together; rows that it adds after them are run too, and forgotten.
    """

    def __init__(
        self,
        network: Runtime,
        limit: int,
        wait_s: float = 0.0,
        joined: Callable[[Sequence[NDArray]], NDArray] = np.concatenate,
    ) -> None:
        self.limit = limit
        self._network, self._wait_s, self._joined = network, wait_s, joined
        self._waiting: deque[_Request] = deque()
        self._is_led = False
        self._changed = Condition()

    def run(self, blob: NDArray, outputs: Sequence[str]) -> list[NDArray]:
        """The named outputs for [n, ...], as the network alone would give them.

        Raises:
            OutOfMemoryError: it does not fit into memory by itself.
            ModelError: as the network raises it, for all that were in the batch.
            ProcessLostError: the device has failed.
        """
        request = _Request(blob, tuple(outputs))
        with self._changed:
            self._waiting.append(request)
            self._changed.notify_all()
        while not self._is_answered(request):
            self._lead()
        if isinstance(request.outcome, BaseException):
            raise request.outcome
        assert request.outcome is not None
        return request.outcome

    def _is_answered(self, request: _Request) -> bool:
        """Wait for the answer, or for the lead; it is taken then."""
        with self._changed:
            self._changed.wait_for(lambda: request.outcome is not None or not self._is_led)
            if request.outcome is None:
                self._is_led = True
            return request.outcome is not None

    def _lead(self) -> None:
        try:
            self._answer(self._gathered())
        finally:
            with self._changed:
                self._is_led = False
                self._changed.notify_all()

    def _gathered(self) -> list[_Request]:
        """The oldest request, with what fits it."""
        with self._changed:
            first = self._waiting[0]

            def fitting() -> list[_Request]:
                return [request for request in self._waiting if first.fits(request)][: self.limit]

            self._changed.wait_for(lambda: len(fitting()) >= self.limit, self._wait_s)
            batch = fitting()
            for request in batch:
                self._waiting.remove(request)
            return batch

    def _answer(self, batch: Sequence[_Request]) -> None:
        """Set every request's outcome, whatever happens."""
        left = deque(batch)
        while left:
            part = [left.popleft() for _ in range(min(self.limit, len(left)))]
            try:
                outcomes: Sequence[Outcome] = self._together(part)
            except OutOfMemoryError as error:
                if len(part) > 1:
                    self.limit = len(part) // 2
                    left.extendleft(reversed(part))
                    continue
                outcomes = [OutOfMemoryError(f"{error}, even for a single input: {_REMEDY}")]
            except DeviceError as error:
                outcomes = [ProcessLostError(str(error))] * len(part)
            except BaseException as error:  # whoever waits must hear of it
                outcomes = [error] * len(part)
            for request, outcome in zip(part, outcomes, strict=True):
                request.outcome = outcome

    def _together(self, part: Sequence[_Request]) -> list[list[NDArray]]:
        ends = np.cumsum([len(request.blob) for request in part])
        batch = self._joined([request.blob for request in part])
        results = self._network.run(batch, part[0].outputs)
        if len(batch) == len(part[0].blob):
            return [results]
        for name, result in zip(part[0].outputs, results, strict=True):
            if not result.ndim or len(result) != len(batch):
                raise ModelError(f"output {name} has not one row for each input: the network cannot be batched")
        parts = [np.split(result[: ends[-1]], ends[:-1]) for result in results]
        return [list(own) for own in zip(*parts, strict=True)]


def largest_batch(network: Runtime, shape: Sequence[int], outputs: Sequence[str], most: int) -> int:
    """How many inputs of a shape [n, ...] fit into memory at a time: 1, 2, 4, and so on are tried out, up to `most`.

    Raises:
        OutOfMemoryError: not even one does.
        ModelError: the network does not take it.
    """
    rows, *sides = shape
    size, fits = 1, 0
    while size <= most:
        try:
            network.run(np.zeros((rows * size, *sides), np.float32), outputs)
        except OutOfMemoryError as error:
            if not fits:
                raise OutOfMemoryError(f"{error}, even for a single input: {_REMEDY}") from error
            break
        fits = size
        size = min(2 * size, most) if size < most else most + 1
    return fits
