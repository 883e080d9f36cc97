"""What is held back and what was drawn and never decided is erased on time, and nothing else."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from components.batch.quarantine_desk.drafts import Draft, Region, keep_draft, read_draft
from components.batch.retention import erase_due
from components.batch.second_look import HELD_BACK
from components.batch.storage import LocalStorage, open_destination
from components.errors import StreetveilError

DAY_S = 24 * 3600
OTHERS = ("street-1/a.jpg", ".streetveil/manifests/night.parquet", ".streetveil/run.json")


@pytest.fixture
def archive(tmp_path: Path) -> LocalStorage:
    """A published folder, 59 days old: a picture, a manifest, two held-back files and a draft."""
    storage = open_destination(tmp_path / "2026-02-28")
    for path in (*OTHERS, f"{HELD_BACK}/street-1/b.jpg", f"{HELD_BACK}/c.jpg"):
        storage.write(path, path.encode())
    keep_draft(storage, Draft("street-1/b.jpg", "0" * 64, 1, (Region("face", 1, 1, 9, 9),), ()))
    for file in storage.root.rglob("*"):
        if file.is_file():
            os.utime(file, (time.time() - 59 * DAY_S,) * 2)
    return storage


def test_nothing_goes_before_its_time(archive: LocalStorage) -> None:
    """After 59 of 60 days everything is there."""
    before = list(archive.list(""))
    assert erase_due(archive.root, 60) == 0
    assert list(archive.list("")) == before


def test_what_is_due_goes_and_nothing_else(archive: LocalStorage) -> None:
    """On the 60th day held-back files and drafts are gone; pictures, manifests and records stay; again is nothing."""
    later = time.time() + 1.1 * DAY_S
    assert erase_due(archive.root, 60, later) == 3
    assert sorted(archive.list("")) == sorted(OTHERS)
    assert read_draft(archive, "street-1/b.jpg") is None
    assert erase_due(archive.root, 60, later) == 0


def test_what_was_changed_again_stays(archive: LocalStorage) -> None:
    """A draft that somebody has worked on since counts from then."""
    keep_draft(archive, Draft("street-1/b.jpg", "0" * 64, 2, (), ()))
    assert erase_due(archive.root, 50) == 2
    assert read_draft(archive, "street-1/b.jpg") is not None


def test_a_link_is_removed_and_not_followed(archive: LocalStorage, tmp_path: Path) -> None:
    """A link out of the folder goes; what it leads to stays."""
    (tmp_path / "elsewhere.jpg").write_bytes(b"x")
    (archive.root / HELD_BACK / "link.jpg").symlink_to(tmp_path / "elsewhere.jpg")
    erase_due(archive.root, 60, time.time() + 100 * DAY_S)
    assert not (archive.root / HELD_BACK / "link.jpg").is_symlink()
    assert (tmp_path / "elsewhere.jpg").exists()


def test_what_cannot_be_erased_is_told_and_all_else_goes(
    archive: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One file that refuses keeps none of the others."""
    unlink = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path.name == "c.jpg":
            raise PermissionError(1, "Operation not permitted")
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(StreetveilError, match=r"c\.jpg cannot be erased: Operation not permitted; remove it"):
        erase_due(archive.root, 60, time.time() + 2 * DAY_S)
    assert list(archive.list(HELD_BACK)) == [f"{HELD_BACK}/c.jpg"]


def test_a_folder_of_others_is_refused(tmp_path: Path) -> None:
    """Nothing is erased where no run has written."""
    with pytest.raises(StreetveilError, match="was not written by streetveil"):
        erase_due(tmp_path, 1)
