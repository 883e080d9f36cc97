"""Pixel metrics are what counting every pixel by hand gives."""

from __future__ import annotations

import numpy as np
import pytest

from components.dataset.labels import LabelledImage
from components.detections import CLASS_NAMES, FACE, LICENSE_PLATE, Boxes, Detections
from components.evaluation.pixel_metrics import PixelCounts, count_pixels

BOTH = frozenset(CLASS_NAMES)


def boxes_of(*boxes: tuple[float, float, float, float]) -> Boxes:
    """Boxes as the product holds them."""
    return np.array(boxes, np.float32).reshape(-1, 4)


def labelled(
    width: int,
    height: int,
    objects: Detections,
    ignored: Boxes | None = None,
    exhaustive: frozenset[str] = BOTH,
) -> LabelledImage:
    """A labelled picture."""
    return LabelledImage(
        "a.png", width, height, "test", objects, boxes_of() if ignored is None else ignored, exhaustive
    )


def touched(boxes: Boxes | list, x: int, y: int) -> bool:
    """Whether any of the boxes reaches into a pixel."""
    return any(x1 < x + 1 and x2 > x and y1 < y + 1 and y2 > y for x1, y1, x2, y2 in boxes)


def by_hand(image: LabelledImage, areas: Boxes, class_name: str | None) -> PixelCounts:
    """The definitions, asked of every pixel for itself in plain Python."""
    objects = [tuple(map(float, box)) for box in image.objects.xyxy]
    grown = []
    for x1, y1, x2, y2 in objects:
        wide, high = (x2 - x1) / 4, (y2 - y1) / 4
        grown.append((x1 - wide, y1 - high, x2 + wide, y2 + high))
    counted = [
        box
        for box, class_id in zip(objects, image.objects.class_id, strict=True)
        if class_name is None or CLASS_NAMES[class_id] == class_name
    ]
    counts = dict.fromkeys(("labelled", "covered", "background", "background_hidden", "hidden", "hidden_off_target"), 0)
    for y in range(image.height):
        for x in range(image.width):
            hidden, ignored = touched(areas, x, y), touched(image.ignored, x, y)
            if touched(counted, x, y):
                counts["labelled"] += 1
                counts["covered"] += hidden
            if image.exhaustive != BOTH or ignored:
                continue
            if not touched(objects, x, y):
                counts["background"] += 1
                counts["background_hidden"] += hidden
            counts["hidden"] += hidden
            counts["hidden_off_target"] += hidden and not touched(grown, x, y)
    return PixelCounts(**counts)


def random_boxes(rng: np.random.Generator, most: int, width: int, height: int) -> Boxes:
    """Up to `most` boxes, some of them across the border; sides are multiples of an eighth, so growing is exact."""
    n = int(rng.integers(0, most + 1))
    corner = rng.integers(-16, [8 * width, 8 * height], (n, 2)) / 8
    return np.concatenate([corner, corner + rng.integers(0, 64, (n, 2)) / 8], axis=1).astype(np.float32)


@pytest.mark.parametrize("exhaustive", [BOTH, frozenset({"face"}), frozenset()], ids=["both", "faces", "none"])
def test_random_pictures_are_counted_as_by_hand(exhaustive: frozenset[str]) -> None:
    """On 70 random pictures for each kind of labelling, all sums equal those of a loop over the pixels."""
    rng = np.random.default_rng(11)
    for _ in range(70):
        width, height = int(rng.integers(1, 18)), int(rng.integers(1, 14))
        boxes = random_boxes(rng, 3, width, height)
        objects = Detections.of(boxes, 1.0, rng.integers(0, 2, len(boxes)))
        image = labelled(width, height, objects, random_boxes(rng, 2, width, height), exhaustive)
        areas = random_boxes(rng, 3, width, height)
        for class_name in (None, *CLASS_NAMES):
            assert count_pixels(image, areas, class_name) == by_hand(image, areas, class_name)


def test_a_picture_worked_out_by_hand() -> None:
    """Half of a face is hidden, and a blur beside it falls on background."""
    image = labelled(20, 10, Detections.of([0, 0, 4, 8], 1.0, FACE))
    counts = count_pixels(image, boxes_of((0, 0, 4, 4), (10, 0, 12, 10)), "face")
    assert counts == PixelCounts(
        labelled=32, covered=16, background=168, background_hidden=20, hidden=36, hidden_off_target=20
    )
    assert counts.recall == 0.5
    assert counts.false_positive_rate == pytest.approx(20 / 168)
    assert counts.false_blur_share == pytest.approx(20 / 36)


