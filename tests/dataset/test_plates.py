"""Rendered plates look as the country's do, and lie on the photograph where they were put."""

from __future__ import annotations

import re

import numpy as np
import pytest
from numpy.typing import NDArray

from components.dataset.plates import STYLES, at_night, paste_plate, plate_text, render_plate
from components.imaging.reading import Pixels

COUNTRIES = sorted(STYLES)


def plate(country: str = "us-ca", text: str = "7ABC123") -> Pixels:
    """A rendered plate."""
    return render_plate(STYLES[country], text)


def grey(level: int = 130, width: int = 200, height: int = 150) -> Pixels:
    """A scene without anything in it."""
    return np.full((height, width, 3), level, np.uint8)


def quad(x1: float, y1: float, x2: float, y2: float, slope: float = 0.0) -> NDArray[np.float32]:
    """Corners: upper left, upper right, lower right, lower left."""
    return np.array([[x1, y1], [x2, y1 + slope], [x2, y2 + slope], [x1, y2]], np.float32)


@pytest.mark.parametrize("country", COUNTRIES)
def test_texts_follow_the_pattern(country: str, rng: np.random.Generator) -> None:
    """Letters stand for A, digits for 0, everything else stays, and texts differ."""
    pattern = "".join(
        "[A-Z]" if sign == "A" else "[0-9]" if sign == "0" else re.escape(sign) for sign in STYLES[country].pattern
    )
    texts = [plate_text(STYLES[country], rng) for _ in range(40)]
    assert all(re.fullmatch(pattern, text) for text in texts)
    assert len(set(texts)) > 20
    assert not set("".join(texts)) & set("IOQ")


@pytest.mark.parametrize("country", COUNTRIES)
def test_a_plate_has_its_size_and_colours(country: str, rng: np.random.Generator) -> None:
    """Two pixels a millimetre, mostly paper, with enough ink to read and a band where the country has one."""
    style = STYLES[country]
    found = render_plate(style, plate_text(style, rng))
    assert found.shape == (style.size_mm[1] * 2, style.size_mm[0] * 2, 3)
    assert (found == style.paper).all(axis=2).mean() > 0.4
    assert 0.04 < (found == style.ink).all(axis=2).mean() < 0.5
    left = found[found.shape[0] // 4, 12:20]
    assert (left == (style.band or style.paper)).all()


@pytest.mark.parametrize("country", COUNTRIES)
def test_every_sign_is_written_within_the_plate(country: str, rng: np.random.Generator) -> None:
    """Another first or last sign makes another picture, and the ink ends before the frame."""
    style = STYLES[country]
    text = plate_text(style, rng)
    other = {sign: "7" if sign != "7" else "1" for sign in "0123456789"} | {
        s: "W" if s != "W" else "K" for s in text if s.isalpha()
    }
    page = render_plate(style, text)
    for changed in (other[text[0]] + text[1:], text[:-1] + other[text[-1]]):
        assert not np.array_equal(render_plate(style, changed), page)
    inner = (render_plate(style, text) != render_plate(style, " " * 3)).any(axis=2)
    y, x = np.nonzero(inner)
    assert 4 < x.min() < x.max() < page.shape[1] - 5
    assert 4 < y.min() < y.max() < page.shape[0] - 5


def test_lines_stand_below_each_other() -> None:
    """A square plate with two lines has ink in both halves where a one-line text has a gap."""
    style = STYLES["it-square"]
    both, upper, lower = (render_plate(style, text) for text in ("AB\n123CD", "AB\n ", " \n123CD"))
    half = both.shape[0] // 2
    assert np.array_equal(both[:half], upper[:half])
    assert np.array_equal(both[half:], lower[half:])
    assert not np.array_equal(upper[:half], lower[:half])


def test_a_plate_lies_where_its_corners_are() -> None:
    """Inside of the corners the scene changes, a little beyond them it does not, and the box is around them."""
    corners = quad(60, 50, 120, 80, slope=6)
    found, box = paste_plate(grey(), plate(), corners)
    assert box.tolist() == [60, 50, 120, 86]
    assert (found.shape, found.dtype) == (grey().shape, np.uint8)
    outside = np.ones((150, 200), bool)
    outside[46:91, 56:125] = False
    assert (found[outside] == 130).all()
    assert np.abs(found[58:78, 64:116].astype(int) - 130).mean() > 30


def test_a_plate_is_seen_the_right_way_round() -> None:
    """The band of a German plate is on the left when its corners are, and on the right of a mirrored plate."""
    german = render_plate(STYLES["de"], "B XY 1234")
    corners = quad(20, 60, 180, 94)
    found, _ = paste_plate(grey(230), german, corners)
    blueness = found[:, :, 2].astype(int) - found[:, :, 0]
    assert blueness[65:90, 24:30].mean() > 40
    assert abs(blueness[65:90, 170:176].mean()) < 20
    mirrored, _ = paste_plate(grey(230), german, corners[[1, 0, 3, 2]])
    blueness = mirrored[:, :, 2].astype(int) - mirrored[:, :, 0]
    assert blueness[65:90, 170:176].mean() > 40


def test_a_plate_takes_the_light_of_its_place() -> None:
    """In a dark street a plate is darker than in a bright one, and in neither brighter than its paper."""
    corners = quad(60, 50, 120, 80)
    dark, bright = (paste_plate(grey(level), plate(), corners)[0][60:70, 70:110].mean() for level in (20, 130))
    assert dark < 0.8 * bright
    assert bright <= 246


def test_a_plate_may_reach_over_the_border() -> None:
    """A plate that is half in the picture is drawn half, on each side."""
    for corners in (quad(-30, 50, 30, 80), quad(170, 50, 230, 80), quad(60, -15, 120, 15), quad(60, 135, 120, 165)):
        found, _ = paste_plate(grey(), plate(), corners)
        changed = (found != 130).any(axis=2)
        assert 300 < changed.sum() < 1400


def test_the_scene_itself_is_left_alone() -> None:
    """Pasting makes a new picture."""
    scene = grey()
    paste_plate(scene, plate(), quad(60, 50, 120, 80))
    assert (scene == 130).all()


def test_night_is_dark_bluish_and_grainy(rng: np.random.Generator) -> None:
    """A grey scene gets a fifth of its light, more of it in blue, with grain; the scene itself stays."""
    scene = grey(150)
    night = at_night(scene, rng)
    assert night.dtype == np.uint8
    assert night.mean() == pytest.approx(0.22 * 150, abs=3)
    assert night[:, :, 2].mean() > 1.2 * night[:, :, 0].mean()
    assert 3 < night[:, :, 1].std() < 7
    assert (scene == 150).all()


def test_lights_glow_at_night(rng: np.random.Generator) -> None:
    """Around something bright the night is brighter than elsewhere."""
    scene = grey(60)
    scene[70:80, 95:105] = 255
    night = at_night(scene, rng)
    assert night[70:80, 95:105].mean() > night[60:68, 95:105].mean() > night[:20, :20].mean() + 3
