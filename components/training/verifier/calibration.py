"""What a confidence of the verifier means: at the region's threshold, so many of stage 1's true objects stay.

How much stage 1's own confidence counts beside what the verifier sees is learnt here too, on pictures from which
neither has learnt: of its training pictures stage 1 is surer than of any other. Then each size gets a shift of its own.
Those few objects that may fall do so where that takes away most of what is hidden without need. Plates that are seen
from far to the side are few among the labelled ones, and fall first: they get what lets as many of them stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from components.detection.proposal_features import GEOMETRY
from components.detections import CLASS_NAMES, Mask
from components.evaluation.intervals import Interval, wilson
from components.settings import VerifierTraining
from components.training.verifier.examples import Examples

Logits = NDArray[np.float32]

STEEP_ASPECTS = 1.6, 1.2  # widths in heights, from which on, downwards, a plate's box begins to be steep, and is wholly
_STEEP = "license_plate"  # the class that has steep boxes; a face's are no sign of anything
SIZES_PX = (8.0, 16.0, 32.0, 64.0)  # shorter sides at which the shifts stand; each twice the one before
_SIDES = [GEOMETRY.index("log_width"), GEOMETRY.index("log_height")]
_MARGIN = 1e-3  # what the last object is above the threshold, so that no rounding drops it


@dataclass(frozen=True, slots=True)
class Calibration:
    """By how much logits are moved.

    Attributes:
        trust: by class, how much of the logit of stage 1's confidence is added.
        steep: by class, how much is added to that of a proposal that is hardly wider than high.
        shift: by class, at each of `SIZES_PX`; between them it is a straight line over the logarithm, beyond them flat.
        measured_on: by class, whose objects have decided; None where there were too few of either, so nothing moves.
    """

    trust: dict[str, float]
    steep: dict[str, float]
    shift: dict[str, tuple[float, ...]]
    measured_on: dict[str, str | None]


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """What becomes of one class's proposals at a threshold.

    Attributes:
        objects: labelled objects that stage 1 has proposed.
        kept: of these, with a proposal that stays.
        kept_share, kept_interval: and their share, with Wilson's 95 % interval.
        false: proposals known to be of no object.
        removed: of these, those that fall.
        removed_share, removed_interval: and their share, likewise; proposals of one picture are alike.
        auc: how often a true proposal ranks above a false one.
    """

    objects: int
    kept: int
    kept_share: float | None
    kept_interval: Interval | None
    false: int
    removed: int
    removed_share: float | None
    removed_interval: Interval | None
    auc: float | None


def calibrate(
    examples: Examples, logits: Logits, settings: VerifierTraining, counts: Mask | None = None
) -> Calibration:
    """Find the trust, and the shifts of each class at which a share of the true objects stays at the threshold.

    Args:
        examples: of pictures that nothing was learnt from.
        logits: float32 [n], as the network gives them.
        settings: the threshold, the share, and the least number of objects. A class with fewer of them takes what is
            found for the other one, if that one has enough.
        counts: bool [n], whose pictures calibrate; all if left out. Only proposals that the cascade would make do.
    """
    counts = np.ones(len(examples), bool) if counts is None else counts
    counts = counts & (examples.confidence >= settings.calibrated_from)
    own = {
        name: found
        for class_id, name in enumerate(CLASS_NAMES)
        if (found := _of_class(examples, logits, class_id, settings, counts)) is not None
    }
    other = next(iter(own), None)
    measured_on = {name: name if name in own else other for name in CLASS_NAMES}
    none = 0.0, 0.0, (0.0,) * len(SIZES_PX)
    chosen = {name: own[source] if source else none for name, source in measured_on.items()}
    return Calibration(
        trust={name: trust for name, (trust, _, _) in chosen.items()},
        steep={name: steep if name == _STEEP else 0.0 for name, (_, steep, _) in chosen.items()},
        shift={name: shift for name, (_, _, shift) in chosen.items()},
        measured_on=measured_on,
    )


def _of_class(
    examples: Examples, logits: Logits, class_id: int, settings: VerifierTraining, counts: Mask
) -> tuple[float, float, tuple[float, ...]] | None:
    """The trust, the steep boxes' shift and the sizes' shifts of a class; None if there are too few objects of it."""
    if len(object_logits(examples, logits, class_id, counts)) < settings.min_objects:
        return None
    counts = counts & (examples.class_id == class_id)
    trust = _trust(examples, logits, counts & examples.proposed)
    moved = logits + np.float32(trust) * stage1_logits(examples)
    shifts = _size_shifts(examples, moved, class_id, settings, counts)
    # Between two sizes a straight line may pass above an object: all are raised until the share of the class is kept.
    moved = moved + np.interp(log_sizes(examples), np.log(SIZES_PX), shifts).astype(np.float32)
    values = np.sort(object_logits(examples, moved, class_id, counts))
    missing = max(
        0.0, _shift_to_keep(values, _may_fall(len(values), settings.keep_share), calibrated_at(settings, class_id))
    )
    steep = _steep_shift(examples, moved + np.float32(missing), class_id, settings, counts)
    return trust, steep, tuple(shift + missing for shift in shifts)


def _steep_shift(examples: Examples, logits: Logits, class_id: int, settings: VerifierTraining, counts: Mask) -> float:
    """What lets the share that is to be kept stay of the steep boxes too, canvases' and pictures' alike; at least 0."""
    if CLASS_NAMES[class_id] != _STEEP:
        return 0.0
    values = np.sort(object_logits(examples, logits, class_id, counts & (steepness(examples) >= 1)))
    if len(values) < settings.min_objects // 2:
        return 0.0
    return max(
        0.0, _shift_to_keep(values, _may_fall(len(values), settings.keep_share), calibrated_at(settings, class_id))
    )


def _trust(examples: Examples, logits: Logits, counts: Mask) -> float:
    """How much stage 1's logit counts beside the network's, by logistic regression; its size is known to both."""
    known = counts & (examples.labels.weight > 0)
    true = examples.labels.is_object[known]
    if true.all() or not true.any():
        return 0.0
    told = np.column_stack([logits, stage1_logits(examples), log_sizes(examples)])[known]
    of_network, of_stage1, _ = LogisticRegression(class_weight="balanced").fit(told, true).coef_[0]
    return max(0.0, float(of_stage1 / of_network)) if of_network > 0 else 0.0


def _size_shifts(
    examples: Examples, logits: Logits, class_id: int, settings: VerifierTraining, counts: Mask
) -> tuple[float, ...]:
    """The shift at each size, so that those who may fall are spent where most false ones fall with them.

    The best way to spend them is found exactly, size by size: the knapsack's dynamic programme.
    """
    nearest = np.abs(log_sizes(examples)[:, None] - np.log(SIZES_PX)[None]).argmin(axis=1)
    false = counts & examples.proposed & (examples.labels.weight > 0) & ~examples.labels.is_object
    nuisance = _nuisance(examples, false, settings.area_share)
    objects = [
        np.sort(object_logits(examples, logits, class_id, counts & (nearest == i))) for i in range(len(SIZES_PX))
    ]
    may_fall = _may_fall(sum(map(len, objects)), settings.keep_share)
    best: list[tuple[float, tuple[int, ...]]] = [(0.0, ())] * (may_fall + 1)
    for size, values in enumerate(objects):
        here = false & (nearest == size)
        bars = values[: may_fall + 1]
        gain = [float(nuisance[here & (logits < bar)].sum()) for bar in bars] or [0.0]
        best = [
            max(
                ((best[left - n][0] + gain[n], (*best[left - n][1], n)) for n in range(min(left, len(gain) - 1) + 1)),
                key=lambda way: (way[0], -sum(way[1])),
            )
            for left in range(may_fall + 1)
        ]
    shifts = [
        _shift_to_keep(values, fall, calibrated_at(settings, class_id)) if len(values) else None
        for values, fall in zip(objects, best[-1][1], strict=True)
    ]
    # Where there is no object of a size, nothing is known of it: it is treated as the most careful of the others.
    careful = max(shift for shift in shifts if shift is not None)
    return tuple(careful if shift is None else shift for shift in shifts)


def _nuisance(examples: Examples, false: Mask, area_share: float) -> NDArray[np.float64]:
    """How much each false proposal harms, [n], 1 all together: by its area to a share, and for being one at all."""
    area = np.where(false, np.exp(examples.features.geometry[:, _SIDES].sum(axis=1, dtype=np.float64)), 0.0)
    return area_share * area / max(area.sum(), 1e-9) + (1 - area_share) * false / max(false.sum(), 1)


def stage1_logits(examples: Examples) -> NDArray[np.float32]:
    """The logit of each proposal's confidence in stage 1; float32 [n]."""
    return examples.features.geometry[:, GEOMETRY.index("confidence_logit")]


