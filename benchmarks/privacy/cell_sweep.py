"""Which cells, noise and contrast keep a face at twice chance: the best possible attacker, on the cells themselves.

All that an area says of what is hidden is in its noisy cell means; blur and grain after that take away and never add.
So who sees the noisy cells is at least as well off as who sees the picture, and with noise that is normal and alike in
all cells the best guess is the gallery face whose cells lie nearest (maximum likelihood, hence Bayes-optimal).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from components.evaluation.reidentification.photograph import Photograph, dilated
from components.evaluation.reidentification.rates import Rate, Scores, rate_of

Cells = NDArray[np.float64]  # [people, cells * cells * 3], grey levels

CELLS = (1, 2, 3, 4, 5)
NOISE_STDS = (25.0, 30.0, 40.0, 60.0)
CONTRASTS = (1.0, 0.5, 0.25, 0.15, 0.1, 0.05, 0.0)
RATIOS = (100.0, 200.0, 300.0, 600.0, 1000.0, 1500.0, 2000.0, 3000.0, 6000.0)  # noise std ÷ contrast
BASES = ("grey", "ring")
_GREY = 118.0
_RING = 0.1  # width of the ring, as a share of the area


@dataclass(frozen=True, slots=True)
class SweepRow:
    """One setting and how well the best attacker does: against one picture, and against the mean of ten."""

    cells: int
    noise_std: float
    contrast: float
    base: str
    single: Rate
    ten: Rate


def sweep(faces: Sequence[Photograph], dilation: float, draws: int = 50, seed: int = 0) -> Iterator[SweepRow]:
    """Every setting of the grid."""
    rings = np.array([ring_mean(face, dilation) for face in faces])
    for n in CELLS:
        means = np.array([cell_means(face, dilation, n) for face in faces])
        for base in BASES:
            bases = np.full_like(rings, _GREY) if base == "grey" else rings
            for contrast in CONTRASTS:
                kept = with_contrast(means, bases, contrast)
                for std in NOISE_STDS:
                    yield _row(kept, n, std, contrast, base, draws, seed)


def noise_needed(faces: Sequence[Photograph], dilation: float, draws: int = 100, seed: int = 0) -> Iterator[SweepRow]:
    """Contrast 1 and a base that says nothing, under more and more noise: only noise ÷ contrast counts then."""
    for n in CELLS:
        means = np.array([cell_means(face, dilation, n) for face in faces])
        for ratio in RATIOS:
            yield _row(means, n, ratio, 1.0, "grey", draws, seed)


def with_contrast(means: Cells, bases: NDArray[np.float64], contrast: float) -> Cells:
    """Cell means that keep only a share of their deviation from a base colour [people, 3]."""
    repeated = np.tile(bases, means.shape[1] // 3)
    return repeated + contrast * (means - repeated)


def nearness(kept: Cells, std: float, draws: int, seed: int) -> Scores:
    """How near every known face's cells are to everybody's under fresh noise: the log-likelihood, up to a constant."""
    rng = np.random.default_rng(seed)
    noisy = kept[:, None] + rng.normal(0, std, (len(kept), draws, kept.shape[1]))
    return noisy @ kept.T - (kept**2).sum(axis=1) / 2


def _row(kept: Cells, n: int, std: float, contrast: float, base: str, draws: int, seed: int) -> SweepRow:
    single, ten = (rate_of(nearness(kept, std / np.sqrt(pictures), draws, seed)) for pictures in (1, 10))
    return SweepRow(n, std, contrast, base, single, ten)


def cell_means(face: Photograph, dilation: float, cells: int) -> NDArray[np.float64]:
    """The area's cell means as they are before any noise, flat."""
    x1, y1, x2, y2 = dilated(face, dilation)
    patch = face.pixels[y1:y2, x1:x2]
    return cv2.resize(patch, (cells, cells), interpolation=cv2.INTER_AREA).astype(np.float64).ravel()


def ring_mean(face: Photograph, dilation: float) -> NDArray[np.float64]:
    """The mean colour [3] of what is published around the area."""
    x1, y1, x2, y2 = dilated(face, dilation)
    height, width = face.pixels.shape[:2]
    out_x, out_y = max(1, round(_RING * (x2 - x1))), max(1, round(_RING * (x2 - x1)))
    outer = face.pixels[max(0, y1 - out_y) : min(height, y2 + out_y), max(0, x1 - out_x) : min(width, x2 + out_x)]
    inner = face.pixels[y1:y2, x1:x2]
    total = outer.reshape(-1, 3).sum(axis=0, dtype=np.float64) - inner.reshape(-1, 3).sum(axis=0, dtype=np.float64)
    return total / (outer.size // 3 - inner.size // 3)
