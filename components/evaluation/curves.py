"""What every threshold would do: recall and false positives from one pass over the pictures.

For each pixel, the confidence of the surest proposal that would hide it; at a threshold, hidden is what reaches it. So
one map a picture holds all thresholds at once, and a curve is a count of pixels by confidence. An object is hidden
from the confidence on that enough of its pixels reach.

Each class has its own curve, from its own proposals alone, so that its threshold can be chosen by itself. A face that
only a plate's area happens to cover is missed here, which it is not in `detector_metrics`: curves err to the safe side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.dataset.labels import LabelledImage
from components.detection.region_rules import Outcome, areas_to_hide, decide
from components.detections import CLASS_NAMES, Boxes, Detections, Mask, dilate, pixel_boxes, pixel_mask
from components.evaluation.object_metrics import MIN_COVERED_SHARE
from components.evaluation.object_table import with_threshold
from components.evaluation.pixel_metrics import ON_TARGET_GROWTH
from components.settings import Region

STEPS = 1000  # confidences are told apart to a thousandth, and cut, never raised

Map = NDArray[np.int16]  # [height, width], thousandths of confidence from 1 on; 0 where nothing was proposed
Counts = NDArray[np.int64]  # [STEPS + 1], by thousandths


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """One class's pixels and objects by the confidence that hides them, in thousandths; each [STEPS + 1], 0: never.

    Attributes:
        labelled: pixels in labelled boxes.
        objects: labelled objects.
        background: pixels in no label of any class, where every object is labelled.
        off_target: of these, outside of every label grown by a quarter.
        visible: all pixels there that are not ignored.
        true, false: proposals by their own confidence, on a label and on none, where every object of the class is.
        images: the number of pictures.
    """

    labelled: Counts
    objects: Counts
    background: Counts
    off_target: Counts
    visible: Counts
    true: Counts
    false: Counts
    images: int

    def __add__(self, other: Curve) -> Curve:
        return Curve(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))


def confidence_map(found: Detections, region: Region, width: int, height: int) -> Map:
    """The confidence of the surest proposal that would hide each pixel, dilation included.

    Args:
        found: proposals; every one of them hides, at the right threshold.
        region: whose dilation applies.
        width, height: of the picture, px.
    """
    told = np.zeros((height, width), np.int16)
    order = np.argsort(found.confidence, kind="stable")
    for i, level in zip(order, levels(found.confidence[order]), strict=True):
        for x1, y1, x2, y2 in areas_to_hide(found.select([i]), region, width, height):
            told[y1:y2, x1:x2] = level  # the surest comes last
    return told


def _hideable(found: Detections, region: Region) -> Detections:
    """Those that some threshold would hide: of a class and size that the region hides."""
    whole = with_threshold(region, dict.fromkeys(CLASS_NAMES, 0.0))
    return found.select(np.array([outcome is Outcome.BLURRED for outcome in decide(found, whole)], bool))


def levels(confidence: NDArray) -> NDArray[np.int16]:
    """Confidences in thousandths, cut; at least 1, since 0 is for what nobody has proposed."""
    # 0.9 is a little less in 32 bits.
    return np.clip(np.floor(np.asarray(confidence, float) * STEPS + 1e-3), 1, STEPS).astype(np.int16)


def curve(images: Sequence[LabelledImage], seen: Mapping[str, Detections], region: Region, name: str) -> Curve:
    """Count all pixels and objects of a labelled set by the confidence that hides them.

    Args:
        images: the truth.
        seen: what the model finds in each picture, by its path.
        region: whose classes, sizes and dilation apply.
        name: the class.
    """
    none = _counted(np.zeros(0, np.int16))
    total = Curve(none, none, none, none, none, none, none, 0)
    for image in images:
        found = seen[image.path].of_class(CLASS_NAMES.index(name))
        total += _of_image(image, _hideable(found, region), region, name)
    return total


def _of_image(image: LabelledImage, found: Detections, region: Region, name: str) -> Curve:
    size = image.width, image.height
    told = confidence_map(found, region, *size)
    boxes = image.objects.of_class(CLASS_NAMES.index(name)).xyxy
    ignored = pixel_mask(image.ignored, *size)
    if not image.exhaustive >= set(CLASS_NAMES):
        ignored[:] = True  # nobody knows what is background there
    true, false = _on_labels(found, image) if name in image.exhaustive else (found.confidence[:0],) * 2
    return Curve(
        labelled=_counted(told[pixel_mask(boxes, *size)]),
        objects=_counted(hiding_levels(told, boxes)),
        background=_counted(told[~pixel_mask(image.objects.xyxy, *size) & ~ignored]),
        off_target=_counted(told[~pixel_mask(dilate(image.objects.xyxy, ON_TARGET_GROWTH), *size) & ~ignored]),
        visible=_counted(told[~ignored]),
        true=_counted(levels(true)),
        false=_counted(levels(false)),
        images=1,
    )


def hiding_levels(told: Map, boxes: NDArray, min_covered_share: float = MIN_COVERED_SHARE) -> Map:
    """The highest level at which a share of each box's pixels is hidden, 0 if none; boxes [n, 4] px, levels [n]."""
    height, width = told.shape
    hidden = []
    for x1, y1, x2, y2 in pixel_boxes(boxes, width, height):
        ranked = np.sort(told[y1:y2, x1:x2], axis=None)[::-1]
        needed = int(np.ceil(min_covered_share * ranked.size - 1e-9))
        hidden.append(ranked[needed - 1])
    return np.array(hidden, np.int16)


