"""A rendered plate is one more labelled object, and takes nothing from those that were there."""

from __future__ import annotations

import numpy as np
import pytest

from components.detections import FACE, LICENSE_PLATE, intersections
from components.settings import Params, Views
from components.training.views.plates import with_plate
from components.training.views.view import View

SIDE = 160


def view(boxes: list[list[float]], side: int = SIDE) -> View:
    """A grey view with faces, in which no class counts as background."""
    xyxy = np.array(boxes, np.float32).reshape(-1, 4)
    n = len(xyxy)
    pixels = np.random.default_rng(1).integers(80, 140, (side, side, 3), np.uint8)
    uncounted = np.full((side, side), 3, np.uint8)
    return View(pixels, xyxy, np.full(n, FACE, np.int16), np.full(n, 0.5, np.float32), uncounted)


@pytest.fixture
def views(params: Params) -> Views:
    """The shipped settings."""
    return params.training.views


def test_without_room_the_view_is_unchanged(views: Views) -> None:
    """Where an object fills the view, and where a view is too small, the same view comes back."""
    full, small = view([[0, 0, SIDE, SIDE]]), view([], side=32)
    for seed in range(10):
        assert with_plate(full, views, np.random.default_rng(seed)) is full
        assert with_plate(small, views, np.random.default_rng(seed)) is small


def test_the_plate_is_labelled(views: Views) -> None:
    """One more object of full weight, a plate, lies in the view, where background counts again and pixels changed."""
    added = 0
    for seed in range(20):
        before = view([[0, 0, 20, 20]])
        pixels, uncounted = before.pixels.copy(), before.uncounted.copy()
        after = with_plate(before, views, np.random.default_rng(seed))
        assert np.array_equal(before.pixels, pixels)  # what was given stays
        assert np.array_equal(before.uncounted, uncounted)
        if after is before:
            continue
        added += 1
        assert after.class_id.tolist() == [FACE, LICENSE_PLATE]
        assert after.box_weight.tolist() == [0.5, 1]
        assert after.boxes[0].tolist() == [0, 0, 20, 20]
        x1, y1, x2, y2 = after.boxes[1].astype(int)
        assert 0 <= x1 < x2 <= SIDE
        assert 0 <= y1 < y2 <= SIDE
        assert not after.uncounted[y1:y2, x1:x2].any()
        assert (after.uncounted == 0).sum() == (x2 - x1) * (y2 - y1)
        changed = (after.pixels != before.pixels).any(axis=2)
        assert changed[y1:y2, x1:x2].mean() > 0.1  # a tilted plate fills little of its box
        changed[max(0, y1 - 12) : y2 + 12, max(0, x1 - 12) : x2 + 12] = False  # its soft edge
        assert not changed.any()
    assert added > 10


def test_no_object_is_covered(views: Views) -> None:
    """Among many objects a plate is set between them or not at all."""
    grid = [[x, y, x + 14, y + 14] for x in range(4, SIDE, 40) for y in range(4, SIDE, 40)]
    added = 0
    for seed in range(60):
        before = view(grid)
        after = with_plate(before, views, np.random.default_rng(seed))
        if after is not before:
            added += 1
            assert not (intersections(after.boxes[-1:], before.boxes) > 0).any()
    assert 0 < added < 60


@pytest.mark.parametrize("least_px", [4.0, 12.0, 25.0])
def test_no_plate_is_too_small(views: Views, least_px: float) -> None:
    """The shorter side of an added plate reaches what the settings ask for, also where it is tilted or cut."""
    asked = views.model_copy(update={"min_object_px": least_px})
    shorter = []
    for seed in range(60):
        after = with_plate(view([]), asked, np.random.default_rng(seed))
        shorter += [float(min(box[2] - box[0], box[3] - box[1])) for box in after.boxes]
    assert shorter
    assert min(shorter) >= least_px


def test_the_same_chance_sets_the_same_plate(views: Views) -> None:
    """The generator decides everything."""
    first, second, other = (with_plate(view([]), views, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert np.array_equal(first.pixels, second.pixels)
    assert np.array_equal(first.boxes, second.boxes)
    assert not np.array_equal(first.pixels, other.pixels)
