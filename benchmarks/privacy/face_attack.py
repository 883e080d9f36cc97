"""Every attacker against every way of hiding faces."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.privacy.draws import Views, clear_views, expected_views, hidden_views, smaller
from benchmarks.privacy.embedding import CHIP_PX, Embeddings, embed, embedding_scores
from benchmarks.privacy.methods import Method
from benchmarks.privacy.network_attack import network_scores, train_network
from benchmarks.privacy.pixel_attack import correlation_scores, likelihood_scores, noise_model
from benchmarks.privacy.rates import Rate, Scores, rate_of
from benchmarks.privacy.scenes import Scenes

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

    tested: int = 20
    own: int = 20
    embedded: int = 5


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
    for gallery in (SAME, OTHER):
        other = gallery == OTHER
        repeats = method.random or other
        tested = hidden_views(scenes, method, effort.tested if repeats else 1, _VIEW_PX, rng, other)
        own = hidden_views(scenes, method, effort.own if repeats else 1, _VIEW_PX, rng, other)
        yield result("pixels, naive", gallery, correlation_scores(smaller(tested, _FINE_PX), clear))
        for pictures in (1, 2, 10, 100):
            if pictures == 1 or (pictures <= tested.shape[1] and method.random):
                scores = _likelihood(method, tested, own, expected, pictures)
                yield result("pixels, informed", gallery, scores, pictures)
        if repeats:
            yield result("network", gallery, network_scores(train_network(own, seed), tested))
    for gallery in (SAME, OTHER):
        yield from (
            result(attacker, gallery, scores)
            for attacker, scores in _embedding_scores(scenes, method, effort, rng, gallery == OTHER)
        )


def _likelihood(
    method: Method, tested: Views, own: Views, expected: NDArray[np.float32], pictures: int
) -> NDArray[np.float64]:
    side_px = _COARSE_PX if method.random else _FINE_PX
    reduced = [smaller(views, side_px) for views in (tested, own, expected)]
    return likelihood_scores(reduced[0], reduced[2], noise_model(reduced[1], reduced[2]), pictures)


def _embedding_scores(
    scenes: Scenes, method: Method, effort: Effort, rng: np.random.Generator, other: bool
) -> Iterator[tuple[str, Scores]]:
    draws = effort.embedded if method.random else 1
    probes = _embedded(hidden_views(scenes, method, draws, CHIP_PX, rng, other))
    yield "recogniser, naive", embedding_scores(probes, embed(clear_views(scenes, method, CHIP_PX)))
    if method.random:  # the gallery hidden in the same way: as many times as there are draws, each by itself
        known = _embedded(hidden_views(scenes, method, draws, CHIP_PX, rng))
        scores = [embedding_scores(probes, known[:, i]) for i in range(draws)]
        yield "recogniser, informed", np.concatenate(scores, axis=1)
    else:
        yield "recogniser, informed", embedding_scores(probes, embed(expected_views(scenes, method, CHIP_PX)))


def _embedded(views: Views) -> Embeddings:
    people, draws = views.shape[:2]
    return embed(views.reshape(-1, *views.shape[2:])).reshape(people, draws, -1)
