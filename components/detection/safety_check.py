"""The secondary check: detectors of another make look again where the verifier has said no, or is not sure.

The verifier is small and can be wrong for good; a detector that was trained on other pictures rarely errs in the same
place. What it is sure of is blurred whatever the verifier said, and where the verifier doubts, it decides. On a whole
picture it costs several times what stages 1 and 2 do. So by default it sees only windows around what is in question,
side by side on a canvas as small as they allow, and each detector only those of its own class.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from components.detection.detector import Detector
from components.detections import Boxes, Detections, Mask, areas, intersections, iou
from components.imaging.reading import Pixels
from components.settings import SafetyCheck

CANVAS_PX = 640  # the input of detectors that take squares only
NEAR, WIDE = 2.0, 4.0  # a window's side, in the longer sides of its box, at least
_GREY = 114
_SAME_PLACE_IOU = 0.2


def look_again(
    detectors: Sequence[Detector], pixels: Pixels, asked: Detections, settings: SafetyCheck, sides: float = NEAR
) -> tuple[NDArray[np.float32], Boxes]:
    """How sure the detectors are of what the verifier has rejected or doubts.

    Args:
        detectors: those of the secondary check; each answers for the classes that it finds.
        pixels: uint8 [h, w, 3] RGB.
        asked: the proposals in question.
        settings: the size of windows.
        sides: what a window shows, in the longer sides of its box.

    Returns:
        For each proposal the highest confidence of a detection of its class at its place, 0 if there is none,
        float32 [n]; and its box, widened to that detection's where there is one, float32 [n, 4].

    Raises:
        ModelError: a network's output cannot be trusted.
    """
    confidence = np.zeros(len(asked), np.float32)
    boxes = asked.xyxy.copy()
    per_row = CANVAS_PX // settings.window_px
    for class_id in np.unique(asked.class_id):
        rows = np.flatnonzero(asked.class_id == class_id)
        own_detectors = [detector for detector in detectors if class_id in detector.class_ids]
        for start in range(0, len(rows), per_row**2):
            some = rows[start : start + per_row**2]
            windows = [_window(asked.xyxy[row], sides) for row in some]
            canvas = _canvas(pixels, windows, settings.window_px)
            seen = Detections.concatenate(detector.detect(canvas, settings.doubt_from) for detector in own_detectors)
            for place, row in enumerate(some):
                own = _in_window(seen, windows[place], place, settings.window_px)
                confidence[[row]], boxes[[row]], _ = answers(own, asked.select([row]))
    return confidence, boxes


def answers(seen: Detections, asked: Detections) -> tuple[NDArray[np.float32], Boxes, Mask]:
    """What detections say of proposals, each of those by its surest detection of the same class at the same place.

    Returns:
        For each proposal that detection's confidence, 0 if there is none, float32 [n]; its box, widened to that
        detection's, float32 [n, 4]; and which detections are nobody's answer, bool [m].
    """
    confidence, boxes, is_free = np.zeros(len(asked), np.float32), asked.xyxy.copy(), np.ones(len(seen), bool)
    covered = intersections(asked.xyxy, seen.xyxy) > areas(asked.xyxy)[:, None] / 2
    here = covered | (iou(asked.xyxy, seen.xyxy) >= _SAME_PLACE_IOU)
    here &= asked.class_id[:, None] == seen.class_id[None]
    rows = np.flatnonzero(here.any(axis=1))
    if len(rows):
        best = np.where(here[rows], seen.confidence, -1).argmax(axis=1)
        confidence[rows], is_free[best] = seen.confidence[best], False
        boxes[rows, :2] = np.minimum(boxes[rows], seen.xyxy[best])[:, :2]
        boxes[rows, 2:] = np.maximum(boxes[rows], seen.xyxy[best])[:, 2:]
    return confidence, boxes, is_free


def _window(box: Boxes, sides: float) -> tuple[float, float, float]:
    """Left, top and side, px, of the square around a box."""
    side = max(float(max(box[2] - box[0], box[3] - box[1])) * sides, 32.0)
    return float(box[0] + box[2] - side) / 2, float(box[1] + box[3] - side) / 2, side


def _canvas(pixels: Pixels, windows: Sequence[tuple[float, float, float]], window_px: int) -> Pixels:
    per_row = CANVAS_PX // window_px
    rows = math.ceil(len(windows) / per_row)
    canvas = np.full((rows * window_px, min(len(windows), per_row) * window_px, 3), _GREY, np.uint8)
    for place, (left, top, side) in enumerate(windows):
        scale = window_px / side
        x, y = (place % per_row) * window_px, (place // per_row) * window_px
        x1, y1 = max(0, math.floor(left) - 1), max(0, math.floor(top) - 1)  # one pixel more, to interpolate with
        piece = pixels[y1 : max(0, math.ceil(top + side) + 1), x1 : max(0, math.ceil(left + side) + 1)]
        if not piece.size:
            continue
        factors = np.array([scale, scale])
        if scale < 1:  # averaged down first, since a warp alone would skip pixels
            size = max(1, round(piece.shape[1] * scale)), max(1, round(piece.shape[0] * scale))
            factors *= np.array([piece.shape[1], piece.shape[0]]) / size
            piece = np.asarray(cv2.resize(piece, size, interpolation=cv2.INTER_AREA), np.uint8)
        # OpenCV counts from the middle of the first pixel.
        corner = np.array([x1 - left, y1 - top]) * scale + (factors - 1) / 2
        canvas[y : y + window_px, x : x + window_px] = cv2.warpAffine(
            piece, np.column_stack([np.diag(factors), corner]), (window_px, window_px), borderValue=(_GREY,) * 3
        )
    return canvas


def _in_window(seen: Detections, window: tuple[float, float, float], place: int, window_px: int) -> Detections:
    """What was seen in one window of the canvas, in px of the picture."""
    per_row = CANVAS_PX // window_px
    x, y = (place % per_row) * window_px, (place // per_row) * window_px
    middle = (seen.xyxy[:, :2] + seen.xyxy[:, 2:]) / 2
    inside = ((middle >= [x, y]) & (middle < [x + window_px, y + window_px])).all(axis=1)
    left, top, side = window
    own = seen.select(inside)
    corner = np.array([x, y, x, y], np.float32)
    moved = (own.xyxy - corner) * np.float32(side / window_px) + np.array([left, top, left, top], np.float32)
    return own.with_boxes(moved)
