"""What the verifier knows of a proposal: its geometry, its colours, the picture in it, and the picture around it.

Training and inference call the same functions, so a proposal looks to the network as it did when it was trained.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from components.detections import CLASS_NAMES, Boxes, Detections, Mask, dilate, heights, iou, widths
from components.imaging.reading import Pixels

CROP_PX = 48  # side of what the network sees, close up and around
WIDE_PX = 64  # side of what is kept of the close-up, so that training can move the box
MARGIN_PX = (WIDE_PX - CROP_PX) // 2

_LUMA_BINS = 8
GEOMETRY = (
    "log_width", "log_height", "log_aspect", "log_relative_size", "centre_x", "centre_y", "log_border_distance",
    "confidence_logit", *CLASS_NAMES, "log_overlapping", "largest_iou", "largest_iou_with_other_class",
    "overlapping_confidence_logit", "log_same_class", "log_height_to_neighbours", "has_neighbours",
)  # fmt: skip
COLOUR = (
    "mean_y", "mean_cr", "mean_cb", "std_y", "std_cr", "std_cb", "ring_mean_y", "ring_mean_cr", "ring_mean_cb",
    "ring_std_y", "saturation", "horizontal_change", "vertical_change", "skin_share", "edge_share",
    *(f"luma_{i}_of_{_LUMA_BINS}" for i in range(_LUMA_BINS)), "log_sharpness",
)  # fmt: skip
_PIXELS = CROP_PX * CROP_PX * 3
ROW_LENGTH = len(GEOMETRY) + len(COLOUR) + 2 * _PIXELS

_WIDE_GROWTH = 0.3  # on each side: the box is then 40 of 64 px, and the middle 48 px are the box grown by 10 %
_BOX_MARGIN_PX = 12
_CONTEXT_SIDE = 3.0  # of the box's longer side; square, so that people and vehicles keep their shape
_SKIN_LOW, _SKIN_HIGH = (40, 133, 77), (255, 173, 127)  # YCrCb; Chai and Ngan 1999
_EDGE = 100  # grey levels, sum of both Sobel responses, from which a pixel is an edge
_OVERLAPS = 0.3  # IoU from which two proposals are of the same place
_COMPARED_FROM = (
    0.1  # confidence of those that others are compared with: how far down stage 1 was asked must not matter
)
_SAME_ROW_SHARE = 0.1  # of the picture's height, by which the middles of neighbours may differ
_LOGIT_LIMIT = 7.0


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """What is known of each proposal; row i of every array speaks of the same one.

    Attributes:
        geometry: float32 [n, len(GEOMETRY)].
        colour: float32 [n, len(COLOUR)].
        wide: uint8 [n, 64, 64, 3] RGB, the box grown by 30 % on each side; its middle 48 px are the close-up.
        context: uint8 [n, 48, 48, 3] RGB, a square of three times the box's longer side around it.
    """

    geometry: NDArray[np.float32]
    colour: NDArray[np.float32]
    wide: NDArray[np.uint8]
    context: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.geometry)

    def select(self, rows: ArrayLike | slice) -> Features:
        """The rows chosen by a boolean mask or by indices."""
        rows = rows if isinstance(rows, slice) else np.asarray(rows)
        return Features(self.geometry[rows], self.colour[rows], self.wide[rows], self.context[rows])

    def close_up(self) -> NDArray[np.uint8]:
        """The box grown by 10 % on each side; uint8 [n, 48, 48, 3] RGB."""
        return self.wide[:, MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX]


def features(pixels: Pixels, proposals: Detections, others: Detections | None = None, wraps: bool = False) -> Features:
    """What is known of each proposal.

    Args:
        pixels: uint8 [h, w, 3] RGB, upright.
        proposals: n of them, in px of the picture.
        others: what they are compared with, from a confidence of 0.1 on; each with all the rest if left out.
        wraps: it is a panorama: what reaches over the left or right border goes on at the other one.
    """
    n = len(proposals)
    boxes = proposals.xyxy
    wide, context = _whole(dilate(boxes, _WIDE_GROWTH)), _whole(_squares(boxes))
    crops = np.empty((n, WIDE_PX, WIDE_PX, 3), np.uint8)
    around = np.empty((n, CROP_PX, CROP_PX, 3), np.uint8)
    for i in range(n):
        crops[i] = _crop(pixels, wide[i], WIDE_PX, wraps)
        around[i] = _crop(pixels, context[i], CROP_PX, wraps)
    height, width = pixels.shape[:2]
    return Features(geometry(proposals, width, height, others), colour(crops), crops, around)


def rows_of(
    geometry: NDArray[np.float32], colour: NDArray[np.float32], close_up: NDArray[np.uint8], context: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """The four families as the network reads them: float32 [n, ROW_LENGTH], pixels as they are, 0 to 255."""
    n = len(geometry)
    return np.concatenate([geometry, colour, close_up.reshape(n, _PIXELS), context.reshape(n, _PIXELS)], axis=1).astype(
        np.float32, copy=False
    )


def geometry(proposals: Detections, width: int, height: int, others: Detections | None = None) -> NDArray[np.float32]:
    """Where and how large each proposal is, how sure stage 1 was, and how it relates to other proposals.

    Args:
        proposals: n of them.
        width: of the picture, px.
        height: of the picture, px.
        others: what they are compared with, from a confidence of 0.1 on; each with all the rest if left out.

    Returns:
        float32 [n, len(GEOMETRY)].
    """
    xyxy = proposals.xyxy
    w, h = np.maximum(widths(xyxy), 1), np.maximum(heights(xyxy), 1)
    size = np.sqrt(w * h)
    centre = (xyxy[:, :2] + xyxy[:, 2:]) / 2
    border = np.minimum(xyxy[:, :2], np.array([width, height], np.float32) - xyxy[:, 2:]).min(axis=1, initial=np.inf)
    own = [
        np.log(w),
        np.log(h),
        np.log(w / h),
        np.log(size / np.sqrt(width * height)),
        centre[:, 0] / width,
        centre[:, 1] / height,
        np.log1p(np.clip(border, 0, None) / size),
        _logit(proposals.confidence),
        *(proposals.class_id == class_id for class_id in range(len(CLASS_NAMES))),
    ]
    return np.column_stack([*own, *_relations(proposals, height, others)]).astype(np.float32)


def _relations(proposals: Detections, picture_height: int, others: Detections | None) -> list[NDArray]:
    """How each proposal relates to the others, as the last columns of `GEOMETRY`."""
    n = len(proposals)
    among = proposals if others is None else others
    if not n or not len(among):
        return [np.zeros(n)] * 3 + [np.full(n, -_LOGIT_LIMIT)] + [np.zeros(n)] * 3
    is_other = ~np.eye(n, dtype=bool) if others is None else np.ones((n, len(among)), bool)
    is_other &= among.confidence[None] >= _COMPARED_FROM
    same: Mask = is_other & (proposals.class_id[:, None] == among.class_id[None])
    shared = iou(proposals.xyxy, among.xyxy)
    overlapping = same & (shared >= _OVERLAPS)
    height_of = [np.log(np.maximum(heights(part.xyxy), 1)) for part in (proposals, among)]
    middle = [(part.xyxy[:, 1] + part.xyxy[:, 3]) / 2 for part in (proposals, among)]
    in_row = same & ~overlapping
    in_row &= np.abs(middle[0][:, None] - middle[1][None]) <= _SAME_ROW_SHARE * picture_height
    count = in_row.sum(axis=1)
    ordered = np.sort(np.where(in_row, height_of[1][None], np.inf), axis=1)
    median = ordered[np.arange(n), np.maximum(count - 1, 0) // 2]
    return [
        np.log1p(overlapping.sum(axis=1)),
        np.where(same, shared, 0).max(axis=1),
        np.where(is_other & ~same, shared, 0).max(axis=1),
        np.where(overlapping, _logit(among.confidence)[None], -_LOGIT_LIMIT).max(axis=1),
        np.log1p(same.sum(axis=1)),
        np.where(count, height_of[0] - np.where(count, median, 0), 0),
        count > 0,
    ]


def colour(wide: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Statistics of boxes and of the rings around them.

    Args:
        wide: uint8 [n, 64, 64, 3] RGB, boxes grown by 30 % on each side.

    Returns:
        float32 [n, len(COLOUR)], as `COLOUR` names them; shares and grey levels are 0 to 1.
    """
    told = np.array([_statistics(crop) for crop in wide], np.float64).reshape(len(wide), 18 + _LUMA_BINS)
    mean, std, all_mean, all_std, (skin, edges, sharpness), levels, shares = np.split(
        told.T, [3, 6, 9, 12, 15, 18], axis=0
    )
    part = (WIDE_PX - 2 * _BOX_MARGIN_PX) ** 2
    in_ring = WIDE_PX**2 - part
    ring_mean = (WIDE_PX**2 * all_mean - part * mean) / in_ring
    ring_square = (WIDE_PX**2 * (all_std**2 + all_mean**2) - part * (std**2 + mean**2)) / in_ring
    ring_std = np.sqrt(np.maximum(ring_square - ring_mean**2, 0))[:1]
    grey = np.concatenate([mean, std, ring_mean, ring_std, levels]) / 255
    counted = np.concatenate([skin[None], edges[None], shares]) / part
    return np.concatenate([grey, counted, np.log1p(sharpness)[None]]).T.astype(np.float32)


