"""The worst misses, the worst false blurs, and pictures to look at before and after: which ones, not how they look."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from components.dataset.labels import LabelledImage
from components.detection.region_rules import Outcome, areas_to_hide, decide
from components.detections import CLASS_NAMES, Detections, dilate, pixel_boxes, pixel_mask
from components.evaluation.curves import STEPS, confidence_map, hiding_levels
from components.evaluation.object_metrics import MIN_COVERED_SHARE
from components.evaluation.object_table import hidden_areas
from components.evaluation.pixel_metrics import ON_TARGET_GROWTH
from components.settings import Region

Box = tuple[float, float, float, float]  # xyxy, px
_FALSE_SHARE = 0.5  # of an area, from which it is shown as a false one


@dataclass(frozen=True, slots=True)
class Miss:
    """A labelled object that stays visible.

    Attributes:
        path: of its picture.
        class_name: what it is.
        box: where it is.
        short_px: its shorter side.
        covered_share: of its pixels, hidden all the same.
        confidence: the threshold at which enough of it would be hidden; 0 if none does.
    """

    path: str
    class_name: str
    box: Box
    short_px: float
    covered_share: float
    confidence: float


@dataclass(frozen=True, slots=True)
class FalseBlur:
    """An area that is hidden and has no face and no plate in it.

    Attributes:
        path: of its picture.
        class_name: what the model took it for.
        box: the area, dilation included.
        confidence: how sure the model was.
        px: its pixels beyond every label grown by a quarter.
        picture_share: the same, of all pixels of the picture.
    """

    path: str
    class_name: str
    box: Box
    confidence: float
    px: int
    picture_share: float


def misses(images: Sequence[LabelledImage], seen: Mapping[str, Detections], region: Region) -> list[Miss]:
    """Every labelled object of which less than 75 % is hidden, in the order of the pictures."""
    return [miss for image in images for miss in _missed_in(image, seen[image.path], region)]


def _missed_in(image: LabelledImage, found: Detections, region: Region) -> list[Miss]:
    size = image.width, image.height
    hidden = pixel_mask(hidden_areas(found, region, image), *size)
    told: NDArray[np.int16] | None = None
    missed = []
    for box, class_id in zip(image.objects.xyxy, image.objects.class_id, strict=True):
        for x1, y1, x2, y2 in pixel_boxes(box[None], *size):
            share = float(hidden[y1:y2, x1:x2].mean())
            if share < MIN_COVERED_SHARE:
                told = confidence_map(found, region, *size) if told is None else told
                level = int(hiding_levels(told, box[None])[0])
                short_px = float(min(box[2] - box[0], box[3] - box[1]))
                missed.append(Miss(image.path, CLASS_NAMES[class_id], as_box(box), short_px, share, level / STEPS))
    return missed


def largest(missed: Iterable[Miss], count: int) -> list[Miss]:
    """The largest ones, which are the easiest to recognise."""
    return sorted(missed, key=lambda miss: (-miss.short_px, miss.path, miss.box))[:count]


def least_sure(missed: Iterable[Miss], count: int) -> list[Miss]:
    """Those that no sensible threshold would have hidden; among equals the largest."""
    return sorted(missed, key=lambda miss: (miss.confidence, -miss.short_px, miss.path, miss.box))[:count]


def worst_misses(missed: Sequence[Miss], count: int) -> tuple[list[Miss], list[Miss]]:
    """For each class, the largest ones and, of the others, the least sure ones; count of each."""
    first: list[Miss] = []
    second: list[Miss] = []
    for name in CLASS_NAMES:
        own = [miss for miss in missed if miss.class_name == name]
        large = largest(own, count)
        first += large
        second += least_sure([miss for miss in own if miss not in large], count)
    return first, second


def worst_false_blurs(
    images: Sequence[LabelledImage], seen: Mapping[str, Detections], region: Region, count: int
) -> list[FalseBlur]:
    """The false areas that take most of their pictures away, at most one of each; the labels there are complete."""
    worst = []
    for image in images:
        if image.exhaustive >= set(CLASS_NAMES):
            worst += sorted(false_blurs(image, seen[image.path], region), key=_by_share)[:1]
    return sorted(worst, key=_by_share)[:count]


def _by_share(blur: FalseBlur) -> tuple[float, str]:
    return -blur.picture_share, blur.path


def false_blurs(image: LabelledImage, found: Detections, region: Region) -> list[FalseBlur]:
    """The areas of a completely labelled picture that lie mostly on nothing."""
    size = image.width, image.height
    known = pixel_mask(np.concatenate([dilate(image.objects.xyxy, ON_TARGET_GROWTH), image.ignored]), *size)
    false = []
    chosen = found.select([outcome is Outcome.BLURRED for outcome in decide(found, region)])
    for i in range(len(chosen)):
        for x1, y1, x2, y2 in areas_to_hide(chosen.select([i]), region, *size):
            off_target = ~known[y1:y2, x1:x2]
            if off_target.mean() >= _FALSE_SHARE:
                name, sure = CLASS_NAMES[chosen.class_id[i]], float(chosen.confidence[i])
                px = int(off_target.sum())
                false.append(FalseBlur(image.path, name, as_box((x1, y1, x2, y2)), sure, px, px / (size[0] * size[1])))
    return false


def to_compare(images: Sequence[LabelledImage], count: int) -> list[LabelledImage]:
    """Completely labelled pictures with the most objects, from one source after the other."""
    able = [image for image in images if image.exhaustive >= set(CLASS_NAMES) and len(image.objects)]
    able.sort(key=lambda image: (-len(image.objects), image.path))
    by_source: dict[str, list[LabelledImage]] = {}
    for image in able:
        by_source.setdefault(image.source, []).append(image)
    turns = zip_longest(*by_source.values())
    return [image for turn in turns for image in turn if image is not None][:count]


def as_box(sides: Iterable[float]) -> Box:
    """Four sides as plain numbers."""
    x1, y1, x2, y2 = (float(side) for side in sides)
    return x1, y1, x2, y2
