"""Which epoch is the best one: recall where the model will be used, not mean average precision.

mAP averages over all confidences and rewards tight boxes; it can rise while recall at the threshold that is used
falls. Here, an epoch is worth the pixel recall at the lowest threshold that hides no more background than allowed.

Few pictures are labelled for all classes. So each class's false-positive rate is taken on the pictures whose labels are
complete for it, from its own detections alone; the sum over classes is at least the rate of the union of all.

In close-ups, which many labelled pictures are, a box that is a little too large hides more background than any false
one would in a street. So what is hidden close around a labelled object is no false positive here: only what lies
outside of every label grown by a quarter, as in the false-blur share.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from components.dataset.labels import LabelledImage
from components.detections import CLASS_NAMES, Boxes, Detections
from components.evaluation.object_metrics import ObjectCounts, count_objects
from components.evaluation.pixel_metrics import PixelCounts, count_pixels
from components.training.images import EVERY_CLASS

_STEPS = 100  # thresholds that are tried from the lowest one on, evenly up to 1
_ABOVE_ALL = 1.01  # a confidence may be rounded to 1; here, nothing is hidden, and every bound is kept

Pairs = Sequence[tuple[LabelledImage, Detections]]


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold, and what a model does there.

    Attributes:
        threshold: confidence from which an object is hidden.
        pixel_recall, object_recall: the mean over the classes that are labelled at all, so that the rarer one counts.
        pixel_false_positive_rate: hidden far from any label ÷ background, the sum over classes; None if no picture is
            labelled exhaustively for any.
        class_pixel_recall: by class; None where nothing is labelled.
    """

    threshold: float
    pixel_recall: float
    object_recall: float
    pixel_false_positive_rate: float | None
    class_pixel_recall: dict[str, float | None]

    @property
    def worth(self) -> tuple[float, float]:
        """What is compared: pixel recall where the bound on false positives could be held, else object recall."""
        if self.pixel_false_positive_rate is None:
            return self.object_recall, self.pixel_recall
        return self.pixel_recall, -self.pixel_false_positive_rate


def operating_point(pairs: Pairs, lowest_threshold: float, max_pixel_fpr: float) -> OperatingPoint:
    """The lowest threshold that keeps the bound on pixel FPR, and the recall there.

    Hidden areas only shrink while the threshold rises, and so does the FPR: the threshold is found by bisection.

    Args:
        pairs: each picture's truth, and what the model found in it from `lowest_threshold` on.
        lowest_threshold: the one that production uses; no lower one is tried.
        max_pixel_fpr: the bound on the pixel false-positive rate, on the pictures that can tell.
    """
    grid = [lowest_threshold + (1 - lowest_threshold) * step / _STEPS for step in range(_STEPS)] + [_ABOVE_ALL]
    low, high = 0, _STEPS
    if _within(pairs, grid[low], max_pixel_fpr):
        high = low
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _within(pairs, grid[middle], max_pixel_fpr) else (middle, high)
    return _point(pairs, grid[high])


def best_index(points: Sequence[OperatingPoint]) -> int:
    """The most worthy one; the last of equals, which has learnt longest."""
    return max(range(len(points)), key=lambda i: (points[i].worth, i))


def _within(pairs: Pairs, threshold: float, bound: float) -> bool:
    rate = _false_positive_rate(pairs, threshold)
    return rate is None or rate <= bound


def _false_positive_rate(pairs: Pairs, threshold: float) -> float | None:
    rates = []
    for class_id, name in enumerate(CLASS_NAMES):
        total = PixelCounts()
        for truth, found in pairs:
            if name in truth.exhaustive:
                # To this class, the picture is one that shows nothing else.
                own = truth.objects.of_class(class_id)
                alone = LabelledImage(truth.path, truth.width, truth.height, "", own, truth.ignored, EVERY_CLASS)
                total += count_pixels(alone, _areas(found.of_class(class_id), threshold))
        rates.append(total.hidden_off_target / total.background if total.background else None)
    known = [rate for rate in rates if rate is not None]
    return sum(known) if known else None


def _areas(found: Detections, threshold: float) -> Boxes:
    return found.xyxy[found.confidence >= threshold]


def _point(pairs: Pairs, threshold: float) -> OperatingPoint:
    pixels = {name: PixelCounts() for name in CLASS_NAMES}
    objects = {name: ObjectCounts() for name in CLASS_NAMES}
    for truth, found in pairs:
        areas = _areas(found, threshold)
        for name in CLASS_NAMES:
            pixels[name] += count_pixels(truth, areas, name)
            objects[name] += count_objects(truth, areas, name)
    return OperatingPoint(
        threshold=threshold,
        pixel_recall=_mean(counts.recall for counts in pixels.values()),
        object_recall=_mean(counts.recall for counts in objects.values()),
        pixel_false_positive_rate=_false_positive_rate(pairs, threshold),
        class_pixel_recall={name: counts.recall for name, counts in pixels.items()},
    )


def _mean(values: Iterable[float | None]) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else 0.0
