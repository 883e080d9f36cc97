"""Licence plates seen at an angle, and how one is set into a picture as if it had been there.

A plate is a plane that is turned about its middle before a pinhole camera. Its pixels are interpolated once, from a
drawing that was first shrunk to about the size at which it is seen, so that a plate seen from the side does not alias.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from components.dataset.plate_designs import LONG, SQUARE, flat_plate
from components.dataset.plate_lens import Light, through_lens
from components.detections import Boxes
from components.imaging.reading import Pixels

Points = NDArray[np.float64]

_MARGIN_PX = 2
_DISTANCE_MM = 2500.0, 25000.0
_STEEPEST_PITCH_DEG = 55.0  # a camera on a roof or a pole; beyond it plates are seen from the side, not from above
_LOWEST_PITCH_DEG = 6.0  # seen from below, as by a camera lower than the plate
_ROLL_DEG = 4.0  # σ; streets and cameras are nearly level


@dataclass(frozen=True, slots=True)
class Pose:
    """How the plane of a plate stands before the camera, which looks at the plate's middle.

    Attributes:
        yaw_deg: turn about the plate's upright axis.
        pitch_deg: how far the camera looks down on it.
        roll_deg: turn about the line of sight.
        distance_mm: from the camera to the plate's middle.
        px_per_mm: scale at that distance.
    """

    yaw_deg: float
    pitch_deg: float
    roll_deg: float
    distance_mm: float
    px_per_mm: float

    @property
    def tilt_deg(self) -> float:
        """The angle between the plate's normal and the line of sight."""
        upright = np.cos(np.radians(self.yaw_deg)) * np.cos(np.radians(self.pitch_deg))
        return float(np.degrees(np.arccos(np.clip(upright, -1, 1))))

    def depths_mm(self, points_mm: Points) -> NDArray[np.float64]:
        """How far points [n, 3] are in front of the camera, float64 [n]."""
        return (points_mm @ self._turn().T)[:, 2] + self.distance_mm

    def project(self, points_mm: Points) -> Points:
        """Where points are seen.

        Args:
            points_mm: [n, 3] from the plate's middle: to the right, down, and away behind the plate.

        Returns:
            float64 [n, 2] px from where the plate's middle is seen.
        """
        turned = points_mm @ self._turn().T
        return turned[:, :2] * (self.px_per_mm * self.distance_mm) / (turned[:, 2:] + self.distance_mm)

    def camera_mm(self) -> Points:
        """Where the camera is, [3] mm in the same directions as points are given in."""
        return self._turn().T @ np.array([0.0, 0.0, -self.distance_mm])

    def _turn(self) -> NDArray[np.float64]:
        yaw, pitch, roll = np.radians([self.yaw_deg, self.pitch_deg, self.roll_deg])
        about_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
        about_x = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
        about_z = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
        return about_z @ about_x @ about_y


@dataclass(frozen=True, slots=True, eq=False)
class PlateView:
    """A plate as a camera sees it.

    Attributes:
        rgba: uint8 [h, w, 4], colours premultiplied with alpha.
        box: float32 [4] xyxy px of the patch, tight around an alpha above one half.
        middle: px of the patch where the plate's middle is seen.
        tilt_deg: the angle between the plate's normal and the line of sight.
        square: whether the plate has two lines of text.
        size_mm: width and height of the plate, with its frame if it has one.
        pose: how it stands, for whoever draws what it hangs on.
    """

    rgba: NDArray[np.uint8]
    box: Boxes
    middle: tuple[int, int]
    tilt_deg: float
    square: bool
    size_mm: tuple[float, float]
    pose: Pose


def plate_view(
    rng: np.random.Generator, height_px: float, tilt_deg: tuple[float, float], square: bool | None = None
) -> PlateView:
    """A plate of some country, seen from somewhere.

    Args:
        rng: everything that varies.
        height_px: how high the plate, with its frame, would be if it were not tilted.
        tilt_deg: the least and the greatest angle between its normal and the line of sight; at most 85°, because
            beyond that next to nothing is left to see.
        square: two lines of text or one; by default either.

    Raises:
        ValueError: the height or the tilt is out of range.
    """
    low, high = tilt_deg
    if not (0 <= low <= high <= 85 and height_px >= 4):
        raise ValueError(f"a plate of {height_px} px at {low} to {high}°: at least 4 px, and 0° to 85° are needed")
    square = bool(rng.random() < 0.4) if square is None else square
    designs = SQUARE if square else LONG
    flat = flat_plate(rng, designs[int(rng.integers(len(designs)))], float(np.clip(1.75 * height_px, 36, 120)))
    yaw, pitch = _turned(rng, rng.uniform(low, high))
    distance = float(np.exp(rng.uniform(*np.log(_DISTANCE_MM))))
    pose = Pose(yaw, pitch, float(rng.normal(0, _ROLL_DEG)), distance, height_px / flat.size_mm[1])
    rgba, middle = _seen(flat.rgba, flat.size_mm, pose)
    return PlateView(rgba, _tight_box(rgba[..., 3]), middle, pose.tilt_deg, flat.square, flat.size_mm, pose)


