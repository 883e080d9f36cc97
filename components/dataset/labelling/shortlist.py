"""The best candidates for each reason out of any number of pictures, in the memory of a few."""

from __future__ import annotations

import hashlib
import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from components.dataset.labelling.published import PublishedImage, superseded
from components.dataset.labelling.reasons import RANDOM, REASONS, Reason, Rules, reports_of, scores
from components.settings import Labelling

# Originals that are gone or look like another picture are replaced by the next candidates.
_SPARE_FACTOR, _SPARE = 5, 50


@dataclass(frozen=True, slots=True)
class Candidate:
    """A picture that may be taken.

    Attributes:
        score: 0 to 1; for chance 1 − its place in the draw.
        tie: chance decides between equal scores.
        image: the picture.
    """

    score: float
    tie: float
    image: PublishedImage

    @property
    def rank(self) -> tuple[float, float]:
        """What is larger is better."""
        return self.score, self.tie


@dataclass(frozen=True, slots=True)
class Shortlist:
    """What pictures may be taken for each reason, best first, and how many there were.

    Attributes:
        candidates: by reason.
        population: published pictures that were looked at.
        reported: paths of user reports that belong to one of them.
    """

    candidates: Mapping[Reason, list[Candidate]]
    population: int
    reported: frozenset[str]


def shortlist(images: Iterable[PublishedImage], rules: Rules, settings: Labelling, seed: str) -> Shortlist:
    """Read all pictures once.

    Chance is a hash of seed and original: the picture's place in the draw, uniform in [0, 1). Those below the share are
    drawn, and if they are more than the budget, those with the smallest: a simple random sample either way.
    """
    kept: dict[Reason, list[Candidate]] = {reason: [] for reason in REASONS}
    population = 0
    reported: set[str] = set()
    for image in images:
        population += 1
        reported.update(report.path for report in reports_of(image, rules))
        place = _chance(seed, RANDOM, image.sha256)
        if place < settings.random_share:
            kept[RANDOM].append(Candidate(1 - place, 0.0, image))
        for reason, score in scores(image, rules).items():
            kept[reason].append(Candidate(score, _chance(seed, reason, image.sha256), image))
        for reason, candidates in kept.items():
            limit = getattr(settings.budgets, reason) * _SPARE_FACTOR + _SPARE
            if len(candidates) > 2 * limit:
                kept[reason] = _best(candidates, limit)
    best = {reason: _best(candidates, len(candidates)) for reason, candidates in kept.items()}
    return Shortlist(_without_superseded(best), population, frozenset(reported))


def _best(candidates: Iterable[Candidate], count: int) -> list[Candidate]:
    return heapq.nlargest(count, candidates, key=lambda candidate: candidate.rank)


def _without_superseded(best: Mapping[Reason, list[Candidate]]) -> dict[Reason, list[Candidate]]:
    """Without what was read of pictures that stand in a later manifest too."""
    read: dict[Path, dict[str, int]] = defaultdict(dict)
    for candidate in (candidate for candidates in best.values() for candidate in candidates):
        image, known = candidate.image, read[candidate.image.folder]
        known[image.path] = max(image.committed_ns, known.get(image.path, 0))
    old = {folder: superseded(folder, paths) for folder, paths in read.items()}
    return {
        reason: [
            candidate
            for candidate in candidates
            if candidate.image.path not in old[candidate.image.folder]
            and candidate.image.committed_ns == read[candidate.image.folder][candidate.image.path]
        ]
        for reason, candidates in best.items()
    }


def _chance(*parts: str) -> float:
    return int.from_bytes(hashlib.sha256("/".join(parts).encode()).digest()[:8], "big") / 2**64