def steepness(examples: Examples) -> NDArray[np.float32]:
    """How steep each proposal's box is: 0 for one that is wide, 1 for one that is hardly wider than high; [n]."""
    flat, steep = np.log(STEEP_ASPECTS)
    aspect = examples.features.geometry[:, GEOMETRY.index("log_aspect")]
    return np.clip((aspect - flat) / (steep - flat), 0, 1).astype(np.float32)


def log_sizes(examples: Examples) -> NDArray[np.float32]:
    """The natural logarithm of each proposal's shorter side in px; float32 [n]."""
    return examples.features.geometry[:, _SIDES].min(axis=1)


def object_logits(examples: Examples, logits: Logits, class_id: int, counts: Mask | None = None) -> Logits:
    """The highest logit among the proposals of each object of a class that people have labelled.

    Args:
        examples: n of them.
        logits: float32 [n].
        class_id: whose objects.
        counts: bool [n], the proposals that there are; all if left out.
    """
    mine = (examples.class_id == class_id) & examples.labels.is_object & (examples.labels.object_index >= 0)
    mine = mine if counts is None else mine & counts
    keys = np.column_stack([examples.picture, examples.labels.object_index])[mine]
    objects, which = np.unique(keys, axis=0, return_inverse=True)
    highest = np.full(len(objects), -np.inf, np.float32)
    np.maximum.at(highest, which.reshape(-1), logits[mine])
    return highest


