"""Windows show what they are about, and pictures hide whatever might be a face or a plate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.dataset.labels import LabelledImage
from components.detections import Detections
from components.evaluation.report.pictures import cut_out, hidden_pixels, taken_for_objects, window
from components.settings import Params
from tests.evaluation.report.small_report import FACE_BOX, FALSE_BOX, HEIGHT, WIDTH, magenta_pixels, write_picture

NOTHING = np.zeros((0, 4), np.float32)


@settings(max_examples=200, deadline=None)
@given(st.integers(8, 900), st.integers(8, 900), st.data())
def test_a_window_lies_in_the_picture_and_holds_the_box(width: int, height: int, data: st.DataObject) -> None:
    """For any box in any picture, the window is not empty, lies within, and shows the middle of the box."""
    x1, y1 = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    x2, y2 = data.draw(st.integers(x1 + 1, width)), data.draw(st.integers(y1 + 1, height))
    left, top, right, bottom = window((x1, y1, x2, y2), width, height)
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    assert left - 1 <= (x1 + x2) / 2 <= right + 1
    assert top - 1 <= (y1 + y2) / 2 <= bottom + 1


def test_outlines_follow_the_scale() -> None:
    """A box of 40 px in a window of 120 is outlined three times as large, at its place."""
    shown = cut_out(np.zeros((240, 320, 3), np.uint8), (100, 60, 220, 150), [("missed", (140, 80, 180, 130))])
    (outline,) = shown.outlines
    assert (shown.width, shown.height) == (360, 270)
    assert (outline.kind, outline.x, outline.y, outline.width, outline.height) == ("missed", 120, 60, 120, 150)


@pytest.mark.parametrize("how", ["labelled", "ignored", "found"])
def test_whatever_might_be_an_object_is_hidden(tmp_path: Path, params: Params, how: str) -> None:
    """Labelled, too unclear to tell, or merely found: none is left, and what is elsewhere stays."""
    write_picture(tmp_path / "a.png", 1, [FACE_BOX, FALSE_BOX])
    boxes = [FACE_BOX, FALSE_BOX]
    image = LabelledImage(
        str(tmp_path / "a.png"), WIDTH, HEIGHT, "s", Detections.of(boxes if how == "labelled" else NOTHING, 1.0, 0),
        np.array(boxes, np.float32) if how == "ignored" else NOTHING,
    )  # fmt: skip
    found = Detections.of(boxes if how == "found" else NOTHING, 0.5, 1)
    pixels = hidden_pixels(image, taken_for_objects([found], 0.1), params.regions["strict"], params.reading)
    assert magenta_pixels(pixels) == 0
    clear = hidden_pixels(image, NOTHING, params.regions["strict"], params.reading)
    assert magenta_pixels(clear) == (0 if how != "found" else 40 * 50 + 50 * 40)
    assert np.array_equal(pixels[150:], clear[150:])


def test_nothing_of_an_object_decides_what_is_drawn_over_it(tmp_path: Path, params: Params) -> None:
    """Even where a region keeps some contrast, two different faces come out as the same pixels but for the noise."""
    region = params.regions["strict"]
    rule = region.obfuscation.model_copy(update={"cell_contrast": 0.5, "accept_reidentification": True})
    region = region.model_copy(update={"obfuscation": rule})
    write_picture(tmp_path / "a.png", 1, [FACE_BOX])
    image = LabelledImage(str(tmp_path / "a.png"), WIDTH, HEIGHT, "s", Detections.of([FACE_BOX], 1.0, 0), NOTHING)
    x1, y1, x2, y2 = FACE_BOX
    hidden = hidden_pixels(image, NOTHING, region, params.reading)[y1:y2, x1:x2].reshape(-1, 3).mean(axis=0)
    assert np.abs(hidden - 118).max() < 45  # magenta at half contrast would be 69 away


def test_only_what_is_sure_enough_is_taken_for_an_object() -> None:
    """Below the confidence nothing is hidden on a model's word."""
    found = Detections.of([FACE_BOX, FALSE_BOX], [0.3, 0.6], 0)
    assert len(taken_for_objects([found, found], 0.5)) == 2
    assert len(taken_for_objects([found], 0.1)) == 2
    assert len(taken_for_objects([], 0.1)) == 0
