"""Lettering that is no plate is background, and hides no object."""

from __future__ import annotations

import numpy as np
import pytest

from components.detections import FACE
from components.settings import Params, Views
from components.training.views.signs import sign, with_sign
from components.training.views.view import View

SIDE = 192


def view(boxes: list[list[float]], side: int = SIDE) -> View:
    """A grey view with faces, in which no class counts as background."""
    xyxy = np.array(boxes, np.float32).reshape(-1, 4)
    n = len(xyxy)
    pixels = np.random.default_rng(1).integers(80, 140, (side, side, 3), np.uint8)
    return View(
        pixels, xyxy, np.full(n, FACE, np.int16), np.full(n, 0.5, np.float32), np.full((side, side), 3, np.uint8)
    )


@pytest.fixture
def views(params: Params) -> Views:
    """The shipped settings."""
    return params.training.views


def test_without_room_the_view_is_unchanged(views: Views) -> None:
    """Where an object fills the view, and where a view is too small, the same view comes back."""
    full, small = view([[0, 0, SIDE, SIDE]]), view([], side=40)
    for seed in range(10):
        assert with_sign(full, views, np.random.default_rng(seed)) is full
        assert with_sign(small, views, np.random.default_rng(seed)) is small


def test_a_sign_is_background_and_no_object(views: Views) -> None:
    """Pixels change outside of the objects alone, background counts where they do, and no label is added or lost."""
    added = 0
    for seed in range(40):
        before = view([[0, 0, 40, 40]])
        pixels, uncounted = before.pixels.copy(), before.uncounted.copy()
        after = with_sign(before, views, np.random.default_rng(seed))
        assert np.array_equal(before.pixels, pixels)  # what was given stays
        assert np.array_equal(before.uncounted, uncounted)
        assert after.boxes.tolist() == [[0, 0, 40, 40]]
        assert np.array_equal(after.pixels[:40, :40], pixels[:40, :40])
        changed = (after.pixels.astype(int) - pixels) ** 2
        strongly = changed.sum(axis=2) > 40**2
        assert not after.uncounted[strongly].any()
        added += after is not before
        assert (after is before) == bool((after.uncounted == 3).all())
    assert added >= 15


@pytest.mark.parametrize("letter_px", [8.0, 56.0])
def test_lettering_has_the_asked_size(letter_px: float) -> None:
    """A sign's lines are about as high as asked, its colours are premultiplied, and its margin is transparent."""
    for seed in range(20):
        patch = sign(np.random.default_rng(seed), letter_px)
        shown = np.flatnonzero(patch[..., 3].max(axis=1))
        assert 0.5 * letter_px <= shown[-1] - shown[0] + 1 <= 8 * letter_px + 4
        assert (patch[..., :3] <= patch[..., 3:].astype(int) + 1).all()
        assert not patch[0, :, 3].any()
        assert not patch[:, 0, 3].any()
