"""The ways of hiding that are attacked: the product's own, what it would be with less, and its peers'."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.privacy import peers
from benchmarks.privacy.gallery import Box
from components.imaging.noise import Grain, NoiseSource
from components.imaging.obfuscation import obfuscate
from components.imaging.reading import Pixels
from components.settings import Obfuscation, Params

CLEAR = "not hidden"

Hide = Callable[[Pixels, Box, NoiseSource], Pixels]


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
    shape: peers.Shape = field(default=peers.rectangle)

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


def methods(params: Params) -> list[Method]:
    """Everything that is compared, ours first."""
    strict = params.regions[params.default_region]
    growth = strict.face.dilation
    plain_cells = strict.obfuscation.model_copy(update={"cell_contrast": 1.0, "accept_reidentification": True})
    return [
        *(_ours(f"ours, {name}", "ours", r.obfuscation, r.face.dilation) for name, r in params.regions.items()),
        *(
            _ours(f"ours, {how}", "ours", strict.obfuscation.model_copy(update={"method": how}), growth)
            for how in ("mosaic", "solid")
        ),
        _ours("ours, contrast 0.1", "without", plain_cells.model_copy(update={"cell_contrast": 0.1}), growth),
        _ours("ours, contrast 1", "without", plain_cells, growth),
        _plain("5×5 cell means alone", "without", partial(peers.cell_means, cells=5)),
        _plain(CLEAR, "plain", lambda pixels, area: pixels),
        _plain("Gaussian σ 25", "plain", partial(peers.gaussian, sigma_px=25)),
        _plain("Gaussian σ 30", "plain", partial(peers.gaussian, sigma_px=30)),
        _plain("EgoBlur", "peer", peers.egoblur, shape=peers.ellipse),
        _plain("deface, blur", "peer", peers.deface_blur, peers.DEFACE_GROWTH, peers.ellipse),
        _plain("deface, mosaic", "peer", peers.deface_mosaic, peers.DEFACE_GROWTH),
        _plain("sgblur", "peer", peers.sgblur),
        _plain("understand.ai", "peer", peers.anonymizer),
    ]


def _ours(name: str, group: str, rule: Obfuscation, growth: float) -> Method:
    def hide(pixels: Pixels, area: Box, noise: NoiseSource) -> Pixels:
        return obfuscate(pixels, area[None], rule, noise)

    return Method(name, group, hide, growth, random=True)


def _plain(
    name: str,
    group: str,
    hide: Callable[[Pixels, Box], Pixels],
    growth: float = 0.0,
    shape: peers.Shape = peers.rectangle,
) -> Method:
    return Method(name, group, lambda pixels, area, noise: hide(pixels, area), growth, shape=shape)
