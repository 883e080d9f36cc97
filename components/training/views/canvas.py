"""Several views on one canvas: small objects need little context, so many of them fit where one picture would."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from components.imaging.reading import Pixels
from components.settings import Views
from components.training.images import TrainingImage
from components.training.views.light import disguised, relit
from components.training.views.plates import with_plate
from components.training.views.view import View, view_of

Drawn = Callable[[np.random.Generator], tuple[TrainingImage, Pixels]]  # a picture at random, with its pixels


def canvas_of(first: tuple[TrainingImage, Pixels], draw: Drawn, settings: Views, side_px: int, seed: list[int]) -> View:
    """One training example: 1, 4 or 9 views side by side.

    Args:
        first: the picture that the canvas must show.
        draw: gives the pictures of the other views.
        settings: how views vary.
        side_px: the side of the canvas.
        seed: of everything that is left to chance.
    """
    rng = np.random.default_rng(seed)
    cells = int(rng.choice([1, 2, 3], p=settings.cells_shares))
    edges = [round(i * side_px / cells) for i in range(cells + 1)]
    canvas = np.empty((side_px, side_px, 3), np.uint8)
    uncounted = np.empty((side_px, side_px), np.uint8)
    shown: list[View] = []
    for row in range(cells):
        for column in range(cells):
            image, pixels = first if row == column == 0 else draw(rng)
            top, left = edges[row], edges[column]
            side = max(edges[row + 1] - top, edges[column + 1] - left)
            view = _varied(view_of(image, pixels, side, _object_px(settings, cells), settings, rng), settings, rng)
            height, width = min(side, side_px - top), min(side, side_px - left)
            canvas[top : top + height, left : left + width] = view.pixels[:height, :width]
            uncounted[top : top + height, left : left + width] = view.uncounted[:height, :width]
            corner = np.array([left, top, left, top], np.float32)
            shown.append(View(canvas, view.boxes + corner, view.class_id, view.box_weight, uncounted))
    return View(
        canvas,
        np.concatenate([view.boxes for view in shown]),
        np.concatenate([view.class_id for view in shown]),
        np.concatenate([view.box_weight for view in shown]),
        uncounted,
    )


def _object_px(settings: Views, cells: int) -> tuple[float, float]:
    """The sizes of objects that a cell has room for."""
    low, high = settings.object_px
    return low, max(low + 1, high / cells**1.5)


def _varied(view: View, settings: Views, rng: np.random.Generator) -> View:
    if rng.random() < settings.rendered_plate_share:
        view = with_plate(view, settings, rng)
    view = disguised(view, settings.light, rng)
    return View(relit(view.pixels, settings.light, rng), view.boxes, view.class_id, view.box_weight, view.uncounted)
