"""Attackers that compare pixels: one that knows nothing of the hiding, and one that knows all but the key."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.evaluation.reidentification.draws import Views
from components.evaluation.reidentification.rates import Scores

Floats = NDArray[np.float64]

_ROUNDING_VARIANCE = 1 / 12  # of the step from levels to whole levels


@dataclass(frozen=True, slots=True, eq=False)
class NoiseModel:
    """The noise of a method as its attacker has measured it.

    Attributes:
        mean: what clipping adds on average, [d].
        whitening: [d, d], after which the noise has variance 1 in every direction.
    """

    mean: Floats
    whitening: Floats


def correlation_scores(views: Views, clear: NDArray[np.float32]) -> Scores:
    """Normalised correlation of hidden areas with clear faces: the attacker who only looks."""
    seen, known = (_standardised(_flat(part)) for part in (views, clear))
    return seen @ known.T / known.shape[1]


def noise_model(own_draws: Views, expected: NDArray[np.float32]) -> NoiseModel:
    """Measure the noise on draws of one's own, whose faces are known."""
    residuals = (_flat(own_draws) - _flat(expected)[:, None]).reshape(-1, _flat(expected).shape[1])
    mean = residuals.mean(axis=0)
    centred = residuals - mean
    covariance = centred.T @ centred / len(centred)
    # Blurred noise has directions with next to none of it; rounding, averaged over pixels, is the floor.
    values, vectors = np.linalg.eigh(covariance)
    floor = max(_ROUNDING_VARIANCE / 16, 1e-6 * float(values.max()))
    return NoiseModel(mean, vectors / np.sqrt(np.maximum(values, 0) + floor))


def likelihood_scores(views: Views, expected: NDArray[np.float32], noise: NoiseModel, pictures: int = 1) -> Scores:
    """Log-likelihood of every face under the noise: with normal noise no attacker guesses better (Bayes).

    Args:
        views: the hidden areas; with more than one picture, draws are averaged in groups.
        expected: what each face would give without noise.
        noise: measured on own draws.
        pictures: how many pictures of the same face the attacker averages.
    """
    flat = _flat(views)
    people, draws, d = flat.shape
    groups = draws // pictures
    averaged = flat[:, : groups * pictures].reshape(people, groups, pictures, d).mean(axis=2)
    seen = (averaged - noise.mean) @ noise.whitening
    known = _flat(expected) @ noise.whitening
    return seen @ known.T - (known**2).sum(axis=1) / 2


def _flat(views: NDArray[np.float32]) -> Floats:
    return views.reshape(*views.shape[:-3], -1).astype(np.float64)


def _standardised(rows: Floats) -> Floats:
    centred = rows - rows.mean(axis=-1, keepdims=True)
    return centred / (centred.std(axis=-1, keepdims=True) + 1e-9)
