"""The pictures of a report: the worst misses, the worst false blurs, and some before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from components.dataset.labels import LabelledImage
from components.evaluation.object_table import hidden_areas
from components.evaluation.report.examples import (
    Box,
    FalseBlur,
    Miss,
    as_box,
    false_blurs,
    misses,
    to_compare,
    worst_false_blurs,
    worst_misses,
)
from components.evaluation.report.pictures import Shown, cut_out, hidden_pixels, taken_for_objects, window
from components.evaluation.sightings import Sightings
from components.settings import Params, Region

_MISSES, _FALSE_BLURS, _PAIRS = 4, 8, 4  # misses: of each class and kind
_PAIR_SCALE = 1.5


@dataclass(frozen=True, slots=True)
class MissPicture:
    """A missed object, hidden and outlined."""

    miss: Miss
    shown: Shown


@dataclass(frozen=True, slots=True)
class FalseBlurPicture:
    """A false blur in its surroundings."""

    blur: FalseBlur
    shown: Shown


@dataclass(frozen=True, slots=True)
class Pair:
    """One picture before and after.

    Attributes:
        path: of the picture.
        objects, missed: how many are labelled, and how many of these stay visible.
        before: with what is labelled.
        after: with what the model hides, and with what it misses.
    """

    path: str
    objects: int
    missed: int
    before: Shown
    after: Shown


@dataclass(frozen=True, slots=True)
class Gallery:
    """All pictures of a report.

    Attributes:
        missed: how many objects are missed in all.
        largest, least_sure: the worst of them.
        false_blurs: the worst ones.
        pairs: before and after.
    """

    missed: int
    largest: tuple[MissPicture, ...]
    least_sure: tuple[MissPicture, ...]
    false_blurs: tuple[FalseBlurPicture, ...]
    pairs: tuple[Pair, ...]


def gallery(seen: Sequence[Sightings], truth: Sequence[LabelledImage], params: Params, region: Region) -> Gallery:
    """Pick and draw the pictures of a model.

    Args:
        seen: what the model found, and what others found beside it.
        truth: the labelled pictures.
        params: when a proposal is one, and bounds on what is decoded.
        region: whose rules apply.
    """
    images = {image.path: image for image in truth}
    missed = misses(truth, seen[0], region)
    large, unsure = worst_misses(missed, _MISSES)
    blurs = worst_false_blurs(truth, seen[0], region, _FALSE_BLURS)

    def shown(path: str, box: Box, kind: str) -> Shown:
        return _in_surroundings(images[path], box, kind, seen, params, region)

    return Gallery(
        len(missed),
        tuple(MissPicture(miss, shown(miss.path, miss.box, "missed")) for miss in large),
        tuple(MissPicture(miss, shown(miss.path, miss.box, "missed")) for miss in unsure),
        tuple(FalseBlurPicture(blur, shown(blur.path, blur.box, "false")) for blur in blurs),
        tuple(_pair(image, seen, params, region) for image in to_compare(truth, _PAIRS)),
    )


def _in_surroundings(
    image: LabelledImage, box: Box, kind: str, seen: Sequence[Sightings], params: Params, region: Region
) -> Shown:
    """One place; all that any model so much as proposes is hidden around it."""
    found = [one[image.path] for one in seen]
    areas = hidden_areas(found[0], region, image)
    others = np.concatenate([areas, taken_for_objects(found, params.detection.proposal_threshold)])
    pixels = hidden_pixels(image, others, region, params.reading)
    return cut_out(pixels, window(box, pixels.shape[1], pixels.shape[0]), [(kind, box)])


def _pair(image: LabelledImage, seen: Sequence[Sightings], params: Params, region: Region) -> Pair:
    """Before: what people labelled is hidden. What a model is sure of is hidden too: a label may be lacking."""
    found = [one[image.path] for one in seen]
    sure_from = params.detection.safety_check.sure_from
    sure = taken_for_objects(found, min(sure_from.face, sure_from.license_plate))
    areas = hidden_areas(found[0], region, image)
    missed = misses([image], {image.path: found[0]}, region)
    whole = (0, 0, image.width, image.height)
    before = hidden_pixels(image, sure, region, params.reading)
    after = hidden_pixels(image, np.concatenate([areas, sure]), region, params.reading)
    labelled = [("labelled", as_box(box)) for box in image.objects.xyxy]
    blurs = [("false", blur.box) for blur in false_blurs(image, found[0], region)]
    told = [*blurs, *(("missed", miss.box) for miss in missed)]
    return Pair(
        image.path,
        len(image.objects),
        len(missed),
        cut_out(before, whole, labelled, _PAIR_SCALE),
        cut_out(after, whole, told, _PAIR_SCALE),
    )
