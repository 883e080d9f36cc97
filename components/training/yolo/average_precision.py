"""Precision, recall and average precision as everybody reports them, by ultralytics' own calculation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from ultralytics.utils.metrics import ap_per_class

from components.dataset.labels import LabelledImage
from components.detections import CLASS_NAMES, Detections, intersections, iou

_MATCH_IOU = 0.5
_IGNORED_SHARE = 0.5  # of a detection that lies in an ignored box: it counts neither way


@dataclass(frozen=True, slots=True)
class Precision:
    """Object-level figures; means over the classes that are labelled.

    Attributes:
        precision, recall, f1: at the given threshold, matches from an IoU of 0.5 on.
        map50: mean average precision at an IoU of 0.5, over all confidences.
    """

    precision: float
    recall: float
    f1: float
    map50: float


def average_precision(pairs: Sequence[tuple[LabelledImage, Detections]], threshold: float) -> Precision:
    """The figures of detections against labels; on each picture only classes that are labelled completely count."""
    hits, confidence, found_class, true_class = [], [], [], []
    for truth, found in pairs:
        for class_id, name in enumerate(CLASS_NAMES):
            if name not in truth.exhaustive:
                continue
            own, objects = _counted(found.of_class(class_id), truth), truth.objects.of_class(class_id)
            hits.append(_matched(own, objects))
            confidence.append(own.confidence)
            found_class.append(own.class_id)
            true_class.append(objects.class_id)
    if not hits:
        return Precision(0.0, 0.0, 0.0, 0.0)
    hit, sure = np.concatenate(hits), np.concatenate(confidence)
    of, true = np.concatenate(found_class), np.concatenate(true_class)
    ap = ap_per_class(hit[:, None], sure, of, true)[5] if len(sure) and len(true) else np.zeros((1, 1))
    rows = []
    for class_id in np.unique(true):
        strong = (of == class_id) & (sure >= threshold)
        right = int((hit & strong).sum())
        rows.append((right / max(1, int(strong.sum())), right / int((true == class_id).sum())))
    precision, recall = (float(np.mean([row[i] for row in rows])) if rows else 0.0 for i in (0, 1))
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return Precision(precision, recall, f1, float(np.mean(ap)))


def _counted(found: Detections, truth: LabelledImage) -> Detections:
    if not len(found) or not len(truth.ignored):
        return found
    own = np.maximum((found.xyxy[:, 2:] - found.xyxy[:, :2]).prod(axis=1), 1e-6)
    ignored = (intersections(found.xyxy, truth.ignored) / own[:, None] >= _IGNORED_SHARE).any(axis=1)
    objects = truth.objects.of_class(int(found.class_id[0]))
    is_object = (iou(found.xyxy, objects.xyxy) >= _MATCH_IOU).any(axis=1)
    return found.select(~ignored | is_object)


def _matched(found: Detections, objects: Detections) -> NDArray[np.bool_]:
    """Which detections are the first, in the order of confidence, on an object that none before them was on."""
    hit = np.zeros(len(found), bool)
    overlap = iou(found.xyxy, objects.xyxy)
    free = np.ones(len(objects), bool)
    for row in np.argsort(-found.confidence, kind="stable"):
        best = np.where(free, overlap[row], 0)
        if len(best) and best.max() >= _MATCH_IOU:
            hit[row] = True
            free[int(best.argmax())] = False
    return hit
