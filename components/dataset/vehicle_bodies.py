"""Rendered cars, vans, lorries and motorcycles around a plate, seen as the plate is seen.

Detectors look for plates where plates are: low on the end of a vehicle, between lamps. So everything is drawn in the
plate's own three dimensions, as flat panels from the farthest to the nearest, with the shading of a dull day.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.dataset.plate_views import Points, Pose
from components.dataset.vehicle_canvas import NEAREST_MM, Canvas, Colour, empty_canvas, finished, shaded, within

_PAINTS: tuple[Colour, ...] = (
    (28, 28, 32), (225, 226, 228), (165, 168, 172), (95, 98, 104), (140, 22, 24), (25, 48, 105),
    (60, 78, 70), (190, 175, 140), (205, 150, 30), (70, 110, 150), (52, 40, 36),
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """A vehicle as a camera sees it.

    Attributes:
        rgba: uint8 [h, w, 4], colours premultiplied with alpha.
        middle: px of the patch where the plate's middle is seen; may lie outside.
    """

    rgba: NDArray[np.uint8]
    middle: tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Shape:
    """Sizes in mm; `plate` is the height of the plate's middle, and `shift` how far it is right of the middle."""

    width: float
    belt: float
    roof: float
    ground: float
    length: float
    plate: float
    shift: float
    slant: float
    front: bool
    paint: Colour


def body_around(pose: Pose, rng: np.random.Generator, square: bool, limits_px: tuple[int, int]) -> Body:
    """A vehicle that the plate hangs on.

    Args:
        pose: how the plate stands.
        rng: what vehicle it is.
        square: the plate has two lines: motorcycles and lorries are then likelier.
        limits_px: the greatest width and height to draw, about the plate.
    """
    motorcycle = square and rng.random() < 0.35
    shape = _shape(rng, square)
    corners = _corners(shape, 500.0 if motorcycle else shape.width, 900.0 if motorcycle else shape.length)
    visible = pose.project(corners[pose.depths_mm(corners) > NEAREST_MM])
    half = np.array(limits_px, np.float64)
    low, high = np.clip(visible.min(axis=0) - 3, -half, half), np.clip(visible.max(axis=0) + 3, -half, half)
    origin = np.floor(low).astype(int)
    width, height = np.maximum(np.ceil(high).astype(int) - origin, 4)
    canvas = empty_canvas(pose, origin, (int(width), int(height)))
    if motorcycle:
        _draw_motorcycle(canvas, shape, rng)
    else:
        _draw_car(canvas, shape, rng)
    return Body(finished(canvas, rng), (int(-origin[0]), int(-origin[1])))


def _shape(rng: np.random.Generator, square: bool) -> _Shape:
    kind = int(rng.choice([0, 0, 0, 1, 2]))  # car, off-road car, van or lorry
    width = rng.uniform(1650, 1850) + (0, 60, 200)[kind]
    roof = rng.uniform(1400, 1500) + (0, 250, 800)[kind]
    belt = roof * rng.uniform(0.6, 0.68)
    return _Shape(
        width=width,
        belt=belt,
        roof=roof,
        ground=rng.uniform(150, 210) + (0, 60, 110)[kind],
        length=rng.uniform(3800, 4700),
        plate=rng.uniform(0.45, 0.85) * belt * (0.8 if kind else 1),
        shift=float(rng.uniform(-450, 450)) if square and rng.random() < 0.4 else float(rng.normal(0, 15)),
        slant=rng.uniform(100, 700) * (kind != 2),
        front=bool(rng.random() < 0.35),
        paint=_PAINTS[int(rng.integers(len(_PAINTS)))],
    )


def _corners(shape: _Shape, width: float, length: float) -> Points:
    """The corners of the block around a vehicle, [8, 3] mm from the plate's middle."""
    x = np.array([-width / 2, width / 2]) * 1.08 - shape.shift
    return np.array([(a, b, c) for a in x for b in (shape.plate - shape.roof, shape.plate) for c in (-60, length)])


