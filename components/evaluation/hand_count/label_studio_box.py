"""Label Studio's rectangles: percent of the picture, turned around their upper left corner."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from components.errors import StreetveilError
from components.evaluation.hand_count.sample import SampledImage

Box = tuple[float, float, float, float]  # xyxy px


def result_of(name: str, label: str, box: Box, image: SampledImage) -> dict[str, Any]:
    """A labelled box as Label Studio's JSON has it."""
    x1, y1, x2, y2 = box
    return {
        "id": name,
        "type": "rectanglelabels",
        "from_name": "mark",
        "to_name": "original",
        "original_width": image.width,
        "original_height": image.height,
        "image_rotation": 0,
        "value": {
            "x": 100 * x1 / image.width,
            "y": 100 * y1 / image.height,
            "width": 100 * (x2 - x1) / image.width,
            "height": 100 * (y2 - y1) / image.height,
            "rotation": 0,
            "rectanglelabels": [label],
        },
    }


def from_value(value: Mapping[str, Any], image: SampledImage) -> Box:
    """A rectangle's box in px; of a turned one the smallest upright box around it.

    Raises:
        StreetveilError: a number is missing or none.
    """
    try:
        x, y, width, height = (float(value[key]) for key in ("x", "y", "width", "height"))
        turn = math.radians(float(value.get("rotation") or 0))
    except (KeyError, TypeError, ValueError) as error:
        raise StreetveilError(f"{image.path}: a box lacks x, y, width or height; export it again as JSON") from error
    left, top = x * image.width / 100, y * image.height / 100
    across, down = width * image.width / 100, height * image.height / 100
    if not all(map(math.isfinite, (left, top, across, down, turn))):
        raise StreetveilError(f"{image.path}: a box is not finite; export it again as JSON")
    corners = [
        (left + a * math.cos(turn) - d * math.sin(turn), top + a * math.sin(turn) + d * math.cos(turn))
        for a in (0.0, across)
        for d in (0.0, down)
    ]
    xs, ys = zip(*corners, strict=True)
    return min(xs), min(ys), max(xs), max(ys)
