"""Flat panels drawn in the three dimensions of a plate, one over the other."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from components.dataset.plate_views import Points, Pose

Colour = tuple[float, float, float]

NEAREST_MM = 300.0  # what would be nearer to the camera is left out
_FINER = 2  # drawn so many times larger and shrunk, for soft edges


@dataclass(frozen=True, slots=True, eq=False)
class Canvas:
    """Where panels are drawn: `values` uint8 [h, w, 3], premultiplied with `alpha` uint8 [h, w]; both finer."""

    values: NDArray[np.uint8]
    alpha: NDArray[np.uint8]
    pose: Pose
    origin: Points

    def seen(self, points_mm: Points) -> NDArray[np.int32]:
        """Places on the canvas in sixteenths of a px, int32 [n, 2]."""
        return np.round(((self.pose.project(points_mm) - self.origin) * _FINER - 0.5) * 16).astype(np.int32)

    def panel(self, points: list[tuple[float, float, float]], colour: Colour, opacity: int = 255) -> None:
        """Fill a flat panel, unless it comes too near to the camera."""
        corners = np.array(points, np.float64)
        if (self.pose.depths_mm(corners) < NEAREST_MM).any():
            return
        place = self.seen(corners)
        cv2.fillPoly(self.values, [place], shaded(colour, opacity / 255), cv2.LINE_8, 4)
        cv2.fillPoly(self.alpha, [place], (opacity,), cv2.LINE_8, 4)

    def disc(self, centre: tuple[float, float, float], radius: float, axis: int, colour: Colour) -> None:
        """Fill a disc that is flat along an axis (0: seen from the side, 2: seen from behind)."""
        turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        ring = np.zeros((24, 3))
        ring[:, 1], ring[:, 2 - axis] = radius * np.sin(turn), radius * np.cos(turn)
        self.panel([(float(x), float(y), float(z)) for x, y, z in ring + centre], colour)

    def rectangle(self, x1: float, y1: float, x2: float, y2: float, z: float, colour: Colour) -> None:
        """Fill an upright rectangle that faces as the plate does."""
        self.panel([(x1, y1, z), (x2, y1, z), (x2, y2, z), (x1, y2, z)], colour)


def empty_canvas(pose: Pose, origin: Points, size: tuple[int, int]) -> Canvas:
    """Nothing yet, all transparent.

    Args:
        pose: how the plate stands.
        origin: [2] px of the canvas's upper left corner, from where the plate's middle is seen.
        size: width and height in px.
    """
    sides = size[1] * _FINER, size[0] * _FINER
    return Canvas(np.zeros((*sides, 3), np.uint8), np.zeros(sides, np.uint8), pose, np.asarray(origin, np.float64))


def finished(canvas: Canvas, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Uneven light and soft edges over the flat colours; uint8 [h, w, 4] of the real size, premultiplied with alpha."""
    height, width = (side // _FINER for side in canvas.alpha.shape)
    alpha = cv2.resize(canvas.alpha, (width, height), interpolation=cv2.INTER_AREA)
    shown = cv2.resize(canvas.values, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
    coarse = rng.uniform(0.75, 1.2, (7, 5)).astype(np.float32)
    shine = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    soft = np.clip(cv2.GaussianBlur(shown * shine[..., None], (0, 0), 0.6), 0, 255)
    return np.dstack([np.minimum(soft, alpha[..., None]).astype(np.uint8), alpha])


def shaded(colour: Colour, share: float) -> Colour:
    """A colour in more or less light; at most white."""
    red, green, blue = (min(255.0, band * share) for band in colour)
    return red, green, blue


def within(points: list[tuple[float, float, float]], share: float) -> list[tuple[float, float, float]]:
    """The same panel, smaller about its middle."""
    corners = np.array(points)
    middle = corners.mean(axis=0)
    return [(float(x), float(y), float(z)) for x, y, z in middle + (corners - middle) * share]
