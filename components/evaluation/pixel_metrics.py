"""Pixel recall, pixel false-positive rate and false-blur share, as sums that can be added over images.

All are taken over the union of the areas as they were really hidden. Counting them again with areas without dilation
shows how much of a recall was bought by large boxes.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from components.dataset.labels import LabelledImage
from components.detections import CLASS_NAMES, Boxes, dilate, pixel_mask

ON_TARGET_GROWTH = 0.25  # a blur may reach so far beyond a labelled box (share of its sides) before it counts as false


@dataclass(frozen=True, slots=True)
class PixelCounts:
    """Pixels of one or many images.

    Attributes:
        labelled: in labelled boxes.
        covered: of these, hidden.
        background: in no labelled box of any class and not ignored; only where every object is labelled.
        background_hidden: of these, hidden.
        hidden: hidden and not ignored; only where every object is labelled.
        hidden_off_target: of these, outside every labelled box grown by 25 % on each side.
    """

    labelled: int = 0
    covered: int = 0
    background: int = 0
    background_hidden: int = 0
    hidden: int = 0
    hidden_off_target: int = 0

    def __add__(self, other: PixelCounts) -> PixelCounts:
        return PixelCounts(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    @property
    def recall(self) -> float | None:
        """Pixel recall: covered ÷ labelled; None if nothing is labelled."""
        return self.covered / self.labelled if self.labelled else None

    @property
    def false_positive_rate(self) -> float | None:
        """Pixel FPR: hidden background ÷ background; None if no image can tell."""
        return self.background_hidden / self.background if self.background else None

    @property
    def false_blur_share(self) -> float | None:
        """Hidden off target ÷ hidden; None if nothing was hidden, or no image can tell."""
        return self.hidden_off_target / self.hidden if self.hidden else None


def count_pixels(image: LabelledImage, areas: Boxes, class_name: str | None = None) -> PixelCounts:
    """Count one image.

    Args:
        image: the truth.
        areas: [n, 4] xyxy px, everything that was hidden, of whatever class: who is hidden is hidden.
        class_name: whose recall is counted; None counts both classes.
    """
    size = image.width, image.height
    hidden, ignored = pixel_mask(areas, *size), pixel_mask(image.ignored, *size)
    objects = image.objects if class_name is None else image.objects.of_class(CLASS_NAMES.index(class_name))
    labelled = pixel_mask(objects.xyxy, *size)
    counts = PixelCounts(labelled=_count(labelled), covered=_count(labelled & hidden))
    if not image.exhaustive >= set(CLASS_NAMES):
        return counts
    background = ~pixel_mask(image.objects.xyxy, *size) & ~ignored
    on_target = pixel_mask(dilate(image.objects.xyxy, ON_TARGET_GROWTH), *size)
    return counts + PixelCounts(
        background=_count(background),
        background_hidden=_count(background & hidden),
        hidden=_count(hidden & ~ignored),
        hidden_off_target=_count(hidden & ~ignored & ~on_target),
    )


def _count(mask: np.ndarray) -> int:
    return int(np.count_nonzero(mask))
