"""From the book to the published picture and back: who, why and until when, each use in the manifest, and an end."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.batch.backfill import Limits, backfill_archive
from components.batch.exemption_book import ExemptionBook, Granted
from components.batch.exemption_desk import granted_for, hide_again
from components.batch.manifest import ImageRow, read_rows
from components.batch.sources import ImageRef
from components.batch.storage import LocalStorage
from components.batch.work_order import WorkOrder
from components.detection.bundle import Bundle
from components.errors import StreetveilError
from components.settings import Environment, ExemptionLimits, Params
from tests.archives import publish_day
from tests.toy_model import MAGENTA, SQUARE_PX

WIDTH, HEIGHT = 400, 300
FACE_AT, OTHER_AT = (40, 60), (300, 200)
BOX = (30.0, 50.0, 74.0, 94.0)  # around the first square, 1.6 % of the picture
TODAY = datetime.now(UTC).date()


def picture(seed: int = 0, *others: tuple[int, int]) -> Image.Image:
    """A grey street with a magenta square at FACE_AT, and at each other place."""
    pixels = np.repeat(np.random.default_rng(seed).integers(60, 180, (HEIGHT, WIDTH, 1), np.uint8), 3, axis=2)
    for x, y in (FACE_AT, *others):
        stripes = np.where(np.arange(SQUARE_PX)[:, None, None] % 6 < 3, 1.0, 0.75)
        pixels[y : y + SQUARE_PX, x : x + SQUARE_PX] = np.broadcast_to(MAGENTA * stripes, (SQUARE_PX, SQUARE_PX, 3))
    return Image.fromarray(pixels)


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ExemptionBook:
    """An empty book, which runs read."""
    monkeypatch.setenv("STREETVEIL_EXEMPTIONS", str(tmp_path / "book" / "exemptions.jsonl"))
    return ExemptionBook(Environment().exemptions)


@pytest.fixture
def day(tmp_path: Path, params: Params, toy: Bundle, book: ExemptionBook) -> Callable[[str], dict[str, ImageRow]]:
    """Two pictures of one camera with two faces each, blurred into a folder; returns its rows."""
    for i in range(2):
        (tmp_path / "in" / "camera-7").mkdir(parents=True, exist_ok=True)
        picture(i, OTHER_AT).save(tmp_path / "in" / "camera-7" / f"{i}.png")

    def run(name: str = "out") -> dict[str, ImageRow]:
        publish_day(tmp_path / "in", tmp_path / name, toy, params)
        return read_rows(LocalStorage(tmp_path / name))

    return run


def grant(rows: dict[str, ImageRow], pictures: str, limits: ExemptionLimits, **changes: object) -> Granted:
    """Grant a statue's exemption."""
    told: dict[str, object] = {
        "box": BOX, "class_name": "face", "by": "anna", "why": "a statue", "until": TODAY + timedelta(days=9),
        "others": (), **changes,
    }  # fmt: skip
    return granted_for(rows, pictures, limits=limits, **told)  # type: ignore[arg-type]


def same(folder: Path, name: str, place: tuple[int, int]) -> bool:
    """Whether a published picture shows a square as the original does."""
    x, y = place
    before, after = (
        np.asarray(Image.open(root / "camera-7" / name).convert("RGB"), int) for root in (folder / "in", folder / "out")
    )
    window = np.s_[y : y + SQUARE_PX, x : x + SQUARE_PX]
    return bool((before[window] == after[window]).all())


def outcomes(row: ImageRow) -> set[tuple[str, str | None]]:
    """What became of the objects of a row that reached the threshold."""
    return {(p.outcome, p.exemption) for p in row.proposals if p.outcome in ("blurred", "exempt")}


def test_one_picture_shows_what_was_exempt_and_its_row_says_so(
    tmp_path: Path, day: Callable, book: ExemptionBook, params: Params
) -> None:
    """The statue stays bit for bit, the person beside it is hidden, and so are both in the next picture."""
    line = grant(day("seen"), "camera-7/0.png", params.exemptions)
    book.grant(line)
    rows = day()
    assert same(tmp_path, "0.png", FACE_AT)
    assert not same(tmp_path, "0.png", OTHER_AT)
    assert not same(tmp_path, "1.png", FACE_AT)
    assert outcomes(rows["camera-7/0.png"]) == {("exempt", line.id), ("blurred", None)}
    assert outcomes(rows["camera-7/1.png"]) == {("blurred", None)}
    (entry,) = book.entries()
    assert (entry.exemption.by, entry.exemption.why, entry.exemption.until) == (
        "anna",
        "a statue",
        TODAY + timedelta(9),
    )


