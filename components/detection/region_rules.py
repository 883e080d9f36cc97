"""What a region's rules make of proposals: which are blurred, why the others are not, and which pixels that hides."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from components.detection.panorama import pixel_boxes_around
from components.detections import CLASS_NAMES, Detections, Mask, dilate, heights, pixel_boxes, widths
from components.settings import Region


class Outcome(StrEnum):
    """What became of a proposal."""

    BLURRED = "blurred"
    BELOW_THRESHOLD = "below_threshold"
    TOO_SMALL = "too_small"
    DEPICTED = "depicted"
    OTHER_CLASS = "other_class"
    EXEMPT = "exempt"  # a person has decided that it stays


def decide(proposals: Detections, region: Region) -> list[Outcome]:
    """The outcome of every proposal, in order."""
    shorter_px = np.minimum(widths(proposals.xyxy), heights(proposals.xyxy))
    too_small = shorter_px < _per_class(proposals, region, "min_px")
    depicted = shorter_px >= _per_class(proposals, region, "depicted_from_px")
    strong = proposals.confidence >= thresholds(proposals, region)
    outcomes = np.select(
        [~_is_hidden_class(proposals, region), ~strong, too_small, depicted],
        [Outcome.OTHER_CLASS, Outcome.BELOW_THRESHOLD, Outcome.TOO_SMALL, Outcome.DEPICTED],
        Outcome.BLURRED,
    )
    return [Outcome(outcome) for outcome in outcomes]


def reaches_threshold(proposals: Detections, region: Region) -> Mask:
    """Which proposals the region blurred, were size no matter; bool [n]."""
    strong = proposals.confidence >= thresholds(proposals, region)
    return strong & _is_hidden_class(proposals, region)


def thresholds(proposals: Detections, region: Region) -> NDArray[np.float32]:
    """The confidence from which each proposal is blurred; float32 [n]."""
    return _per_class(proposals, region, "threshold")


def _is_hidden_class(proposals: Detections, region: Region) -> Mask:
    return np.array([name in region.classes for name in CLASS_NAMES])[proposals.class_id]


def areas_to_hide(
    blurred: Detections, region: Region, width: int, height: int, wraps: bool = False
) -> NDArray[np.int32]:
    """The whole-pixel areas [m, 4] that hide the given objects, dilation included, cut at the border.

    Args:
        blurred: the objects.
        region: whose dilation applies.
        width: of the picture, px.
        height: of the picture, px.
        wraps: it is a panorama: what reaches over the left or right border goes on at the other one.
    """
    dilated = dilate(blurred.xyxy, _per_class(blurred, region, "dilation"))
    return (pixel_boxes_around if wraps else pixel_boxes)(dilated, width, height)


def _per_class(proposals: Detections, region: Region, key: str) -> NDArray[np.float32]:
    """The rule's number for each proposal; what a rule leaves out is never reached."""
    told = (getattr(region.rule(name), key) for name in CLASS_NAMES)
    values = np.array([np.inf if value is None else value for value in told], np.float32)
    return values[proposals.class_id]
