"""The engine for one machine: a pool of worker processes that may die one by one."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from pebble import ProcessExpired, ProcessPool

from components.batch.journal import Journal
from components.batch.manifest import ImageRow
from components.batch.shards import Shard
from components.batch.sources import ImageRef
from components.batch.worker import WorkOrder, crash_fault, start_worker, work
from components.errors import ImageFault, Reason, StreetveilError

OnRow = Callable[[ImageRow], None]
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class LocalEngine:
    """A running pool. Several threads may blur shards on it at the same time."""

    order: WorkOrder
    pool: ProcessPool

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
            StreetveilError: the destination cannot be written to, or `batch.shard_timeout_s` has passed; what is
                finished stays in the journal, so that another call goes on.
        """
        deadline = time.monotonic() + self.order.params.batch.shard_timeout_s
        journal = Journal(self.order.destination, shard.id)
        done = journal.rows()
        suspects = journal.attempts()
        rows = [done[image.path] for image in shard.images if self._is_kept(done.get(image.path), image)]
        for row in rows:
            on_row(row)
        kept = {row.path for row in rows}
        left = [image for image in shard.images if image.path not in kept]
        later = [image for image in left if image.path in suspects]
        for row in self._work([image for image in left if image.path not in suspects], journal, later, deadline):
            rows.append(row)
            on_row(row)
        while later:
            again: list[ImageRef] = []
            for image in later:
                for row in self._work([image], journal, again, deadline):
                    rows.append(row)
                    on_row(row)
            later = again
        return rows

    def each(
        self, look: Callable[[ImageRow], Answer], rows: Sequence[ImageRow]
    ) -> Iterator[tuple[ImageRow, Answer | ImageFault]]:
        """What a function says of each row, called in the workers, in any order.

        Args:
            look: a module's own function, which finds what its worker was started with in `worker.held`.
            rows: of images that the workers read.

        Yields:
            Each row with its answer, or with the fault of an image that a worker died of or did not come to an end
            with.
        """
        timeout_s = self.order.params.batch.image_timeout_s
        futures: dict[Future[Answer], ImageRow] = {
            self.pool.schedule(look, args=(row,), timeout=timeout_s): row for row in rows
        }
        try:
            for future in as_completed(futures):
                answer: Answer | ImageFault = _answer(future)
                yield futures[future], answer
        finally:
            for future in futures:
                future.cancel()

    def _is_kept(self, row: ImageRow | None, image: ImageRef) -> bool:
        """Whether a journal row is what this run would write: same file, same model and rules, output in place."""
        if row is None or not self.order.would_write(row, image):
            return False
        return row.output_sha256 is None or self.order.destination.exists(image.path)

    def _work(
        self, images: list[ImageRef], journal: Journal, crashed: list[ImageRef], deadline: float
    ) -> Iterator[ImageRow]:
        """Rows as they are ready; images whose worker died go to `crashed`, until their attempts are used up."""
        batch = self.order.params.batch
        futures: dict[Future[ImageRow], ImageRef] = {
            self.pool.schedule(work, args=(journal.shard_id, image), timeout=batch.image_timeout_s): image
            for image in images
        }
        try:
            for future in as_completed(futures, timeout=max(0.0, deadline - time.monotonic())):
                image = futures[future]
                try:
                    yield future.result()
                except TimeoutError:
                    detail = (
                        f"not done after {batch.image_timeout_s:g} s (batch.image_timeout_s); the file may be hostile"
                    )
                    yield self._quarantine(image, journal, ImageFault(Reason.TIMEOUT, detail))
                except ProcessExpired:
                    attempts = journal.attempts().get(image.path, 0)
                    if attempts < batch.max_attempts:
                        crashed.append(image)
                    else:
                        yield self._quarantine(image, journal, crash_fault(attempts))
        except TimeoutError as error:
            raise StreetveilError(
                f"shard {journal.shard_id} was not done within batch.shard_timeout_s; run again"
            ) from error
        finally:
            for future in futures:
                future.cancel()

    def _quarantine(self, image: ImageRef, journal: Journal, fault: ImageFault) -> ImageRow:
        row = self.order.quarantined(image, max(1, journal.attempts().get(image.path, 1)), fault)
        journal.end(row)
        return row


def _answer(future: Future[Answer]) -> Answer | ImageFault:
    try:
        return future.result()
    except ImageFault as fault:
        return fault
    except TimeoutError:
        return ImageFault(Reason.TIMEOUT, "not done within batch.image_timeout_s; the file may be hostile")
    except ProcessExpired:
        return crash_fault(1)
    except MemoryError:
        return ImageFault(Reason.OUT_OF_MEMORY, "needs more than batch.worker_memory_mib; raise it")


@contextmanager
def local_engine(order: WorkOrder, workers: int) -> Iterator[LocalEngine]:
    """A pool of worker processes for as long as the block lasts; on an error they are stopped at once."""
    pool = ProcessPool(
        max_workers=workers,
        initializer=start_worker,
        initargs=(order,),
        context=multiprocessing.get_context("spawn"),
    )
    try:
        yield LocalEngine(order, pool)
        pool.close()
    except BaseException:
        pool.stop()
        raise
    finally:
        pool.join()
