"""Why a picture is worth a label, and how much, from what its manifest says. Scores are 0 (not at all) to 1.

Which confidence the threshold decided on follows from the stage: the secondary check's where it had the last word, else
the verifier's, else the detector's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np

from components.dataset.data_card import size_names, size_names_of
from components.dataset.labelling.published import Proposed, PublishedImage
from components.dataset.labelling.reports import UserReport
from components.dataset.labels import LabelledImage
from components.detections import CLASS_NAMES, STAGE_SECONDARY, iou
from components.settings import Region

# In the order in which a picture is claimed: what was drawn blindly first, or the estimate would be biased; then what
# is most likely to be a miss.
Reason = Literal[
    "random", "user_report", "challenger_disagreement", "secondary_disagreement", "stage2_disagreement",
    "near_threshold", "few_labels",
]  # fmt: skip
REASONS: tuple[Reason, ...] = get_args(Reason)
RANDOM: Reason = "random"
_SAME_OBJECT_IOU = 0.5


@dataclass(frozen=True, slots=True)
class Rules:
    """What scores depend on beside the manifest.

    Attributes:
        regions: whose thresholds were decided on.
        near_threshold_width: how far from its threshold a confidence may lie.
        few_labels: slices with fewer labelled objects have too few.
        dark_luma: pictures with a smaller mean luma are of the night.
        labelled: how many objects of each slice are labelled, as `count_slices` counts.
        reports: what users say.
        shadow: what a challenger says, by the published folder's name and the path.
    """

    regions: Mapping[str, Region]
    near_threshold_width: float
    few_labels: int
    dark_luma: float
    labelled: Mapping[str, int] = field(default_factory=dict)
    reports: Mapping[str, Sequence[UserReport]] = field(default_factory=dict)
    shadow: Mapping[tuple[str, str], PublishedImage] = field(default_factory=dict)

    def scarcity(self, name: str) -> float:
        """How far a slice is from having enough labels: 1 without any, 0 with enough."""
        return max(0.0, 1 - self.labelled.get(name, 0) / self.few_labels)


def scores(image: PublishedImage, rules: Rules) -> dict[Reason, float]:
    """The score for each reason but chance; those that do not apply are left out."""
    region = rules.regions.get(image.region)
    found: dict[Reason, float] = {
        "user_report": float(bool(reports_of(image, rules))),
        "challenger_disagreement": _unmatched(image, rules.shadow.get((image.folder.name, image.path))),
        "few_labels": max((rules.scarcity(name) for name in _slices(image, rules.dark_luma)), default=0.0),
    }
    if region is not None:
        for proposal in image.proposals:
            threshold = region.rule(proposal.class_name).threshold
            for reason, score in _of_proposal(proposal, threshold, rules.near_threshold_width):
                found[reason] = max(score, found.get(reason, 0.0))
    return {reason: score for reason, score in found.items() if score > 0}


def reports_of(image: PublishedImage, rules: Rules) -> Sequence[UserReport]:
    """What users say of a picture, whether they name its day or not."""
    return (*rules.reports.get(image.path, ()), *rules.reports.get(f"{image.folder.name}/{image.path}", ()))


def count_slices(images: Iterable[LabelledImage], dark_luma: float) -> Counter[str]:
    """How many labelled objects each slice has: by class, and size, region, or day and night."""
    counts: Counter[str] = Counter()
    for image in images:
        night = image.night if image.night is not None else _is_dark(image.mean_luma, dark_luma)
        for class_id, size in zip(image.objects.class_id, size_names(image), strict=True):
            counts.update(_slice_names(CLASS_NAMES[class_id], size, image.region, night))
    return counts


def _of_proposal(proposal: Proposed, threshold: float, width: float) -> Iterator[tuple[Reason, float]]:
    stage1, stage2, secondary = (
        proposal.stage1_confidence, proposal.stage2_confidence, proposal.secondary_confidence,
    )  # fmt: skip
    before = stage1 if stage2 is None else stage2
    overruled = proposal.stage == STAGE_SECONDARY and secondary is not None
    decided = secondary if overruled and secondary is not None else before
    distance = abs(decided - threshold)
    if distance < width:
        yield "near_threshold", 1 - distance / width
    if stage2 is not None and (stage1 >= threshold) != (stage2 >= threshold):
        yield "stage2_disagreement", abs(stage1 - stage2)
    # Where it only confirms what was to be hidden anyway, it has the last word too.
    if overruled and secondary is not None and (before >= threshold) != (proposal.outcome != "below_threshold"):
        yield "secondary_disagreement", abs(secondary - before)


def _unmatched(image: PublishedImage, shadow: PublishedImage | None) -> float:
    """How sure either model is of the surest object that it alone would hide; 0 if they agree."""
    if shadow is None:
        return 0.0
    alone = [0.0]
    for name in CLASS_NAMES:
        ours, theirs = (seen.hidden(name) for seen in (image, shadow))
        same = np.asarray(iou(_boxes(ours), _boxes(theirs)) >= _SAME_OBJECT_IOU)
        alone += [last_word(p) for p, row in zip(ours, same, strict=True) if not row.any()]
        alone += [last_word(p) for p, row in zip(theirs, same.T, strict=True) if not row.any()]
    return max(alone)


def last_word(proposal: Proposed) -> float:
    """How sure the surest look was."""
    told = (proposal.secondary_confidence, proposal.stage2_confidence, proposal.stage1_confidence)
    return max(confidence for confidence in told if confidence is not None)


def _slices(image: PublishedImage, dark_luma: float) -> Iterator[str]:
    hidden = [proposal for proposal in image.proposals if proposal.is_blurred]
    night = _is_dark(image.brightness, dark_luma)
    for proposal, size in zip(hidden, size_names_of(_boxes(hidden)), strict=True):
        yield from _slice_names(proposal.class_name, size, image.region, night)


def _slice_names(class_name: str, size: str, region: str | None, night: bool | None) -> Iterator[str]:
    yield f"{class_name} size {size}"
    if region is not None:
        yield f"{class_name} region {region}"
    if night is not None:
        yield f"{class_name} {'night' if night else 'day'}"


def _is_dark(luma: float | None, dark_luma: float) -> bool | None:
    return None if luma is None else luma < dark_luma


def _boxes(proposals: Sequence[Proposed]) -> np.ndarray:
    return np.array([(p.x1, p.y1, p.x2, p.y2) for p in proposals], np.float32).reshape(-1, 4)