def _draw_car(canvas: Canvas, shape: _Shape, rng: np.random.Generator) -> None:
    """A block with a cabin on it. Points are counted from the plate, so what is higher has the smaller y."""
    left, right = -shape.width / 2 - shape.shift, shape.width / 2 - shape.shift
    road, belt, roof, sill = shape.plate, shape.plate - shape.belt, shape.plate - shape.roof, shape.plate - shape.ground
    far, inset, back = shape.length, 0.09 * shape.width, 15.0
    canvas.panel([(left, road, 0), (right, road, 0), (right, road, far), (left, road, far)], (22, 22, 24), 190)
    for x in (left + 60, right - 300):
        canvas.rectangle(x, sill - 60, x + 240, road, 0.08 * far, (20, 20, 21))
    eye_x, eye_y, _ = canvas.pose.camera_mm()
    for x, cabin, seen in ((left, left + inset, eye_x < left), (right, right - inset, eye_x > right)):
        if seen:
            _draw_side(canvas, shape, (x, cabin), (belt, roof, sill, road))
    top = shaded(shape.paint, 1.12)
    hood = 900.0 if shape.front else shape.slant
    if eye_y < belt:
        canvas.panel([(left, belt, back), (right, belt, back), (right, belt, far), (left, belt, far)], top)
    if eye_y < roof:
        canvas.panel(
            [(left + inset, roof, hood + 300), (right - inset, roof, hood + 300), (right - inset, roof, far * 0.8),
             (left + inset, roof, far * 0.8)], top)  # fmt: skip
    lower = [(left + 20, belt, hood), (right - 20, belt, hood)]
    upper = [(right - inset, roof, hood + 300), (left + inset, roof, hood + 300)]
    canvas.panel(lower + upper, shaded(shape.paint, 0.92))
    glass = float(rng.uniform(35, 110))
    canvas.panel(within(lower + upper, 0.86), (glass * 0.9, glass, glass * 1.08))
    _draw_end(canvas, shape, (left, right), (belt, sill), rng)


def _draw_side(
    canvas: Canvas, shape: _Shape, x_and_cabin: tuple[float, float], heights: tuple[float, float, float, float]
) -> None:
    (x, cabin), (belt, roof, sill, road) = x_and_cabin, heights
    far = shape.length
    canvas.panel([(x, belt, 15), (x, belt, far), (x, sill, far), (x, sill, 15)], shaded(shape.paint, 0.72))
    front, rear = (900.0 if shape.front else shape.slant), far * (0.96 if shape.front else 0.72)
    house = [(x, belt, front), (x, belt, rear), (cabin, roof, rear - 300), (cabin, roof, front + 300)]
    canvas.panel(house, shaded(shape.paint, 0.66))
    canvas.panel(within(house, 0.8), (42, 46, 52))
    for z in (0.19 * far, 0.8 * far):
        radius = 0.225 * shape.belt + 110
        canvas.disc((x, road - radius, z), radius * 1.12, 0, (14, 14, 15))
        canvas.disc((x, road - radius, z), radius, 0, (30, 30, 32))
        canvas.disc((x, road - radius, z), radius * 0.6, 0, (150, 152, 156))


