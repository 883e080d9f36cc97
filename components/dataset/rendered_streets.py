"""Streets without people, rendered or photographed, for pictures of which every face and plate is known."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from components.imaging.reading import Pixels
from components.packages import package_folder

# Photographs of scikit-image without a face, a plate, or a picture of one.
_PHOTOGRAPHS = ("motorcycle_left.png", "motorcycle_right.png", "coffee.png", "rocket.jpg")
_PHOTOGRAPH_SHARE = 0.3
_WALLS = ((168, 110, 88), (196, 184, 160), (140, 140, 146), (120, 92, 76), (205, 205, 200), (150, 160, 140))


def background(rng: np.random.Generator, size: tuple[int, int]) -> Pixels:
    """Somewhere for vehicles to stand.

    Args:
        rng: everything that varies.
        size: width and height in px.

    Returns:
        uint8 [h, w, 3]; without a face or a plate in it.
    """
    scene = _photograph(rng, size) if rng.random() < _PHOTOGRAPH_SHARE else _street(rng, size)
    return np.clip(scene * np.float32(rng.uniform(0.8, 1.15)), 0, 255).astype(np.uint8)


@lru_cache(maxsize=8)
def _data(name: str) -> Pixels:
    return np.asarray(Image.open(package_folder("skimage") / "data" / name).convert("RGB"))


def _photograph(rng: np.random.Generator, size: tuple[int, int]) -> NDArray[np.float32]:
    """A piece of a photograph, mirrored or not."""
    photograph = _data(_PHOTOGRAPHS[int(rng.integers(len(_PHOTOGRAPHS)))])
    height, width = photograph.shape[:2]
    share = rng.uniform(0.6, 1.0)
    part_width = min(width, height * size[0] / size[1]) * share
    part_height = part_width * size[1] / size[0]
    x, y = rng.uniform(0, width - part_width), rng.uniform(0, height - part_height)
    part = photograph[int(y) : int(y + part_height), int(x) : int(x + part_width)]
    if rng.random() < 0.5:
        part = part[:, ::-1]
    return cv2.resize(np.ascontiguousarray(part), size, interpolation=cv2.INTER_CUBIC).astype(np.float32)


def _street(rng: np.random.Generator, size: tuple[int, int]) -> NDArray[np.float32]:
    """Sky, a row of houses, trees, a pavement and a road."""
    width, height = size
    horizon = round(height * rng.uniform(0.38, 0.5))
    scene = np.empty((height, width, 3), np.float32)
    scene[:horizon] = _sky(rng, (width, horizon))
    x = -int(rng.integers(0, 200))
    while x < width:
        house = int(rng.integers(180, 460))
        _house(scene, rng, (x, x + house), (round(horizon * rng.uniform(0.0, 0.55)), horizon))
        x += house
    for _ in range(int(rng.integers(0, 7))):
        _tree(scene, rng, (int(rng.integers(0, width)), horizon))
    scene[horizon:] = _ground(rng, (width, height - horizon))
    kerb = horizon + round((height - horizon) * rng.uniform(0.06, 0.16))
    scene[horizon:kerb] = scene[horizon:kerb] * 0.6 + 70
    scene[kerb : kerb + 6] = rng.uniform(120, 190)
    return np.asarray(cv2.GaussianBlur(scene, (0, 0), 0.8), np.float32)


def _sky(rng: np.random.Generator, size: tuple[int, int]) -> NDArray[np.float32]:
    top, bottom = np.array([110, 160, 220], np.float32), np.array([225, 230, 235], np.float32)
    down = np.linspace(0, 1, size[1], dtype=np.float32)[:, None, None]
    clouds = cv2.resize(rng.uniform(0, 1, (6, 14)).astype(np.float32), size, interpolation=cv2.INTER_CUBIC)[..., None]
    clear = top + (bottom - top) * down
    return (clear + (np.float32(rng.uniform(190, 235)) - clear) * np.clip(clouds, 0, 1) * rng.uniform(0.2, 1)).astype(
        np.float32
    )


def _house(scene: NDArray[np.float32], rng: np.random.Generator, x: tuple[int, int], y: tuple[int, int]) -> None:
    """A front of plaster or bricks with rows of windows, drawn in place."""
    left, right = max(0, x[0]), min(scene.shape[1], x[1])
    if right - left < 4:
        return
    bricks = np.tile(_data("brick.png")[100:400, :, 0].T.astype(np.float32) / 110, (1, 2))
    wall = np.array(_WALLS[int(rng.integers(len(_WALLS)))], np.float32)
    texture = cv2.resize(bricks, (right - left, y[1] - y[0]), interpolation=cv2.INTER_AREA)[..., None]
    scene[y[0] : y[1], left:right] = wall * (1 + (texture - 1) * rng.uniform(0.05, 0.7))
    across, down = int(rng.integers(50, 100)), int(rng.integers(70, 120))
    wide, high = across * rng.uniform(0.4, 0.7), down * rng.uniform(0.45, 0.7)
    rim, pane = float(rng.uniform(60, 235)), rng.uniform(30, 120)
    for row in range(y[0] + 20, y[1] - round(high) - 5, down):
        for column in range(x[0] + 15, x[1] - round(wide) - 5, across):
            low, far = (column, row), (round(column + wide), round(row + high))
            colour = tuple(float(value) for value in pane * rng.uniform(0.7, 1.5) * np.array([0.9, 1.0, 1.12]))
            cv2.rectangle(scene, low, far, colour, -1)
            cv2.rectangle(scene, low, far, (rim, rim, rim), 3)
            cv2.line(scene, ((low[0] + far[0]) // 2, row), ((low[0] + far[0]) // 2, far[1]), (rim, rim, rim), 2)


def _tree(scene: NDArray[np.float32], rng: np.random.Generator, foot: tuple[int, int]) -> None:
    x, y = foot
    size = int(rng.integers(60, 170))
    cv2.rectangle(scene, (x - size // 14, y - size), (x + size // 14, y), (70.0, 56.0, 44.0), -1)
    leaves = _data("grass.png").astype(np.float32) * np.array([0.55, 0.8, 0.4], np.float32)
    crown = np.zeros(scene.shape[:2], np.uint8)
    for _ in range(9):
        middle = (round(x + rng.normal(0, size / 3.5)), round(y - size * 1.3 + rng.normal(0, size / 4)))
        cv2.circle(crown, middle, round(size * rng.uniform(0.2, 0.45)), (255,), -1)
    tiled = np.tile(leaves, (3, 4, 1))[: scene.shape[0], : scene.shape[1]]
    where = crown[: tiled.shape[0], : tiled.shape[1]] > 0
    scene[: tiled.shape[0], : tiled.shape[1]][where] = tiled[where]


def _ground(rng: np.random.Generator, size: tuple[int, int]) -> NDArray[np.float32]:
    """Asphalt that becomes finer towards the horizon, with a painted line."""
    width, height = size
    gravel = np.tile(_data("gravel.png")[..., 0].astype(np.float32), (2, 4))
    flat = np.array([[0, 0], [2048, 0], [2048, 1024], [0, 1024]], np.float32)
    onto = np.array([[-width, 0], [2 * width, 0], [9 * width, height], [-8 * width, height]], np.float32)
    shrunk = cv2.GaussianBlur(gravel, (0, 0), 1.5)
    seen = cv2.warpPerspective(shrunk, cv2.getPerspectiveTransform(flat, onto), size, borderMode=cv2.BORDER_REFLECT)
    grey = rng.uniform(70, 130) + (seen - seen.mean()) * rng.uniform(0.08, 0.35) + rng.normal(0, 4, seen.shape)
    road = np.repeat(grey[..., None], 3, axis=2).astype(np.float32) * np.array([1.0, 1.0, 1.02], np.float32)
    x = rng.uniform(0.2, 0.8) * width
    line = np.array(
        [[x - 3, 0.15 * height], [x + 3, 0.15 * height], [x * 1.5, height], [x * 1.5 - 60, height]], np.int32
    )
    cv2.fillPoly(road, [line], (205.0, 205.0, 200.0))
    return road
