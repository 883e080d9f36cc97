"""The steps of a run at their seams: what a crash between two of them leaves, and how the next run mends it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from components.batch import run as run_module
from components.batch.audit import audit
from components.batch.engines.local import local_engine
from components.batch.journal import Journal
from components.batch.manifest import read_rows
from components.batch.plan import Plan
from components.batch.run import Run, commit_shard, open_run, plan_run, verify_shard
from components.batch.storage import LocalStorage
from components.detection.bundle import Bundle
from components.errors import Reason, StreetveilError
from components.registry.champion import Champion
from components.settings import Params
from flows.one_folder import blur_folder

OpenRun = Callable[[], Iterator[Run]]


@pytest.fixture
def opened(tmp_path: Path, params: Params, toy: Bundle, fill: Callable) -> Callable:
    """Open a run over five pictures and one broken file."""
    files = fill(tmp_path / "in", 5)
    (tmp_path / "in" / "broken.jpg").write_bytes(files["street-1/0001.jpg"][:700])

    @contextmanager
    def _open() -> Iterator[Run]:
        with open_run(tmp_path / "in", tmp_path / "out", toy, params, "eu") as run:
            yield run

    return _open


def nothing_left(plan: Plan, finished: int) -> bool:
    """Whether a plan has no work, and so many images are finished."""
    return (list(plan.shards), plan.images_left, plan.finished_before) == ([], 0, finished)


def test_a_crash_between_manifest_and_journal_is_tidied_up(
    opened: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the run dies after the commit and before its journal is cleared, the next plan clears it and plans nothing."""
    monkeypatch.setattr(Journal, "clear", lambda self: None)
    with opened() as run, local_engine(run.order, 1) as engine:
        (shard,) = plan_run(run).shards
        commit_shard(run, shard, engine.blur_shard(shard))
    assert Journal.shard_ids(run.storage) == {shard.id}
    monkeypatch.undo()
    with opened() as run:
        assert nothing_left(plan_run(run), 6)
    assert Journal.shard_ids(run.storage) == set()


def test_an_interrupted_retry_is_taken_back_and_can_be_tried_again(
    opened: Callable, tmp_path: Path, params: Params, toy: Bundle
) -> None:
    """A retry that died before its commit leaves no uncommitted output, and the next retry succeeds."""
    blur_folder(tmp_path / "in", tmp_path / "out", params, "eu", Champion(toy), workers=1)
    (tmp_path / "in" / "broken.jpg").write_bytes((tmp_path / "in" / "street-1" / "0001.jpg").read_bytes())
    for _ in range(2):  # the second time under the name of a shard that has a manifest
        with opened() as run, local_engine(run.order, 1) as engine:
            (shard,) = plan_run(run, retry=frozenset({"broken.jpg"})).shards
            engine.blur_shard(shard)
        storage = LocalStorage(tmp_path / "out")
        assert storage.exists("broken.jpg")
        commit_quarantined = [run.order.quarantined(image, 1, _fault()) for image in shard.images]
        commit_shard_without_clearing(run, shard, commit_quarantined)
    with opened() as run:
        assert nothing_left(plan_run(run), 6)
    assert list(audit(storage)) == []
    summary = blur_folder(
        tmp_path / "in", tmp_path / "out", params, "eu", Champion(toy), workers=1, retry=frozenset({"broken.jpg"})
    )
    assert summary.published == 1
    assert read_rows(storage)["broken.jpg"].state == "published"
    assert list(audit(storage)) == []


def test_a_shard_with_a_missing_image_is_not_committed(opened: Callable) -> None:
    """Inputs = published + quarantined is held by the commit itself."""
    with opened() as run, local_engine(run.order, 1) as engine:
        (shard,) = plan_run(run).shards
        rows = engine.blur_shard(shard)
        with pytest.raises(StreetveilError, match="1 images without an end state"):
            commit_shard(run, shard, rows[1:])
        assert list(run.storage.list(".streetveil/manifests")) == []


def test_an_output_that_changed_before_the_commit_is_taken_back(opened: Callable) -> None:
    """Verification reads every output again; one that differs from its row is quarantined and removed."""
    with opened() as run, local_engine(run.order, 1) as engine:
        (shard,) = plan_run(run).shards
        rows = engine.blur_shard(shard)
        run.storage.write("street-1/0001.jpg", run.storage.read("street-1/0001.jpg")[:-9])
        checked = {row.path: row for row in verify_shard(run, rows)}
    assert checked["street-1/0001.jpg"].reason == Reason.VERIFICATION_FAILED
    assert not run.storage.exists("street-1/0001.jpg")
    assert sum(row.state == "published" for row in checked.values()) == 4


def test_what_is_taken_back_keeps_its_region(opened: Callable) -> None:
    """Its row still says whose rules applied and why, although its original is not read again."""
    with opened() as run, local_engine(run.order, 1) as engine:
        (shard,) = plan_run(run).shards
        rows = [replace(row, region="us", region_by="place") for row in engine.blur_shard(shard)]
        run.storage.delete("street-1/0001.jpg")
        (taken,) = (row for row in verify_shard(run, rows) if row.path == "street-1/0001.jpg")
    assert (taken.reason, taken.region, taken.region_by) == (Reason.VERIFICATION_FAILED, "us", "place")


def test_a_full_disk_at_the_commit_is_told_and_the_journal_stays(
    opened: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the manifest cannot be written, the shard's work is kept for the next run."""
    with opened() as run, local_engine(run.order, 1) as engine:
        (shard,) = plan_run(run).shards
        rows = engine.blur_shard(shard)

        def no_room(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(run_module, "commit_manifest", no_room)
        with pytest.raises(StreetveilError, match="make room"):
            commit_shard(run, shard, rows)
    assert set(Journal(run.storage, shard.id).rows()) == {row.path for row in rows}


def _fault():  # type: ignore[no-untyped-def]
    from components.errors import ImageFault

    return ImageFault(Reason.TIMEOUT, "made by the test")


def commit_shard_without_clearing(run: Run, shard, rows) -> None:  # type: ignore[no-untyped-def]
    """What a run leaves that dies right after writing its manifest."""
    from components.batch.manifest import commit_manifest

    commit_manifest(run.storage, shard.id, rows)