def figures(
    examples: Examples, logits: Logits, class_id: int, threshold: float, counts: Mask | None = None
) -> ClassFigures:
    """What becomes of one class's proposals.

    Args:
        examples: n of them; those that stage 1 did not propose are left out.
        logits: float32 [n], calibrated.
        class_id: whose.
        threshold: the confidence from which proposals stay.
        counts: bool [n], the proposals that there are; all if left out.
    """
    among = examples.proposed if counts is None else examples.proposed & counts
    at = logit(threshold)
    highest = object_logits(examples, logits, class_id, among)
    known = among & (examples.class_id == class_id) & (examples.labels.weight > 0)
    true, false = (logits[known & (examples.labels.is_object == wanted)] for wanted in (True, False))
    kept, removed = int((highest >= at).sum()), int((false < at).sum())
    return ClassFigures(
        objects=len(highest),
        kept=kept,
        kept_share=kept / len(highest) if len(highest) else None,
        kept_interval=wilson(kept, len(highest)),
        false=len(false),
        removed=removed,
        removed_share=removed / len(false) if len(false) else None,
        removed_interval=wilson(removed, len(false)),
        auc=roc_auc(true, false),
    )


def crossed_logits(examples: Examples, logits: Logits, settings: VerifierTraining) -> Logits:
    """Logits [n] that are calibrated on the other half of the pictures: what the calibration is worth elsewhere."""
    moved = logits.copy()
    few = settings.model_copy(update={"min_objects": max(1, settings.min_objects // 2)})
    for half in (0, 1):
        here = examples.picture % 2 == half
        moved[here] += shifts_of(calibrate(examples, logits, few, ~here), examples)[here]
    return moved


def shifts_of(calibration: Calibration, examples: Examples) -> NDArray[np.float32]:
    """By how much each logit is moved, by class, size and shape, and stage 1's confidence; float32 [n]."""
    log_px, stage1, steep = log_sizes(examples), stage1_logits(examples), steepness(examples)
    by_class = [
        calibration.trust[name] * stage1
        + calibration.steep[name] * steep
        + np.interp(log_px, np.log(SIZES_PX), calibration.shift[name])
        for name in CLASS_NAMES
    ]
    return np.stack(by_class)[examples.class_id, np.arange(len(examples))].astype(np.float32)


def calibrated_at(settings: VerifierTraining, class_id: int) -> float:
    """The confidence at which a class is calibrated."""
    return float(getattr(settings.threshold, CLASS_NAMES[class_id]))


def roc_auc(true: Sequence[float] | Logits, false: Sequence[float] | Logits) -> float | None:
    """The area under the ROC curve, ties counted half; None if there are none of a kind."""
    if not len(true) or not len(false):
        return None
    ordered = np.sort(false)
    below = np.searchsorted(ordered, true, "left") + np.searchsorted(ordered, true, "right")
    return float(below.mean() / 2 / len(ordered))


def logit(share: float) -> float:
    """ln(share ÷ (1 - share))."""
    return float(np.log(share / (1 - share)))


def _may_fall(objects: int, keep_share: float) -> int:
    return int(np.floor((1 - keep_share) * objects + 1e-9))


def _shift_to_keep(values: Logits, may_fall: int, threshold: float) -> float:
    """The shift at which all but so many of some logits, in ascending order, reach the threshold."""
    return logit(threshold) + _MARGIN - float(values[min(may_fall, len(values) - 1)])
