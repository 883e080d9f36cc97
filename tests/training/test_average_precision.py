"""Average precision is what counting matches by hand, in plain Python, gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from components.dataset.labels import LabelledImage
from components.detections import CLASS_NAMES, FACE, LICENSE_PLATE, Detections
from components.training.yolo.average_precision import Precision, average_precision

PX = 200
A, B, C = [10, 10, 30, 30], [60, 10, 80, 30], [110, 10, 130, 30]
FAR = [100, 100, 140, 140]
Pair = tuple[LabelledImage, Detections]


def truth(boxes: list[list[float]], class_id: Any = FACE, ignored: list[list[float]] | None = None,
          exhaustive: tuple[str, ...] = CLASS_NAMES) -> LabelledImage:  # fmt: skip
    """A picture's labels."""
    places = np.array(ignored or [], np.float32).reshape(-1, 4)
    return LabelledImage("a", PX, PX, "", Detections.of(boxes, 1.0, class_id), places, frozenset(exhaustive))


def found(boxes: list[list[float]], confidence: Any, class_id: Any = FACE) -> Detections:
    """What a model finds."""
    return Detections.of(boxes, confidence, class_id)


def test_by_hand() -> None:
    """Three faces, four detections: hits of 0.9 and 0.6, false ones of 0.8 and 0.2, one face not found."""
    told = average_precision([(truth([A, B, C]), found([A, FAR, B, FAR], [0.9, 0.8, 0.6, 0.2]))], 0.5)
    assert told.precision == pytest.approx(2 / 3)
    assert told.recall == pytest.approx(2 / 3)
    assert told.f1 == pytest.approx(2 / 3)
    # Precision is 1 up to a recall of 1/3 and 2/3 up to 2/3; between the curve's points it falls in straight lines.
    envelope = np.interp(np.linspace(0, 1, 101), [0, 1 / 3, 1 / 3, 2 / 3, 2 / 3, 1], [1, 1, 2 / 3, 2 / 3, 0, 0])
    assert told.map50 == pytest.approx(np.trapezoid(envelope, dx=0.01), abs=0.01)
    assert told.map50 == pytest.approx(5 / 9, abs=0.01)


