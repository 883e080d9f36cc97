"""Pictures that go all the way round: equirectangular panorama, 360° wide and 180° high.

Two things hide objects there. The left and right border are one place in the world, so a face can stand half at either
of them; and rows near the poles stretch whatever they show, at latitude φ by 1 / cos φ, until no detector knows it.
Detectors are therefore shown the picture continued beyond its right border by its own first columns, and perspective
views towards both poles.

A second look at the picture turned by half would find whole at the seam whatever the first one finds elsewhere, but
costs as much as the first; the continued columns cost an eighth and are as good for every object up to their width.

Boxes are held folded: 0 ≤ x1 < width, and x2 > width if the box reaches over the seam.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from components.detection.suppression import merge_duplicates
from components.detections import Boxes, Detections, Mask, widths
from components.imaging.reading import Pixels
from components.settings import Detection, Panorama

_CUT_PX = 8  # nearer than this to the border of what a detector was shown, an object may have been cut by it
_SPHERE_TOLERANCE = 0.02  # of the width, by which a whole sphere may miss 2:1
_MAX_REMAP_PX = 32766  # cv2.remap knows no longer side


@dataclass(frozen=True, slots=True)
class View:
    """A square perspective picture taken from the middle of a panorama, upright.

    Attributes:
        yaw_deg: where it looks, to the right of the panorama's middle column.
        pitch_deg: above the horizon; negative looks down. Never 0.
        fov_deg: what its sides span.
        size_px: how many pixels its sides have.
    """

    yaw_deg: float
    pitch_deg: float
    fov_deg: float
    size_px: int

    @property
    def focal_px(self) -> float:
        """Distance of the image plane from the eye, px."""
        return self.size_px / 2 / float(np.tan(np.radians(self.fov_deg / 2)))


def detect_around(
    detect: Callable[[Pixels], Detections], pixels: Pixels, settings: Detection
) -> tuple[Detections, Mask]:
    """Everything that is found in a panorama continued over its seam and in its views towards the poles.

    Args:
        detect: finds objects in one picture of any size, boxes in its px.
        pixels: uint8 [h, w, 3] RGB; its full width is 360°.
        settings: how far it is continued, and which views are taken.

    Returns:
        Folded boxes, several for an object that was seen several times, and the rows that may show only a part of
        their object, because what the detector was shown ended there (bool [n]).
    """
    height, width = pixels.shape[:2]
    overlap_px = seam_overlap_px(width, settings)
    continued = detect(np.concatenate([pixels, pixels[:, :overlap_px]], axis=1))
    found = [continued.with_boxes(fold(continued.xyxy, width))]
    cut = [_near(continued.xyxy[:, [0, 2]], width + overlap_px)]
    for view in polar_views(width, settings.panorama) if _reaches_the_poles(width, height) else ():
        seen = detect(render(pixels, view))
        found.append(seen.with_boxes(boxes_in_panorama(seen.xyxy, view, width, height)))
        cut.append(_near(seen.xyxy, view.size_px))
    return Detections.concatenate(found), np.concatenate(cut)


def _reaches_the_poles(width: int, height: int) -> bool:
    """Whether the picture shows the whole sphere; a strip that goes round has no poles to look at."""
    return abs(width - 2 * height) <= _SPHERE_TOLERANCE * width


def merge_around(found: Detections, cut: Mask, min_iou: float, counts: Mask, width: int) -> Detections:
    """`merge_duplicates` where left and right border are one place; see there. Boxes are folded."""
    merged = merge_duplicates(found, min_iou, counts, turn_px=width, cut=cut)
    return merged.with_boxes(fold(merged.xyxy, width))


def seam_overlap_px(width: int, settings: Detection) -> int:
    """By how much a panorama is continued: its share for large objects, no less than tiles overlap."""
    return min(width, max(round(width * settings.panorama.seam_overlap_share), settings.tile_overlap_px))


def fold(xyxy: Boxes, width: int) -> Boxes:
    """Boxes at the same place of the world with 0 ≤ x1 < width; those of a whole turn are 0 to width."""
    turns = np.floor(xyxy[:, 0].astype(np.float64) / width)
    folded = (xyxy - turns[:, None] * np.array([width, 0, width, 0])).astype(np.float32)
    folded[folded[:, 0] >= width] -= np.array([width, 0, width, 0], np.float32)  # what -1e-9 was rounded to
    folded[widths(xyxy) >= width, 0] = 0
    folded[widths(xyxy) >= width, 2] = width
    return folded


def pixel_boxes_around(xyxy: Boxes, width: int, height: int) -> NDArray[np.int32]:
    """`pixel_boxes` where left and right border are one place: whatever reaches over the seam becomes two boxes."""
    x1, y1, x2, y2 = np.concatenate([np.floor(xyxy[:, :2]), np.ceil(xyxy[:, 2:])], axis=1).T.astype(np.float64)
    length = np.clip(x2 - x1, 0, width)
    start = np.where(length < width, np.mod(x1, width), 0)
    y1, y2 = np.clip(y1, 0, height), np.clip(y2, 0, height)
    here = np.stack([start, y1, np.minimum(start + length, width), y2], axis=1)
    beyond = np.stack([np.zeros_like(start), y1, start + length - width, y2], axis=1)
    boxes = np.concatenate([here, beyond]).astype(np.int32)
    return boxes[(boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])]


def polar_views(width: int, settings: Panorama) -> list[View]:
    """Views all round towards zenith and nadir, in their middle as fine as the panorama's columns.

    Args:
        width: of the panorama, px.
        settings: how many, and where they look.
    """
    px_per_radian = width / (2 * np.pi)
    size_px = max(1, round(2 * px_per_radian * np.tan(np.radians(settings.fov_deg / 2))))
    return [
        View(step * 360 / settings.views_per_pole, pitch_deg, settings.fov_deg, size_px)
        for pitch_deg in (settings.pitch_deg, -settings.pitch_deg)
        for step in range(settings.views_per_pole)
    ]


def render(pixels: Pixels, view: View) -> Pixels:
    """The view as a picture, uint8 [size_px, size_px, 3]."""
    height, width = (min(side, _MAX_REMAP_PX) for side in pixels.shape[:2])
    if (height, width) != pixels.shape[:2]:
        pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    centres = np.arange(view.size_px, dtype=np.float32) + np.float32(0.5)
    x, y = points_in_panorama(centres[None, :], centres[:, None], view, width, height)
    # OpenCV counts from the middle of the first pixel. Columns go on round the seam; rows must not round the poles.
    columns = (np.mod(x, width) - 0.5).astype(np.float32)
    rows = np.clip(y - 0.5, 0, height - 1).astype(np.float32)
    seen = cv2.remap(pixels, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    return seen.astype(np.uint8, copy=False)


def points_in_panorama(x: NDArray, y: NDArray, view: View, width: int, height: int) -> tuple[NDArray, NDArray]:
    """Where points of a view stand in the panorama.

    The inverse gnomonic projection (Snyder 1987, Map Projections, USGS Professional Paper 1395, chapter 22) of a unit
    sphere. With u to the right and v upwards on the plane that touches the sphere at latitude φ₁ and longitude λ₀, and
    with Snyder's sin c and cos c written out for ρ = tan c,

        λ = λ₀ + atan2(u, cos φ₁ − v sin φ₁)
        φ = atan2(sin φ₁ + v cos φ₁, √(u² + (cos φ₁ − v sin φ₁)²))

    where φ is his arcsine as an arctangent, which is exact near the poles too.

    Args:
        x: px from the view's left border; any shape that goes with `y`.
        y: px from its upper border.
        view: the view.
        width: of the panorama, px.
        height: of the panorama, px.

    Returns:
        x and y in px of the panorama. x is continuous but at the column opposite of the view, and may lie a turn
        beyond the borders.
    """
    pitch, yaw = np.radians(view.pitch_deg), np.radians(view.yaw_deg)
    sin, cos = float(np.sin(pitch)), float(np.cos(pitch))
    u, v = (x - view.size_px / 2) / view.focal_px, (view.size_px / 2 - y) / view.focal_px
    ahead = cos - v * sin
    longitude = float(yaw) + np.arctan2(u, ahead)
    latitude = np.arctan2(sin + v * cos, np.hypot(u, ahead))
    return (longitude / (2 * np.pi) + 0.5) * width, (0.5 - latitude / np.pi) * height


def boxes_in_panorama(xyxy: Boxes, view: View, width: int, height: int) -> Boxes:
    """The smallest whole-pixel boxes of the panorama that contain boxes of a view, folded.

    Longitude and latitude have no extremum within a box unless it contains the pole, so its outline decides. Straight
    lines of a view are great circles, on which longitude only rises or falls: its extrema are corners. Latitude may be
    nearest to the pole between them: on a horizontal side at u = 0, on a vertical one at v = (1 + u²) cot φ₁, where its
    derivative along the side is 0 (the symbols are those of `points_in_panorama`).

    A box that contains the pole has every longitude: it becomes the full width, up to the pole.
    """
    x1, y1, x2, y2 = xyxy.T.astype(np.float64)
    middle, focal_px = view.size_px / 2, view.focal_px
    cotangent = 1 / float(np.tan(np.radians(view.pitch_deg)))

    def nearest_pole(x: NDArray) -> NDArray:
        return np.clip(middle - focal_px * cotangent * (1 + ((x - middle) / focal_px) ** 2), y1, y2)

    nearest_middle = np.clip(middle, x1, x2)
    x = np.stack([x1, x2, x1, x2, nearest_middle, nearest_middle, x1, x2])
    y = np.stack([y1, y1, y2, y2, y1, y2, nearest_pole(x1), nearest_pole(x2)])
    columns, rows = points_in_panorama(x, y, view, width, height)
    centre, _ = points_in_panorama((x1 + x2) / 2, (y1 + y2) / 2, view, width, height)
    # No box without a pole spans more than half a turn: every point is less than that from the box's own centre.
    columns = centre + np.mod(columns - centre + width / 2, width) - width / 2
    pole_y = middle - focal_px * cotangent
    polar = (x1 <= middle) & (middle <= x2) & (y1 <= pole_y) & (pole_y <= y2)
    left, right = np.where(polar, 0, columns.min(axis=0)), np.where(polar, width, columns.max(axis=0))
    top, bottom = rows.min(axis=0), rows.max(axis=0)
    if view.pitch_deg > 0:
        top = np.where(polar, 0, top)
    else:
        bottom = np.where(polar, height, bottom)
    whole = np.stack([np.floor(left), np.floor(top), np.ceil(right), np.ceil(bottom)], axis=1)
    whole[:, [1, 3]] = np.clip(whole[:, [1, 3]], 0, height)
    return fold(whole.astype(np.float32), width)


def _near(edges: NDArray[np.float32], side_px: int) -> Mask:
    """Rows of which an edge lies at 0 or at `side_px`, give or take."""
    return np.any((edges < _CUT_PX) | (edges > side_px - _CUT_PX), axis=1)
