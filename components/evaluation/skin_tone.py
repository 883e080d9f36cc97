"""How light a face's skin looks in the picture: a proxy where no label says more, and called so wherever it is shown.

The individual typology angle orders skin by lightness and yellowness as a colorimeter sees it (Chardon, Cretois and
Hourseau 1991; classes of Del Bino and Bernerd 2013). A street picture is no colorimeter: shade, white balance and
compression move the angle by more than one class. So a gap between its classes is a reason to look, never a proof.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from skimage.color import rgb2lab

from components.dataset.labels import LabelledImage
from components.detections import FACE, pixel_boxes
from components.imaging.reading import Pixels, decode
from components.settings import PROJECT_ROOT, Reading

MARK = "skin_tone_proxy"
# Degrees from which on a class is called so, the lightest first.
CLASSES = ((55.0, "very light"), (41.0, "light"), (28.0, "intermediate"), (10.0, "tan"), (-30.0, "brown"))
DARKEST = "dark"
# The part of a face's box that is mostly skin, with or without a mask: around the eyes, without hair and chin.
_LEFT, _TOP, _RIGHT, _BOTTOM = 0.25, 0.25, 0.75, 0.55
_LEAST_PX = 24  # pixels of skin; fewer are mostly compression


def ita_deg(pixels: Pixels, box: Sequence[float]) -> float | None:
    """The individual typology angle of a face: arctan((L* - 50) / b*), of the median colour around the eyes.

    Args:
        pixels: uint8 [h, w, 3] RGB, taken for sRGB under D65.
        box: of the face, xyxy px.

    Returns:
        Degrees, -90 to 90, higher for lighter skin; None if the face is too small to tell.
    """
    x1, y1, x2, y2 = box
    width, height = x2 - x1, y2 - y1
    part = np.array([[x1 + _LEFT * width, y1 + _TOP * height, x1 + _RIGHT * width, y1 + _BOTTOM * height]], np.float32)
    inside = pixel_boxes(part, pixels.shape[1], pixels.shape[0])
    if not len(inside):
        return None
    left, top, right, bottom = inside[0]
    skin = pixels[top:bottom, left:right]
    if skin.shape[0] * skin.shape[1] < _LEAST_PX:
        return None
    lightness, _, yellowness = _median_lab(skin)
    # Bluish skin, which only light makes, would turn the angle round: it is taken for grey.
    return float(np.degrees(np.arctan2(lightness - 50, max(yellowness, 1e-6))))


def _median_lab(skin: Pixels) -> NDArray[np.float64]:
    return np.median(rgb2lab(skin).reshape(-1, 3), axis=0)


def tone(angle_deg: float) -> str:
    """The class of an angle."""
    return next((name for least, name in CLASSES if angle_deg > least), DARKEST)


def with_skin_tones(images: Sequence[LabelledImage], limits: Reading) -> list[LabelledImage]:
    """Labelled pictures whose faces have the mark `skin_tone_proxy`, where they are large enough.

    Args:
        images: the pictures, with paths from the project's folder.
        limits: bounds on what is decoded.
    """
    return [_marked(image, limits) if (image.objects.class_id == FACE).any() else image for image in images]


def _marked(image: LabelledImage, limits: Reading) -> LabelledImage:
    pixels = decode((PROJECT_ROOT / image.path).read_bytes(), limits).pixels
    marks = image.marks or ({},) * len(image.objects)
    told = []
    for mark, box, class_id in zip(marks, image.objects.xyxy, image.objects.class_id, strict=True):
        angle = ita_deg(pixels, box) if class_id == FACE else None
        told.append({**mark, MARK: tone(angle)} if angle is not None else mark)
    return replace(image, marks=tuple(told))
