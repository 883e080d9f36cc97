"""The proxy for skin tone is the published angle, of skin alone, and silent where it cannot tell."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage.color import lab2rgb

from components.dataset.labels import LabelledImage
from components.detections import FACE, LICENSE_PLATE, Detections
from components.evaluation import skin_tone
from components.evaluation.skin_tone import MARK, ita_deg, tone, with_skin_tones
from components.settings import Params

BOX = (10.0, 10.0, 50.0, 60.0)


def face_of(lab: tuple[float, float, float], around: int = 0) -> np.ndarray:
    """A picture with a box of one colour, and something else around it."""
    pixels = np.full((80, 64, 3), around, np.uint8)
    pixels[10:60, 10:50] = np.round(lab2rgb(np.array(lab, float)) * 255)
    return pixels


@pytest.mark.parametrize(("lightness", "yellowness"), [(70, 15), (60, 18), (45, 20), (35, 15)])
def test_the_angle_is_that_of_the_formula(lightness: float, yellowness: float) -> None:
    """Skin of a known colour has the angle arctan((L* - 50) / b*), within what rounding to 8 bits does."""
    expected = math.degrees(math.atan((lightness - 50) / yellowness))
    assert ita_deg(face_of((lightness, 12, yellowness)), BOX) == pytest.approx(expected, abs=2)


def test_what_is_around_the_skin_does_not_count() -> None:
    """Hair above, a mask below and a bright sky beside leave the angle as it is."""
    plain = face_of((60, 12, 18))
    dressed = face_of((60, 12, 18), around=255)
    dressed[10:20, 10:50] = 20
    dressed[40:60, 10:50] = 240
    assert ita_deg(dressed, BOX) == ita_deg(plain, BOX)


@pytest.mark.parametrize(
    ("angle", "name"),
    [(80, "very light"), (55, "light"), (41, "intermediate"), (28, "tan"), (10, "brown"), (-30, "dark"), (-80, "dark")],
)
def test_classes_begin_above_their_limits(angle: float, name: str) -> None:
    """The limits are those of the literature, and belong to the darker class."""
    assert tone(angle) == name


def test_light_that_is_bluer_than_skin_does_not_turn_the_order_round() -> None:
    """Under blue light a light face stays on the light side, and a dark one on the dark."""
    assert (ita_deg(face_of((75, 5, -8)), BOX) or 0) > 80
    assert (ita_deg(face_of((30, 5, -8)), BOX) or 0) < -80


@pytest.mark.parametrize("box", [(10, 10, 15, 16), (100, 100, 140, 150), (-40, -40, -10, -10)])
def test_too_small_or_outside_is_not_told(box: tuple[float, float, float, float]) -> None:
    """A face of a few pixels, or beyond the border, has no tone."""
    assert ita_deg(face_of((60, 12, 18)), box) is None


def test_faces_are_marked_and_plates_are_not(params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large face gets its class beside the marks it had; a small one and a plate keep theirs alone."""
    cv2.imwrite(str(tmp_path / "a.png"), face_of((70, 12, 15))[..., ::-1])
    monkeypatch.setattr(skin_tone, "PROJECT_ROOT", tmp_path)
    objects = Detections.of([BOX, (10, 10, 14, 14), BOX], 1.0, [FACE, FACE, LICENSE_PLATE])
    marks = ({"mask": "with"}, {}, {"square": True})
    image = LabelledImage("a.png", 64, 80, "", objects, np.zeros((0, 4), np.float32), marks=marks)
    (told,) = with_skin_tones([image], params.reading)
    assert told.marks == ({"mask": "with", MARK: "light"}, {}, {"square": True})
    assert image.marks == marks
