"""Suppression of duplicates that never shrinks what is covered.

Ordinary non-maximum suppression throws boxes away, and with them whatever only they covered. Here a box that would
have been blurred widens the stronger one that absorbs it: everything that would have been covered stays covered.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from components.detections import Boxes, Detections, Mask, areas, hull, intersections, iou


def merge_duplicates(
    found: Detections, min_iou: float, counts: Mask, turn_px: float | None = None, cut: Mask | None = None
) -> Detections:
    """One detection for each object, per class, strongest first.

    Greedy as ordinary suppression (Neubeck and Van Gool 2006), but a detection's box becomes the hull of itself and of
    those it absorbs that count.

    Args:
        found: detections, possibly several of one object.
        min_iou: from which overlap with the strongest one two boxes are one object.
        counts: bool [n], the rows whose coverage must not be lost.
        turn_px: the width after which a panorama begins anew; boxes that many px apart are at the same place.
        cut: bool [n], the rows that may show a part of their object only. The overlap asked of these is with
            their own area alone; none if left out.
    """
    order = np.argsort(-found.confidence, kind="stable")
    found, counts = found.select(order), counts[order]
    cut = None if cut is None else cut[order]
    leaders: list[int] = []
    boxes: list[Boxes] = []
    left = np.arange(len(found))
    while len(left):
        leader, rest = left[0], left[1:]
        box, others = found.xyxy[leader][None], found.xyxy[rest]
        if turn_px:
            others = _nearest(others, box, turn_px)
        same_class = found.class_id[rest] == found.class_id[leader]
        same_place = iou(box, others)[0] >= min_iou
        if cut is not None:
            same_place |= cut[rest] & (_shares(others, box) >= min_iou)
        absorbed = same_class & same_place
        widened_by = others[absorbed & counts[rest]]
        boxes.append(hull(np.concatenate([box, widened_by])) if len(widened_by) else box)
        leaders.append(int(leader))
        left = rest[~absorbed]
    if not leaders:
        return found
    return found.select(np.array(leaders)).with_boxes(np.concatenate(boxes))


def _nearest(xyxy: Boxes, box: Boxes, turn_px: float) -> Boxes:
    """Boxes moved by whole turns until their middles are within half a turn of the given one's."""
    turns = np.round((box[:, [0, 2]].sum(axis=1) - xyxy[:, [0, 2]].sum(axis=1)) / (2 * turn_px))
    return xyxy + (turns[:, None] * np.array([turn_px, 0, turn_px, 0])).astype(np.float32)


def _shares(xyxy: Boxes, box: Boxes) -> NDArray[np.float32]:
    """The share of each box's own area that lies in the given one [n]; 0 where it is empty."""
    own = areas(xyxy)
    return np.divide(intersections(xyxy, box)[:, 0], own, out=np.zeros_like(own), where=own > 0)