def test_a_camera_shows_it_in_all_of_its_pictures(
    tmp_path: Path, day: Callable, book: ExemptionBook, params: Params
) -> None:
    """A pattern for one camera's names holds for each of its pictures, and each row has the id."""
    line = grant(day("seen"), "camera-7/*.png", params.exemptions)
    book.grant(line)
    rows = day()
    assert all(same(tmp_path, f"{i}.png", FACE_AT) for i in range(2))
    assert all(row.exemptions() == {line.id} for row in rows.values())


@pytest.mark.parametrize("how", ["ended", "expired", "of the future", "of another file", "beyond the limit"])
def test_what_does_not_hold_hides_everything(
    tmp_path: Path, day: Callable, book: ExemptionBook, params: Params, how: str
) -> None:
    """An exemption that is over, not yet, for other bytes, or too large by today's settings leaves nothing visible."""
    line = grant(day("seen"), "camera-7/0.png", params.exemptions)
    now = datetime.now(UTC)
    changes: dict[str, dict[str, object]] = {
        "ended": {},
        "expired": {"granted_at": now - timedelta(days=20), "until": TODAY - timedelta(days=1)},
        "of the future": {"granted_at": now + timedelta(hours=1)},
        "of another file": {"input_sha256": "0" * 64},
        "beyond the limit": {"box": (0.0, 0.0, 400.0, 300.0)},
    }
    book.grant(line.model_copy(update=changes[how]))
    if how == "ended":
        book.end(line.id, "bert", "the statue is gone")
    rows = day()
    assert not same(tmp_path, "0.png", FACE_AT)
    assert outcomes(rows["camera-7/0.png"]) == {("blurred", None)}


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "not json",
        '{"event": "granted"}',
        '{"event": "pardoned", "id": "0123456789ab"}',
        '{"event": "ended", "id": "0123456789ab", "by": "", "why": "x", "at": "2026-01-01T00:00:00Z"}',
        "",
    ],
)
def test_a_line_that_cannot_be_understood_stops_the_run(
    tmp_path: Path, day: Callable, book: ExemptionBook, params: Params, line: str
) -> None:
    """It could be the end of an exemption: nothing is published by half a book, and the error names the line."""
    book.grant(grant(day("seen"), "camera-7/0.png", params.exemptions))
    book.file.write_text(book.file.read_text() + line + "\n")
    with pytest.raises(StreetveilError, match=r"exemptions\.jsonl line 2: .*mend or remove the line"):
        day()
    assert not (tmp_path / "out").exists()


def test_a_key_of_a_line_that_is_not_known_stops_the_run(day: Callable, book: ExemptionBook, params: Params) -> None:
    """A misspelt `until` is an error, and no exemption without an end."""
    line = json.loads(grant(day("seen"), "camera-7/0.png", params.exemptions).model_dump_json())
    line["untill"] = line.pop("until")
    book.file.parent.mkdir()
    book.file.write_text(json.dumps(line) + "\n")
    with pytest.raises(StreetveilError, match=r"line 1: .*until"):
        book.granted()


@pytest.mark.parametrize(
    ("pictures", "changes", "fault"),
    [
        ("camera-7/0.png", {"box": (0.0, 0.0, 400.0, 300.0)}, "100.0% of the picture"),
        ("camera-7/0.png", {"until": TODAY + timedelta(days=4000)}, "max_days"),
        ("camera-7/0.png", {"until": TODAY - timedelta(days=1)}, "max_days"),
        ("camera-7/0.png", {"by": " "}, "names nobody"),
        ("camera-7/0.png", {"why": ""}, "names nobody"),
        ("camera-7/9.png", {}, "no picture 'camera-7/9.png'"),
        ("camera-8/*.png", {}, "no picture 'camera-8/"),
        ("camera-*/*.png", {}, "no picture 'camera-"),
        ("*", {}, r"no picture '\*'"),
    ],
)
def test_what_means_too_much_or_nothing_is_not_granted(
    day: Callable, book: ExemptionBook, params: Params, pictures: str, changes: dict[str, object], fault: str
) -> None:
    """The refusal says what is wrong, and the book stays empty."""
    with pytest.raises(StreetveilError, match=fault):
        book.grant(grant(day("seen"), pictures, params.exemptions, **changes))
    assert book.entries() == []


def test_pictures_of_two_sizes_are_of_no_one_camera(tmp_path: Path, day: Callable, params: Params) -> None:
    """A pattern that means pictures of different sizes is refused: one box cannot be one place in them."""
    (tmp_path / "in" / "camera-7").mkdir(parents=True, exist_ok=True)
    picture(3).resize((200, 150)).save(tmp_path / "in" / "camera-7" / "9.png")
    with pytest.raises(StreetveilError, match="2 sizes"):
        grant(day("seen"), "camera-7/*.png", params.exemptions)


