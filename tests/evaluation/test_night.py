"""Simulated night is darker than day, and the same whenever it is asked for."""

from __future__ import annotations

import numpy as np
import pytest

from components.evaluation.night import at_night
from components.imaging.reading import Pixels
from tests.toy_model import scene


@pytest.fixture
def street(rng: np.random.Generator) -> Pixels:
    """A rendered picture."""
    return scene(rng)[0]


def test_night_is_darker(street: Pixels) -> None:
    """The mean falls below 0.35 of day's, more in shadows than in lights, and the form of the picture stays."""
    night = at_night(street, "a.jpg")
    assert night.shape == street.shape
    assert night.dtype == np.uint8
    assert 0 < night.mean() < 0.35 * street.mean()
    grey, white = (np.full((64, 64, 3), level, np.uint8) for level in (128, 255))
    shadows, lights = (at_night(picture, "a").mean() / picture.mean() for picture in (grey, white))
    assert shadows < 0.8 * lights
    assert lights < 0.35


def test_lamps_are_yellow() -> None:
    """White turns to more red than green, and to more green than blue."""
    red, green, blue = at_night(np.full((64, 64, 3), 255, np.uint8), "a").mean(axis=(0, 1))
    assert red > green + 3 > blue + 6


def test_the_same_path_has_the_same_night(street: Pixels) -> None:
    """Twice the same picture and path are the same bytes, whatever other random numbers were drawn between."""
    first = at_night(street, "streets/a.jpg")
    np.random.default_rng().random(7)
    assert np.array_equal(first, at_night(street, "streets/a.jpg"))


def test_other_paths_have_other_noise(street: Pixels) -> None:
    """Two paths differ in their noise, which is as strong as stated and in no direction."""
    first, second = (at_night(street, path).astype(float) for path in ("a.jpg", "b.jpg"))
    assert not np.array_equal(first, second)
    flat = [at_night(np.full((128, 128, 3), 200, np.uint8), path).astype(float)[..., 0] for path in ("a", "b")]
    assert np.std(flat[0] - flat[1]) == pytest.approx(5 * np.sqrt(2), rel=0.05)
    assert abs(np.mean(flat[0] - flat[1])) < 0.3


def test_the_given_picture_stays(street: Pixels) -> None:
    """The pixels that were handed in are not changed."""
    before = street.copy()
    at_night(street, "a.jpg")
    assert np.array_equal(street, before)
