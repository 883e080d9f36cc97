"""How a shard is brought to its end on workers that may die: the same for processes of one machine and for many."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, TypeVar

from components.batch.journal import Journal
from components.batch.manifest import ImageRow
from components.batch.shards import Shard
from components.batch.sources import ImageRef
from components.batch.work_order import WorkOrder
from components.batch.worker import crash_fault, work
from components.errors import ImageFault, Reason, StreetveilError

OnRow = Callable[[ImageRow], None]
Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Failure(Enum):
    """Why a worker gave no answer.

    IN_COMPANY: it died, was stopped or lacked memory while other calls were in its hands too. Whose fault that was
    nobody knows, so it is nobody's.
    """

    DIED = "died"
    TIMED_OUT = "timed out"
    IN_COMPANY = "in company"


class Pool(Protocol):
    """Worker processes that were each prepared by `start_worker`. Several threads may use it at the same time."""

    def answers(
        self,
        function: Callable[..., Answer],
        calls: Sequence[tuple[object, ...]],
        timeout_s: float,
        deadline_s: float,
        is_alone: bool = False,
    ) -> Iterator[tuple[int, Answer | Failure | Exception]]:
        """Call a function in the workers, once for each set of arguments, however often workers die.

        Args:
            function: a module's own function.
            calls: the arguments of each call.
            timeout_s: after which a worker that is at a call is stopped.
            deadline_s: of `time.monotonic`; what is not done by then is given up.
            is_alone: no other call, whoever asked for it, is in a worker's hands together with one of these; so none of
                them fails `IN_COMPANY`.

        Yields:
            The number of each call, in any order, with its answer, with what it raised, or with why there is none.
            After an error that `ends_all` nothing new is begun, and what is in hand comes to its end: an image whose
            worker is stopped would have an attempt held against it.

        Raises:
            TimeoutError: the deadline has passed.
        """
        ...


def ends_all(answer: object) -> bool:
    """Whether an answer is an error that is no image's own, as of a place that does not answer."""
    return isinstance(answer, Exception) and not isinstance(answer, (ImageFault, MemoryError))


@dataclass(frozen=True, slots=True)
class Engine:
    """A running pool. Several threads may blur shards on it at the same time."""

    order: WorkOrder
    pool: Pool

    def blur_shard(self, shard: Shard, on_row: OnRow = lambda row: None) -> list[ImageRow]:
        """Bring every image of a shard to its end state.

        What an interrupted run has finished is taken from the journal. Images in whose hands a worker died come last,
        one at a time, so that a poison file cannot keep the others waiting.

        Args:
            shard: what to blur.
            on_row: called for each row as it is ready, in this thread.

        Returns:
            One row for each image, in any order.

        Raises:
            StreetveilError: source or destination cannot be used, or `batch.shard_timeout_s` has passed; what is
                finished stays in the journal, so that another call goes on.
        """
        deadline_s = time.monotonic() + self.order.params.batch.shard_timeout_s
        journal = Journal(self.order.destination, shard.id)
        done = journal.rows()
        suspects = journal.attempts()
        rows = [done[image.path] for image in shard.images if self._is_kept(done.get(image.path), image)]
        for row in rows:
            on_row(row)
        kept = {row.path for row in rows}
        left = [image for image in shard.images if image.path not in kept]
        later = [image for image in left if image.path in suspects]
        for row in self._work([image for image in left if image.path not in suspects], journal, later, deadline_s):
            rows.append(row)
            on_row(row)
        while later:
            again: list[ImageRef] = []
            for image in later:
                for row in self._work([image], journal, again, deadline_s, is_alone=True):
                    rows.append(row)
                    on_row(row)
            later = again
        return rows

    def each(
        self, look: Callable[[ImageRow], Answer], rows: Iterable[ImageRow]
    ) -> Iterator[tuple[ImageRow, Answer | ImageFault]]:
        """What a function says of each row, called in the workers, in any order.

        Args:
            look: a module's own function, which finds what its worker was started with in `worker.held`.
            rows: of images that the workers read.

        Yields:
            Each row with its answer, or with the fault of an image that a worker died of or did not come to an end
            with.
        """
        asked = list(rows)
        timeout_s = self.order.params.batch.image_timeout_s
        again: list[ImageRow] = []
        for number, answer in self.pool.answers(look, [(row,) for row in asked], timeout_s, float("inf")):
            if answer is Failure.IN_COMPANY:
                again.append(asked[number])
            else:
                yield asked[number], _answer_or_fault(answer)
        for number, answer in self.pool.answers(look, [(row,) for row in again], timeout_s, float("inf"), True):
            yield again[number], _answer_or_fault(answer)

    def _is_kept(self, row: ImageRow | None, image: ImageRef) -> bool:
        """Whether a journal row is what this run would write: same file, same model and rules, output in place."""
        if row is None or not self.order.would_write(row, image):
            return False
        return row.output_sha256 is None or self.order.destination.exists(image.path)

    def _work(
        self,
        images: list[ImageRef],
        journal: Journal,
        crashed: list[ImageRef],
        deadline_s: float,
        is_alone: bool = False,
    ) -> Iterator[ImageRow]:
        """Rows as they are ready; images whose worker died go to `crashed`, until their attempts are used up."""
        batch = self.order.params.batch
        calls = [(journal.shard_id, image, is_alone) for image in images]
        error: Exception | None = None
        try:
            for number, answer in self.pool.answers(work, calls, batch.image_timeout_s, deadline_s, is_alone):
                image = images[number]
                if isinstance(answer, ImageRow):
                    yield answer
                elif answer is Failure.IN_COMPANY:
                    if (row := _forgiven(journal, image)) is not None:
                        yield row
                    else:
                        crashed.append(image)
                elif isinstance(answer, Exception):
                    error = error or answer
                elif answer is Failure.TIMED_OUT and image.path in journal.attempts():
                    detail = (
                        f"not done after {batch.image_timeout_s:g} s (batch.image_timeout_s); the file may be hostile"
                    )
                    yield self._quarantine(image, journal, ImageFault(Reason.TIMEOUT, detail))
                elif (attempts := journal.attempts().get(image.path, 0)) < batch.max_attempts:
                    crashed.append(image)
                else:
                    yield self._quarantine(image, journal, crash_fault(attempts))
        except TimeoutError as late:
            raise StreetveilError(
                f"shard {journal.shard_id} was not done within batch.shard_timeout_s; run again"
            ) from late
        if error is not None:
            raise error

    def _quarantine(self, image: ImageRef, journal: Journal, fault: ImageFault) -> ImageRow:
        row = self.order.quarantined(image, max(1, journal.attempts().get(image.path, 1)), fault)
        journal.end(row)
        return row


def _forgiven(journal: Journal, image: ImageRef) -> ImageRow | None:
    """Take back an attempt that came to no end through no known fault of the image; its row if it had come to one."""
    attempts, row = journal.of(image.path)
    if row is None and attempts:
        journal.take_back(image.path, attempts)
    return row


def _answer_or_fault(answer: Answer | Failure | Exception) -> Answer | ImageFault:
    if isinstance(answer, MemoryError):
        return ImageFault(Reason.OUT_OF_MEMORY, "needs more than batch.worker_memory_mib; raise it")
    if isinstance(answer, ImageFault):
        return answer
    if isinstance(answer, Exception):
        raise answer
    if answer is Failure.TIMED_OUT:
        return ImageFault(Reason.TIMEOUT, "not done within batch.image_timeout_s; the file may be hostile")
    if isinstance(answer, Failure):
        return crash_fault(1)
    return answer
