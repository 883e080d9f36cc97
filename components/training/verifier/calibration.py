"""What a confidence of the verifier means: at the region's threshold, so many of stage 1's true objects stay.

This is so for objects of each size by itself. Large faces are easy to tell and small ones are not, but it is the large
false ones that hide the picture: with one shift for all, the doubt that small faces need would let them pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.detection.proposal_features import GEOMETRY
from components.detections import CLASS_NAMES, Mask
from components.evaluation.intervals import Interval, wilson
from components.settings import VerifierTraining
from components.training.verifier.examples import Examples

Logits = NDArray[np.float32]

SIZES_PX = (8.0, 16.0, 32.0, 64.0)  # shorter sides at which the shifts stand; each twice the one before
_MARGIN = 1e-3  # what the last object is above the threshold, so that no rounding drops it


@dataclass(frozen=True, slots=True)
class Calibration:
    """By how much logits are moved.

    Attributes:
        shift: by class, at each of `SIZES_PX`; between them it is a straight line over the logarithm, beyond them flat.
        measured_on: by class, whose objects have decided; None where there were too few of either, so nothing moves.
    """

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
    """Find the shifts of each class at which a share of the true objects stays at the threshold.

    Args:
        examples: of pictures that nothing was learnt from.
        logits: float32 [n], as the network gives them.
        settings: the threshold, the share, and the least number of objects. A size with fewer of them takes the shift
            of its whole class, and a class with fewer that of the other one, if that one has enough.
        counts: bool [n], the proposals that there are; all if left out.
    """
    own = {
        name: shifts
        for class_id, name in enumerate(CLASS_NAMES)
        if (shifts := _class_shifts(examples, logits, class_id, settings, counts)) is not None
    }
    other = next(iter(own), None)
    measured_on = {name: name if name in own else other for name in CLASS_NAMES}
    none = (0.0,) * len(SIZES_PX)
    return Calibration({name: own[source] if source else none for name, source in measured_on.items()}, measured_on)


def _class_shifts(
    examples: Examples, logits: Logits, class_id: int, settings: VerifierTraining, counts: Mask | None
) -> tuple[float, ...] | None:
    """The shift of a class at each size; None if there are too few objects of it."""
    everything = object_logits(examples, logits, class_id, counts)
    if len(everything) < settings.min_objects:
        return None
    whole = _shift(everything, settings.threshold, settings.keep_share)
    log_px = log_sizes(examples)
    nearest = np.abs(log_px[:, None] - np.log(SIZES_PX)[None]).argmin(axis=1)
    shifts = []
    for size in range(len(SIZES_PX)):
        among = nearest == size if counts is None else counts & (nearest == size)
        values = object_logits(examples, logits, class_id, among)
        enough = len(values) >= settings.min_objects
        shifts.append(_shift(values, settings.threshold, settings.keep_share) if enough else whole)
    # Between two sizes a straight line may pass above an object: all are raised until the share of the class is kept.
    moved = logits + np.interp(log_px, np.log(SIZES_PX), shifts).astype(np.float32)
    missing = _shift(object_logits(examples, moved, class_id, counts), settings.threshold, settings.keep_share)
    return tuple(shift + max(0.0, missing) for shift in shifts)


def log_sizes(examples: Examples) -> NDArray[np.float32]:
    """The natural logarithm of each proposal's shorter side in px; float32 [n]."""
    return examples.features.geometry[:, [GEOMETRY.index("log_width"), GEOMETRY.index("log_height")]].min(axis=1)


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
    """The shift of each proposal, by its class and size; float32 [n]."""
    log_px = log_sizes(examples)
    by_class = [np.interp(log_px, np.log(SIZES_PX), calibration.shift[name]) for name in CLASS_NAMES]
    return np.stack(by_class)[examples.class_id, np.arange(len(examples))].astype(np.float32)


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


def _shift(values: Logits, threshold: float, keep_share: float) -> float:
    may_fall = int(np.floor((1 - keep_share) * len(values) + 1e-9))
    return logit(threshold) + _MARGIN - float(np.sort(values)[min(may_fall, len(values) - 1)])
