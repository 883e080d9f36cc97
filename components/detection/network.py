"""What every runtime makes of a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from numpy.typing import NDArray


class Network(Protocol):
    """A loaded network."""

    def run(self, blob: NDArray, outputs: Sequence[str]) -> list[NDArray]:
        """The named outputs for one batch [n, c, h, w]."""
        ...
