"""Near-duplicates have near hashes, and no near pair is missed."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from skimage.data import astronaut, coffee

from components.dataset.perceptual_hash import near_pairs, perceptual_hash


@pytest.fixture(scope="module")
def grey() -> NDArray[np.uint8]:
    """A photograph."""
    return cv2.cvtColor(astronaut(), cv2.COLOR_RGB2GRAY)


def distance(a: int, b: int) -> int:
    """In how many bits two hashes differ."""
    return (a ^ b).bit_count()


def test_copies_look_the_same(grey: NDArray[np.uint8]) -> None:
    """A smaller, a darker and a strongly compressed copy are near to the original."""
    original = perceptual_hash(grey)
    small = cv2.resize(grey, (200, 170), interpolation=cv2.INTER_AREA)
    compressed = cv2.imdecode(cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, 20])[1], cv2.IMREAD_GRAYSCALE)
    for copy in (small, (grey * 0.6).astype(np.uint8), compressed):
        assert distance(original, perceptual_hash(copy)) <= 4


def test_other_pictures_look_different(grey: NDArray[np.uint8]) -> None:
    """Another photograph and the mirrored one are far away."""
    original = perceptual_hash(grey)
    other = cv2.cvtColor(coffee(), cv2.COLOR_RGB2GRAY)
    for different in (other, np.ascontiguousarray(grey[:, ::-1])):
        assert distance(original, perceptual_hash(different)) > 16


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_flat_picture_has_a_hash(level: int) -> None:
    """Black, grey and white pictures are all alike, and none is an error."""
    assert perceptual_hash(np.full((40, 30), level, np.uint8)).bit_count() <= 32


hashes = st.lists(st.integers(0, 2**64 - 1), max_size=8).flatmap(
    lambda seeds: st.lists(
        st.tuples(st.sampled_from(seeds or [0]), st.sets(st.integers(0, 63), max_size=12)).map(
            lambda seed_and_bits: seed_and_bits[0] ^ sum(1 << bit for bit in seed_and_bits[1])
        ),
        max_size=25,
    )
)


@settings(deadline=None)
@given(hashes, st.integers(0, 31))
def test_all_near_pairs_are_found(values: list[int], max_bits: int) -> None:
    """The search by bands finds exactly the pairs that comparing everything with everything finds."""
    expected = [
        [i, j]
        for i in range(len(values))
        for j in range(i + 1, len(values))
        if distance(values[i], values[j]) <= max_bits
    ]
    assert near_pairs(np.array(values, np.uint64), max_bits).tolist() == expected
