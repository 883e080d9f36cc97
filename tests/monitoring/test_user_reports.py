"""Reports of the public: kept, joined, decided, repaired, and handed to the next labelling sample."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.batch import drawn_regions
from components.batch.audit import audit
from components.batch.journal import Journal
from components.batch.lookup import find_published, valid_row
from components.batch.manifest import MANIFESTS, ImageRow, commit_manifest, read_manifest
from components.batch.sources import list_images
from components.batch.storage import LocalStorage, open_destination
from components.batch.work_order import WorkOrder
from components.batch.worker import load_blurring, process_image
from components.detection.bundle import Bundle
from components.detections import STAGE_PERSON
from components.errors import StreetveilError
from components.imaging.reading import blurring_id_of, decode
from components.monitoring.report_repair import NoSuchImageError, place_of, repair
from components.monitoring.user_reports import Kind, Place, ReportBook, State, export
from components.settings import Params
from tests.conftest import encoded
from tests.toy_model import scene

IMAGE = "2026-02-28/a.jpg"
BOX = (4.0, 90.0, 40.0, 116.0)


@pytest.fixture(scope="module")
def blurred_day(tmp_path_factory: pytest.TempPathFactory, params: Params, toy: Bundle) -> dict[str, bytes]:
    """Every file of a day's destination with one image, for copies that tests may change."""
    folder = tmp_path_factory.mktemp("day")
    (folder / "in").mkdir()
    (folder / "in/a.jpg").write_bytes(encoded(scene(np.random.default_rng(7))[0], "JPEG", quality=95))
    storage = open_destination(folder / "out")
    order = WorkOrder(folder / "in", storage, "eu", params, toy, b"k" * 32, "test")
    (image,) = list_images(order.source, folder / "out")
    row = process_image(order, load_blurring(order), Journal(storage, "shard"), image)
    commit_manifest(storage, "shard", [row])
    Journal(storage, "shard").clear()
    return {path: storage.read(path) for path in storage.list("")}


@pytest.fixture
def root(tmp_path: Path, blurred_day: dict[str, bytes]) -> Path:
    """A folder of published days."""
    for path, content in blurred_day.items():
        file = tmp_path / "published/2026-02-28" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    (tmp_path / "published/2026-02-27/.streetveil").mkdir(parents=True)
    return tmp_path / "published"


@pytest.fixture
def book(tmp_path: Path) -> ReportBook:
    """An empty book."""
    return ReportBook(tmp_path / "state/reports.sqlite", 0.5)


def place(x1: float = 10, y1: float = 10, x2: float = 30, y2: float = 30, image: str = "a.jpg") -> Place:
    """A missed face."""
    return Place("/published", image, Kind.MISSED, "face", x1, y1, x2, y2)


def storage_of(root: Path) -> LocalStorage:
    """The day's destination."""
    return LocalStorage((root / "2026-02-28").resolve())


def test_a_missed_face_ends_hidden_and_in_the_next_sample(root: Path, book: ReportBook, params: Params) -> None:
    """Report, confirm, repair: the file is blurred there and nowhere else, both rows stay, labelling hears of it."""
    storage = storage_of(root)
    before, old = storage.read("a.jpg"), valid_row(storage, "a.jpg")
    assert old is not None
    report, is_new = book.add(place_of(root, IMAGE, Kind.MISSED, "face", BOX))
    assert (is_new, report.state, report.place.image) == (True, State.NEW, "a.jpg")
    assert repair(book, report, params) == report  # nobody has confirmed it

    fixed = repair(book, book.confirm(report.id, "ada"), params)
    assert (fixed.state, fixed.decided_by) == (State.FIXED, "ada")
    after, row = storage.read("a.jpg"), valid_row(storage, "a.jpg")
    pixels = [np.asarray(decode(file, params.reading).pixels, int) for file in (before, after)]
    changed = np.abs(pixels[0] - pixels[1]).sum(axis=2)
    assert changed[90:116, 4:40].mean() > 20
    assert not changed[:, 64:].any()
    assert row is not None
    assert row.blurring_id == blurring_id_of(after) != old.blurring_id
    assert row.proposals[:-1] == old.proposals
    assert (row.proposals[-1].stage, row.proposals[-1].outcome) == (STAGE_PERSON, "blurred")
    assert (row.input_sha256, row.model_version) == (old.input_sha256, old.model_version)
    assert valid_row(storage, "a.jpg") == row
    kept = [ImageRow.from_dict(told) for told in read_manifest(storage, f"{MANIFESTS}/shard.parquet").to_pylist()]
    assert kept == [old]
    assert list(audit(storage)) == []

    (line,) = map(json.loads, export(book.reports()).splitlines())
    assert line == {"path": IMAGE, "x0": 4, "y0": 90, "x1": 40, "y1": 116, "class": "face"}
    counts = book.counts()
    assert counts.by_state[Kind.MISSED, State.FIXED] == 1
    assert len(counts.fix_s) == 1
    assert counts.fix_s[0] >= 0

    repair(book, fixed, params)  # it is hidden already
    assert storage.read("a.jpg") == after
    for name in (IMAGE, str(old.blurring_id), str(row.blurring_id)):
        assert find_published(root, name) == (root / "2026-02-28", row), name


