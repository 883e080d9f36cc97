"""The letters of plates, from fonts that installed packages carry."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from components.packages import package_folder

_SIGN_PX = 96  # the height of a capital letter in the store of signs
_MATPLOTLIB = {
    "sans": "DejaVuSans-Bold",
    "mono": "DejaVuSansMono-Bold",
    "light": "DejaVuSans",
    "serif": "STIXGeneralBol",
}
_OPENCV = {"rubik": 600, "thin": 400}
FONTS = (
    *("sans", "mono", "rubik") * 4,
    *("thin", "pillow") * 3,
    *("light",) * 2,
    "serif",
)  # as often as they are wanted


def write_line(
    ground: NDArray[np.float32], text: str, box: tuple[float, float, float, float], ink: tuple[int, int, int], font: str
) -> None:
    """Write into the middle of a box: as high as the box, and narrower than the font where the width asks for it.

    Args:
        ground: float32 [h, w, 3], 0 to 255; written on in place.
        text: without a line break.
        box: xyxy px.
        ink: RGB.
        font: one of `FONTS`.
    """
    signs = [_sign(font, sign) for sign in text]
    line = np.hstack(signs)
    x1, y1, x2, y2 = (round(side) for side in box)
    height = y2 - y1
    width = min(x2 - x1, round(line.shape[1] * height / _SIGN_PX * (0.88 if len(text) > 4 else 1)))
    if height < 1 or width < 1:
        return
    x1 = (x1 + x2 - width) // 2
    mask = cv2.resize(line, (width, height), interpolation=cv2.INTER_AREA)[..., None] / np.float32(255)
    place = ground[y1:y2, x1 : x1 + width]
    place += (np.array(ink, np.float32) - place) * mask[: place.shape[0], : place.shape[1]]


@lru_cache(maxsize=1024)
def _sign(font: str, sign: str) -> NDArray[np.uint8]:
    """A sign between baseline and cap height, uint8 [96, w]; drawn once, because drawing letters is what costs."""
    if sign == " ":
        return np.zeros((_SIGN_PX, 36), np.uint8)
    page = np.zeros((3 * _SIGN_PX, 3 * _SIGN_PX), np.uint8)
    base = 2 * _SIGN_PX
    if font in _OPENCV or not sign.isascii():
        # Only OpenCV's fonts have signs from everywhere. Their capitals are 0.7 of the size.
        weight = _OPENCV.get(font, 600)
        cv2.putText(page, sign, (_SIGN_PX, base), (255,), cv2.FontFace("sans"), round(_SIGN_PX / 0.7), weight)
    else:
        image = Image.fromarray(page)
        ImageDraw.Draw(image).text((_SIGN_PX, base), sign, 255, _pillow_font(font), anchor="ls")
        page = np.array(image)
    x, y, width, height = cv2.boundingRect(page)
    gap = 8
    if sign.isascii() or not sign.isalpha():
        return page[base - _SIGN_PX : base, x - gap : x + width + gap]
    whole = page[y : y + height, x - gap : x + width + gap]
    return np.asarray(cv2.resize(whole, (width + 2 * gap, _SIGN_PX)), np.uint8)


@lru_cache(maxsize=16)
def _pillow_font(font: str) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """A font of which the capital letters have the height of the store."""
    if font == "pillow":
        return ImageFont.load_default(_SIGN_PX / 0.7)
    file = package_folder("matplotlib") / f"mpl-data/fonts/ttf/{_MATPLOTLIB[font]}.ttf"
    share = 0.66 if font == "serif" else 0.73
    return ImageFont.truetype(str(file), _SIGN_PX / share)
