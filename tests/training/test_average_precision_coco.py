"""Average precision is what pycocotools counts, but for how a curve is read between its points."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from components.dataset.labels import LabelledImage
from components.detections import CLASS_NAMES, Detections
from components.training.yolo.average_precision import average_precision

BOTH = frozenset(CLASS_NAMES)
NOTHING = np.zeros((0, 4), np.float32)
Pair = tuple[LabelledImage, Detections]
# COCO reads the precision at 101 recalls from the next point to the right; ultralytics joins the points by lines and
# takes the area under them. A fall of the precision is a step in one and a slope over at most 0.01 of recall in the
# other; all falls together are at most 1.
_BETWEEN_POINTS = 0.015


@st.composite
def pairs(draw: st.DrawFn) -> list[Pair]:
    """One to three pictures with objects of both classes on a grid, and detections near them, with no equal ones."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    told = []
    sure = iter(rng.permutation(1000) / 1000 + 0.0005)
    for i in range(draw(st.integers(1, 3))):
        low = rng.integers(0, 6, (int(rng.integers(0, 6)), 2)) * 30.0
        boxes = np.hstack([low, low + rng.integers(12, 28, low.shape)]).reshape(-1, 4)
        classes = rng.integers(0, 2, len(boxes))
        near = np.repeat(boxes, 2, axis=0) + rng.uniform(-6, 6, (2 * len(boxes), 4))
        false = rng.uniform(0, 150, (int(rng.integers(0, 4)), 2))
        found = np.concatenate([near[rng.random(len(near)) < 0.7], np.hstack([false, false + 20])])
        confidence = [next(sure) for _ in found]
        image = LabelledImage(str(i), 200, 200, "", Detections.of(boxes, 1.0, classes), NOTHING, BOTH)
        told.append((image, Detections.of(found, confidence, rng.integers(0, 2, len(found)))))
    return told


def by_coco(told: list[Pair]) -> tuple[float, float, dict[int, float]]:
    """Mean AP and mean recall at an IoU of 0.5 over the classes that are labelled, and the AP of each, by COCOeval."""
    labels, found = [], []
    for i, (image, said) in enumerate(told):
        for box, k in zip(image.objects.xyxy.tolist(), image.objects.class_id.tolist(), strict=True):
            labels.append({**_coco(i, box, k), "id": len(labels) + 1, "iscrowd": 0})
        for box, k, p in zip(said.xyxy.tolist(), said.class_id.tolist(), said.confidence.tolist(), strict=True):
            found.append({**_coco(i, box, k), "score": p})
    truth = COCO()
    truth.dataset = {
        "images": [{"id": i} for i in range(len(told))],
        "annotations": labels,
        "categories": [{"id": k} for k in range(len(CLASS_NAMES))],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        counted = COCOeval(truth, truth.loadRes(found), "bbox")
        counted.params.iouThrs = np.array([0.5])
        counted.params.areaRng, counted.params.areaRngLbl = [[0, 1e10]], ["all"]
        counted.params.maxDets = [1000]
        counted.evaluate()
        counted.accumulate()
    labelled = sorted({label["category_id"] for label in labels})
    recall = counted.eval["recall"][0, labelled, 0, 0]
    each = {k: float(counted.eval["precision"][0, :, k, 0, 0].mean()) for k in labelled}
    return float(np.mean(list(each.values()))), float(recall.mean()), each


def _coco(image: int, box: list[float], class_id: int) -> dict[str, object]:
    x1, y1, x2, y2 = box
    size = x2 - x1, y2 - y1
    return {"image_id": image, "category_id": class_id, "bbox": [x1, y1, *size], "area": size[0] * size[1]}


@settings(max_examples=200, deadline=None)
@given(pairs())
def test_200_random_cases_are_as_pycocotools_counts_them(told: list[Pair]) -> None:
    """Recall over all detections is exactly COCO's, so every match is; AP differs by the reading between points."""
    if not any(len(image.objects) for image, _ in told) or not any(len(said) for _, said in told):
        return
    own = average_precision(told, 0.0)
    mean, recall, _ = by_coco(told)
    assert own.recall == pytest.approx(recall)
    assert own.map50 == pytest.approx(mean, abs=_BETWEEN_POINTS)


def test_the_difference_between_the_two_readings() -> None:
    """One of two faces is found: COCO reads 51 of 101 recalls at 1, ultralytics an area of one half and a slope."""
    boxes = [[0.0, 0.0, 20.0, 20.0], [50.0, 0.0, 70.0, 20.0]]
    image = LabelledImage("a", 200, 200, "", Detections.of(boxes, 1.0, 0), NOTHING, BOTH)
    told = [(image, Detections.of(boxes[:1], 0.9, 0))]
    assert by_coco(told)[0] == pytest.approx(51 / 101)
    assert average_precision(told, 0.1).map50 == pytest.approx(0.5, abs=0.006)
