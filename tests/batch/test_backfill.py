"""The second look at published archives: what was missed is hidden, nothing else changes, nothing is lost."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from components.batch import backfill as backfill_module
from components.batch import second_look
from components.batch.audit import audit
from components.batch.backfill import Backfill, Limits, backfill_archive
from components.batch.manifest import PUBLISHED, QUARANTINED, manifest_paths, read_rows
from components.batch.places import locked
from components.batch.storage import LocalStorage
from components.detection.bundle import Bundle
from components.errors import ImageFault, Reason, StreetveilError
from components.imaging.reading import decode
from components.settings import Params
from tests.batch.conftest import tree

Archive = tuple[Path, dict[str, int]]
ALL = Limits(100)


def cyan(file_bytes: bytes, params: Params) -> int:
    """Pixels of a plate's colour."""
    pixels = decode(file_bytes, params.reading).pixels.astype(int)
    return int(((pixels[..., 0] < 60) & (pixels[..., 1] > 150) & (pixels[..., 2] > 150)).sum())


def look(published: Path, bundle: Bundle, params: Params, limits: Limits = ALL) -> Backfill:
    """A second look with one worker."""
    return backfill_archive(published, bundle, params, limits, workers=1)


def test_workers_hide_what_was_missed_and_nothing_else(archive: Archive, newer: Bundle, params: Params) -> None:
    """Without originals, missed plates are hidden in place and noted, other files keep every byte, and no key stays."""
    folder, plates = archive
    shutil.rmtree(folder / "in")
    storage = LocalStorage(folder / "out")
    before, rows_before, manifests = tree(storage), read_rows(storage), set(manifest_paths(storage))
    told = look(folder / "out", newer, params)
    after, rows = tree(storage), read_rows(storage)
    missed = {path for path, count in plates.items() if count}
    assert {path for path in before if before[path] != after[path]} == missed
    assert all(cyan(before[path], params) > 200 and cyan(after[path], params) < 20 for path in missed)
    assert (told.images, told.left, told.reblurred) == (6, 0, 4)
    assert told.objects == {"face": 0, "license_plate": sum(row.blurred("license_plate") for row in rows.values())}
    assert {path: row.model_version for path, row in rows.items()} == {
        path: "2" if path in missed else "1" for path in rows_before
    }
    assert all(rows[path].input_sha256 == row.input_sha256 for path, row in rows_before.items())
    assert manifests < set(manifest_paths(storage))
    assert list(audit(storage)) == []
    assert list((folder.parent).rglob("*.key")) == []
    assert look(folder / "out", newer, params) == Backfill()
    assert tree(storage) == after


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("moment", [0, 1, 2, 4, 5, 7])  # journal, file, journal; manifest, list of what was seen
def test_a_look_that_is_killed_anywhere_goes_on(
    archive: Archive, newer: Bundle, params: Params, in_process: None, monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    """Whichever write is the last, every file stands whole, and the next look ends as an undisturbed one does."""
    folder, plates = archive
    monkeypatch.setattr(backfill_module, "_PART_SIZE", 3)
    storage = LocalStorage(folder / "out")
    before = tree(storage)
    left = [moment]
    write = LocalStorage.write

    def write_until(self: LocalStorage, path: str, content: bytes, durable: bool = True) -> None:
        if not left[0]:
            raise Killed
        left[0] -= 1
        write(self, path, content, durable)

    monkeypatch.setattr(LocalStorage, "write", write_until)
    with pytest.raises(Killed):
        look(folder / "out", newer, params)
    monkeypatch.setattr(LocalStorage, "write", write)
    now = tree(storage)
    assert now.keys() == before.keys()
    assert all(now[path] == before[path] or cyan(now[path], params) < 20 for path in before)
    look(folder / "out", newer, params)
    assert all(cyan(content, params) < 20 for content in tree(storage).values())
    assert {path for path, row in read_rows(storage).items() if row.model_version == "2"} == {
        path for path, count in plates.items() if count
    }
    assert list(audit(storage)) == []


def test_limits_end_a_run_and_the_next_one_goes_on(
    archive: Archive, newer: Bundle, params: Params, in_process: None
) -> None:
    """A run looks at no more images than it may, none after its time, and the next runs do the rest once."""
    folder, _ = archive
    assert look(folder / "out", newer, params, Limits(100, until_s=0)).images == 0
    told = [look(folder / "out", newer, params, Limits(4)) for _ in range(3)]
    assert [(run.images, run.left) for run in told] == [(4, 2), (2, 0), (0, 0)]
    assert sum(run.reblurred for run in told) == 4


def test_what_cannot_be_hidden_is_held_back(
    archive: Archive, newer: Bundle, params: Params, in_process: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file with a plate that cannot be hidden leaves the published folder, is kept aside, and its row says why."""
    folder, plates = archive
    before = tree(LocalStorage(folder / "out"))

    def fail(*_: object) -> None:
        raise ImageFault(Reason.VERIFICATION_FAILED, "still shows the original")

    monkeypatch.setattr(second_look, "verify_output", fail)
    told = look(folder / "out", newer, params)
    storage = LocalStorage(folder / "out")
    missed = {path for path, count in plates.items() if count}
    assert set(told.held_back) == missed
    assert set(tree(storage)) == set(before) - missed
    assert {path: storage.read(f".streetveil/held_back/{path}") for path in missed} == {
        path: before[path] for path in missed
    }
    states = {path: row.state for path, row in read_rows(storage).items() if path in plates}
    assert states == {path: QUARANTINED if path in missed else PUBLISHED for path in plates}
    assert list(audit(storage)) == []


def test_a_changed_file_and_a_busy_archive_are_left_alone(
    archive: Archive, newer: Bundle, params: Params, in_process: None
) -> None:
    """A file that is not what its manifest says stays and is told, and an archive under a run is refused at once."""
    folder, _ = archive
    storage = LocalStorage(folder / "out")
    storage.write("1.jpg", (folder / "in" / "1.jpg").read_bytes())
    told = look(folder / "out", replace(newer, version="3"), params)
    assert set(told.faults) == {"1.jpg"}
    assert storage.read("1.jpg") == (folder / "in" / "1.jpg").read_bytes()
    with locked(storage.root, lambda: None), pytest.raises(StreetveilError, match="another run holds"):
        look(folder / "out", newer, params)
