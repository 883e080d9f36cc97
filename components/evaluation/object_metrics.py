"""Object recall: of how many labelled objects is enough hidden."""

from __future__ import annotations

from dataclasses import dataclass

from components.dataset.labels import LabelledImage
from components.detections import CLASS_NAMES, Boxes, pixel_boxes, pixel_mask

MIN_COVERED_SHARE = 0.75  # of a labelled box's pixels, from which the object counts as hidden


@dataclass(frozen=True, slots=True)
class ObjectCounts:
    """Objects of one or many images, and how many of them are hidden."""

    labelled: int = 0
    hidden: int = 0

    def __add__(self, other: ObjectCounts) -> ObjectCounts:
        return ObjectCounts(self.labelled + other.labelled, self.hidden + other.hidden)

    @property
    def recall(self) -> float | None:
        """Object recall: hidden ÷ labelled; None if nothing is labelled."""
        return self.hidden / self.labelled if self.labelled else None


def count_objects(
    image: LabelledImage, areas: Boxes, class_name: str, min_covered_share: float = MIN_COVERED_SHARE
) -> ObjectCounts:
    """Count one image.

    Args:
        image: the truth.
        areas: [n, 4] xyxy px, everything that was hidden, of whatever class.
        class_name: whose objects are counted.
        min_covered_share: the share of an object's pixels that must be hidden by the union of all areas.
    """
    hidden = pixel_mask(areas, image.width, image.height)
    objects = image.objects.of_class(CLASS_NAMES.index(class_name))
    boxes = pixel_boxes(objects.xyxy, image.width, image.height)
    covered = sum(hidden[y1:y2, x1:x2].mean() >= min_covered_share for x1, y1, x2, y2 in boxes)
    return ObjectCounts(len(boxes), int(covered))
