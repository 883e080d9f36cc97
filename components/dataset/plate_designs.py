"""Flat plates of many countries, in one line and in two, with frames, dirt and the wear of years.

They are drawn only as large as they will be seen: training draws thousands of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from components.dataset.plate_lettering import FONTS, write_line
from components.dataset.plates import STYLES, PlateStyle, plate_text

Colour = tuple[int, int, int]
Drawing = NDArray[np.float32]  # [h, w, 3], 0 to 255


@dataclass(frozen=True, slots=True)
class PlateDesign:
    """A country's style, and what its styles have no word for.

    Attributes:
        style: text, size and colours; a text of two lines makes the plate a square one.
        top_band: RGB colour of a band along the upper edge that carries the title, or None.
        tint: RGB colour that the ground fades to downwards, or None.
        slogan: whether something is printed small along the lower edge.
    """

    style: PlateStyle
    top_band: Colour | None = None
    tint: Colour | None = None
    slogan: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class FlatPlate:
    """A plate seen straight on.

    Attributes:
        rgba: uint8 [h, w, 4], colours premultiplied with alpha.
        size_mm: width and height with the frame.
        square: whether its text has two lines.
    """

    rgba: NDArray[np.uint8]
    size_mm: tuple[float, float]
    square: bool


_BLACK, _WHITE, _YELLOW, _BLUE = (25, 25, 28), (240, 240, 236), (245, 190, 10), (0, 51, 153)
_INDIAN, _SOUTHERN = (20, 60, 150), (0, 57, 160)
_TITLES = ("California", "TEXAS", "Florida", "NEW YORK", "Ohio", "ARIZONA", "Oregon", "Ontario", "UTAH", "Nevada")
_TINTS: tuple[Colour, ...] = ((250, 215, 170), (190, 215, 240), (205, 230, 200), (240, 200, 205), (225, 205, 235))
_EARTHS: tuple[Colour, ...] = ((96, 84, 68), (60, 58, 55), (130, 118, 98))
_INKS: tuple[Colour, ...] = ((27, 38, 110), (20, 20, 24), (120, 20, 30), (15, 80, 50))


def _style(pattern: str, width_mm: int, height_mm: int, paper: Colour, ink: Colour = _BLACK, **more: str) -> PlateStyle:
    return PlateStyle(pattern, (width_mm, height_mm), paper, ink, None, **more)


def _banded(pattern: str, width_mm: int, height_mm: int, paper: Colour, band_text: str) -> PlateStyle:
    return PlateStyle(
        pattern, (width_mm, height_mm), paper, _BLACK, _INDIAN if band_text == "IND" else _BLUE, band_text
    )


LONG: tuple[PlateDesign, ...] = (
    *(PlateDesign(style) for name, style in STYLES.items() if name not in {"it-square", "us-ca", "us-ny"}),
    PlateDesign(_banded("AA00 AAA", 520, 111, _WHITE, "UK")),
    PlateDesign(_style("AA00 AAA", 520, 111, _YELLOW)),
    PlateDesign(_banded("0000 AAA", 520, 110, _WHITE, "E")),
    PlateDesign(_banded("AA 00000", 520, 114, _WHITE, "PL")),
    *(PlateDesign(STYLES["us-ca"], None, tint, True) for tint in _TINTS),
    PlateDesign(STYLES["us-ny"], None, None, True),
    PlateDesign(_style("AAA0A00", 400, 130, _WHITE, title="BRASIL"), _SOUTHERN),
    PlateDesign(_style("AA 000 AA", 400, 130, _WHITE, title="ARGENTINA"), _SOUTHERN),
    PlateDesign(_style("AAA-0000", 400, 130, (170, 172, 174), title="SAO PAULO")),
    PlateDesign(_style("京A·A0000", 440, 140, (20, 60, 160), _WHITE)),
    PlateDesign(_style("粤A A00000", 480, 140, (150, 215, 160))),
    PlateDesign(_style("00A-000.00", 520, 110, _WHITE)),
    PlateDesign(_banded("AA 00 AA 0000", 500, 120, _WHITE, "IND")),
    PlateDesign(_style("000가 0000", 520, 110, _WHITE)),
    PlateDesign(_style("AAA 0000", 430, 110, _BLACK, _WHITE)),
)
SQUARE: tuple[PlateDesign, ...] = (
    PlateDesign(STYLES["it-square"]),
    PlateDesign(_style("00A\n000.00", 330, 165, _WHITE)),
    PlateDesign(_style("00A\n000.00", 330, 165, _YELLOW)),
    PlateDesign(_style("00-A0\n000.00", 190, 140, _WHITE)),
    PlateDesign(_style("00-A0\n0000", 190, 140, (15, 70, 160), _WHITE)),
    PlateDesign(_banded("AA 00 A\n0000", 200, 100, _WHITE, "IND")),
    PlateDesign(_banded("AA00\nAA0000", 340, 200, _WHITE, "IND")),
    PlateDesign(_style("AA 00\nA 0000", 285, 180, _YELLOW)),
    PlateDesign(_style("AA00\nAAA", 285, 203, _YELLOW)),
    PlateDesign(_banded("AA00\nAAA", 285, 203, _WHITE, "UK")),
    PlateDesign(_banded("A AA\n000", 180, 200, _WHITE, "D")),
    PlateDesign(_banded("AA-000\nAA", 210, 130, _WHITE, "F")),
    PlateDesign(_banded("00-AA\nAA-0", 210, 143, _YELLOW, "NL")),
    PlateDesign(_style("AAA\n0A00", 200, 170, _WHITE, title="BRASIL"), _SOUTHERN),
    PlateDesign(_style("AAA\n0000", 200, 170, (172, 174, 176), title="RECIFE")),
    PlateDesign(_style("AAA\n0000", 270, 170, _BLACK, _WHITE)),
    PlateDesign(_style("0AA\n0000", 220, 172, _WHITE)),
    PlateDesign(_style("京·A\nA0000", 220, 140, (235, 185, 20))),
)


def flat_plate(rng: np.random.Generator, design: PlateDesign, height_px: float) -> FlatPlate:
    """A worn plate of a design, with a text of its own and perhaps a frame.

    Args:
        rng: everything that varies.
        design: what it is a plate of.
        height_px: about how high it is to be drawn, without the frame.
    """
    style = _varied(design, rng)
    px_per_mm = height_px / style.size_mm[1]
    height, width = round(height_px), round(style.size_mm[0] * px_per_mm)
    ground = np.empty((height, width, 3), np.float32)
    ground[:] = style.paper
    if design.tint:
        fade = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
        ground += (np.array(design.tint, np.float32) - ground) * fade
    font = FONTS[int(rng.integers(len(FONTS)))]
    _print(ground, design, style, font, rng)
    if rng.random() < 0.5:
        _bolts(ground, rng)
    _wear(ground, rng)
    drawing, alpha = _framed(ground, rng) if rng.random() < 0.4 else (ground, _rounded(height, width, 0.06))
    red, green, blue = cv2.split(cv2.convertScaleAbs(drawing))
    rgba = cv2.merge([cv2.min(band, alpha) for band in (red, green, blue)] + [alpha])
    size_mm = drawing.shape[1] / px_per_mm, drawing.shape[0] / px_per_mm
    return FlatPlate(np.asarray(rgba, np.uint8), size_mm, "\n" in style.pattern)


def _varied(design: PlateDesign, rng: np.random.Generator) -> PlateStyle:
    style = design.style
    if not design.slogan:
        return style
    return replace(style, title=_TITLES[int(rng.integers(len(_TITLES)))], ink=_INKS[int(rng.integers(len(_INKS)))])


def _print(ground: Drawing, design: PlateDesign, style: PlateStyle, font: str, rng: np.random.Generator) -> None:
    """Everything that the office prints: border, bands, title, slogan and text."""
    height, width = ground.shape[:2]
    if rng.random() < 0.7:
        inset, stroke = max(1, height // 28), max(1, round(height * rng.uniform(0.012, 0.03)))
        cv2.rectangle(ground, (inset, inset), (width - 1 - inset, height - 1 - inset), style.ink, stroke)
    left, top, bottom = 0.0, 0.05 * height, 0.95 * height
    if style.band:
        left = 0.09 * max(width, 2 * height)
        ground[:, : round(left)] = style.band
        write_line(ground, style.band_text, (0.15 * left, 0.66 * height, 0.85 * left, 0.84 * height), _WHITE, font)
    if design.top_band:
        ground[: round(0.22 * height)] = design.top_band
    if style.title:
        ink = _WHITE if design.top_band else style.ink
        write_line(ground, style.title, (0.2 * width, 0.05 * height, 0.8 * width, 0.18 * height), ink, font)
        top = 0.23 * height
    if design.slogan:
        bottom = 0.86 * height
        write_line(
            ground, "established state", (0.3 * width, 0.88 * height, 0.7 * width, 0.95 * height), style.ink, font
        )
    lines = plate_text(style, rng).split("\n")
    step, side = (bottom - top) / len(lines), 0.035 * width
    fill = rng.uniform(0.64, 0.8)
    for i, line in enumerate(lines):
        middle = top + step * (i + 0.5)
        box = (left + side, middle - step * fill / 2, width - side, middle + step * fill / 2)
        write_line(ground, line, box, style.ink, font)


def _bolts(ground: Drawing, rng: np.random.Generator) -> None:
    height, width = ground.shape[:2]
    colour = tuple(float(value) for value in rng.uniform(60, 200) * np.ones(3))
    radius = max(1, round(0.03 * height))
    away = rng.uniform(0.12, 0.3)
    for x in (away * width, (1 - away) * width):
        cv2.circle(ground, (round(x), round(rng.uniform(0.06, 0.12) * height)), radius, colour, -1)


def _wear(ground: Drawing, rng: np.random.Generator) -> None:
    """Light that falls unevenly, faded ink and dirt, in place."""
    height, width = ground.shape[:2]
    light = rng.uniform(0.8, 1.0, (2, 2)).astype(np.float32)
    if rng.random() < 0.3:
        share = rng.uniform(0.1, 0.5)
        ground *= np.float32(1 - share)
        ground += np.array(cv2.mean(ground)[:3], np.float32) * np.float32(share)
    ground *= cv2.resize(light, (width, height), interpolation=cv2.INTER_LINEAR)[..., None]
    if rng.random() < 0.35:
        coarse = np.clip(rng.normal(-0.2, 0.6, (5, 11)) + np.linspace(-0.3, 0.5, 5)[:, None], 0, 1).astype(np.float32)
        fine = np.clip(rng.normal(-0.4, 0.5, (24, 60)), 0, 1).astype(np.float32)
        both = [cv2.resize(dirt, (width, height), interpolation=cv2.INTER_LINEAR) for dirt in (coarse, fine)]
        cover = np.minimum((both[0] + 0.5 * both[1]) * np.float32(rng.uniform(0.2, 0.9)), 0.9)[..., None]
        earth = np.array(_EARTHS[int(rng.integers(len(_EARTHS)))], np.float32)
        ground += (earth - ground) * cover


def _framed(ground: Drawing, rng: np.random.Generator) -> tuple[Drawing, NDArray[np.uint8]]:
    """A holder around the plate, dark or of chrome, and its alpha, uint8 [h, w]."""
    height = ground.shape[0]
    thin, thick = (round(height * share) for share in (rng.uniform(0.03, 0.06), rng.uniform(0.03, 0.12)))
    colour = rng.uniform(10, 50) if rng.random() < 0.85 else rng.uniform(120, 190)
    rim = (float(colour),) * 3
    bordered = cv2.copyMakeBorder(ground, thin, thick, thin, thin, cv2.BORDER_CONSTANT, value=rim)
    framed: Drawing = np.asarray(bordered, np.float32)
    full, width = framed.shape[:2]
    if thick > 0.08 * height:
        strip = (0.25 * width, full - 0.8 * thick, 0.75 * width, full - 0.2 * thick)
        write_line(framed, "AUTO CENTRE", strip, (150, 150, 150), "sans")
    return framed, _rounded(full, width, 0.05)


def _rounded(height: int, width: int, radius_share: float) -> NDArray[np.uint8]:
    """The alpha of a sheet with round corners, uint8 [height, width]."""
    alpha = np.full((height, width), 255, np.uint8)
    corner = _corner(max(1, round(radius_share * height)))
    radius = len(corner)
    alpha[:radius, :radius], alpha[:radius, -radius:] = corner, corner[:, ::-1]
    alpha[-radius:, :radius], alpha[-radius:, -radius:] = corner[::-1], corner[::-1, ::-1]
    return alpha


@lru_cache(maxsize=64)
def _corner(radius_px: int) -> NDArray[np.uint8]:
    y, x = np.mgrid[:radius_px, :radius_px] - (radius_px - 0.5)
    return np.where(np.hypot(x, y) > radius_px, 0, 255).astype(np.uint8)
