"""Tiles leave nothing out, and what is found in them stands where it is in the picture."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from components.detection.tiles import Tile, detect_in_tiles, even_tiles, tiles
from components.detections import FACE, Detections, iou


@st.composite
def _cuts(draw: st.DrawFn) -> tuple[int, int, int, int]:
    tile_px = draw(st.integers(8, 80))
    return draw(st.integers(1, 300)), draw(st.integers(1, 300)), tile_px, draw(st.integers(0, tile_px // 2))


_BOTH = pytest.mark.parametrize("cutting", [tiles, even_tiles])
Cutting = Callable[[int, int, int, int], list[Tile]]


@_BOTH
@given(cut=_cuts())
@settings(max_examples=200, deadline=None)
def test_tiles_cover_every_pixel_and_none_is_too_large(cutting: Cutting, cut: tuple[int, int, int, int]) -> None:
    """Every pixel lies in a tile, and every tile lies in the picture, fits the detector, and is as large as others."""
    width, height, tile_px, _ = cut
    covered = np.zeros((height, width), bool)
    pieces = cutting(*cut)
    assert len({(tile.x2 - tile.x1, tile.y2 - tile.y1) for tile in pieces}) == 1
    for tile in pieces:
        assert 0 <= tile.x1 < tile.x2 <= min(width, tile.x1 + tile_px)
        assert 0 <= tile.y1 < tile.y2 <= min(height, tile.y1 + tile_px)
        covered[tile.y1 : tile.y2, tile.x1 : tile.x2] = True
    assert covered.all()


@_BOTH
@given(cut=_cuts(), data=st.data())
@settings(max_examples=200, deadline=None)
def test_a_box_no_larger_than_the_overlap_stands_whole_in_a_tile(
    cutting: Cutting, cut: tuple[int, int, int, int], data: st.DataObject
) -> None:
    """No small object is cut by every tile that sees it, wherever it stands."""
    width, height, _, overlap_px = cut
    wide, high = min(overlap_px, width), min(overlap_px, height)
    x, y = data.draw(st.floats(0, width - wide)), data.draw(st.floats(0, height - high))
    assert any(tile.x1 <= x and x + wide <= tile.x2 and tile.y1 <= y and y + high <= tile.y2 for tile in cutting(*cut))


@_BOTH
@given(cut=_cuts())
@settings(max_examples=100, deadline=None)
def test_there_are_no_more_tiles_than_needed(cutting: Cutting, cut: tuple[int, int, int, int]) -> None:
    """Each direction has the fewest tiles that can overlap as asked, and no tile stands twice."""
    width, height, tile_px, overlap_px = cut
    found = cutting(*cut)

    def fewest(side: int) -> int:
        n = 1
        while n * tile_px - (n - 1) * overlap_px < side:
            n += 1
        return n

    assert len(found) == len(set(found)) == fewest(width) * fewest(height)


def test_tiles_by_hand() -> None:
    """A picture of 1000 × 600 in tiles of 640 with 96 px of overlap has two, side by side."""
    assert tiles(1000, 600, 640, 96) == [Tile(0, 0, 640, 600), Tile(360, 0, 1000, 600)]
    assert tiles(640, 640, 640, 96) == [Tile(0, 0, 640, 640)]


@given(cut=_cuts())
@settings(max_examples=100, deadline=None)
def test_even_tiles_share_no_more_than_they_must(cut: tuple[int, int, int, int]) -> None:
    """Neighbours share the overlap that is asked for, and what cannot be divided evenly: less than their number."""
    *_, overlap_px = cut
    columns = sorted({(tile.x1, tile.x2) for tile in even_tiles(*cut)})
    for before, after in pairwise(columns):
        assert overlap_px <= before[1] - after[0] <= overlap_px + len(columns)


class BrightBox:
    """A detector that boxes all bright pixels of what it is shown, and remembers what that was."""

    name = "bright"

    def __init__(self) -> None:
        self.seen: list[tuple[int, ...]] = []

    def detect(self, pixels: NDArray[np.uint8], threshold: float) -> Detections:
        """One box around everything brighter than half, with the threshold as its confidence."""
        assert pixels.dtype == np.uint8
        self.seen.append(pixels.shape)
        y, x = np.nonzero(pixels[:, :, 0] > 127)
        if not len(x):
            return Detections.empty()
        return Detections.of([x.min(), y.min(), x.max() + 1, y.max() + 1], threshold, FACE)


def picture(width: int, height: int, box: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """A black picture with one white box."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[box[1] : box[3], box[0] : box[2]] = 255
    return pixels


def test_a_picture_that_fits_is_shown_once() -> None:
    """Without a cut there is no overview."""
    detector = BrightBox()
    found = detect_in_tiles(detector, picture(100, 60, (10, 20, 30, 40)), 0.25, 100, 20)
    assert detector.seen == [(60, 100, 3)]
    assert found.xyxy.tolist() == [[10, 20, 30, 40]]
    assert found.confidence.tolist() == [0.25]


def test_a_cut_picture_is_also_shown_as_a_whole() -> None:
    """The last look is an overview whose longer side is the tile's, with the sides' ratio kept."""
    detector = BrightBox()
    detect_in_tiles(detector, picture(400, 200, (0, 0, 1, 1)), 0.5, 100, 20)
    assert detector.seen[-1] == (50, 100, 3)
    assert set(detector.seen[:-1]) == {(100, 100, 3)}
    detect_in_tiles(detector, picture(200, 400, (0, 0, 1, 1)), 0.5, 100, 20)
    assert detector.seen[-1] == (100, 50, 3)
    just_cut = BrightBox()
    detect_in_tiles(just_cut, picture(101, 100, (0, 0, 1, 1)), 0.5, 100, 20)
    assert just_cut.seen == [(100, 100, 3), (100, 100, 3), (99, 100, 3)]


@given(x=st.integers(0, 380), y=st.integers(0, 280))
@settings(max_examples=40, deadline=None)
def test_boxes_come_back_in_the_pictures_own_pixels(x: int, y: int) -> None:
    """A small box is found exactly by a tile, wherever it is."""
    box = (x, y, x + 20, y + 20)
    found = detect_in_tiles(BrightBox(), picture(400, 300, box), 0.5, 100, 20)
    assert list(box) in found.xyxy.tolist()


def test_a_box_larger_than_every_tile_is_found_in_the_overview() -> None:
    """What no tile holds whole comes back from the overview at its own size, also in a picture without round sides."""
    box = (37, 29, 401, 260)
    found = detect_in_tiles(BrightBox(), picture(451, 307, box), 0.5, 100, 20)
    assert iou(found.xyxy, np.array([box], np.float32)).max() > 0.95


@pytest.mark.parametrize(("width", "height"), [(1000, 1), (1, 1000), (1000, 3), (7, 1000)])
def test_a_picture_like_a_line_is_shown_too(width: int, height: int) -> None:
    """However narrow the overview gets, it has a pixel at least, and its boxes come back at their own size."""
    detector = BrightBox()
    found = detect_in_tiles(detector, picture(width, height, (0, 0, width, height)), 0.5, 64, 10)
    assert found.xyxy[-1].tolist() == [0, 0, width, height]
    assert min(detector.seen[-1][:2]) == 1
    assert max(detector.seen[-1][:2]) == 64


def test_nothing_is_found_in_a_black_picture() -> None:
    """Empty tiles make an empty result."""
    assert len(detect_in_tiles(BrightBox(), picture(300, 300, (0, 0, 0, 0)), 0.5, 100, 20)) == 0