def test_the_threshold_moves_all_but_the_mean_over_confidences() -> None:
    """At another threshold precision and recall are others, and mAP is the same; the threshold itself is enough."""
    pairs = [(truth([A, B, C]), found([A, FAR, B], [0.9, 0.8, 0.6]))]
    high, low = average_precision(pairs, float(np.float32(0.9))), average_precision(pairs, 0.1)
    assert (high.precision, high.recall) == (1, pytest.approx(1 / 3))
    assert (low.precision, low.recall) == (pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert high.map50 == low.map50


def test_an_object_is_found_once() -> None:
    """A second detection of the same face is a false one, and an IoU below one half is none."""
    twice = average_precision([(truth([A]), found([A, A], [0.9, 0.8]))], 0.5)
    assert (twice.precision, twice.recall) == (0.5, 1)
    half = average_precision([(truth([A]), found([[10, 10, 30, 20]], 0.9))], 0.5)
    less = average_precision([(truth([A]), found([[10, 10, 30, 19.9]], 0.9))], 0.5)
    assert (half.recall, less.recall) == (1, 0)


def test_ignored_boxes_count_neither_way() -> None:
    """What lies half in an ignored box is no false detection and no hit, unless it is on an object of its class."""
    ignoring = truth([A], ignored=[[90, 90, 150, 150], [0, 0, 40, 40]])
    plain = average_precision([(truth([A]), found([A], 0.5))], 0.4)
    with_ignored = average_precision([(ignoring, found([A, FAR, [130, 90, 170, 130]], [0.5, 0.9, 0.8]))], 0.4)
    assert plain == with_ignored == Precision(1.0, 1.0, 1.0, plain.map50)
    mostly_out = average_precision([(ignoring, found([A, [131, 90, 171, 130]], [0.5, 0.9]))], 0.4)
    assert mostly_out.precision == 0.5
    alone = average_precision([(truth([A], ignored=[FAR]), found([FAR], 0.9))], 0.4)
    assert (alone.precision, alone.recall, alone.map50) == (0, 0, 0)


def test_classes_that_a_picture_does_not_cover_count_neither_way() -> None:
    """Where only faces are labelled completely, plates are neither found nor missed, nor false."""
    partly = truth([A, B], [FACE, LICENSE_PLATE], exhaustive=("face",))
    told = average_precision([(partly, found([A, FAR], 0.9, [FACE, LICENSE_PLATE]))], 0.5)
    assert (told.precision, told.recall) == (1, 1)
    assert average_precision([(truth([A], exhaustive=()), found([A], 0.9))], 0.5) == Precision(0, 0, 0, 0)


def test_classes_weigh_the_same() -> None:
    """Figures are means over the classes that are labelled, however many objects each has; a class unseen has 0."""
    pair = truth([A, B, C], [FACE, FACE, LICENSE_PLATE]), found([A, B], 0.9)
    told = average_precision([pair], 0.5)
    assert (told.precision, told.recall) == (0.5, 0.5)
    assert told.map50 == pytest.approx(0.5, abs=0.01)
    nothing = average_precision([(truth([]), found([A], 0.9))], 0.5)
    assert nothing == average_precision([(truth([A]), Detections.empty())], 0.5) == Precision(0, 0, 0, 0)


def iou(a: list[float], b: list[float]) -> float:
    """Of two boxes."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(0, width) * max(0, height)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def by_hand(pairs: list[Pair], threshold: float) -> tuple[float, float, float]:
    """Precision, recall and mAP by loops over detections, and the area under the precision's envelope."""
    rows = []
    for c in range(2):
        judged: list[tuple[float, bool]] = []
        count = 0
        for labels, said in pairs:
            own = [box for box, k in zip(labels.objects.xyxy.tolist(), labels.objects.class_id, strict=True) if k == c]
            count += len(own)
            taken: set[int] = set()
            detections = [
                (float(p), box)
                for box, p, k in zip(said.xyxy.tolist(), said.confidence, said.class_id, strict=True)
                if k == c
            ]
            for confidence, box in sorted(detections, key=lambda pair: -pair[0]):
                free = [(iou(box, other), i) for i, other in enumerate(own) if i not in taken]
                best = max(free, default=(0.0, -1))
                judged.append((confidence, best[0] >= 0.5))
                if best[0] >= 0.5:
                    taken.add(best[1])
        if not count:
            continue
        judged.sort(key=lambda pair: -pair[0])
        points, hits = [(0.0, 1.0)], 0
        for rank, (_, hit) in enumerate(judged, 1):
            hits += hit
            points.append((hits / count, hits / rank))
        strong = [hit for confidence, hit in judged if confidence >= threshold]
        area, steps = 0.0, 3_000
        for k in range(steps):
            recall = (k + 0.5) / steps
            area += max((p for r, p in points if r >= recall), default=0.0) / steps
        rows.append((sum(strong) / max(1, len(strong)), sum(strong) / count, area))
    return tuple(float(np.mean([row[i] for row in rows])) if rows else 0.0 for i in range(3))  # type: ignore[return-value]


def test_random_cases_are_as_counted_by_hand(rng: np.random.Generator) -> None:
    """On 50 random cases precision and recall are exactly, and mAP within its 101 steps, what loops over boxes give."""
    values = set()
    for _ in range(50):
        pairs = []
        for _ in range(int(rng.integers(1, 4))):
            low = rng.integers(0, 6, (int(rng.integers(0, 5)), 2)) * 30.0
            boxes = np.hstack([low, low + rng.integers(15, 28, low.shape)])
            class_id = rng.integers(0, 2, len(boxes))
            labels = truth(boxes.tolist(), class_id)
            said = np.concatenate([boxes + rng.uniform(-5, 5, boxes.shape), boxes[:1] + 1, np.array([FAR], float)])
            sure = rng.permutation(100)[: len(said)] / 100 + rng.uniform(0, 0.009)
            classes = np.where(rng.random(len(said)) < 0.9, [*class_id, *class_id[:1], 0], 1)
            pairs.append((labels, found(said.tolist(), sure, classes)))
        told, wanted = average_precision(pairs, 0.4), by_hand(pairs, 0.4)
        assert (told.precision, told.recall) == pytest.approx(wanted[:2])
        assert told.map50 == pytest.approx(wanted[2], abs=0.011)
        values.add(round(wanted[2], 2))
    assert len(values) > 20
