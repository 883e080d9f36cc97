"""The eight EXIF orientations, against the standard's own words and against Pillow."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from components.imaging.orientation import stored, stored_areas, upright

LYING = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)
# EXIF 2.32, tag 0x0112: where row 0 and column 0 of the stored picture stand in the upright one.
UPRIGHT = {
    1: [[1, 2, 3], [4, 5, 6]],  # top, left
    2: [[3, 2, 1], [6, 5, 4]],  # top, right
    3: [[6, 5, 4], [3, 2, 1]],  # bottom, right
    4: [[4, 5, 6], [1, 2, 3]],  # bottom, left
    5: [[1, 4], [2, 5], [3, 6]],  # left, top
    6: [[4, 1], [5, 2], [6, 3]],  # right, top
    7: [[6, 3], [5, 2], [4, 1]],  # right, bottom
    8: [[3, 6], [2, 5], [1, 4]],  # left, bottom
}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_row_0_and_column_0_go_where_the_standard_says(orientation: int) -> None:
    """A picture of six different pixels stands as written out by hand."""
    assert upright(LYING, orientation).tolist() == UPRIGHT[orientation]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pillow_turns_the_same_way(orientation: int, rng: np.random.Generator) -> None:
    """Colour pictures come out as another implementation turns them."""
    pixels = rng.integers(0, 256, (5, 7, 3), np.uint8)
    image = Image.fromarray(pixels)
    image.getexif()[0x0112] = orientation
    assert np.array_equal(upright(pixels, orientation), np.asarray(ImageOps.exif_transpose(image)))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_result_lies_in_one_piece(orientation: int, rng: np.random.Generator) -> None:
    """Decoders and encoders in C get contiguous memory, with and without channels."""
    for pixels in (rng.integers(0, 256, (5, 7, 3), np.uint8), rng.integers(0, 256, (5, 7), np.uint8)):
        assert upright(pixels, orientation).flags.c_contiguous


@given(data=st.data(), orientation=st.integers(1, 8), width=st.integers(1, 9), height=st.integers(1, 9))
@settings(max_examples=80, deadline=None)
def test_the_way_back_leads_back(data: st.DataObject, orientation: int, width: int, height: int) -> None:
    """Whatever is turned upright and stored again is what it was, and an area covers the same pixels both ways."""
    pixels = np.arange(width * height, dtype=np.uint8).reshape(height, width)
    standing = upright(pixels, orientation)
    assert np.array_equal(stored(standing, orientation), pixels)
    high, wide = standing.shape
    x1, y1 = data.draw(st.integers(0, wide - 1)), data.draw(st.integers(0, high - 1))
    area = np.array([[x1, y1, data.draw(st.integers(x1 + 1, wide)), data.draw(st.integers(y1 + 1, high))]], np.int32)
    ((left, top, right, below),) = stored_areas(area, orientation, wide, high)
    x1, y1, x2, y2 = area[0]
    assert sorted(pixels[top:below, left:right].ravel()) == sorted(standing[y1:y2, x1:x2].ravel())
