"""Pictures for a report: whatever is, was found as, or might be a face or a plate is hidden in them.

A report about missed faces must not show them. So labelled objects are hidden with the product's own blur, and with
them what labels call too unclear to tell, and what any of the models took for an object. Nothing of what is hidden is
left in the cells (`cell_contrast` is 0 here, whatever the region says); that is why a noise that anybody can repeat is
enough, and why the same evaluation gives the same file.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import simplejpeg

from components.dataset.labels import LabelledImage
from components.detections import Boxes, Detections, dilate, pixel_boxes
from components.evaluation.report.examples import Box
from components.imaging.noise import NoiseSource
from components.imaging.obfuscation import obfuscate
from components.imaging.reading import Pixels, decode
from components.settings import PROJECT_ROOT, Reading, Region

HIDDEN_GROWTH = 0.25  # labels are drawn tightly: so much more of their sides is hidden, hair and frames with them
_OPEN_KEY = bytes(32)  # no secret: nothing of the originals is left that noise would have to protect
_SIZE_PX = (360, 270)
_QUALITY = 82
_CONTEXT = 4.0  # a window is so many times as wide as what it shows
_LEAST_WINDOW_PX = 120


@dataclass(frozen=True, slots=True)
class Outline:
    """A rectangle that is drawn over a picture.

    Attributes:
        kind: labelled, missed or false; how it is drawn.
        x, y, width, height: px of the shown picture.
    """

    kind: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture as it stands in the page.

    Attributes:
        uri: a JPEG as a data URI.
        width, height: px.
        outlines: what is drawn over it.
    """

    uri: str
    width: int
    height: int
    outlines: tuple[Outline, ...]


def hidden_pixels(image: LabelledImage, others: Boxes, region: Region, limits: Reading) -> Pixels:
    """A picture in which everything labelled is hidden, and other boxes too.

    Args:
        image: the picture, with a path from the project's folder.
        others: boxes [n, 4] px that are hidden as well.
        region: how areas are hidden.
        limits: bounds on what is decoded.
    """
    picture = decode((PROJECT_ROOT / image.path).read_bytes(), limits)
    grown = dilate(np.concatenate([image.objects.xyxy, image.ignored]), HIDDEN_GROWTH)
    areas = pixel_boxes(np.concatenate([grown, others]).astype(np.float32), picture.width, picture.height)
    rule = region.obfuscation.model_copy(update={"cell_contrast": 0.0, "base": "neutral"})
    return obfuscate(picture.pixels, areas, rule, NoiseSource(_OPEN_KEY, picture.sha256))


def taken_for_objects(found: Sequence[Detections], from_confidence: float) -> Boxes:
    """The boxes [n, 4], grown, of all that some models took for an object with at least a confidence."""
    every = Detections.concatenate(found)
    return dilate(every.xyxy[every.confidence >= from_confidence], HIDDEN_GROWTH)


def window(box: Box, width: int, height: int) -> tuple[int, int, int, int]:
    """The part of a picture, 4:3 where it fits, that shows a box and what is around it; xyxy, whole px."""
    x1, y1, x2, y2 = box
    wide = max(_CONTEXT * (x2 - x1), _CONTEXT * (y2 - y1) * _SIZE_PX[0] / _SIZE_PX[1] / 1.5, _LEAST_WINDOW_PX)
    sides = min(round(wide), width), min(round(wide * _SIZE_PX[1] / _SIZE_PX[0]), height)
    left = round(min(max((x1 + x2 - sides[0]) / 2, 0), width - sides[0]))
    top = round(min(max((y1 + y2 - sides[1]) / 2, 0), height - sides[1]))
    return left, top, left + sides[0], top + sides[1]


def cut_out(
    pixels: Pixels, part: tuple[int, int, int, int], outlines: Sequence[tuple[str, Box]], scale: float = 1.0
) -> Shown:
    """A part of a picture at the size of the page, with outlines.

    Args:
        pixels: uint8 [h, w, 3], hidden already.
        part: xyxy px.
        outlines: kinds and boxes, px of the whole picture.
        scale: of the page's usual size.
    """
    x1, y1, x2, y2 = part
    # Part of the window may lie beyond the picture's declared size if labels and file disagree.
    piece = pixels[y1:y2, x1:x2]
    zoom = min(scale * _SIZE_PX[0] / piece.shape[1], scale * _SIZE_PX[1] / piece.shape[0])
    size = max(1, round(piece.shape[1] * zoom)), max(1, round(piece.shape[0] * zoom))
    small = cv2.resize(piece, size, interpolation=cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC)
    jpeg = simplejpeg.encode_jpeg(np.ascontiguousarray(small, np.uint8), _QUALITY, colorsubsampling="420")
    drawn = tuple(
        Outline(kind, *(round(float(side) * zoom, 1) for side in (a1 - x1, b1 - y1, a2 - a1, b2 - b1)))
        for kind, (a1, b1, a2, b2) in outlines
    )
    return Shown(f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}", *size, drawn)
