"""Every attacker against every way of hiding faces."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.privacy.embedding import CHIP_PX, Embeddings, embed, embedding_scores
from benchmarks.privacy.network_attack import network_scores, train_network
from components.evaluation.reidentification.draws import Views, clear_views, expected_views, hidden_views, smaller
from components.evaluation.reidentification.hiding import Method
from components.evaluation.reidentification.pixel_attack import correlation_scores, likelihood_scores, noise_model
from components.evaluation.reidentification.rates import Rate, Scores, rate_of
from components.evaluation.reidentification.scenes import Scenes

SAME, OTHER = "same photograph", "another photograph"
_VIEW_PX = 32
_COARSE_PX = 8  # the smooth random methods have nothing finer, and their noise is measured better with fewer numbers
_FINE_PX = 16


@dataclass(frozen=True, slots=True)
class Effort:
    """How much an attack is given; numbers of draws a person.

    Attributes:
        tested: fresh draws that are to be named.
        own: the attacker's own draws.
        embedded: draws that go through the recogniser.
    """

    tested: int = 40
    own: int = 20
    embedded: int = 20


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """Hidden areas that are to be named, and the attacker's own."""

    tested: Views
    own: Views


@dataclass(frozen=True, slots=True)
class Result:
    """One attacker against one way of hiding."""

    method: str
    group: str
    height_px: int
    attacker: str
    gallery: str
    pictures: int
    rate: Rate


def attack_faces(scenes: Scenes, height_px: int, method: Method, effort: Effort, seed: int) -> Iterator[Result]:
    """All attackers, with the gallery's own photograph hidden and with another one."""
    rng = np.random.default_rng(seed)

    def result(attacker: str, gallery: str, scores: Scores, pictures: int = 1) -> Result:
        return Result(method.name, method.group, height_px, attacker, gallery, pictures, rate_of(scores))

    clear = clear_views(scenes, method, _FINE_PX)
    expected = expected_views(scenes, method, _VIEW_PX)
    galleries = {
        gallery: Draws(*(hidden_views(scenes, method, n, _VIEW_PX, rng, gallery == OTHER) for n in numbers))
        for gallery, numbers in _numbers(method, effort).items()
    }
    network = train_network(np.concatenate([draws.own for draws in galleries.values()], axis=1), seed)
    for gallery, draws in galleries.items():
        yield result("pixels, naive", gallery, correlation_scores(smaller(draws.tested, _FINE_PX), clear))
        yield result("network", gallery, network_scores(network, draws.tested))
        for pictures in (1, 2, 10, 100):
            if pictures == 1 or (method.random and pictures <= draws.tested.shape[1]):
                scores = _likelihood(method, draws, expected, pictures)
                yield result("pixels, informed", gallery, scores, pictures)
    for attacker, gallery, scores in _recognised(scenes, method, effort, rng):
        yield result(attacker, gallery, scores)


def _numbers(method: Method, effort: Effort) -> dict[str, tuple[int, int]]:
    """How many draws are tested and how many are the attacker's own; where nothing is random, one says all."""
    other = max(1, effort.tested // 4), effort.own
    return {SAME: (effort.tested, effort.own) if method.random else (1, 1), OTHER: other}


def _likelihood(method: Method, draws: Draws, expected: NDArray[np.float32], pictures: int) -> Scores:
    side_px = _COARSE_PX if method.random else _FINE_PX
    tested, own, known = (smaller(views, side_px) for views in (draws.tested, draws.own, expected))
    return likelihood_scores(tested, known, noise_model(own, known), pictures)


def _recognised(
    scenes: Scenes, method: Method, effort: Effort, rng: np.random.Generator
) -> Iterator[tuple[str, str, Scores]]:
    draws = effort.embedded if method.random else 1
    clear = embed(clear_views(scenes, method, CHIP_PX))
    # The gallery hidden in the same way: as often as there are draws, and every one of these is asked by itself.
    known = _embedded(hidden_views(scenes, method, draws, CHIP_PX, rng))
    for gallery in (SAME, OTHER):
        probes = _embedded(hidden_views(scenes, method, draws, CHIP_PX, rng, gallery == OTHER))
        looked_at = np.concatenate([probes, known], axis=1) if method.random and gallery == SAME else probes
        yield "recogniser, naive", gallery, embedding_scores(looked_at, clear)
        scores = [embedding_scores(probes, known[:, i]) for i in range(draws)]
        yield "recogniser, informed", gallery, np.concatenate(scores, axis=1)


def _embedded(views: Views) -> Embeddings:
    people, draws = views.shape[:2]
    return embed(views.reshape(-1, *views.shape[2:])).reshape(people, draws, -1)
