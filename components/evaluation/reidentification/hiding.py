"""A way of hiding, with the noise that it draws: the product's own by a region's rules, or whatever is attacked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from components.evaluation.reidentification.photograph import Box
from components.imaging.noise import Grain, NoiseSource
from components.imaging.obfuscation import obfuscate
from components.imaging.reading import Pixels
from components.settings import Obfuscation

Hide = Callable[[Pixels, Box, NoiseSource], Pixels]
Shape = Callable[[int, int], NDArray[np.uint8]]  # height and width of an area, and which of its pixels are hidden


@lru_cache(maxsize=16)
def rectangle(height: int, width: int) -> NDArray[np.uint8]:
    """All of the area, uint8 [h, w], 1 inside."""
    return np.ones((height, width), np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class Method:
    """A way of hiding.

    Attributes:
        name: how tables call it.
        group: `ours`, `without` (ours, something taken away), `plain` or `peer`.
        hide: the picture with an area hidden.
        growth: the share of its side by which a box grows on every side before it is hidden.
        random: whether two draws differ.
        shape: which pixels of the area are hidden; outside of them the tool publishes the original.
    """

    name: str
    group: str
    hide: Hide
    growth: float = 0.0
    random: bool = False
    shape: Shape = field(default=rectangle)

    def area(self, box: Box) -> Box:
        """The area that is hidden for a box."""
        x1, y1, x2, y2 = (int(side) for side in box)
        grow_x, grow_y = round(self.growth * (x2 - x1)), round(self.growth * (y2 - y1))
        return np.array([x1 - grow_x, y1 - grow_y, x2 + grow_x, y2 + grow_y], np.int32)


class NoNoise(NoiseSource):
    """Noise that is not there: an attacker's own expectation of what comes out."""

    __slots__ = ()

    def cell_noise(self, areas: NDArray[np.int32], cells: int, std: float) -> NDArray[np.float32]:
        """Zeros."""
        return super().cell_noise(areas, cells, 0.0)

    def grain(self, std: float) -> Grain:
        """None."""
        return super().grain(0.0)


NO_NOISE = NoNoise(b"\0" * 32, "00" * 32)


def fresh_noise(rng: np.random.Generator) -> NoiseSource:
    """A run key and an image that nobody has seen."""
    return NoiseSource(rng.bytes(32), rng.bytes(32).hex())


def by_rule(name: str, group: str, rule: Obfuscation, growth: float) -> Method:
    """The product's own way, by a region's rule; `growth` is that of its boxes."""

    def hide(pixels: Pixels, area: Box, noise: NoiseSource) -> Pixels:
        return obfuscate(pixels, area[None], rule, noise)

    return Method(name, group, hide, growth, random=True)
