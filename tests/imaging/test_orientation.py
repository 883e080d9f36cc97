"""The eight EXIF orientations, against the standard's own words and against Pillow."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageOps

from components.imaging.orientation import upright

STORED = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)
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
    assert upright(STORED, orientation).tolist() == UPRIGHT[orientation]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pillow_turns_the_same_way(orientation: int, rng: np.random.Generator) -> None:
    """Colour pictures come out as another implementation turns them."""
    stored = rng.integers(0, 256, (5, 7, 3), np.uint8)
    image = Image.fromarray(stored)
    image.getexif()[0x0112] = orientation
    assert np.array_equal(upright(stored, orientation), np.asarray(ImageOps.exif_transpose(image)))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_result_lies_in_one_piece(orientation: int, rng: np.random.Generator) -> None:
    """Decoders and encoders in C get contiguous memory, with and without channels."""
    for stored in (rng.integers(0, 256, (5, 7, 3), np.uint8), rng.integers(0, 256, (5, 7), np.uint8)):
        assert upright(stored, orientation).flags.c_contiguous


@pytest.mark.parametrize("orientation", [0, 9, -1])
def test_there_is_no_ninth_orientation(orientation: int) -> None:
    """Other numbers are a programming error, not a guess."""
    with pytest.raises(KeyError):
        upright(STORED, orientation)