@pytest.mark.parametrize("dies_at", ["write", "commit_manifest", "clear"])
def test_a_repair_that_dies_is_finished_by_the_next(
    root: Path, book: ReportBook, params: Params, monkeypatch: pytest.MonkeyPatch, dies_at: str
) -> None:
    """Killed before the file, before the manifest or before the journal goes: the next call ends as if undisturbed."""
    report = book.confirm(book.add(place_of(root, IMAGE, Kind.MISSED, "face", BOX))[0].id, "ada")
    real_write = LocalStorage.write

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    def die_before_the_file(self: LocalStorage, path: str, content: bytes, durable: bool = True) -> None:
        if path == "a.jpg":
            raise KeyboardInterrupt
        real_write(self, path, content, durable)

    with monkeypatch.context() as patch:
        if dies_at == "write":
            patch.setattr(LocalStorage, "write", die_before_the_file)
        else:
            patch.setattr(drawn_regions if dies_at == "commit_manifest" else Journal, dies_at, die)
        with pytest.raises(KeyboardInterrupt):
            repair(book, report, params)
    assert book.get(report.id).state == State.CONFIRMED

    assert repair(book, report, params).state == State.FIXED
    storage = storage_of(root)
    row = valid_row(storage, "a.jpg")
    assert row is not None
    assert [proposal.stage for proposal in row.proposals].count(STAGE_PERSON) == 1
    assert list(audit(storage)) == []


def test_a_repair_touches_no_file_that_is_not_the_published_one(root: Path, book: ReportBook, params: Params) -> None:
    """A file that somebody has changed, or removed, stays as it is, and the report stays confirmed."""
    report = book.confirm(book.add(place_of(root, IMAGE, Kind.MISSED, "face", BOX))[0].id, "ada")
    file = root / IMAGE
    file.write_bytes(file.read_bytes() + b"x")
    changed = file.read_bytes()
    with pytest.raises(StreetveilError, match="streetveil verify"):
        repair(book, report, params)
    assert file.read_bytes() == changed
    file.unlink()
    with pytest.raises(StreetveilError, match="cannot be read"):
        repair(book, report, params)
    assert book.get(report.id).state == State.CONFIRMED


@pytest.mark.parametrize(
    "image", ["b.jpg", "2026-02-28/../2026-02-28/a.jpg", "/etc/passwd", "a.jpg", ".streetveil/lock", "x\0y"]
)
def test_only_published_images_can_be_reported(root: Path, image: str) -> None:
    """Other names, and paths that lead elsewhere, name nothing."""
    with pytest.raises(NoSuchImageError):
        place_of(root, image, Kind.MISSED, "face", BOX)


@pytest.mark.parametrize("box", [(5, 5, 5, 9), (9, 5, 5, 9), (160, 0, 170, 9), (-9, 0, 0, 9), (float("nan"), 0, 9, 9)])
def test_a_box_without_a_pixel_is_refused(root: Path, box: tuple[float, ...]) -> None:
    """Empty boxes and those outside of the picture hide nothing, so they are errors."""
    with pytest.raises(StreetveilError, match="holds no pixel"):
        place_of(root, IMAGE, Kind.MISSED, "face", box)