def _statistics(wide: NDArray[np.uint8]) -> list[float]:
    """What OpenCV says of one box [64, 64, 3] and its surroundings, in grey levels and pixels."""
    inside = slice(_BOX_MARGIN_PX, -_BOX_MARGIN_PX)
    tinted = cv2.cvtColor(wide, cv2.COLOR_RGB2YCrCb)
    box = tinted[inside, inside]
    luma = cv2.extractChannel(box, 0)
    (mean, std), (all_mean, all_std) = cv2.meanStdDev(box), cv2.meanStdDev(tinted)
    saturation = cv2.mean(cv2.cvtColor(wide[inside, inside], cv2.COLOR_RGB2HSV))[1]
    along_x = cv2.convertScaleAbs(cv2.Sobel(luma, cv2.CV_16S, 1, 0))
    along_y = cv2.convertScaleAbs(cv2.Sobel(luma, cv2.CV_16S, 0, 1))
    edges = cv2.countNonZero(cv2.threshold(cv2.add(along_x, along_y), _EDGE, 1, cv2.THRESH_BINARY)[1])
    sharpness = cv2.meanStdDev(cv2.Laplacian(luma, cv2.CV_16S))[1].item()
    skin = cv2.countNonZero(cv2.inRange(box, _SKIN_LOW, _SKIN_HIGH))
    levels = saturation, cv2.mean(along_x)[0], cv2.mean(along_y)[0]
    histogram = cv2.calcHist([luma], [0], None, [_LUMA_BINS], [0, 256])
    columns = [*mean, *std, *all_mean, *all_std]
    return [*(value.item() for value in columns), skin, edges, sharpness, *levels, *histogram.ravel().tolist()]


