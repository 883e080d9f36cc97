"""Object recall is what counting the pixels of every object by hand gives."""

from __future__ import annotations

import math

import numpy as np
import pytest

from components.dataset.labels import LabelledImage
from components.detections import CLASS_NAMES, FACE, LICENSE_PLATE, Boxes, Detections
from components.evaluation.object_metrics import MIN_COVERED_SHARE, ObjectCounts, count_objects


def boxes_of(*boxes: tuple[float, float, float, float]) -> Boxes:
    """Boxes as the product holds them."""
    return np.array(boxes, np.float32).reshape(-1, 4)


def labelled(width: int, height: int, objects: Detections, ignored: Boxes | None = None) -> LabelledImage:
    """A labelled picture."""
    return LabelledImage("a.png", width, height, "test", objects, boxes_of() if ignored is None else ignored)


def random_boxes(rng: np.random.Generator, most: int, width: int, height: int) -> Boxes:
    """Up to `most` boxes, some of them across the border."""
    n = int(rng.integers(0, most + 1))
    corner = rng.uniform(-2, [width, height], (n, 2))
    return np.concatenate([corner, corner + rng.uniform(0, 9, (n, 2))], axis=1).astype(np.float32)


def by_hand(image: LabelledImage, areas: Boxes, class_name: str, min_share: float) -> ObjectCounts:
    """The definition in plain Python: for each object, its pixels, and how many of them any area reaches into."""
    count = hidden_count = 0
    for box, class_id in zip(image.objects.xyxy.tolist(), image.objects.class_id, strict=True):
        if CLASS_NAMES[class_id] != class_name:
            continue
        pixels = hidden = 0
        for y in range(max(0, math.floor(box[1])), min(image.height, math.ceil(box[3]))):
            for x in range(max(0, math.floor(box[0])), min(image.width, math.ceil(box[2]))):
                pixels += 1
                hidden += any(x1 < x + 1 and x2 > x and y1 < y + 1 and y2 > y for x1, y1, x2, y2 in areas.tolist())
        if pixels:
            count += 1
            hidden_count += hidden / pixels >= min_share
    return ObjectCounts(count, hidden_count)


@pytest.mark.parametrize("min_share", [0.01, 0.5, MIN_COVERED_SHARE, 1.0])
def test_random_pictures_are_counted_as_by_hand(min_share: float) -> None:
    """On 50 random pictures for each limit, the counts equal those of a loop over the pixels."""
    rng = np.random.default_rng(12)
    seen = ObjectCounts()
    for _ in range(50):
        width, height = int(rng.integers(1, 18)), int(rng.integers(1, 14))
        boxes = random_boxes(rng, 4, width, height)
        image = labelled(width, height, Detections.of(boxes, 1.0, rng.integers(0, 2, len(boxes))))
        areas = random_boxes(rng, 4, width, height)
        for class_name in CLASS_NAMES:
            found = count_objects(image, areas, class_name, min_share)
            assert found == by_hand(image, areas, class_name, min_share)
            seen += found
    assert 0 < seen.hidden < seen.labelled


@pytest.mark.parametrize(("rows", "hidden"), [(7, 0), (8, 1), (10, 1), (0, 0)])
def test_three_quarters_hide_an_object(rows: int, hidden: int) -> None:
    """Of a face of 10 × 10 px, 7 hidden rows are too few and 8 are enough."""
    image = labelled(30, 30, Detections.of([10, 10, 20, 20], 1.0, FACE))
    assert count_objects(image, boxes_of((0, 10, 30, 10 + rows)), "face") == ObjectCounts(1, hidden)


def test_the_limit_itself_is_enough() -> None:
    """Exactly 75 of 100 pixels hide a face, and 74 do not."""
    image = labelled(30, 30, Detections.of([10, 10, 20, 20], 1.0, FACE))
    areas = boxes_of((10, 10, 20, 17), (10, 17, 15, 18))
    assert count_objects(image, areas, "face") == ObjectCounts(1, 1)
    areas[1, 2] = 14
    assert count_objects(image, areas, "face") == ObjectCounts(1, 0)


def test_several_areas_together_hide_an_object() -> None:
    """The union counts: two halves hide a face, and the same half twice does not."""
    image = labelled(30, 30, Detections.of([10, 10, 20, 20], 1.0, FACE))
    left, right = (0, 0, 15, 30), (15, 0, 30, 30)
    assert count_objects(image, boxes_of(left, right), "face").hidden == 1
    assert count_objects(image, boxes_of(left, left), "face").hidden == 0


def test_classes_are_counted_apart_and_hidden_by_anything() -> None:
    """Only plates count among plates, under whatever blur; ignored boxes count nowhere."""
    objects = Detections.of([[0, 0, 5, 5], [10, 10, 15, 15], [20, 20, 25, 25]], 1.0, [FACE, LICENSE_PLATE, FACE])
    image = labelled(30, 30, objects, ignored=boxes_of((0, 20, 5, 25)))
    areas = boxes_of((0, 0, 16, 16))
    assert count_objects(image, areas, "face") == ObjectCounts(2, 1)
    assert count_objects(image, areas, "license_plate") == ObjectCounts(1, 1)


def test_an_object_across_the_border_counts_with_what_can_be_seen() -> None:
    """Only pixels in the picture can be hidden; an object without any is none."""
    image = labelled(10, 10, Detections.of([[-10, 0, 5, 5], [20, 20, 30, 30]], 1.0, FACE))
    assert count_objects(image, boxes_of((0, 0, 5, 5)), "face") == ObjectCounts(1, 1)


def test_recall_is_a_share_of_all_objects() -> None:
    """Counts add up over pictures; without objects there is no recall."""
    assert (ObjectCounts(3, 1) + ObjectCounts(1, 1)).recall == 0.5
    assert ObjectCounts(3, 1) + ObjectCounts(1, 1) == ObjectCounts(4, 2)
    assert ObjectCounts().recall is None
    assert ObjectCounts(2, 0).recall == 0
