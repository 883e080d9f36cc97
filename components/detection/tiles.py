"""Large pictures in pieces: small objects at their own scale, large ones in an overview."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from components.detection.detector import Detector
from components.detections import Detections
from components.imaging.reading import Pixels


@dataclass(frozen=True, slots=True)
class Tile:
    """A piece of a picture, in px."""

    x1: int
    y1: int
    x2: int
    y2: int


def tiles(width: int, height: int, tile_px: int, overlap_px: int) -> list[Tile]:
    """Pieces of at most tile_px × tile_px that cover the picture.

    Neighbours share at least `overlap_px`, so an object of up to that size stands whole in one of them.
    """
    return _grid(width, height, (tile_px, tile_px), overlap_px)


def even_tiles(width: int, height: int, max_px: int, overlap_px: int) -> list[Tile]:
    """As few pieces as with `tiles`, but no larger than they must be: what they share twice is looked at twice."""
    return _grid(width, height, (_even(width, max_px, overlap_px), _even(height, max_px, overlap_px)), overlap_px)


def _grid(width: int, height: int, tile_px: tuple[int, int], overlap_px: int) -> list[Tile]:
    return [
        Tile(x, y, min(x + tile_px[0], width), min(y + tile_px[1], height))
        for y in _starts(height, tile_px[1], overlap_px)
        for x in _starts(width, tile_px[0], overlap_px)
    ]


def _even(side_px: int, max_px: int, overlap_px: int) -> int:
    n = _count(side_px, max_px, overlap_px)
    return math.ceil((side_px + (n - 1) * overlap_px) / n)


def _count(side_px: int, tile_px: int, overlap_px: int) -> int:
    return 1 if side_px <= tile_px else math.ceil((side_px - overlap_px) / (tile_px - overlap_px))


def _starts(side_px: int, tile_px: int, overlap_px: int) -> list[int]:
    n = _count(side_px, tile_px, overlap_px)
    if n == 1:
        return [0]
    return [round(i * (side_px - tile_px) / (n - 1)) for i in range(n)]


def detect_in_tiles(detector: Detector, pixels: Pixels, threshold: float, tile_px: int, overlap_px: int) -> Detections:
    """Everything that a detector finds in the tiles of a picture and, where it had to be cut, in its overview.

    Returns:
        Boxes in px of the whole picture; objects seen in several tiles stand several times.
    """
    height, width = pixels.shape[:2]
    pieces = tiles(width, height, tile_px, overlap_px)
    found = [_detect_in(detector, pixels, threshold, piece) for piece in pieces]
    if len(pieces) > 1:
        found.append(_detect_in_overview(detector, pixels, threshold, tile_px))
    return Detections.concatenate(found)


def _detect_in(detector: Detector, pixels: Pixels, threshold: float, piece: Tile) -> Detections:
    found = detector.detect(pixels[piece.y1 : piece.y2, piece.x1 : piece.x2], threshold)
    return found.with_boxes(found.xyxy + np.array([piece.x1, piece.y1, piece.x1, piece.y1], np.float32))


def _detect_in_overview(detector: Detector, pixels: Pixels, threshold: float, tile_px: int) -> Detections:
    height, width = pixels.shape[:2]
    scale = tile_px / max(width, height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    overview = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    found = detector.detect(overview, threshold)
    back = np.array([width / size[0], height / size[1]] * 2, np.float32)
    return found.with_boxes(found.xyxy * back)
