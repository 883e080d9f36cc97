"""What every detector is, and how its output is distrusted."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from components.detections import Detections
from components.errors import ModelError
from components.imaging.reading import Pixels


class Detector(Protocol):
    """Finds objects in one picture, or in one tile of it, at the scale it is given."""

    @property
    def name(self) -> str:
        """The detector's name, as in `detection.tile_px`."""
        ...

    @property
    def class_ids(self) -> Collection[int]:
        """The classes that it finds."""
        ...

    def detect(self, pixels: Pixels, threshold: float) -> Detections:
        """Find objects.

        Args:
            pixels: uint8 [h, w, 3] RGB, upright.
            threshold: the confidence below which nothing is returned.

        Returns:
            Boxes in px of `pixels`, cut at its border, not suppressed.

        Raises:
            ModelError: the network's output has the wrong shape or is not finite.
        """
        ...


def checked(name: str, output: NDArray, shape: tuple[int | None, ...]) -> NDArray[np.float32]:
    """A network's output as float32, if it has the expected shape (None: any size) and is finite.

    Raises:
        ModelError: it has not, or is not.
    """
    expected = len(output.shape) == len(shape) and all(
        want is None or got == want for got, want in zip(output.shape, shape, strict=True)
    )
    if not expected:
        raise ModelError(f"{name}: output shape {output.shape}, expected {shape}; the file is not the registered model")
    if not (np.issubdtype(output.dtype, np.number) or output.dtype == bool):
        raise ModelError(f"{name}: output of {output.dtype}, expected numbers; the file is not the registered model")
    output = output.astype(np.float32, copy=False)
    if not np.isfinite(output).all():
        raise ModelError(f"{name}: output is not finite (NaN or infinity)")
    return output
