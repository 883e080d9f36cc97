"""A picture becomes planes for a network, number for number."""

from __future__ import annotations

import numpy as np
import pytest

from components.detection.planes import Frame, padded_planes
from tests.small_street import noise


@pytest.mark.parametrize(("width", "height"), [(64, 32), (33, 65), (1, 1), (200, 31)])
def test_planes_are_the_picture_in_its_frame(width: int, height: int) -> None:
    """Every pixel stands in its place, also of a piece of a larger picture, and all around is the given grey."""
    piece = noise(width + 10, height + 10)[5 : height + 5, 7 : width + 7]
    planes = padded_planes(piece, 32, 9)
    expected = np.full((3, -(-height // 32) * 32, -(-width // 32) * 32), 9, np.float32)
    expected[:, :height, :width] = piece.transpose(2, 0, 1)
    assert planes.dtype == np.float32
    assert planes.flags.c_contiguous
    assert np.array_equal(planes, expected)


@pytest.mark.parametrize(("width", "height"), [(64, 32), (33, 65), (1, 1), (200, 31)])
@pytest.mark.parametrize("divisor", [1, 255])
def test_as_pixels_a_picture_is_the_same_in_the_same_frame(width: int, height: int, divisor: float) -> None:
    """What a network makes of the pixels is what it would have been given; the sides are told beforehand."""
    piece = noise(width + 10, height + 10)[5 : height + 5, 7 : width + 7]
    pixels = Frame(9, 64, divisor, as_pixels=True)
    framed, planes = pixels.around(piece), Frame(9, 64, divisor).around(piece)
    assert framed.dtype == np.uint8
    assert framed.shape == (1, *pixels.sides(piece), 3)
    np.testing.assert_array_equal(framed.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(divisor), planes)