def test_one_place_is_one_report(book: ReportBook) -> None:
    """Reports that overlap are joined while they wait, and cover both boxes; others stay apart."""
    first, _ = book.add(place(10, 10, 30, 30))
    again, is_new = book.add(place(12, 10, 34, 30))
    assert (again.id, is_new, again.times) == (first.id, False, 2)
    assert (again.place.x1, again.place.x2) == (10, 34)
    others = [
        place(60, 10, 80, 30),
        place(image="b.jpg"),
        replace(place(), class_name="license_plate"),
        replace(place(), kind=Kind.WRONG_BLUR),
        replace(place(), folder=None),
    ]
    assert all(book.add(other)[1] for other in others)
    assert len(book.reports()) == 6

    book.reject(first.id, "ada", "a statue")
    rejected, is_new = book.add(place(60, 10, 80, 30))
    assert not is_new
    back, is_new = book.add(place(8, 10, 34, 30))
    assert (back.id, is_new, back.state, back.place.x1) == (first.id, False, State.REJECTED, 10)
    book.confirm(first.id, "bob")
    book.fixed(first.id)
    assert book.add(place(10, 10, 34, 30))[1]  # the fix was not enough
    assert rejected.times == 2


def test_decisions_follow_one_another(book: ReportBook) -> None:
    """What is fixed stays fixed, what is not confirmed is not fixed, and unknown reports are named."""
    report, _ = book.add(place())
    assert book.fixed(report.id).state == State.NEW
    assert book.confirm(report.id, "ada").state == State.CONFIRMED
    with pytest.raises(StreetveilError, match="cannot become confirmed"):
        book.confirm(report.id, "ada")
    assert book.fixed(report.id).state == State.FIXED
    with pytest.raises(StreetveilError, match="cannot become rejected"):
        book.reject(report.id, "ada")
    with pytest.raises(StreetveilError, match="no report 'x'"):
        book.get("x")


def test_a_wrong_blur_is_labelled_and_not_undone(root: Path, book: ReportBook, params: Params) -> None:
    """A confirmed wrong blur goes to the next sample; the published file stays as it is."""
    before = (root / IMAGE).read_bytes()
    report = book.confirm(book.add(place_of(root, IMAGE, Kind.WRONG_BLUR, "face", BOX))[0].id, "ada")
    assert repair(book, report, params).state == State.CONFIRMED
    assert (root / IMAGE).read_bytes() == before
    assert json.loads(export(book.reports())) == {"path": IMAGE}


def test_only_its_owner_reads_the_book_and_a_broken_one_is_named(book: ReportBook) -> None:
    """The file has mode 0600; one that is no database is an error that says what to do."""
    book.add(place())
    assert book.file.stat().st_mode & 0o777 == 0o600
    with sqlite3.connect(book.file) as database:
        assert "comment" not in str(database.execute("SELECT sql FROM sqlite_master").fetchall())
    broken = ReportBook(book.file.parent / "broken", 0.5)
    broken.file.write_bytes(b"no database" * 100)
    with pytest.raises(StreetveilError, match="STREETVEIL_REPORTS"):
        broken.add(place())


@settings(max_examples=12, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 60)] * 2, *[st.integers(10, 40)] * 2), min_size=1, max_size=6))
def test_whatever_was_reported_is_covered_by_what_waits(boxes: list[tuple[int, int, int, int]]) -> None:
    """Joining reports never loses a pixel of any of them, and counts every one."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        book = ReportBook(Path(folder) / "reports.sqlite", 0.5)
        covered = np.zeros((100, 100), bool)
        for x, y, width, height in boxes:
            book.add(place(x, y, x + width, y + height))
        for report in book.reports():
            x1, y1, x2, y2 = (int(getattr(report.place, side)) for side in ("x1", "y1", "x2", "y2"))
            covered[y1:y2, x1:x2] = True
        assert all(covered[y : y + height, x : x + width].all() for x, y, width, height in boxes)
        assert sum(report.times for report in book.reports()) == len(boxes)
