"""The eight EXIF orientations: how stored pixels become the upright picture."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

# EXIF 2.32, tag 0x0112: where the stored picture's row 0 and column 0 belong.
_TURNS: dict[int, Callable[[NDArray], NDArray]] = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: stored[::-1].swapaxes(0, 1),
    7: lambda stored: stored[::-1, ::-1].swapaxes(0, 1),
    8: lambda stored: stored[:, ::-1].swapaxes(0, 1),
}


def upright(stored: NDArray, orientation: int) -> NDArray:
    """Turn stored pixels [h, w] or [h, w, c] so that the picture stands upright; contiguous in memory.

    Args:
        stored: pixels in the file's own order.
        orientation: EXIF orientation, 1 to 8.
    """
    return np.ascontiguousarray(_TURNS[orientation](stored))
