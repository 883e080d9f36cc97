"""Rendered plates in real views: from any side, of one line or two, in any light, which few labelled plates are."""

from __future__ import annotations

import numpy as np

from components.dataset.plate_views import plate_view, set_into
from components.detections import LICENSE_PLATE, Boxes, intersections
from components.settings import Views
from components.training.views.view import View

_LIGHTS = ("day", "night", "glare", "glass", "dark")
_LIGHT_SHARES = (0.6, 0.1, 0.1, 0.1, 0.1)
_HEIGHT_PX = 8.0, 60.0
_TILT_DEG = 0.0, 80.0


def with_plate(view: View, settings: Views, rng: np.random.Generator) -> View:
    """The view with one more plate, unless there is no room for it beside the labelled objects."""
    side = len(view.pixels)
    if side / 4 <= _HEIGHT_PX[0]:
        return view
    height = float(np.exp(rng.uniform(*np.log((_HEIGHT_PX[0], min(_HEIGHT_PX[1], side / 4))))))
    plate = plate_view(rng, height, _TILT_DEG)
    centre = rng.uniform(0.1 * side, 0.9 * side, 2)
    light = _LIGHTS[int(rng.choice(len(_LIGHTS), p=_LIGHT_SHARES))]
    pixels, box = set_into(view.pixels, plate, (float(centre[0]), float(centre[1])), rng, light)  # type: ignore[arg-type]
    box = box.astype(np.float32).reshape(1, 4)
    if _is_too_small(box, settings.min_object_px) or (intersections(box, view.boxes) > 0).any():
        return view
    x1, y1, x2, y2 = box[0].astype(int)
    uncounted = view.uncounted.copy()
    uncounted[y1:y2, x1:x2] = 0
    return View(
        pixels,
        np.concatenate([view.boxes, box]),
        np.append(view.class_id, np.int16(LICENSE_PLATE)),
        np.append(view.box_weight, np.float32(1)),
        uncounted,
    )


def _is_too_small(box: Boxes, least_px: float) -> bool:
    return bool(min(box[0, 2] - box[0, 0], box[0, 3] - box[0, 1]) < least_px)
