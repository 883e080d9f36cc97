"""What waits in quarantine is listed by reason; giving it up takes a name and a reason, and publishes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.batch.audit import audit
from components.batch.lookup import history
from components.batch.manifest import PUBLISHED, read_rows
from components.batch.quarantine import discard, waiting
from components.batch.run import open_run, plan_run
from components.batch.storage import LocalStorage
from components.detection.bundle import Bundle
from components.errors import StreetveilError
from components.settings import Params
from tests.archives import publish_day, write_scenes


@pytest.fixture
def published(tmp_path: Path, params: Params, toy: Bundle) -> LocalStorage:
    """A day with one picture, two broken files and an empty one."""
    write_scenes(tmp_path / "in", [(1, 0)], seed=1)
    for name in ("broken.jpg", "damaged.jpg"):
        (tmp_path / "in" / name).write_bytes((tmp_path / "in" / "0.jpg").read_bytes()[:900])
    (tmp_path / "in" / "empty.jpg").touch()
    publish_day(tmp_path / "in", tmp_path / "out", toy, params)
    return LocalStorage(tmp_path / "out")


def paths(storage: LocalStorage, *reasons: str, discarded: bool = False) -> list[str]:
    """What waits."""
    return [row.path for row in waiting(read_rows(storage).values(), reasons, discarded)]


def test_what_waits_is_listed_by_reason(published: LocalStorage) -> None:
    """All of it in the order of reasons, or that of one reason; an unknown reason is told those that there are."""
    assert paths(published) == ["broken.jpg", "damaged.jpg", "empty.jpg"]
    assert paths(published, "empty") == ["empty.jpg"]
    with pytest.raises(StreetveilError, match=r"no reason mood: there are empty, unsupported_format"):
        paths(published, "mood")


def test_who_gives_up_an_image_is_written_down(published: LocalStorage, tmp_path: Path) -> None:
    """The row says who, when, why and what was wrong; it waits no longer, its history and its original stay."""
    before = (tmp_path / "in" / "broken.jpg").read_bytes()
    (row,) = discard(published, ["broken.jpg"], "anna", "sent twice")
    assert row == read_rows(published)["broken.jpg"]
    assert (row.state, row.reason) == ("quarantined", "discarded")
    assert row.detail is not None
    for word in ("anna", "sent twice", "was decode_refused: damaged or hostile"):
        assert word in row.detail
    assert paths(published) == ["damaged.jpg", "empty.jpg"]
    assert paths(published, discarded=True) == ["damaged.jpg", "broken.jpg", "empty.jpg"]
    assert [old.reason for _, old in history(published, "broken.jpg")] == ["decode_refused", "discarded"]
    assert (tmp_path / "in" / "broken.jpg").read_bytes() == before


def test_nothing_is_published_by_it(published: LocalStorage, tmp_path: Path) -> None:
    """No file appears, the audit finds nothing, and inputs are still published + quarantined."""
    discard(published, ["broken.jpg", "empty.jpg"], "anna", "useless")
    assert sorted(path.name for path in (tmp_path / "out").glob("*.jpg")) == ["0.jpg"]
    assert list(audit(published)) == []
    rows = read_rows(published).values()
    assert len(rows) == len(list((tmp_path / "in").iterdir())) == 4
    assert sum(row.state == PUBLISHED for row in rows) == 1


@pytest.mark.parametrize(
    ("names", "by", "why", "message"),
    [
        (["broken.jpg"], " ", "x", "--by and --why"),
        (["broken.jpg"], "anna", "", "--by and --why"),
        (["0.jpg"], "anna", "x", r"not in quarantine: 0\.jpg"),
        (["broken.jpg", "nothing.jpg"], "anna", "x", r"not in quarantine: nothing\.jpg"),
    ],
)
def test_all_of_them_or_none(published: LocalStorage, names: list[str], by: str, why: str, message: str) -> None:
    """Without a name or a reason, and with one path that does not wait, nothing is given up."""
    before = list(published.list(".streetveil"))
    with pytest.raises(StreetveilError, match=message):
        discard(published, names, by, why)
    assert list(published.list(".streetveil")) == before
    assert len(paths(published)) == 3


def test_what_is_given_up_is_not_given_up_again(published: LocalStorage) -> None:
    """The first decision stands."""
    discard(published, ["broken.jpg"], "anna", "first")
    with pytest.raises(StreetveilError, match="not in quarantine"):
        discard(published, ["broken.jpg"], "bert", "second")


def test_a_run_leaves_it_alone_until_it_is_named_or_has_changed(
    published: LocalStorage, tmp_path: Path, params: Params, toy: Bundle
) -> None:
    """A later run does not try it again; a retry by name, or another file in its place, does."""
    discard(published, ["broken.jpg"], "anna", "sent twice")

    def planned(retry: frozenset[str] = frozenset()) -> set[str]:
        with open_run(tmp_path / "in", tmp_path / "out", toy, params, "eu") as run:
            return {image.path for shard in plan_run(run, retry).shards for image in shard.images}

    assert planned() == set()
    assert planned(frozenset({"broken.jpg"})) == {"broken.jpg"}
    (tmp_path / "in" / "broken.jpg").write_bytes((tmp_path / "in" / "0.jpg").read_bytes())
    assert planned() == {"broken.jpg"}
    publish_day(tmp_path / "in", tmp_path / "out", toy, params)
    assert read_rows(published)["broken.jpg"].state == PUBLISHED
    assert list(audit(published)) == []


def test_a_decision_waits_for_the_run_that_holds_the_destination(
    published: LocalStorage, tmp_path: Path, params: Params, toy: Bundle
) -> None:
    """A run that is under way is not decided over: the lock is asked for, and whoever waits is told."""

    class WaitingError(Exception):
        pass

    def told() -> None:
        raise WaitingError

    with open_run(tmp_path / "in", tmp_path / "out", toy, params, "eu"), pytest.raises(WaitingError):
        discard(published, ["broken.jpg"], "anna", "x", on_wait=told)
    assert "broken.jpg" in paths(published)