def _on_labels(found: Detections, image: LabelledImage) -> tuple[NDArray, NDArray]:
    """The confidences of proposals whose middle lies in a label, and of those on no label and nothing ignored."""
    middles = (found.xyxy[:, None, :2] + found.xyxy[:, None, 2:]) / 2

    def inside(boxes: Boxes) -> Mask:
        within: Mask = (middles >= boxes[None, :, :2]) & (middles < boxes[None, :, 2:])
        return np.any(np.all(within, axis=2), axis=1)

    on_label = inside(image.objects.xyxy)
    return found.confidence[on_label], found.confidence[~on_label & ~inside(image.ignored)]


def _counted(level: NDArray[np.int16]) -> Counts:
    return np.bincount(level.ravel(), minlength=STEPS + 1).astype(np.int64)


def table(told: Curve) -> pd.DataFrame:
    """A class's figures at every threshold.

    Returns:
        Rows by threshold from 0.001 to 1: object_recall, pixel_recall, pixel_fpr, false_blur_share, precision (the
        share of proposals that lie on a label), misses_per_1000_images. NaN where nothing can tell.
    """
    reach = {field.name: _reaching(getattr(told, field.name)) for field in fields(told) if field.name != "images"}
    objects, labelled, background = reach["objects"], reach["labelled"], reach["background"]
    with np.errstate(invalid="ignore", divide="ignore"):
        rows = pd.DataFrame(
            {
                "threshold": np.arange(STEPS + 1) / STEPS,
                "object_recall": objects / objects[0],
                "pixel_recall": labelled / labelled[0],
                "pixel_fpr": background / background[0],
                "false_blur_share": reach["off_target"] / reach["visible"],
                "precision": reach["true"] / (reach["true"] + reach["false"]),
                "misses_per_1000_images": 1000 * (objects[0] - objects) / told.images,
            }
        )
    return rows.iloc[1:].reset_index(drop=True)


def _reaching(counts: Counts) -> NDArray[np.float64]:
    """Of counts by level, how many reach each."""
    return np.cumsum(counts[::-1])[::-1].astype(float)


def operating_threshold(rows: pd.DataFrame, target: float, figure: str = "pixel_recall") -> float | None:
    """The highest threshold that reaches a recall: there the pixel FPR is lowest. None if no threshold does.

    Args:
        rows: from `table`.
        target: the recall that must be reached.
        figure: which recall, pixel_recall or object_recall.
    """
    able = rows[rows[figure] >= target]
    return float(able["threshold"].max()) if len(able) else None
