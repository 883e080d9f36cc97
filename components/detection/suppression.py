"""Suppression of duplicates that never shrinks what is covered.

Ordinary non-maximum suppression throws boxes away, and with them whatever only they covered. Here a box that would
have been blurred widens the stronger one that absorbs it: everything that would have been covered stays covered.
"""

from __future__ import annotations

import numpy as np

from components.detections import Boxes, Detections, Mask, hull, iou


def merge_duplicates(found: Detections, min_iou: float, counts: Mask) -> Detections:
    """One detection for each object, per class, strongest first.

    Greedy as ordinary suppression (Neubeck and Van Gool 2006), but a detection's box becomes the hull of itself and of
    those it absorbs that count.

    Args:
        found: detections, possibly several of one object.
        min_iou: from which overlap with the strongest one two boxes are one object.
        counts: bool [n], the rows whose coverage must not be lost.
    """
    order = np.argsort(-found.confidence, kind="stable")
    found, counts = found.select(order), counts[order]
    leaders: list[int] = []
    boxes: list[Boxes] = []
    left = np.arange(len(found))
    while len(left):
        leader, rest = left[0], left[1:]
        same_class = found.class_id[rest] == found.class_id[leader]
        absorbed = same_class & (iou(found.xyxy[leader][None], found.xyxy[rest])[0] >= min_iou)
        members = rest[absorbed]
        boxes.append(hull(found.xyxy[np.append(members[counts[members]], leader)]))
        leaders.append(int(leader))
        left = rest[~absorbed]
    if not leaders:
        return found
    return found.select(np.array(leaders)).with_boxes(np.concatenate(boxes))
