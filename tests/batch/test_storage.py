"""Writing is all or nothing."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from components.batch.storage import STATE_FOLDER, LocalStorage, open_destination
from components.errors import StreetveilError


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    """A written file is there under its path, with all its bytes, and listed."""
    storage = LocalStorage(tmp_path)
    storage.write("a/b/c.jpg", b"content")
    assert storage.read("a/b/c.jpg") == b"content"
    assert list(storage.list("a")) == ["a/b/c.jpg"]
    storage.delete("a/b/c.jpg")
    assert not storage.exists("a/b/c.jpg")


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_file_and_no_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """If the disk fails while a file is written anew, the old content stands and no temporary file stays."""
    storage = LocalStorage(tmp_path)
    storage.write("picture.jpg", b"old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*((os, "fsync") if failing == "fsync" else (Path, "replace")), fail)
    with pytest.raises(OSError, match="No space"):
        storage.write("picture.jpg", b"new")
    assert storage.read("picture.jpg") == b"old"
    assert list(storage.list(f"{STATE_FOLDER}/drafts")) == []


def test_leftovers_of_dead_writers_go_and_those_of_living_ones_stay(tmp_path: Path) -> None:
    """After a crash the temporary files of the dead process are removed, and nobody else's."""
    drafts = tmp_path / STATE_FOLDER / "drafts"
    drafts.mkdir(parents=True)
    dead, alive = drafts / "4194399-aa", drafts / f"{os.getpid()}-bb"
    dead.write_bytes(b"x")
    alive.write_bytes(b"x")
    LocalStorage(tmp_path).remove_leftovers()
    assert not dead.exists()
    assert alive.exists()


def test_tidying_up_beside_a_writer_costs_no_file(tmp_path: Path) -> None:
    """While another process removes empty folders all the time, every write of this one still succeeds."""
    storage = LocalStorage(tmp_path)
    done = threading.Event()

    def tidy() -> None:
        while not done.is_set():
            storage.remove_leftovers()

    tidying = threading.Thread(target=tidy)
    tidying.start()
    try:
        for i in range(1500):
            storage.write(f"{STATE_FOLDER}/journal/shard/{i}", b"x", durable=False)
            storage.delete(f"{STATE_FOLDER}/journal/shard/{i}")
    finally:
        done.set()
        tidying.join()


@pytest.mark.parametrize("path", ["taken/a.jpg", "folder"])
def test_what_stands_in_the_way_is_still_told(tmp_path: Path, path: str) -> None:
    """A file where a folder must be, or a folder where the file must be, is an error and stays as it is."""
    (tmp_path / "taken").write_text("mine")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match=r"exists|directory"):
        LocalStorage(tmp_path).write(path, b"x")
    assert (tmp_path / "taken").read_text() == "mine"


def test_a_destination_that_cannot_be_made_is_told_in_one_line(tmp_path: Path) -> None:
    """A destination below a file is an error that names the place and the remedy."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StreetveilError, match="choose another destination"):
        open_destination(tmp_path / "file" / "below")
