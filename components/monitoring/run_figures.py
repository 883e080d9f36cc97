"""What a run came to so far, as counts that add up: a night of ten million images is as small as one of ten."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from components.batch.manifest import PUBLISHED, QUARANTINED, ImageRow, Proposal
from components.batch.tally import STAGES
from components.detections import CLASS_NAMES
from components.errors import INPUT_FAULTS, Reason
from components.monitoring.distributions import GRIDS, Grid

_TIMES, _CONFIDENCES = GRIDS["latency_ms"], GRIDS["stage1_confidence"]

OnGrid = Mapping[str, tuple[int, ...]]  # by name, how many values lie in each bin


@dataclass(frozen=True, slots=True)
class RunFigures:
    """Counts over images that have their end state.

    Attributes:
        images: by state.
        quarantined: by reason.
        objects: hidden ones, by class.
        lost_attempts: how often a worker died of an image, or was stopped with it in hand.
        stage_ms: wall time of published images by stage, counted on the grid of latencies.
        confidence: of hidden objects by class, that of the stage that decided, counted on the grid of confidences.
    """

    images: Mapping[str, int] = field(default_factory=dict)
    quarantined: Mapping[str, int] = field(default_factory=dict)
    objects: Mapping[str, int] = field(default_factory=dict)
    lost_attempts: int = 0
    stage_ms: OnGrid = field(default_factory=dict)
    confidence: OnGrid = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Images with an end state."""
        return sum(self.images.values())

    @property
    def published(self) -> int:
        """Images that were published."""
        return self.images.get(PUBLISHED, 0)

    @property
    def published_share(self) -> float | None:
        """Of the images that could be decoded; None if none could."""
        refused = sum(count for reason, count in self.quarantined.items() if reason not in INPUT_FAULTS)
        decodable = self.published + refused
        return self.published / decodable if decodable else None

    def stage_quantile_ms(self, stage: str, share: float) -> float | None:
        """The time that a share of the published images stayed below in a stage; None if there are none."""
        return quantile(_TIMES, self.stage_ms.get(stage, ()), share)

    def confidence_quantile(self, class_name: str, share: float) -> float | None:
        """The confidence that a share of the hidden objects of a class stayed below; None if there are none."""
        return quantile(_CONFIDENCES, self.confidence.get(class_name, ()), share)

    def plus(self, other: RunFigures) -> RunFigures:
        """Both together."""
        return RunFigures(
            dict(Counter(self.images) + Counter(other.images)),
            dict(Counter(self.quarantined) + Counter(other.quarantined)),
            dict(Counter(self.objects) + Counter(other.objects)),
            self.lost_attempts + other.lost_attempts,
            _plus(self.stage_ms, other.stage_ms),
            _plus(self.confidence, other.confidence),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunFigures:
        """The inverse of `to_dict`.

        Raises:
            TypeError, ValueError: these are no figures.
        """
        on_grids = {name: {key: tuple(of) for key, of in values[name].items()} for name in ("stage_ms", "confidence")}
        return cls(**{**values, **on_grids})


def figures_of(rows: Sequence[ImageRow]) -> RunFigures:
    """The figures of some rows, such as a shard's."""
    published = [row for row in rows if row.state == PUBLISHED]
    hidden = [proposal for row in published for proposal in row.proposals if proposal.outcome == "blurred"]
    died = sum(row.attempts - 1 + (row.reason == Reason.DECODER_CRASH) for row in rows)
    return RunFigures(
        images=dict(Counter(row.state for row in rows)),
        quarantined=dict(Counter(row.reason or "unknown" for row in rows if row.state == QUARANTINED)),
        objects=dict(Counter(proposal.class_name for proposal in hidden)),
        lost_attempts=died,
        stage_ms={stage: _counted(_TIMES, (getattr(row, f"{stage}_ms") for row in published)) for stage in STAGES},
        confidence={
            name: _counted(_CONFIDENCES, (decisive_confidence(one) for one in hidden if one.class_name == name))
            for name in CLASS_NAMES
        },
    )


def decisive_confidence(proposal: Proposal) -> float:
    """The confidence of the stage that had the last word; a person is sure."""
    of_stage = (proposal.stage1_confidence, proposal.stage2_confidence, proposal.secondary_confidence, 1.0)
    told = of_stage[min(max(proposal.stage, 1), 4) - 1]
    return proposal.stage1_confidence if told is None else told


def quantile(grid: Grid, counts: Sequence[int], share: float) -> float | None:
    """A quantile of what was counted on a grid, interpolated within its bin; None of nothing."""
    below = np.concatenate([[0], np.cumsum(np.asarray(counts, np.float64))])
    if below[-1] == 0:
        return None
    return float(np.interp(share * below[-1], below, grid.edges))


def _counted(grid: Grid, values: Iterable[float | None]) -> tuple[int, ...]:
    known = np.array([value for value in values if value is not None], np.float64)
    return tuple(grid.count(known).tolist())


def _plus(one: OnGrid, other: OnGrid) -> OnGrid:
    return {
        name: tuple(a + b for a, b in zip(one[name], other[name], strict=True))
        if name in one and name in other
        else (one.get(name) or other[name])
        for name in {**one, **other}
    }
