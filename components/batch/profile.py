"""Where the workers' time of a run went, and what to do about the most of it."""

from __future__ import annotations

from dataclasses import dataclass

from components.batch.summary import Summary

OUTSIDE = "outside of stages"
_REMEDIES = {
    "read": "the source is slow; bring it nearer, or give more --workers than cores",
    "decode": "more cores; smaller files decode faster",
    "detect": "a processor with 8-bit instructions (AVX-512 VNNI, AMX), or a GPU; see `streetveil benchmark`",
    "publish": "large areas or files that cannot be edited in place (`written` in the manifest); more cores",
    "verify": "the check of outputs; `verification.redetect_share` is the part of it that can be chosen",
    "write": "the destination is slow to make files durable; a faster disk, or give more --workers than cores",
    OUTSIDE: "loading the model, waiting, bookkeeping and quarantined files; it shrinks with more images",
}


@dataclass(frozen=True, slots=True)
class Profile:
    """The workers' time of one run.

    Attributes:
        images: published ones; of them the stages are known.
        stage_s: wall time by stage, s, summed over all workers; the last is what lies outside of stages.
    """

    images: int
    stage_s: dict[str, float]

    def share(self, stage: str) -> float:
        """Of a stage in all of the workers' time, 0 to 1."""
        total = sum(self.stage_s.values())
        return self.stage_s[stage] / total if total else 0.0

    @property
    def bottleneck(self) -> str:
        """The stage with the largest share."""
        return max(self.stage_s, key=self.stage_s.__getitem__)

    @property
    def remedy(self) -> str:
        """What makes the bottleneck wider."""
        return _REMEDIES[self.bottleneck]


def profile_of(summary: Summary, workers: int) -> Profile:
    """The profile of a run.

    Args:
        summary: of the run.
        workers: processes it was allowed; no more are started than there are images.
    """
    stages = dict(summary.stage_s)
    worked_s = summary.duration_s * min(workers, max(1, summary.inputs))
    return Profile(summary.published, {**stages, OUTSIDE: max(0.0, worked_s - sum(stages.values()))})
