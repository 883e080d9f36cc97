"""What was found or drawn in a picture, as its manifest lists it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from components.batch.manifest import Proposal
from components.detection.cascade import Proposals
from components.detection.region_rules import Outcome
from components.detections import CLASS_NAMES, STAGE_PERSON, Detections


def listed(
    seen: Proposals, outcomes: Sequence[Outcome], exemptions: Sequence[str | None] | None = None
) -> tuple[Proposal, ...]:
    """Proposals as a manifest lists them."""
    found = seen.found
    exempted = exemptions or [None] * len(outcomes)
    return tuple(
        Proposal(
            class_name=CLASS_NAMES[found.class_id[i]],
            **dict(zip(("x1", "y1", "x2", "y2"), found.xyxy[i].tolist(), strict=True)),
            stage=int(found.stage[i]),
            stage1_confidence=float(seen.stage1[i]),
            stage2_confidence=_known(seen.stage2[i]),
            secondary_confidence=_known(seen.secondary[i]),
            outcome=str(outcome),
            exemption=exempted[i],
        )
        for i, outcome in enumerate(outcomes)
    )


def listed_drawn(drawn: Detections) -> tuple[Proposal, ...]:
    """What a person has drawn as a manifest lists it."""
    return tuple(
        Proposal(CLASS_NAMES[class_id], x1, y1, x2, y2, STAGE_PERSON, 0.0, None, None, str(Outcome.BLURRED))
        for (x1, y1, x2, y2), class_id in zip(drawn.xyxy.tolist(), drawn.class_id, strict=True)
    )


def _known(confidence: float) -> float | None:
    """A confidence, or None where nobody was asked."""
    return None if math.isnan(confidence) else float(confidence)
