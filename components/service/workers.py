"""The pool of worker processes: pictures of all clients stand in one queue and never in more than one process."""

from __future__ import annotations

import asyncio
import multiprocessing
from concurrent.futures import Future

from pebble import ProcessExpired, ProcessPool

from components.batch.worker import crash_fault
from components.detections import Detections
from components.errors import ImageFault, Reason, StreetveilError
from components.service.problems import Refusal
from components.service.worker import Answer, ServiceOrder, is_ready, start_worker, work

_AHEAD = 1  # pictures that lie ready beside those in work, so that no worker waits for the next one


class Workers:
    """A pool that may lose a worker to a hostile picture without the others noticing.

    Args:
        order: what every worker is told.
        count: worker processes.
    """

    def __init__(self, order: ServiceOrder, count: int) -> None:
        self.count = count
        self.model = f"{order.bundle.name}/{order.bundle.version}"
        self.waiting = 0
        self._image_s = order.params.service.image_s
        self._places = asyncio.Semaphore(count + _AHEAD)
        self._pool = ProcessPool(
            max_workers=count,
            initializer=start_worker,
            initargs=(order,),
            context=multiprocessing.get_context("spawn"),
        )

    @property
    def is_alive(self) -> bool:
        """Whether pictures are taken."""
        return bool(self._pool.active)

    async def start(self) -> None:
        """Load the model.

        Raises:
            StreetveilError: no worker came up.
        """
        try:
            await asyncio.wrap_future(self._pool.schedule(is_ready))
        except Exception as error:
            raise StreetveilError(f"no worker could be started ({error}): see the lines above") from error

    async def blur(self, source_bytes: bytes, drawn: Detections) -> Answer:
        """Blur one picture when its turn comes.

        Who goes away while waiting leaves the queue; what is in work is finished, since a worker that is stopped has
        to load its model anew.

        Raises:
            ImageFault: it must not be published, killed its worker, or took too long.
            RegionError: a region is outside of the picture.
            Refusal: the service is stopping.
        """
        self.waiting += 1
        try:
            await self._places.acquire()
        finally:
            self.waiting -= 1
        try:
            future = self._pool.schedule(work, args=(source_bytes, drawn), timeout=self._image_s)
        except RuntimeError as error:  # the pool is closed
            self._places.release()
            raise Refusal(503, "stopping", "the service is stopping; try again in a minute") from error
        self._leave_when_done(future)
        try:
            return await asyncio.shield(asyncio.wrap_future(future))
        except TimeoutError as error:
            detail = f"not done after {self._image_s:g} s (service.image_s); send a smaller picture"
            raise ImageFault(Reason.TIMEOUT, detail) from error
        except ProcessExpired as error:
            raise crash_fault(1) from error

    def stop(self, within_s: float) -> None:
        """Finish what is in work, then end the workers."""
        self._pool.close()
        try:
            self._pool.join(timeout=within_s)
        except TimeoutError:
            self._pool.stop()
            self._pool.join()

    def _leave_when_done(self, future: Future[Answer]) -> None:
        loop = asyncio.get_running_loop()

        def leave(_: Future[Answer]) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._places.release)

        future.add_done_callback(leave)