def _draw_end(
    canvas: Canvas, shape: _Shape, x: tuple[float, float], y: tuple[float, float], rng: np.random.Generator
) -> None:
    """The end of the car that carries the plate: panel, bumper, lamps, badge and the hollow of the plate."""
    (left, right), (belt, sill) = x, y
    high, wide = sill - belt, right - left
    bumper = belt + high * rng.uniform(0.5, 0.7)
    canvas.rectangle(left, belt, right, sill, 15, shaded(shape.paint, 0.95))
    lower = shaded(shape.paint, 0.85) if rng.random() < 0.6 else (38.0, 38.0, 40.0)
    canvas.rectangle(left, bumper, right, sill, 8, lower)
    canvas.rectangle(left, bumper - 10, right, bumper + 8, 8, shaded(lower, 0.6))
    canvas.rectangle(left + 60, sill - 0.16 * high, right - 60, sill, 6, (32, 32, 34))
    _draw_lamps(canvas, shape.front, (left, right), (belt, high), rng)
    if shape.front:
        canvas.rectangle(left + 0.3 * wide, belt + 0.2 * high, right - 0.3 * wide, belt + 0.45 * high, 4, (24, 24, 26))
    canvas.disc(((left + right) / 2, belt + 0.14 * high, 2), 45, 2, (190, 192, 196))
    if rng.random() < 0.7:
        across, down = rng.uniform(290, 380), rng.uniform(85, 150)
        canvas.rectangle(-across, -down, across, down, 3, shaded(shape.paint, 0.55))


def _draw_lamps(
    canvas: Canvas, front: bool, x: tuple[float, float], belt_and_high: tuple[float, float], rng: np.random.Generator
) -> None:
    (left, right), (belt, high) = x, belt_and_high
    wide = right - left
    lamp_wide, lamp_high = wide * rng.uniform(0.12, 0.24), high * rng.uniform(0.14, 0.4)
    lamp_top = belt + high * rng.uniform(0.04, 0.16)
    for start, sign in ((left + 25, 1), (right - 25, -1)):
        outer, inner = start, start + sign * lamp_wide
        if front:
            canvas.rectangle(outer, lamp_top, inner, lamp_top + lamp_high, 4, (70, 74, 80))
            canvas.disc(((outer + inner) / 2, lamp_top + lamp_high / 2, 2), 0.38 * lamp_high, 2, (225, 228, 230))
        else:
            canvas.rectangle(outer, lamp_top, inner, lamp_top + lamp_high, 4, (150, 16, 18))
            canvas.rectangle(outer, lamp_top + 0.6 * lamp_high, inner, lamp_top + 0.8 * lamp_high, 2, (215, 120, 60))


def _draw_motorcycle(canvas: Canvas, shape: _Shape, rng: np.random.Generator) -> None:
    """Tyre, mudguard, tail lamp and seat; the rider's body is left out."""
    road = min(shape.plate, 620.0)
    canvas.panel([(-90, road, 60), (90, road, 60), (90, road, 900), (-90, road, 900)], (24, 24, 25), 190)
    across = np.linspace(-70, 70, 9) * (-1 if canvas.pose.camera_mm()[0] < 0 else 1)
    for x in across:  # the farther edge of the tyre first
        canvas.disc((float(x), road - 290, 380), 290, 0, (26, 26, 28))
    canvas.disc((float(across[-1]), road - 290, 380), 190, 0, (112, 114, 118))
    canvas.disc((float(across[-1]), road - 290, 380), 60, 0, (40, 40, 42))
    for z in (760.0, 620.0, 500.0):
        canvas.rectangle(-150, road - 520, 150, road - 130, z, (58, 58, 62))
    edge = 130.0 if canvas.pose.camera_mm()[0] > 0 else -130.0
    canvas.panel([(-130, -360, 60), (130, -360, 60), (130, -420, 800), (-130, -420, 800)], shaded(shape.paint, 1.1))
    canvas.panel([(edge, -360, 60), (edge, -420, 800), (edge, -250, 800), (edge, -170, 60)], shaded(shape.paint, 0.7))
    canvas.rectangle(-130, -360, 130, -170, 60, shape.paint)
    canvas.rectangle(-150, -440, 150, -350, 80, (30, 28, 28))
    canvas.rectangle(-110, -330, 110, -220, 30, (165, 18, 20))
    for x in (-230.0, 230.0):
        canvas.rectangle(min(x, 0), -262, max(x, 0), -250, 50, (40, 40, 42))
        canvas.disc((x, -256, 40), 45, 2, (225, 130, 40))
    canvas.rectangle(-110, -170, 110, 150, 20, (26, 26, 28))
