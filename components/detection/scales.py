"""At which scales a detector looks: small pictures enlarged, large ones in pieces, and huge ones once more reduced."""

from __future__ import annotations

import cv2
import numpy as np

from components.detection.detector import Detector
from components.detection.tiles import Tile, even_tiles
from components.detections import Detections
from components.imaging.reading import Pixels
from components.settings import Scales


def fit_scale(width: int, height: int, min_long_px: int, max_scale: float) -> float:
    """The factor, 1 to `max_scale`, by which a picture is enlarged so that its longer side has `min_long_px`."""
    return min(max(min_long_px / max(width, height), 1.0), max(max_scale, 1.0))


def detect_at_scales(detector: Detector, pixels: Pixels, threshold: float, scales: Scales) -> Detections:
    """Everything that a detector finds in a picture, at its own scale or enlarged, and in an overview of a large one.

    Args:
        detector: what looks.
        pixels: uint8 [h, w, 3] RGB, upright.
        threshold: the confidence below which nothing is returned.
        scales: at which scales.

    Returns:
        Boxes in px of `pixels`; objects seen several times stand several times.

    Raises:
        ModelError: the network's output cannot be trusted.
    """
    height, width = pixels.shape[:2]
    factor = fit_scale(width, height, scales.min_long_px, scales.max_scale)
    enlarged = _scaled(pixels, factor)
    pieces = even_tiles(enlarged.shape[1], enlarged.shape[0], scales.max_side_px, scales.overlap_px)
    found = [_to_picture(_in_piece(detector, enlarged, threshold, piece), enlarged, pixels) for piece in pieces]
    if max(width, height) > scales.overview_above_px:
        overview = _scaled(pixels, scales.overview_above_px / max(width, height))
        found.append(_to_picture(detector.detect(overview, threshold), overview, pixels))
    return Detections.concatenate(found)


def _in_piece(detector: Detector, pixels: Pixels, threshold: float, piece: Tile) -> Detections:
    found = detector.detect(pixels[piece.y1 : piece.y2, piece.x1 : piece.x2], threshold)
    return found.with_boxes(found.xyxy + np.array([piece.x1, piece.y1, piece.x1, piece.y1], np.float32))


def _scaled(pixels: Pixels, factor: float) -> Pixels:
    if factor == 1:
        return pixels
    size = max(1, round(pixels.shape[1] * factor)), max(1, round(pixels.shape[0] * factor))
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return cv2.resize(pixels, size, interpolation=way).astype(np.uint8, copy=False)


def _to_picture(found: Detections, seen: Pixels, pixels: Pixels) -> Detections:
    """Boxes in px of the picture, from px of what was seen of it."""
    if seen.shape == pixels.shape:
        return found
    shares = [pixels.shape[1] / seen.shape[1], pixels.shape[0] / seen.shape[0]]
    return found.with_boxes(found.xyxy * np.array(shares * 2, np.float32))
