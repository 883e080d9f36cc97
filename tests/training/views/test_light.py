"""Light, lens and compression change pixels alone, and a disguise only what is near its face."""

from __future__ import annotations

import numpy as np
import pytest

from components.detections import FACE, LICENSE_PLATE
from components.imaging.reading import Pixels
from components.settings import Light
from components.training.views.light import disguised, relit
from components.training.views.view import View

CHANGES = sorted(set(Light.model_fields) - {"disguise_share"})


def light(**shares: float) -> Light:
    """No change but the given ones."""
    return Light.model_validate({**dict.fromkeys(Light.model_fields, 0), **shares})


def textured(rng: np.random.Generator, height: int = 37, width: int = 53) -> Pixels:
    """A coloured picture with much texture."""
    return rng.integers(0, 256, (height, width, 3)).astype(np.uint8)


def two_objects(pixels: Pixels) -> View:
    """A view with two faces and a plate; one of the faces is at the upper border."""
    boxes = np.array([[20, 30, 50, 70], [70, 0, 90, 24], [20, 80, 60, 95]], np.float32)
    class_id = np.array([FACE, FACE, LICENSE_PLATE], np.int16)
    weight = np.array([1, 2, 3], np.float32)
    return View(pixels, boxes, class_id, weight, np.eye(len(pixels), dtype=np.uint8))


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_keeps_the_form(change: str, rng: np.random.Generator) -> None:
    """Each change alone gives another picture of the same size and type, and leaves the given one as it is."""
    pixels = textured(rng)
    before = pixels.copy()
    for _ in range(12):  # changes have several kinds
        found = relit(pixels, light(**{change: 1}), rng)
        assert (found.shape, found.dtype) == (pixels.shape, np.uint8)
        assert not np.array_equal(found, pixels)
        np.testing.assert_array_equal(pixels, before)


def test_without_shares_nothing_changes(rng: np.random.Generator) -> None:
    """Shares of 0 give every value back as it is."""
    pixels = textured(rng, 200, 200)
    for _ in range(5):
        np.testing.assert_array_equal(relit(pixels, light(), rng), pixels)


def test_all_changes_at_once(rng: np.random.Generator) -> None:
    """With every share at 1, and in pictures of one pixel's height, a picture is still one."""
    everything = light(**dict.fromkeys(CHANGES, 1))
    for height, width in ((64, 64), (1, 9), (9, 1)):
        assert relit(textured(rng, height, width), everything, rng).shape == (height, width, 3)


def test_the_same_seed_gives_the_same_light(rng: np.random.Generator) -> None:
    """What is left to chance follows from the generator alone."""
    pixels, everything = textured(rng), light(**dict.fromkeys(CHANGES, 1))
    first, again, other = (relit(pixels, everything, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_share_is_how_often(rng: np.random.Generator) -> None:
    """With a share of a quarter, about every fourth picture is changed."""
    pixels = textured(rng, 8, 8)
    changed = sum(not np.array_equal(relit(pixels, light(night_share=0.25), rng), pixels) for _ in range(400))
    assert 70 < changed < 130


def test_night_is_dark(rng: np.random.Generator) -> None:
    """At night every picture is darker, and less of it blue than red."""
    pixels = np.full((40, 40, 3), 180, np.uint8)
    for _ in range(20):
        found = relit(pixels, light(night_share=1), rng)
        assert found.mean() < 0.65 * pixels.mean()
        assert found[..., 2].mean() < found[..., 0].mean() + 1


def test_glare_only_adds_light(rng: np.random.Generator) -> None:
    """Lamps make some places brighter and none darker."""
    pixels = np.full((40, 40, 3), 90, np.uint8)
    for _ in range(20):
        found = relit(pixels, light(glare_share=1), rng)
        assert (found >= pixels).all()
        assert found.max() > 130


def test_a_veil_lowers_contrast(rng: np.random.Generator) -> None:
    """Behind glass or in fog, neighbouring pixels of a chequered picture differ less."""
    pixels = np.zeros((40, 40, 3), np.uint8)
    pixels[::2, ::2] = pixels[1::2, 1::2] = 255
    for _ in range(20):
        found = relit(pixels, light(veil_share=1), rng).astype(int)
        contrast = np.abs(np.diff(found, axis=1)).mean()
        assert 0.3 * 255 < contrast < 0.85 * 255


def test_a_blur_smooths(rng: np.random.Generator) -> None:
    """Every kind of blur lowers the differences between neighbours, and keeps the mean."""
    pixels = textured(rng, 60, 60)
    for _ in range(20):
        found = relit(pixels, light(blur_share=1), rng).astype(float)
        assert np.abs(np.diff(found, axis=1)).mean() < 0.9 * np.abs(np.diff(pixels.astype(float), axis=1)).mean()
        assert abs(found.mean() - pixels.mean()) < 4


def test_a_disguise_is_worn_by_faces_alone(rng: np.random.Generator) -> None:
    """Every face is partly covered; beyond it, a hat's height above, and on plates no pixel changes."""
    pixels = textured(rng, 100, 100)
    view = two_objects(pixels)
    before = pixels.copy()
    hidden = set()
    for _ in range(30):
        found = disguised(view, light(disguise_share=1), rng)
        changed = (found.pixels != before).any(axis=2)
        allowed = np.zeros_like(changed)
        for x1, y1, x2, y2 in view.boxes[view.class_id == FACE].astype(int):
            top = max(0, y1 - int(np.ceil(0.15 * (y2 - y1))))
            allowed[top : y2 + 1, x1 : x2 + 1] = True
            own = changed[y1:y2, x1:x2].mean()
            assert 0.1 < own < 0.6
            hidden.add(round(float(own), 1))
        assert not changed[~allowed].any()
        assert not changed[80:95, 20:60].any()
        np.testing.assert_array_equal(pixels, before)
        for name in ("boxes", "class_id", "box_weight", "uncounted"):
            assert getattr(found, name) is getattr(view, name)
    assert len(hidden) >= 2  # sunglasses, masks and hats


def test_without_a_share_nobody_is_disguised(rng: np.random.Generator) -> None:
    """A share of 0 changes nothing, and half of it changes some faces."""
    view = two_objects(textured(rng, 100, 100))
    np.testing.assert_array_equal(disguised(view, light(), rng).pixels, view.pixels)
    alone = View(view.pixels, view.boxes[:1], view.class_id[:1], view.box_weight[:1], view.uncounted)
    changed = [(disguised(alone, light(disguise_share=0.5), rng).pixels != view.pixels).any() for _ in range(60)]
    assert 15 < sum(changed) < 45
