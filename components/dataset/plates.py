"""Rendered licence plates of several countries, and how they are put onto a photograph."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from components.imaging.reading import Pixels
from components.packages import package_folder

Quad = NDArray[np.float32]  # [4, 2] px: upper left, upper right, lower right, lower left


@dataclass(frozen=True, slots=True)
class PlateStyle:
    """How the plates of a country look; sizes in mm as on the road.

    Attributes:
        pattern: the text, with A for a letter and 0 for a digit.
        size_mm: width and height.
        paper, ink: RGB colours of ground and text.
        band: RGB colour of a band on the left with `band_text`, or None.
    """

    pattern: str
    size_mm: tuple[int, int]
    paper: tuple[int, int, int]
    ink: tuple[int, int, int]
    band: tuple[int, int, int] | None = None
    band_text: str = ""
    title: str = ""


_BLACK, _WHITE, _BLUE = (25, 25, 28), (240, 240, 236), (0, 51, 153)

STYLES: dict[str, PlateStyle] = {
    "de": PlateStyle("A AA 0000", (520, 110), _WHITE, _BLACK, _BLUE, "D"),
    "fr": PlateStyle("AA-000-AA", (520, 110), _WHITE, _BLACK, _BLUE, "F"),
    "nl": PlateStyle("00-AAA-0", (520, 110), (247, 181, 0), _BLACK, _BLUE, "NL"),
    "uk": PlateStyle("AA00 AAA", (520, 111), (247, 193, 0), _BLACK, _BLUE, "UK"),
    "it-square": PlateStyle("AA\n000AA", (297, 214), _WHITE, _BLACK, _BLUE, "I"),
    "us-ca": PlateStyle("0AAA000", (305, 152), (246, 246, 248), (27, 38, 110), None, "", "California"),
    "us-ny": PlateStyle("AAA 0000", (305, 152), (240, 185, 40), (20, 33, 70), None, "", "NEW YORK"),
    "br": PlateStyle("AAA0A00", (400, 130), _WHITE, _BLACK, (0, 57, 160), "BR"),
    "jp": PlateStyle("00-00", (330, 165), _WHITE, (0, 90, 50), None, "", "300"),
}

_PX_PER_MM = 2


def plate_text(style: PlateStyle, rng: np.random.Generator) -> str:
    """A random text after the country's pattern."""
    letters, digits = list("ABCDEFGHJKLMNPRSTUVWXYZ"), list("0123456789")
    draw = {"A": letters, "0": digits}
    return "".join(str(rng.choice(draw[sign])) if sign in draw else sign for sign in style.pattern)


def render_plate(style: PlateStyle, text: str) -> Pixels:
    """A plate seen straight on, uint8 [h, w, 3], 2 px a mm."""
    width, height = (side * _PX_PER_MM for side in style.size_mm)
    image = Image.new("RGB", (width, height), style.paper)
    draw = ImageDraw.Draw(image)
    band_px = 0
    if style.band:
        band_px = round(0.09 * max(width, 2 * height))
        draw.rectangle((0, 0, band_px, height), fill=style.band)
        draw.text((band_px / 2, height * 0.75), style.band_text, _WHITE, _font(band_px * 0.5), anchor="mm")
    top_px = 0.0
    if style.title:
        top_px = height * 0.22
        draw.text((width / 2, top_px * 0.62), style.title, style.ink, _font(top_px * 0.8), anchor="mm")
    lines = text.split("\n")
    line_px = (height - top_px) / len(lines)
    for i, line in enumerate(lines):
        font = _fitting_font(line, width - band_px - 0.08 * width, line_px * 0.95)
        draw.text(((width + band_px) / 2, top_px + line_px * (i + 0.5)), line, style.ink, font, anchor="mm")
    draw.rounded_rectangle((2, 2, width - 3, height - 3), radius=height // 10, outline=style.ink, width=4)
    return np.asarray(image)


def paste_plate(
    scene: Pixels, plate: Pixels, corners: Quad, blur_px: float = 0.6
) -> tuple[Pixels, NDArray[np.float32]]:
    """Warp a plate onto a scene.

    Args:
        scene: uint8 [h, w, 3].
        plate: uint8 [h, w, 3], straight on.
        corners: where its corners go, in px of the scene.
        blur_px: σ of the camera's blur over the plate.

    Returns:
        The new scene, and the box [4] around the plate.
    """
    plate_height, plate_width = plate.shape[:2]
    straight = np.array([[0, 0], [plate_width, 0], [plate_width, plate_height], [0, plate_height]], np.float32)
    # Shrinking by more than two without a filter before would alias.
    shrink = min(1.0, 2 * np.linalg.norm(corners[1] - corners[0]) / plate_width)
    reduced = cv2.resize(plate, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    matrix = cv2.getPerspectiveTransform((straight * shrink).astype(np.float32), corners.astype(np.float32))
    size = scene.shape[1], scene.shape[0]
    warped = cv2.warpPerspective(reduced, matrix, size, flags=cv2.INTER_AREA)
    alpha = cv2.warpPerspective(np.ones(reduced.shape[:2], np.float32), matrix, size, flags=cv2.INTER_LINEAR)
    warped, alpha = (
        cv2.GaussianBlur(warped, (0, 0), blur_px),
        cv2.GaussianBlur(alpha, (0, 0), blur_px)[..., None],
    )
    shaded = warped * (0.55 + 0.45 * _local_light(scene, corners))
    pasted = scene * (1 - alpha) + shaded * alpha
    box = np.concatenate([corners.min(axis=0), corners.max(axis=0)]).astype(np.float32)
    return pasted.round().clip(0, 255).astype(np.uint8), box


def at_night(scene: Pixels, rng: np.random.Generator, gain: float = 0.22) -> Pixels:
    """The scene with little light: dark, bluish, grainy; bright parts keep a glow as lit things do."""
    bright = scene.astype(np.float32)
    lit = bright.min(axis=2, keepdims=True) > 225
    glow = cv2.GaussianBlur(np.where(lit, bright, 0), (0, 0), 7)
    dark = bright * gain * np.array([0.85, 0.95, 1.15], np.float32) + 0.25 * glow
    return np.clip(dark + rng.normal(0, 5, scene.shape), 0, 255).astype(np.uint8)


def _local_light(scene: Pixels, corners: Quad) -> float:
    """Brightness around the plate, so that it does not shine in a shadow; 0 to 1."""
    x1, y1 = np.maximum(corners.min(axis=0) - 20, 0).astype(int)
    x2, y2 = (corners.max(axis=0) + 20).astype(int)
    return float(np.clip(scene[y1:y2, x1:x2].mean() / 130, 0, 1))


def _fitting_font(text: str, width_px: float, height_px: float) -> ImageFont.FreeTypeFont:
    font = _font(height_px)
    left, _, right, _ = font.getbbox(text)
    return _font(height_px * min(1.0, width_px / max(1, right - left)))


def _font(size_px: float) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(
        str(package_folder("matplotlib") / "mpl-data/fonts/ttf/DejaVuSans-Bold.ttf"), max(4, size_px)
    )
