"""One review at a time: a lock in the registry itself, so that it holds for reviewers on different machines.

Of two who create a registered model of one name, MLflow lets one succeed: that name is the lock. It says who holds it,
and until when it counts, so that a review that was killed does not lock out the next one for long. A lock that has run
out is renamed before a new one is made: of two who want to do so, again, only one can.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from components.errors import StreetveilError
from components.registry.models import AlreadyThereError, Registry

LOCK_S = 300  # longer than any review takes: seconds
_POLL_S = 1.0


@contextlib.contextmanager
def review_lock(registry: Registry, holder: str, wait_s: float = 0) -> Iterator[None]:
    """Hold the lock of a registered model for the time of the block.

    Args:
        registry: whose model it is.
        holder: who reviews it, for the others.
        wait_s: how long to wait for another review to end.

    Raises:
        StreetveilError: somebody else holds it, or the registry does not answer; nothing was changed.
    """
    name, token, deadline = f"{registry.name}.review-lock", uuid4().hex, time.monotonic() + wait_s
    while True:
        try:
            left = _take(registry, name, holder, token)
            break
        except StreetveilError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(_POLL_S)
    try:
        yield
    finally:
        # What cannot be given back runs out by itself; what the block says must not be hidden by that.
        with contextlib.suppress(StreetveilError), registry.connected("the lock cannot be given back") as client:
            if client.get_registered_model(name).tags.get("token") == token:
                client.delete_registered_model(name)
            if left is not None:
                client.delete_registered_model(left)


def _take(registry: Registry, name: str, holder: str, token: str) -> str | None:
    """Make the lock; what a lock that had run out is called now, if there was one."""
    until = (datetime.now(UTC) + timedelta(seconds=LOCK_S)).isoformat(timespec="seconds")
    tags = {"holder": holder, "token": token, "until": until}
    told = "Held while a review changes aliases; goes by itself."
    doing = "the registry cannot be locked for the review"
    try:
        with registry.connected(doing) as client:
            client.create_registered_model(name, tags=tags, description=told)
        return None
    except AlreadyThereError:
        pass
    with registry.connected(doing) as client:
        theirs = client.get_registered_model(name).tags
        if datetime.fromisoformat(theirs["until"]) > datetime.now(UTC):
            raise StreetveilError(
                f"{theirs['holder']} is reviewing {registry.name} at this moment; nothing was changed, try again in a "
                "minute"
            )
        left = f"{name}-{theirs['token']}"
        client.rename_registered_model(name, left)
        client.create_registered_model(name, tags=tags, description=told)
        return left
