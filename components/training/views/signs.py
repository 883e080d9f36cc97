"""Lettering that is no plate: shop signs, banners, prices, telephone numbers, the marks of picture agencies.

Few streets are without it, few training pictures are labelled completely, and a detector of plates takes for one what
it was never told is none: letters on a board.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from components.dataset.plate_lens import through_lens
from components.detections import intersections
from components.packages import package_folder
from components.settings import Views
from components.training.views.view import View

_FONTS = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSansMono")
_LETTER_PX = 8.0, 56.0
_DRAWN_PX = 64  # what letters are drawn with, before they are seen from somewhere
_CONSONANTS, _VOWELS = "bcdfghklmnprstvz", "aeio"
_ENDS = ("", "n", "r", "s", "l", "t", "m", "ng", "nt", "sh")
_SEE_THROUGH_SHARE = 0.2  # of the signs: letters over the picture itself, as on windows and stock photographs
_SOFT_EDGE = np.ones((9, 9), np.uint8)  # px that the lens blurs letters over
_MOST_TURN = 0.12  # of a sign's width or height, by which its corners are off


def with_sign(view: View, settings: Views, rng: np.random.Generator) -> View:
    """The view with lettering somewhere, which counts as background; unless it would cover a labelled object.

    Args:
        view: what it is set into, unchanged itself.
        settings: which objects are too small to count.
        rng: source of all chance.
    """
    side = len(view.pixels)
    if side / 6 <= _LETTER_PX[0]:
        return view
    patch = sign(rng, float(np.exp(rng.uniform(*np.log((_LETTER_PX[0], min(_LETTER_PX[1], side / 6)))))))
    height, width = patch.shape[:2]
    left, top = (int(rng.integers(-extent // 3, max(1, side - 2 * extent // 3))) for extent in (width, height))
    x1, y1, x2, y2 = max(0, left), max(0, top), min(side, left + width), min(side, top + height)
    box = np.array([[x1, y1, x2, y2]], np.float32)
    if min(x2 - x1, y2 - y1) < settings.min_object_px or (intersections(box, view.boxes) > 0).any():
        return view
    pixels, uncounted = view.pixels.copy(), view.uncounted.copy()
    around = pixels[max(0, y1 - height) : y2 + height, max(0, x1 - height) : x2 + height]
    shown = patch[y1 - top : y2 - top, x1 - left : x2 - left]
    pixels[y1:y2, x1:x2] = through_lens(shown, pixels[y1:y2, x1:x2], around, rng, "day")
    uncounted[y1:y2, x1:x2][cv2.dilate(shown[..., 3], _SOFT_EDGE) > 0] = 0
    return replace(view, pixels=pixels, uncounted=uncounted)


def sign(rng: np.random.Generator, letter_px: float) -> NDArray[np.uint8]:
    """One to three lines of lettering, seen from about its front.

    Args:
        rng: everything that varies.
        letter_px: how high a line is.

    Returns:
        uint8 [h, w, 4] RGB with alpha, premultiplied, with a transparent margin.
    """
    lines = [_line(rng) for _ in range(int(rng.choice([1, 2, 3], p=[0.55, 0.3, 0.15])))]
    font = _font(_FONTS[int(rng.integers(len(_FONTS)))])
    pad = int(rng.uniform(0.15, 0.7) * _DRAWN_PX)
    widths = [round(font.getlength(line)) for line in lines]
    width, height = max(widths) + 2 * pad, round(len(lines) * _DRAWN_PX * 1.2) + 2 * pad
    ground, ink = _colours(rng)
    see_through = rng.random() < _SEE_THROUGH_SHARE
    drawn = Image.new("RGBA", (width, height), (*ink, 0) if see_through else (*ground, 255))
    pen, centred = ImageDraw.Draw(drawn), rng.random() < 0.6
    for number, (line, own) in enumerate(zip(lines, widths, strict=True)):
        x = (width - own) // 2 if centred else pad
        pen.text((x, pad + round(number * _DRAWN_PX * 1.2)), line, (*ink, 255), font)
    if not see_through and rng.random() < 0.3:
        pen.rectangle((2, 2, width - 3, height - 3), outline=ink, width=int(rng.integers(2, 7)))
    opacity = rng.uniform(0.35, 0.9) if see_through else 1.0
    return _seen(np.asarray(drawn), letter_px / _DRAWN_PX, opacity, rng)


def _line(rng: np.random.Generator) -> str:
    """Words, prices and telephone numbers; never a few capitals and digits, as plates have."""
    kind = rng.random()
    if kind < 0.12:
        return " ".join("".join(map(str, rng.integers(0, 10, n))) for n in (int(rng.integers(2, 5)), 3, 4))
    if kind < 0.2:
        return f"{'$€£'[int(rng.integers(3))]} {rng.integers(1, 1000)}{'.99' if rng.random() < 0.5 else ',-'}"
    words = " ".join(_word(rng) for _ in range(int(rng.integers(1, 4))))
    return words.upper() if kind < 0.5 and len(words) > 8 else words.capitalize() if kind < 0.75 else words


def _word(rng: np.random.Generator) -> str:
    syllables = (str(rng.choice(list(_CONSONANTS))) + str(rng.choice(list(_VOWELS))) for _ in range(rng.integers(2, 5)))
    return "".join(syllables) + str(rng.choice(_ENDS))


def _colours(rng: np.random.Generator) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Of ground and letters, far enough apart to be read."""
    ground = rng.integers(0, 256, 3) if rng.random() < 0.6 else np.full(3, rng.choice([20, 60, 225, 250]))
    ink = np.where(ground.mean() > 128, rng.integers(0, 110, 3), rng.integers(150, 256, 3))
    return tuple(int(v) for v in ground), tuple(int(v) for v in ink)


def _seen(drawn: NDArray[np.uint8], scale: float, opacity: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Scaled, and turned a little in space."""
    height, width = drawn.shape[:2]
    size = max(4, round(width * scale)), max(4, round(height * scale))
    alpha = drawn[..., 3:].astype(np.float32) / 255
    flat = np.concatenate([drawn[..., :3] * alpha, drawn[..., 3:]], axis=2).astype(np.float32) * np.float32(opacity)
    small = cv2.resize(flat, size, interpolation=cv2.INTER_AREA)
    corners = np.array([[0, 0], [size[0], 0], [size[0], size[1]], [0, size[1]]], np.float32)
    off = rng.uniform(-_MOST_TURN, _MOST_TURN, (4, 2)) * np.array([size[1], size[1]])
    moved = corners + off - (corners + off).min(axis=0) + 2
    extent = np.ceil(moved.max(axis=0)).astype(int) + 2
    matrix = cv2.getPerspectiveTransform(corners - 0.5, (moved - 0.5).astype(np.float32))
    seen = cv2.warpPerspective(small, matrix, (int(extent[0]), int(extent[1])), flags=cv2.INTER_LINEAR)
    return np.asarray(cv2.convertScaleAbs(seen), np.uint8)


@lru_cache(maxsize=8)
def _font(name: str) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(package_folder("matplotlib") / f"mpl-data/fonts/ttf/{name}.ttf"), _DRAWN_PX)