def test_several_grants_are_bounded_together(day: Callable, book: ExemptionBook, params: Params) -> None:
    """A second box that would lead over the limit of the picture is refused while the first one holds."""
    rows = day("seen")
    book.grant(grant(rows, "camera-7/*.png", params.exemptions))
    with pytest.raises(StreetveilError, match=r"with others for camera-7/0\.png"):
        grant(rows, "camera-7/0.png", params.exemptions, box=(200.0, 100.0, 240.0, 140.0), others=book.granted())
    book.end(book.entries()[0].exemption.id, "anna", "a mistake")
    grant(rows, "camera-7/0.png", params.exemptions, box=(200.0, 100.0, 240.0, 140.0), others=book.granted())


def test_the_end_hides_it_in_what_is_published(
    tmp_path: Path, day: Callable, book: ExemptionBook, params: Params
) -> None:
    """After the end the published pictures hide the place, the manifest says so, and doing it again changes nothing."""
    line = grant(day("seen"), "camera-7/*.png", params.exemptions)
    book.grant(line)
    day()
    book.end(line.id, "bert", "the statue is gone")
    storage = LocalStorage(tmp_path / "out")
    assert hide_again(storage, line.id, params) == ["camera-7/0.png", "camera-7/1.png"]
    assert not any(same(tmp_path, f"{i}.png", FACE_AT) for i in range(2))
    files = {path: storage.read(path) for path in storage.list("camera-7")}
    hide_again(storage, line.id, params)
    assert {path: storage.read(path) for path in storage.list("camera-7")} == files
    row = read_rows(storage)["camera-7/0.png"]
    assert [p.stage for p in row.proposals if p.outcome == "blurred"].count(4) == len(
        [p for p in row.proposals if p.exemption == line.id]
    )
    (entry,) = book.entries()
    assert entry.ended is not None
    assert (entry.ended.by, entry.ended.why) == ("bert", "the statue is gone")


def test_a_newer_model_leaves_it_visible_only_as_long_as_it_holds(
    tmp_path: Path, day: Callable, book: ExemptionBook, params: Params, toy: Bundle, in_process: None
) -> None:
    """A backfill's look at the published picture spares an exempt place, and hides it once the exemption is over."""
    line = grant(day("seen"), "camera-7/0.png", params.exemptions)
    book.grant(line)
    day()
    told = backfill_archive(tmp_path / "out", replace(toy, version="2"), params, Limits(99), workers=1)
    assert told.reblurred == 0
    assert same(tmp_path, "0.png", FACE_AT)
    book.end(line.id, "bert", "gone")
    told = backfill_archive(tmp_path / "out", replace(toy, version="3"), params, Limits(99), workers=1)
    assert told.reblurred == 1
    assert not same(tmp_path, "0.png", FACE_AT)


def test_an_interrupted_run_does_not_keep_what_is_no_longer_exempt(
    order: Callable[..., WorkOrder], day: Callable, params: Params
) -> None:
    """A journal's row with something left visible counts only while its exemption does."""
    line = grant(day("seen"), "camera-7/0.png", params.exemptions)
    row = next(iter(day("seen").values()))
    spared = replace(row, proposals=(replace(row.proposals[0], outcome="exempt", exemption=line.id),))
    image = ImageRef(row.path, row.input_size_bytes, row.input_modified_ns)
    assert order().would_write(row, image)
    assert not order().would_write(spared, image)
    assert order(exemptions=(line.exemption(),)).would_write(spared, image)


def test_the_book_is_its_owners_alone(day: Callable, book: ExemptionBook, params: Params) -> None:
    """It tells where faces are, so nobody else may read it."""
    book.grant(grant(day("seen"), "camera-7/0.png", params.exemptions))
    assert stat.S_IMODE(book.file.stat().st_mode) == 0o600


def test_an_end_needs_a_name_a_reason_and_something_to_end(day: Callable, book: ExemptionBook, params: Params) -> None:
    """An anonymous end, and that of an unknown exemption, are refused; a second end leaves the first one's words."""
    line = grant(day("seen"), "camera-7/0.png", params.exemptions)
    book.grant(line)
    with pytest.raises(StreetveilError, match="--by and --why"):
        book.end(line.id, "", "x")
    with pytest.raises(StreetveilError, match="no exemption 'nobody'"):
        book.end("nobody", "anna", "x")
    book.end(line.id, "anna", "first")
    book.end(line.id, "bert", "second")
    (entry,) = book.entries()
    assert entry.ended is not None
    assert entry.ended.by == "anna"