def _logit(confidence: NDArray[np.float32]) -> NDArray[np.float32]:
    limit = 1 / (1 + np.exp(_LOGIT_LIMIT))
    share = np.clip(confidence, limit, 1 - limit)
    return np.log(share / (1 - share))


def _squares(xyxy: Boxes) -> Boxes:
    """Squares around boxes, of a multiple of their longer side."""
    half = np.maximum(widths(xyxy), heights(xyxy))[:, None] * _CONTEXT_SIDE / 2
    centre = (xyxy[:, :2] + xyxy[:, 2:]) / 2
    return np.concatenate([centre - half, centre + half], axis=1)


def _whole(xyxy: Boxes) -> NDArray[np.int64]:
    """Boxes in whole pixels, none without content."""
    low = np.rint(xyxy[:, :2]).astype(np.int64)
    return np.concatenate([low, np.maximum(np.rint(xyxy[:, 2:]).astype(np.int64), low + 1)], axis=1)


def _crop(pixels: Pixels, window: NDArray[np.int64], side_px: int, wraps: bool) -> NDArray[np.uint8]:
    """A window as a square of fixed size; beyond a border its pixels are repeated, or those of the other side.

    Each pixel is the mean of four samples between pixels, whatever the window's size: a window that fills a large
    picture costs what a small one does.
    """
    height, width = pixels.shape[:2]
    x1, y1, x2, y2 = window.tolist()
    if wraps and (x1 < 0 or x2 > width):
        pixels = np.take(pixels, np.arange(x1, x2) % width, axis=1)
        x1, x2, width = 0, x2 - x1, x2 - x1
    sampled_px = (2 * side_px, 2 * side_px)
    if x1 >= 0 and y1 >= 0 and x2 <= width and y2 <= height:
        sampled = cv2.resize(pixels[y1:y2, x1:x2], sampled_px, interpolation=cv2.INTER_LINEAR)
    else:
        scale_x, scale_y = (x2 - x1) / sampled_px[0], (y2 - y1) / sampled_px[1]
        place = np.array([[scale_x, 0, x1 + (scale_x - 1) / 2], [0, scale_y, y1 + (scale_y - 1) / 2]])
        how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        sampled = cv2.warpAffine(pixels, place, sampled_px, flags=how, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.resize(sampled, (side_px, side_px), interpolation=cv2.INTER_AREA), np.uint8)
