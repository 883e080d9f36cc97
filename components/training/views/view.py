"""A piece of a picture at a chosen scale.

Objects of every size must be seen equally often, and a set of pictures has the sizes that it has: so each view is
scaled until one of its objects has the size that was drawn for it. Scale, place, rotation, shear, perspective and
mirroring are one homography, so that pixels are interpolated once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from components.detections import Boxes, areas, clip, heights, widths
from components.imaging.reading import Pixels
from components.settings import Views
from components.training.images import TrainingImage

OUTSIDE_GREY = 114  # what is beside a picture, in training as in detection
_PLACE_PX = 12.0, 96.0  # the size that is asked of a place without an object
_TO_MIDDLES = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])
_LEAST_NEARNESS = 0.2  # of a box's corner, 1 at the view's middle; farther ones straddle the vanishing line
_WHOLE_SHARE = 0.4  # of an object, from which a view shows enough of it to learn from


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """Pixels and labels as the network is to see them.

    Attributes:
        pixels: uint8 [side, side, 3] RGB.
        boxes: float32 [n, 4] xyxy px.
        class_id: int16 [n].
        box_weight: float32 [n].
        uncounted: uint8 [side, side], where background must not count: bit c speaks of class c.
    """

    pixels: Pixels
    boxes: Boxes
    class_id: NDArray[np.int16]
    box_weight: NDArray[np.float32]
    uncounted: NDArray[np.uint8]


def view_of(
    image: TrainingImage,
    pixels: Pixels,
    side_px: int,
    object_px: tuple[float, float],
    settings: Views,
    rng: np.random.Generator,
) -> View:
    """A square piece of a picture with one of its objects at a size between two bounds.

    Args:
        image: the labels.
        pixels: uint8 [h, w, 3] RGB, of the labelled size.
        side_px: the side of the view.
        object_px: bounds of the chosen object's shorter side; logarithmically even between them.
        settings: how views vary.
        rng: source of all chance.
    """
    wanted_px = float(np.exp(rng.uniform(*np.log(object_px))))
    background_share = settings.complete_background_share if image.complete else settings.background_share
    centre, shorter_px = _subject(image, background_share, rng)
    scale = min(wanted_px / shorter_px, settings.max_enlargement)
    scale = max(scale, settings.min_view_share * side_px / max(image.width, image.height))
    coarse = _shrunk(pixels, scale)
    matrix = _homography(centre, scale, side_px, image, settings, rng)
    back = np.diag([image.width / coarse.shape[1], image.height / coarse.shape[0], 1.0])
    # OpenCV counts from the middles of pixels, boxes from their edges: half a px apart, which 6 px plates would feel.
    from_coarse = _TO_MIDDLES @ matrix @ back @ np.linalg.inv(_TO_MIDDLES)
    size = side_px, side_px
    seen = cv2.warpPerspective(coarse, from_coarse, size, borderValue=(OUTSIDE_GREY,) * 3)
    uncounted = _uncounted(image, coarse.shape[1], coarse.shape[0], from_coarse, side_px)
    return _labelled(image, seen.astype(np.uint8, copy=False), uncounted, matrix, settings)


def _subject(
    image: TrainingImage, background_share: float, rng: np.random.Generator
) -> tuple[NDArray[np.float64], float]:
    """The middle and the shorter side, px, of an object; or of any place, where there is none or by chance."""
    count = len(image.boxes)
    if count == 0 or rng.random() < background_share:
        return rng.uniform(0, [image.width, image.height]), float(np.exp(rng.uniform(*np.log(_PLACE_PX))))
    box = image.boxes[int(rng.integers(count))].astype(np.float64)
    return (box[:2] + box[2:]) / 2, max(2.0, float(min(box[2] - box[0], box[3] - box[1])))


def _shrunk(pixels: Pixels, scale: float) -> Pixels:
    """Averaged down to at most twice the wanted scale: a warp alone would skip pixels."""
    if scale > 0.6:
        return pixels
    height, width = pixels.shape[:2]
    size = max(1, round(width * scale * 1.2)), max(1, round(height * scale * 1.2))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def _homography(
    centre: NDArray[np.float64],
    scale: float,
    side_px: int,
    image: TrainingImage,
    settings: Views,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """From px of the picture to px of the view, with the centre somewhere in it."""
    low, high = 0.2 * side_px, 0.8 * side_px
    place = rng.uniform(low, high, 2)
    # A picture that fits into the view as a whole stays in it as a whole.
    for axis, extent in enumerate((image.width * scale, image.height * scale)):
        if extent <= side_px:
            place[axis] = centre[axis] * scale + rng.uniform(0, side_px - extent)
    angle = np.radians(rng.uniform(-settings.rotation_deg, settings.rotation_deg))
    shear = np.tan(np.radians(rng.uniform(-settings.shear_deg, settings.shear_deg, 2)))
    stretch = np.exp(rng.uniform(-settings.stretch_share, settings.stretch_share))
    cos, sin = np.cos(angle), np.sin(angle)
    turned = np.array([[cos, -sin], [sin, cos]]) @ np.array([[1, shear[0]], [shear[1], 1]])
    turned = turned @ np.diag([scale * stretch, scale / stretch])
    if rng.random() < settings.mirrored_share:
        turned = turned @ np.diag([-1.0, 1.0])
        if image.width * scale <= side_px:
            place[0] = side_px - place[0]
    matrix = np.eye(3)
    matrix[:2, :2] = turned
    tilt = rng.uniform(-settings.perspective, settings.perspective, 2) / side_px
    to_centre, to_place = np.eye(3), np.eye(3)
    to_centre[:2, 2], to_place[:2, 2] = -centre, place
    tilted = np.eye(3)
    tilted[2, :2] = tilt
    return to_place @ tilted @ matrix @ to_centre


def _uncounted(
    image: TrainingImage, width: int, height: int, matrix: NDArray[np.float64], side_px: int
) -> NDArray[np.uint8]:
    if len(image.exhaustive) == 2 and not len(image.ignored):
        return np.zeros((side_px, side_px), np.uint8)
    bits = image.uncounted(width, height)
    return cv2.warpPerspective(bits, matrix, (side_px, side_px), flags=cv2.INTER_NEAREST).astype(np.uint8, copy=False)


def _labelled(
    image: TrainingImage, seen: Pixels, uncounted: NDArray[np.uint8], matrix: NDArray[np.float64], settings: Views
) -> View:
    """The objects that the view shows enough of; what it shows of the others counts neither way."""
    side_px = len(seen)
    in_front = _in_front(image.boxes, matrix)
    image = replace(
        image,
        boxes=image.boxes[in_front],
        class_id=image.class_id[in_front],
        box_weight=image.box_weight[in_front],
    )
    moved = moved_boxes(image.boxes, matrix)
    cut = clip(moved, side_px, side_px)
    whole = np.maximum(areas(moved), 1e-6)
    shorter = np.minimum(widths(cut), heights(cut))
    kept = (areas(cut) / whole >= _WHOLE_SHARE) & (shorter >= settings.min_object_px)
    for x1, y1, x2, y2 in cut[~kept & (areas(cut) > 0)]:
        uncounted[int(y1) : int(np.ceil(y2)), int(x1) : int(np.ceil(x2))] = 255 >> 6
    return View(seen, cut[kept], image.class_id[kept], image.box_weight[kept], uncounted)


def _in_front(xyxy: Boxes, matrix: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which boxes a tilted view can show; none of the others is in it, though their hull would be."""
    corners = xyxy[:, [0, 1, 2, 1, 0, 3, 2, 3]].reshape(-1, 4, 2)
    nearness = corners @ matrix[2, :2] + matrix[2, 2]
    return (nearness >= _LEAST_NEARNESS).all(axis=1)


def moved_boxes(xyxy: Boxes, matrix: NDArray[np.float64]) -> Boxes:
    """Boxes [n, 4] around what a homography makes of the ellipses in the given ones.

    The hull of a turned box is much too large for a round face, and somewhat for a plate; an ellipse's is neither.
    """
    if not len(xyxy):
        return xyxy
    angle = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    # A superellipse of exponent 4: between the ellipse and the box, as faces and plates are.
    unit = np.stack([_rounded(np.cos(angle)), _rounded(np.sin(angle))], axis=1)
    middle = (xyxy[:, None, :2] + xyxy[:, None, 2:]) / 2
    half = (xyxy[:, None, 2:] - xyxy[:, None, :2]) / 2
    points = (middle + half * unit[None]).reshape(1, -1, 2).astype(np.float64)
    moved = cv2.perspectiveTransform(points, matrix).reshape(len(xyxy), -1, 2)
    return np.concatenate([moved.min(axis=1), moved.max(axis=1)], axis=1).astype(np.float32)


def _rounded(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.sign(values) * np.sqrt(np.abs(values))
