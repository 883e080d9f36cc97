"""One run at a time holds a destination on an object store, and a dead one does not hold it for long."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from components.batch.lease import LEASE, Pace, leased
from components.batch.object_store import ObjectStore
from components.errors import StreetveilError
from tests.batch.object_server import BUCKET, ObjectServer, object_server

STORE = ObjectStore(BUCKET, "out/")
HASTE = Pace(renewed_every_s=0.1, dead_after_s=3.0, looked_at_every_s=0.05)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectServer]:
    """A running store."""
    with object_server(monkeypatch) as running:
        yield running


def refused(check: Callable[[], None]) -> str:
    """What a check says as soon as it says no."""
    while True:
        try:
            check()
        except StreetveilError as error:
            return str(error)
        threading.Event().wait(0.05)


def test_a_second_run_waits_for_the_first_ones_end(server: ObjectServer) -> None:
    """While the first run lives, whatever it takes, the second one has not begun; then it begins."""
    order, waits = [], threading.Event()

    def second() -> None:
        with leased(STORE, waits.set, HASTE):
            order.append("second")

    with leased(STORE, pace=HASTE) as check:
        thread = threading.Thread(target=second)
        thread.start()
        assert waits.wait(60)
        writes = len([one for one in server.requests if one.method == "PUT"])
        while len([one for one in server.requests if one.method == "PUT"]) < writes + 5:
            threading.Event().wait(0.05)  # the lease is renewed several times over
        check()
        order.append("first")
    thread.join(60)
    assert order == ["first", "second"]
    assert f"out/{LEASE}" not in server.objects


def test_what_a_dead_run_has_left_is_taken_over(server: ObjectServer) -> None:
    """A lease that nobody renews is no obstacle for ever, and its content says who holds it now."""
    STORE.write(LEASE, b"somebody who died")
    told = []
    with leased(STORE, lambda: told.append("waits"), HASTE) as check:
        check()
        assert server.objects[f"out/{LEASE}"] != b"somebody who died"
    assert told == ["waits"]


def test_whoever_has_lost_the_lease_commits_nothing(server: ObjectServer) -> None:
    """A run whose lease was taken over is stopped before its next commit, and leaves the other's lease alone."""
    with leased(STORE, pace=HASTE) as check:
        STORE.write(LEASE, b"somebody else")
        assert "another run may hold" in refused(check)
    assert server.objects[f"out/{LEASE}"] == b"somebody else"


def test_whoever_cannot_reach_the_store_for_long_commits_nothing(server: ObjectServer) -> None:
    """A run that could not renew for as long as others wait takes itself for dead."""
    with leased(STORE, pace=HASTE) as check:
        server.fault = lambda request: 500
        assert "out of reach" in refused(check)


def test_a_lease_whose_answer_was_lost_is_ours(server: ObjectServer) -> None:
    """If the store has taken the lease and the answer was lost, the repeated request does not lock us out."""
    lost = iter(["lost"])
    server.fault = lambda request: next(lost, None) if request.method == "PUT" else None
    with leased(STORE, lambda: pytest.fail("waits for itself"), HASTE) as check:
        check()
