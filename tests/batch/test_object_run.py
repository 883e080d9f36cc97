"""A day from one bucket to another, and what becomes of it when the store fails or the run dies at any moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from components.batch.audit import audit
from components.batch.index import valid_rows
from components.batch.journal import Journal
from components.batch.manifest import comparable
from components.batch.object_store import ObjectStore
from components.batch.run import close_run, commit_shard, open_run, plan_run, verify_shard
from components.batch.worker import load_blurring, process_image
from components.blurring import Blurring
from components.detection.bundle import Bundle
from components.errors import StreetveilError
from components.settings import Params
from tests.batch.object_server import BUCKET, ObjectServer, Request, object_server

SOURCE, DESTINATION = ObjectStore(BUCKET, "in/"), ObjectStore(BUCKET, "out/")
BROKEN = "street-0/broken.jpg"


class Killed(BaseException):
    """The process is gone: nothing of it handles this."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, fill: Callable, tmp_path) -> Iterator[ObjectServer]:  # type: ignore[no-untyped-def]
    """A store with two pictures and a broken file."""
    files = fill(tmp_path / "in", 2)
    with object_server(monkeypatch) as running:
        running.page_size = 1000
        running.objects.update({f"in/{path}": content for path, content in files.items()})
        running.objects[f"in/{BROKEN}"] = files["street-1/0001.jpg"][:700]
        yield running


@pytest.fixture
def blur(params: Params, toy: Bundle) -> Callable[[], None]:
    """A nightly run in this process, which does all that a worker and its run do."""
    held: list[Blurring] = []

    def _blur() -> None:
        with open_run(SOURCE, DESTINATION, toy, params, "eu") as run:
            held[:] = held or [load_blurring(run.order)]
            for shard in plan_run(run).shards:
                journal = Journal(run.storage, shard.id)
                done = journal.rows()
                rows = [
                    done.get(image.path) or process_image(run.order, held[0], journal, image) for image in shard.images
                ]
                commit_shard(run, shard, verify_shard(run, rows))
            close_run(run)

    return _blur


def states(server: ObjectServer) -> dict[str, str]:
    """The end state of every image."""
    assert list(audit(DESTINATION)) == []
    return {row.path: row.state for row in valid_rows(DESTINATION)}


def assert_complete(server: ObjectServer) -> None:
    """Every image has its end state, outputs are what the manifest says, and nothing else is left."""
    inputs = {key.removeprefix("in/") for key in server.objects if key.startswith("in/")}
    found = states(server)
    assert set(found) == inputs
    assert {path for path, state in found.items() if state != "published"} == {BROKEN}
    left = {key for key in server.objects if key.startswith("out/.streetveil/")}
    assert all("/manifests/" in key for key in left), left
    assert_nothing_unblurred(server)


def assert_nothing_unblurred(server: ObjectServer) -> None:
    """No original's bytes stand anywhere below the destination."""
    originals = {content for key, content in server.objects.items() if key.startswith("in/")}
    assert not [key for key, content in server.objects.items() if key.startswith("out/") and content in originals]


def test_a_day_is_blurred_from_prefix_to_prefix(server: ObjectServer, blur: Callable[[], None]) -> None:
    """Everything is published or quarantined and verified, and nothing is ever copied or renamed; twice is once."""
    blur()
    assert_complete(server)
    before = dict(server.objects)
    blur()
    assert server.objects == before


def test_a_run_killed_before_any_request_is_completed_by_the_next(
    server: ObjectServer, blur: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever a run dies, between image and manifest too, nothing unblurred stands there and the next run ends it."""
    undisturbed = dict(server.objects)
    blur()
    expected = comparable(valid_rows(DESTINATION))
    writes = [one for one in server.requests if one.method in ("PUT", "DELETE") and "/lease" not in one.key]
    for last in range(len(writes)):
        server.objects.clear()
        server.objects.update(undisturbed)
        left = iter(range(last))
        put, delete = ObjectStore.put, ObjectStore.delete

        def dying(call: Callable) -> Callable:
            def _call(self: ObjectStore, path: str, *more: object, **options: str) -> object:
                if "/lease" not in path and next(left, None) is None:  # noqa: B023 - used within the turn
                    raise Killed
                return call(self, path, *more, **options)

            return _call

        with monkeypatch.context() as patch:
            patch.setattr(ObjectStore, "put", dying(put))
            patch.setattr(ObjectStore, "delete", dying(delete))
            with pytest.raises(Killed):
                blur()
        assert_nothing_unblurred(server)
        blur()
        assert_complete(server)
        assert len(comparable(valid_rows(DESTINATION))) == len(expected)


@pytest.mark.parametrize("fault", [500, "lost"])
@pytest.mark.parametrize("of", ["out/street-1/0001.jpg", "out/.streetveil/manifests", "in/street-1/0001.jpg"])
def test_a_store_that_fails_for_a_while_holds_nothing_against_an_image(
    server: ObjectServer, blur: Callable[[], None], of: str, fault: int | str
) -> None:
    """However often the store fails at the same image, it is published as soon as the store is back."""

    def strike(request: Request) -> int | str | None:
        return fault if request.key.startswith(of) and request.method in ("PUT", "GET") else None

    server.fault = strike
    for _ in range(5):
        with pytest.raises(StreetveilError, match="run again"):
            blur()
        assert_nothing_unblurred(server)
    server.fault = lambda request: None
    blur()
    assert_complete(server)


def test_a_put_whose_answer_is_lost_publishes_once(server: ObjectServer, blur: Callable[[], None]) -> None:
    """Requests that were served and not answered are repeated without harm: one row, one output, all verified."""
    lost: set[str] = set()

    def lose_first(request: Request) -> str | None:
        if request.method != "PUT" or request.key in lost:
            return None
        lost.add(request.key)
        return "lost"

    server.fault = lose_first
    blur()
    assert len(lost) > 5  # outputs, journal and manifest
    assert_complete(server)
