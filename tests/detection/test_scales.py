"""Small pictures are enlarged, large ones cut, huge ones seen once more as a whole, and boxes are the picture's own."""

from __future__ import annotations

import numpy as np
import pytest

from components.detection.scales import detect_at_scales, fit_scale
from components.detections import Detections
from components.imaging.reading import Pixels
from components.settings import Scales

SCALES = Scales(min_long_px=200, max_scale=4, max_side_px=400, overlap_px=80, overview_above_px=600)


class WhiteBox:
    """Finds the hull of everything white, and remembers the sizes that it saw."""

    name = "white"

    def __init__(self) -> None:
        self.seen: list[tuple[int, int]] = []

    def detect(self, pixels: Pixels, threshold: float) -> Detections:
        """One box around what is white, if anything is."""
        self.seen.append((pixels.shape[1], pixels.shape[0]))
        rows, columns = np.nonzero(pixels[..., 0] > 127)
        if not len(rows):
            return Detections.empty()
        box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        return Detections.of([box], max(threshold, 0.9), 1)


def picture(width: int, height: int, box: tuple[int, int, int, int] | None = None) -> Pixels:
    """Black, with a white box."""
    pixels = np.zeros((height, width, 3), np.uint8)
    if box:
        pixels[box[1] : box[3], box[0] : box[2]] = 255
    return pixels


@pytest.mark.parametrize(
    ("width", "height", "factor"),
    [(200, 100, 1), (100, 200, 1), (100, 50, 2), (50, 100, 2), (10, 10, 4), (4000, 10, 1), (160, 90, 1.25)],
)
def test_the_factor_by_hand(width: int, height: int, factor: float) -> None:
    """The longer side reaches the wanted length, by no more than the largest factor, and nothing is ever reduced."""
    assert fit_scale(width, height, 200, 4) == factor


def test_a_largest_factor_below_1_reduces_nothing() -> None:
    """However it is set, a picture is never looked at smaller than it is."""
    assert fit_scale(100, 100, 200, 0.5) == 1


def test_a_small_picture_is_enlarged_and_its_boxes_are_its_own() -> None:
    """The detector sees twice the size, and the box comes back in px of the picture."""
    detector = WhiteBox()
    found = detect_at_scales(detector, picture(100, 60, (20, 10, 50, 40)), 0.1, SCALES)
    assert detector.seen == [(200, 120)]
    np.testing.assert_allclose(found.xyxy, [[20, 10, 50, 40]], atol=0.5)
    assert found.class_id.tolist() == [1]


def test_a_picture_of_the_right_size_is_seen_once_as_it_is() -> None:
    """Neither enlarged nor cut nor reduced."""
    detector = WhiteBox()
    found = detect_at_scales(detector, picture(400, 300, (7, 9, 60, 33)), 0.1, SCALES)
    assert detector.seen == [(400, 300)]
    assert found.xyxy.tolist() == [[7, 9, 60, 33]]


@pytest.mark.parametrize("box", [(0, 0, 60, 60), (330, 10, 405, 70), (480, 220, 560, 300)])
def test_an_object_at_any_place_of_a_cut_picture_is_found_whole(box: tuple[int, int, int, int]) -> None:
    """An object no larger than the overlap stands whole in one of two even pieces, in px of the whole picture."""
    detector = WhiteBox()
    found = detect_at_scales(detector, picture(560, 300, box), 0.1, SCALES)
    assert detector.seen == [(320, 300), (320, 300)]
    assert list(box) in found.xyxy.tolist()


def test_a_huge_picture_is_seen_once_more_as_a_whole() -> None:
    """An object that is cut in every piece comes back whole from the overview."""
    detector = WhiteBox()
    box = (100, 100, 1100, 500)
    found = detect_at_scales(detector, picture(1200, 600, box), 0.1, SCALES)
    assert detector.seen[-1] == (600, 300)
    assert max(max(size) for size in detector.seen[:-1]) <= SCALES.max_side_px
    np.testing.assert_allclose(found.xyxy[-1], box, atol=2)
    assert len(detector.seen) == 4 * 2 + 1


def test_nothing_is_found_in_nothing() -> None:
    """Without any object there is no detection, at any scale."""
    assert len(detect_at_scales(WhiteBox(), picture(1200, 600), 0.1, SCALES)) == 0
    assert len(detect_at_scales(WhiteBox(), picture(1, 1), 0.1, SCALES)) == 0
