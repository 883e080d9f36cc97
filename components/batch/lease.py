"""Holding a destination on an object store, which has no locks: an object that its holder keeps writing anew.

Whoever finds it there waits until it goes, or until it has not changed for a while by the waiter's own clock: then its
holder is dead, and the object is taken over. No clock of another machine is trusted. Every write has a condition, so
of two that come at the same time one wins.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from components.batch.object_store import ObjectStore
from components.batch.storage import STATE_FOLDER
from components.errors import StreetveilError

LEASE = f"{STATE_FOLDER}/lease"


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a holder writes, and after what silence it counts as dead, s."""

    renewed_every_s: float = 15.0
    dead_after_s: float = 90.0
    looked_at_every_s: float = 5.0


@contextmanager
def leased(
    store: ObjectStore, on_wait: Callable[[], None] = lambda: None, pace: Pace | None = None
) -> Iterator[Callable[[], None]]:
    """Hold a destination.

    Args:
        store: the destination.
        on_wait: called once if another run holds it; then its end is waited for.
        pace: how patient both sides are.

    Yields:
        What raises a StreetveilError as soon as somebody else may hold the destination: to be called before a commit.

    Raises:
        StreetveilError: the store does not answer.
    """
    pace = pace or Pace()
    holder = f"{socket.gethostname()} {os.getpid()} {secrets.token_hex(8)}".encode()
    tag = _taken(store, holder, on_wait, pace)
    done = threading.Event()
    keeper = _Keeper(store, holder, tag, pace, time.monotonic())
    thread = threading.Thread(target=keeper.keep, args=(done,), daemon=True, name="lease")
    thread.start()
    try:
        yield keeper.check
    finally:
        done.set()
        thread.join()
        if not keeper.lost:
            with suppress(StreetveilError, OSError):  # the next run finds it silent
                store.delete(LEASE)


def _taken(store: ObjectStore, holder: bytes, on_wait: Callable[[], None], pace: Pace) -> str:
    """The lease's tag, once it is ours."""
    waits, seen, since_s = False, None, time.monotonic()
    while True:
        found = store.tag(LEASE)
        if found != seen:
            seen, since_s = found, time.monotonic()
        if found is None:
            tag = _put(store, holder, IfNoneMatch="*")
        elif time.monotonic() - since_s >= pace.dead_after_s:
            tag = _put(store, holder, IfMatch=found)
        else:
            tag = None
        if tag is not None:
            return tag
        if not waits:
            waits = True
            on_wait()
        time.sleep(pace.looked_at_every_s)


def _put(store: ObjectStore, holder: bytes, **condition: str) -> str | None:
    """Write the lease; None if somebody else was faster. A write of ours whose answer was lost is ours."""
    content = holder + b" " + secrets.token_hex(8).encode()  # another tag each time
    tag = store.put(LEASE, content, **condition)
    if tag is not None:
        return tag
    try:
        return store.tag(LEASE) if store.read(LEASE) == content else None
    except FileNotFoundError:
        return None


class _Keeper:
    """Renews a lease in a thread of its own."""

    def __init__(self, store: ObjectStore, holder: bytes, tag: str, pace: Pace, renewed_s: float) -> None:
        self._store, self._holder, self._tag, self._pace = store, holder, tag, pace
        self._renewed_s = renewed_s
        self.lost = False

    def keep(self, done: threading.Event) -> None:
        """Renew until the end."""
        while not self.lost and not done.wait(self._pace.renewed_every_s):
            begun_s = time.monotonic()
            try:
                tag = _put(self._store, self._holder, IfMatch=self._tag)
            except (StreetveilError, OSError):
                continue  # until it is too late, which `check` says
            if tag is None:
                self.lost = True
            else:
                self._tag, self._renewed_s = tag, begun_s

    def check(self) -> None:
        """Raise if somebody else may hold the destination by now."""
        silent_s = time.monotonic() - self._renewed_s
        if self.lost or silent_s >= self._pace.dead_after_s:
            raise StreetveilError(
                f"another run may hold {self._store} by now: the store was out of reach for {silent_s:.0f} s; run again"
            )
