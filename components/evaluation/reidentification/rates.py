"""How often an attacker is right, and how often at most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]  # [people, draws, people]: how like each person every hidden draw of each person looks

_HALVES = 20
_Z95 = 1.645
_TIE = 1e-7  # scores that lie within this share of their spread are one score


@dataclass(frozen=True, slots=True)
class Rate:
    """Rank-1 of an attacker.

    Attributes:
        rank1: share of right first guesses.
        upper: the one-sided 95 % bound on it.
        trials: guesses made.
        chance: of a guess without looking.
    """

    rank1: float
    upper: float
    trials: int
    chance: float

    @property
    def holds(self) -> bool:
        """Whether the promise is kept: at most twice chance, the bound included."""
        return self.upper <= 2 * self.chance


def rate_of(scores: Scores, seed: int = 0) -> Rate:
    """Rank-1 over people of whom each is as likely as any other, with its bound.

    The bound is the larger of two. One is the exact binomial bound for these people, over fresh draws of the noise. The
    other is for other people: the draws of one face are alike, so it comes from halves of the people, each with their
    own draws and only the half as gallery (the delete-half jackknife of rank-1 ÷ chance).
    """
    people, draws, _ = scores.shape
    credits = _credits(scores)
    rank1 = float(credits.mean())
    if (credits == 1 / people).all():  # all candidates alike, always: chance by arithmetic, not by luck
        return Rate(rank1, rank1, credits.size, 1 / people)
    exact = binomial_upper_bound(int(np.ceil(credits.sum() - 1e-6)), credits.size)
    rng = np.random.default_rng(seed)
    lifts = []
    for _ in range(_HALVES):
        half = rng.permutation(people)[: people // 2]
        lifts.append(_credits(scores[np.ix_(half, np.arange(draws), half)]).mean() * len(half))
    other_people = rank1 + _Z95 * float(np.std(lifts)) / people
    return Rate(rank1, min(1.0, max(exact, other_people)), credits.size, 1 / people)


def credits_of(scores: Scores, right: NDArray[np.intp]) -> NDArray[np.float64]:
    """1 where the right candidate alone scores highest, a share of it where several do, else 0.

    Args:
        scores: [n, draws, candidates].
        right: the right candidate of each row, [n].
    """
    best = scores.max(axis=2)
    tolerance = _TIE * (1e-300 + best - scores.min(axis=2))
    tied = scores >= (best - tolerance)[:, :, None]
    return np.where(tied[np.arange(len(scores)), :, right], 1 / tied.sum(axis=2), 0.0)


def _credits(scores: Scores) -> NDArray[np.float64]:
    return credits_of(scores, np.arange(len(scores)))


def binomial_upper_bound(successes: int, trials: int, confidence: float = 0.95) -> float:
    """The largest rate under which so few successes are not yet surprising (Clopper and Pearson 1934)."""
    if successes >= trials:
        return 1.0
    low, high = successes / trials, 1.0
    counts = np.arange(successes + 1)
    log_choices = _log_factorial(trials) - _log_factorial(counts) - _log_factorial(trials - counts)
    for _ in range(50):
        rate = (low + high) / 2
        logs = log_choices + counts * np.log(rate) + (trials - counts) * np.log1p(-rate)
        likely = np.exp(logs).sum() > 1 - confidence
        low, high = (rate, high) if likely else (low, rate)
    return high


def _log_factorial(n: NDArray[np.int64] | int) -> NDArray[np.float64]:
    table = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, np.max(n) + 1)))])
    return table[n]
