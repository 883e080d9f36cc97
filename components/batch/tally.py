"""Counts of a run that are added up shard by shard, in memory that does not grow with the number of images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from components.batch.manifest import PUBLISHED, ImageRow
from components.detection.policies import ChosenBy
from components.detections import CLASS_NAMES
from components.errors import INPUT_FAULTS

STAGES = ("read", "decode", "detect", "publish", "verify", "write")
LISTED = 1000  # quarantined images that are told one by one; the manifests have them all


@dataclass(frozen=True, slots=True)
class Tally:
    """What some images came to; tallies of different images can be added.

    Attributes:
        published: images.
        quarantined: images by reason.
        undecodable: those of the quarantined that no blurrer could have published.
        objects: blurred ones by class.
        times_ms: by stage, how many published images took how long, to three digits.
        spent_s: by stage, s, summed over the published images.
        listed: path, reason and detail of quarantined images, the first `LISTED` by path.
        regions: images by the region whose rules applied.
        in_doubt: those of them that got the strictest region, since several were possible.
    """

    published: int = 0
    quarantined: Counter[str] = field(default_factory=Counter)
    undecodable: int = 0
    objects: Counter[str] = field(default_factory=Counter)
    times_ms: dict[str, Counter[float]] = field(default_factory=lambda: {stage: Counter() for stage in STAGES})
    spent_s: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))
    listed: tuple[tuple[str, str, str], ...] = ()
    regions: Counter[str] = field(default_factory=Counter)
    in_doubt: int = 0

    @property
    def inputs(self) -> int:
        """Images, published or quarantined."""
        return self.published + self.quarantined.total()

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.published + other.published,
            self.quarantined + other.quarantined,
            self.undecodable + other.undecodable,
            self.objects + other.objects,
            {stage: self.times_ms[stage] + other.times_ms[stage] for stage in STAGES},
            {stage: self.spent_s[stage] + other.spent_s[stage] for stage in STAGES},
            tuple(sorted((*self.listed, *other.listed))[:LISTED]),
            self.regions + other.regions,
            self.in_doubt + other.in_doubt,
        )


def tally_of(rows: Sequence[ImageRow]) -> Tally:
    """The tally of some rows."""
    published = [row for row in rows if row.state == PUBLISHED]
    refused = [row for row in rows if row.state != PUBLISHED]
    times_ms = {stage: [getattr(row, f"{stage}_ms") or 0.0 for row in published] for stage in STAGES}
    return Tally(
        len(published),
        Counter(row.reason or "unknown" for row in refused),
        sum(row.reason in INPUT_FAULTS for row in refused),
        Counter({name: sum(row.blurred(name) for row in published) for name in CLASS_NAMES}),
        {stage: Counter(float(f"{value:.3g}") for value in values) for stage, values in times_ms.items()},
        {stage: sum(values) / 1000 for stage, values in times_ms.items()},
        tuple(sorted((row.path, row.reason or "unknown", row.detail or "") for row in refused)[:LISTED]),
        Counter(row.region for row in rows),
        sum(row.region_by == ChosenBy.DOUBT for row in rows),
    )


def percentiles(counts: Counter[float], percents: Iterable[float]) -> list[float]:
    """Percentiles of counted values, between neighbours in proportion, as numpy has them."""
    values = np.array(sorted(counts))
    last_of = np.cumsum([counts[value] for value in values]) - 1  # each value's last place in the sorted whole
    found = []
    for percent in percents:
        place = last_of[-1] * percent / 100
        below, above = (values[np.searchsorted(last_of, rank)] for rank in (np.floor(place), np.ceil(place)))
        found.append(float(below + (above - below) * (place - np.floor(place))))
    return found