def _turned(rng: np.random.Generator, tilt_deg: float) -> tuple[float, float]:
    """Yaw and pitch that make up a tilt: mostly yaw, as cars are passed; a few are seen from high up."""
    steep = rng.uniform(0, _STEEPEST_PITCH_DEG) if rng.random() < 0.2 else abs(rng.normal(0, 9))
    pitch = min(tilt_deg, steep, _STEEPEST_PITCH_DEG)
    if rng.random() < 0.15:
        pitch = -min(pitch, _LOWEST_PITCH_DEG)
    share = np.cos(np.radians(tilt_deg)) / np.cos(np.radians(pitch))
    yaw = float(np.degrees(np.arccos(np.clip(share, -1, 1))))
    return (yaw if rng.random() < 0.5 else -yaw), pitch


def _seen(
    flat: NDArray[np.uint8], size_mm: tuple[float, float], pose: Pose
) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """The projected plate, and where its middle is."""
    half = np.array([size_mm[0], size_mm[1], 0]) / 2
    corners = pose.project(half * np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]))
    origin = np.floor(corners.min(axis=0)).astype(int) - _MARGIN_PX
    width, height = np.ceil(corners.max(axis=0)).astype(int) + _MARGIN_PX - origin
    finer = 3 if max(width, height) < 80 else 2
    corners = (corners - origin) * finer
    sides = np.linalg.norm(corners - np.roll(corners, -1, axis=0), axis=1)  # top, right, bottom, left
    seen = [int(np.clip(np.ceil(max(sides[i], sides[i + 2])), 2, flat.shape[1 - i])) for i in (0, 1)]
    shrunk = cv2.resize(flat, (seen[0], seen[1]), interpolation=cv2.INTER_AREA)
    straight = np.array([[0, 0], [seen[0], 0], [seen[0], seen[1]], [0, seen[1]]], np.float32)
    # OpenCV counts from the middles of pixels, corners are counted from the outer edges.
    matrix = cv2.getPerspectiveTransform(straight - 0.5, (corners - 0.5).astype(np.float32))
    warped = cv2.warpPerspective(shrunk, matrix, (int(width) * finer, int(height) * finer), flags=cv2.INTER_LINEAR)
    rgba = cv2.resize(warped, (int(width), int(height)), interpolation=cv2.INTER_AREA)
    return np.asarray(rgba, np.uint8), (int(-origin[0]), int(-origin[1]))


def _tight_box(alpha: NDArray[np.uint8]) -> Boxes:
    """Around an alpha above one half; a plate that nowhere covers half a pixel is where it covers most."""
    x, y, width, height = cv2.boundingRect((alpha >= min(128, int(alpha.max()))).astype(np.uint8))
    return np.array([x, y, x + width, y + height], np.float32)


def set_into(
    pixels: Pixels, view: PlateView, centre: tuple[float, float], rng: np.random.Generator, light: Light
) -> tuple[Pixels, Boxes]:
    """Set a plate into a picture, with the brightness, the blur and the grain of the place.

    Args:
        pixels: uint8 [h, w, 3].
        view: the plate.
        centre: px of the picture where the plate's middle is to be seen.
        rng: how the light falls, and the lens.
        light: by day; bright in the lamps of a car or dim at night; with the sun in it; behind glass; in deep shadow.

    Returns:
        A new picture, and the plate's box, float32 [4] xyxy, clipped to the picture. Beyond the box only a soft edge
        of a few pixels changes.
    """
    height, width = pixels.shape[:2]
    left, top = (round(place) - middle for place, middle in zip(centre, view.middle, strict=True))
    box = view.box + np.array([left, top, left, top], np.float32)
    patch_height, patch_width = view.rgba.shape[:2]
    soft = 3 + patch_height // 12  # room for the blur
    x1, y1, x2, y2 = left - soft, top - soft, left + patch_width + soft, top + patch_height + soft
    rows, columns = slice(max(0, y1), max(0, min(height, y2))), slice(max(0, x1), max(0, min(width, x2)))
    set_in = pixels.copy()
    if pixels[rows, columns].size:
        wide = soft + patch_height
        around = pixels[max(0, y1 - wide) : y2 + wide, max(0, x1 - wide) : x2 + wide]
        padded = np.pad(view.rgba, ((soft, soft), (soft, soft), (0, 0)))
        visible = padded[rows.start - y1 : rows.stop - y1, columns.start - x1 : columns.stop - x1]
        set_in[rows, columns] = through_lens(visible, pixels[rows, columns], around, rng, light)
    return set_in, np.clip(box, 0, np.array([width, height, width, height], np.float32))