def test_a_quarter_around_an_object_is_no_false_blur() -> None:
    """A blur of a 4 × 8 face that reaches 1 px sideways and 2 px up and down is on target; a pixel more is not."""
    image = labelled(20, 20, Detections.of([8, 8, 12, 16], 1.0, FACE))
    near = count_pixels(image, boxes_of((7, 6, 13, 18)))
    assert (near.hidden, near.hidden_off_target) == (72, 0)
    assert near.background_hidden == 72 - 32
    assert count_pixels(image, boxes_of((6, 6, 13, 18))).hidden_off_target == 12
    assert count_pixels(image, boxes_of((7, 5, 13, 18))).hidden_off_target == 6


def test_overlapping_areas_and_objects_are_counted_once() -> None:
    """All counts are of the union."""
    image = labelled(10, 10, Detections.of([[0, 0, 4, 4], [2, 0, 6, 4]], 1.0, FACE))
    counts = count_pixels(image, boxes_of((0, 0, 4, 4), (0, 0, 4, 4), (1, 0, 4, 4)))
    assert (counts.labelled, counts.covered, counts.hidden) == (24, 16, 16)


def test_whoever_is_hidden_is_hidden() -> None:
    """A plate under the blur of a face counts for the plate's recall; the other class's objects do not."""
    image = labelled(10, 10, Detections.of([[0, 0, 2, 2], [5, 5, 9, 9]], 1.0, [LICENSE_PLATE, FACE]))
    areas = boxes_of((0, 0, 3, 3))
    assert count_pixels(image, areas, "license_plate").recall == 1
    assert count_pixels(image, areas, "face").recall == 0
    assert count_pixels(image, areas).recall == 4 / 20


def test_the_background_is_that_of_both_classes() -> None:
    """A blur on a plate is no false positive when faces are counted."""
    image = labelled(10, 10, Detections.of([0, 0, 5, 5], 1.0, LICENSE_PLATE))
    counts = count_pixels(image, boxes_of((0, 0, 5, 5)), "face")
    assert (counts.labelled, counts.background, counts.background_hidden, counts.hidden_off_target) == (0, 75, 0, 0)


def test_ignored_pixels_count_neither_way() -> None:
    """A blur on a face of a poster is neither right nor wrong, and the poster is no background."""
    image = labelled(10, 10, Detections.empty(), boxes_of((0, 0, 5, 10)))
    counts = count_pixels(image, boxes_of((0, 0, 10, 1)))
    assert counts == PixelCounts(background=50, background_hidden=5, hidden=5, hidden_off_target=5)


@pytest.mark.parametrize("exhaustive", [frozenset(), frozenset({"face"}), frozenset({"license_plate"})])
def test_a_picture_that_is_labelled_in_part_has_no_background(exhaustive: frozenset[str]) -> None:
    """Where somebody may have been overlooked, recall is counted and nothing is held against a blur."""
    image = labelled(10, 10, Detections.of([0, 0, 2, 2], 1.0, FACE), exhaustive=exhaustive)
    counts = count_pixels(image, boxes_of((0, 0, 10, 10)))
    assert counts == PixelCounts(labelled=4, covered=4)
    assert counts.false_positive_rate is None
    assert counts.false_blur_share is None


def test_sums_of_pictures_are_weighed_by_their_pixels() -> None:
    """Adding counts adds every field, and rates come from the sums."""
    a, b = PixelCounts(1, 1, 10, 1, 2, 1), PixelCounts(9, 0, 30, 9, 8, 1)
    assert a + b == PixelCounts(10, 1, 40, 10, 10, 2)
    assert ((a + b).recall, (a + b).false_positive_rate, (a + b).false_blur_share) == (0.1, 0.25, 0.2)
    assert a + PixelCounts() == a


def test_without_pixels_there_is_no_rate() -> None:
    """Nothing labelled, no background and nothing hidden are unknown, not perfect and not bad."""
    nothing = PixelCounts()
    assert (nothing.recall, nothing.false_positive_rate, nothing.false_blur_share) == (None, None, None)
    hidden_nothing = PixelCounts(labelled=5, background=5)
    assert (hidden_nothing.recall, hidden_nothing.false_positive_rate) == (0, 0)
