"""The page of befores and afters shows every picture upright, and survives the damaged ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from components.evaluation.sheet import Pair, before_after_sheet
from tests.conftest import encoded

RED, BLUE, GREEN = (200, 20, 20), (20, 20, 200), (20, 160, 20)
HEAD, GAP, CAPTION, WIDE, HIGH = 84, 24, 30, 400, 300  # as the page is laid out
TEXTURE = np.random.default_rng(3).integers(0, 256, (24, 32, 3), np.uint8)


def plain(colour: tuple[int, int, int], width: int = 80, height: int = 60) -> NDArray[np.uint8]:
    """A picture of one colour."""
    return np.broadcast_to(np.array(colour, np.uint8), (height, width, 3)).copy()


def file(folder: Path, name: str, content: bytes) -> Path:
    """Write a file."""
    path = folder / name
    path.write_bytes(content)
    return path


def cell(sheet: Image.Image, pair: int, side: int) -> NDArray[np.uint8]:
    """The pixels of the before (0) or the after (1) of a pair."""
    x = GAP + (pair % 2) * (2 * WIDE + 6 + GAP) + side * (WIDE + 6)
    y = HEAD + (pair // 2) * (HIGH + CAPTION + GAP) + CAPTION
    return np.asarray(sheet)[y : y + HIGH, x : x + WIDE]


def test_before_stands_left_of_after(tmp_path: Path) -> None:
    """Each pair has its two pictures side by side, two pairs in a row, in order."""
    colours = [RED, BLUE, GREEN]
    pairs = []
    for i, colour in enumerate(colours):
        before = file(tmp_path, f"{i}-before.png", encoded(plain(colour)))
        after = file(tmp_path, f"{i}-after.png", encoded(plain(colours[i - 1])))
        pairs.append(Pair(f"picture {i}", before, after, "1 face"))
    sheet = before_after_sheet(pairs, "A day")
    for i, colour in enumerate(colours):
        assert cell(sheet, i, 0)[150, 200].tolist() == list(colour)
        assert cell(sheet, i, 1)[150, 200].tolist() == list(colours[i - 1])


def test_pictures_keep_their_shape_and_stand_upright(tmp_path: Path) -> None:
    """A picture that lies on its side stands in the middle of its cell as a tall one, with the same side up."""
    stored = plain(RED, 800, 400)
    stored[:, :400] = BLUE
    exif = Image.Exif()
    exif[0x0112] = 6
    path = file(tmp_path, "a.png", encoded(stored, exif=exif))
    shown = cell(before_after_sheet([Pair("a", path, path, "")], ""), 0, 0)
    assert shown[10, 200].tolist() == list(BLUE)
    assert shown[290, 200].tolist() == list(RED)
    assert shown[150, 100].tolist() == shown[150, 300].tolist()
    assert shown[150, 100].tolist() not in (list(RED), list(BLUE))


def test_what_was_not_published_is_told(tmp_path: Path) -> None:
    """A pair without an after has an empty cell with words, and its note stands out."""
    path = file(tmp_path, "a.png", encoded(plain(RED)))
    quarantined = before_after_sheet([Pair("a", path, None, "quarantined: too_large")], "")
    published = before_after_sheet([Pair("a", path, path, "quarantined: too_large")], "")
    empty = cell(quarantined, 0, 1)
    assert len(np.unique(empty.reshape(-1, 3), axis=0)) > 2
    assert empty[5, 5].tolist() == [232, 232, 228]
    note = np.s_[HEAD : HEAD + CAPTION, GAP + 500 : GAP + 2 * WIDE + 6]
    redness = [np.ptp(np.asarray(sheet)[note].astype(int), axis=2).max() for sheet in (quarantined, published)]
    assert redness[0] > 100 > redness[1]


def test_title_names_and_notes_are_written(tmp_path: Path) -> None:
    """Another title, name or note makes another page, in its own place only."""
    path = file(tmp_path, "a.png", encoded(plain(RED)))
    page = np.asarray(before_after_sheet([Pair("a", path, path, "note")], "title"))
    title = np.asarray(before_after_sheet([Pair("a", path, path, "note")], "other"))
    name = np.asarray(before_after_sheet([Pair("b", path, path, "note")], "title"))
    note = np.asarray(before_after_sheet([Pair("a", path, path, "nope")], "title"))
    rows = [np.flatnonzero((page != other).any(axis=(1, 2))) for other in (title, name, note)]
    assert rows[0].max() < HEAD <= min(rows[1].min(), rows[2].min())
    assert max(rows[1].max(), rows[2].max()) < HEAD + CAPTION


@pytest.mark.parametrize(("count", "rows"), [(0, 0), (1, 1), (2, 1), (3, 2), (5, 3)])
def test_the_page_is_as_long_as_it_must_be(tmp_path: Path, count: int, rows: int) -> None:
    """Two pairs share a row, and an empty day has a page too."""
    path = file(tmp_path, "a.png", encoded(plain(RED)))
    sheet = before_after_sheet([Pair("a", path, path, "")] * count, "")
    assert sheet.height == HEAD + rows * (HIGH + CAPTION + GAP) + GAP
    assert sheet.width == GAP + 2 * (2 * WIDE + 6 + GAP)


@pytest.mark.parametrize(
    "content", [b"", b"words", encoded(TEXTURE, "JPEG")[:200], encoded(TEXTURE)[:-40], b"\x89PNG\r\n\x1a\n" + bytes(50)]
)
def test_a_damaged_original_has_an_empty_cell(tmp_path: Path, content: bytes) -> None:
    """A file that cannot be decoded is told as such, and its neighbour is shown."""
    sound = file(tmp_path, "sound.png", encoded(plain(RED)))
    damaged = file(tmp_path, "damaged", content)
    sheet = before_after_sheet([Pair("d", damaged, None, "quarantined"), Pair("s", sound, sound, "")], "")
    assert cell(sheet, 0, 0)[5, 5].tolist() == [232, 232, 228]
    assert cell(sheet, 1, 0)[150, 200].tolist() == list(RED)


def test_a_missing_original_has_an_empty_cell(tmp_path: Path) -> None:
    """A file that somebody has deleted since does not keep the page from being drawn."""
    sheet = before_after_sheet([Pair("m", tmp_path / "nowhere.jpg", None, "")], "")
    assert cell(sheet, 0, 0)[5, 5].tolist() == [232, 232, 228]


SOURCES = [encoded(TEXTURE, "JPEG"), encoded(TEXTURE), encoded(TEXTURE, "WEBP"), encoded(TEXTURE, "TIFF")]


@given(
    content=st.sampled_from(SOURCES),
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=4),
)
@settings(max_examples=40, deadline=None)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_no_file_keeps_the_page_from_being_drawn(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, flips: list[tuple[float, int]]
) -> None:
    """Quarantined files are hostile by nature, and the page is drawn around them."""
    hostile = bytearray(content)
    for place, flip in flips:
        hostile[int(place * len(hostile))] ^= flip
    path = file(tmp_path_factory.getbasetemp(), "hostile", bytes(hostile))
    assert before_after_sheet([Pair("h", path, None, "")], "").height > HIGH
