"""Which pictures look the same: a hash of 64 bits whose bits differ little between near-duplicates."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

HASH_BITS = 64
_SIDE = 8  # of the square of low frequencies that is kept
_SMALL_PX = 32  # detail below a 32nd of the picture tells re-encoded copies apart, which it must not


def perceptual_hash(grey: NDArray[np.uint8]) -> int:
    """The pHash of a picture: which of its low frequencies are stronger than their median.

    Args:
        grey: uint8 [h, w].

    Returns:
        64 bits. Scale, compression and brightness hardly change them; cropping and mirroring do.
    """
    small = cv2.resize(grey, (_SMALL_PX, _SMALL_PX), interpolation=cv2.INTER_AREA).astype(np.float32)
    low = cv2.dct(small)[:_SIDE, :_SIDE].ravel()
    bits = low > np.median(low[1:])
    bits[0] = False  # the mean brightness
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def near_pairs(hashes: NDArray[np.uint64], max_bits: int) -> NDArray[np.intp]:
    """All pairs of hashes that differ in at most so many bits.

    The bits are cut into one band more than may differ, so a pair has at least one band in common, and only hashes
    that share a band are compared.

    Args:
        hashes: uint64 [n].
        max_bits: 0 to 31.

    Returns:
        Indices [m, 2], sorted, the smaller one first.
    """
    edges = np.linspace(0, HASH_BITS, max_bits + 2).astype(np.uint64)
    found = [np.zeros((0, 2), np.intp)]
    for low, high in pairwise(edges):
        mask = np.uint64((1 << int(high - low)) - 1)
        band = (hashes >> low) & mask
        order = np.argsort(band, kind="stable")
        starts = np.flatnonzero(np.diff(band[order])) + 1
        for bucket in np.split(order, starts):
            found.extend(_near_in_bucket(hashes, np.sort(bucket), max_bits))
    return np.unique(np.concatenate(found), axis=0)


def _near_in_bucket(hashes: NDArray[np.uint64], bucket: NDArray[np.intp], max_bits: int) -> list[NDArray[np.intp]]:
    """The near pairs among some hashes; one against the rest, so that a large bucket needs little memory."""
    found = []
    for i, one in enumerate(bucket[:-1]):
        rest = bucket[i + 1 :]
        near = rest[np.bitwise_count(hashes[rest] ^ hashes[one]) <= max_bits]
        if len(near):
            found.append(np.stack([np.full(len(near), one), near], axis=1))
    return found
