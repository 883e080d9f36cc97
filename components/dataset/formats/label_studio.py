"""Label Studio's JSON, by hand since its SDK pins an old OpenCV: rectangles in percent, and exports of tasks."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.dataset.annotation import Sides, Size
from components.errors import StreetveilError


def result_of(name: str, label: str, box: Sides, size: Size, shown_as: str) -> dict[str, Any]:
    """A labelled box as Label Studio's JSON has it.

    Args:
        name: of the box, unique in its task.
        label: one of the labelling interface's.
        box: xyxy, px of the upright picture.
        size: of the upright picture.
        shown_as: the name of the picture in the labelling interface.
    """
    (x1, y1, x2, y2), (width, height) = box, size
    return {
        "id": name,
        "type": "rectanglelabels",
        "from_name": "mark",
        "to_name": shown_as,
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "value": {
            "x": 100 * x1 / width,
            "y": 100 * y1 / height,
            "width": 100 * (x2 - x1) / width,
            "height": 100 * (y2 - y1) / height,
            "rotation": 0,
            "rectanglelabels": [label],
        },
    }


def from_value(value: Mapping[str, Any], size: Size, where: str) -> Sides:
    """A rectangle's box in px; of a turned one (around its upper left corner) the smallest upright box around it.

    Raises:
        StreetveilError: a number is missing or none.
    """
    try:
        x, y, width, height = (float(value[key]) for key in ("x", "y", "width", "height"))
        turn = math.radians(float(value.get("rotation") or 0))
    except (KeyError, TypeError, ValueError) as error:
        raise StreetveilError(f"{where}: a box lacks x, y, width or height; export it again as JSON") from error
    left, top = x * size[0] / 100, y * size[1] / 100
    across, down = width * size[0] / 100, height * size[1] / 100
    if not all(map(math.isfinite, (left, top, across, down, turn))):
        raise StreetveilError(f"{where}: a box is not finite; export it again as JSON")
    corners = [
        (left + a * math.cos(turn) - d * math.sin(turn), top + a * math.sin(turn) + d * math.cos(turn))
        for a in (0.0, across)
        for d in (0.0, down)
    ]
    xs, ys = zip(*corners, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def read_export(path: Path) -> list[dict[str, Any]]:
    """An export in Label Studio's JSON format, unjudged.

    Raises:
        StreetveilError: the file is not there, or not a list of tasks.
    """
    try:
        exported = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise StreetveilError(f"{path} cannot be read as JSON ({error}): export it as JSON, not JSON-MIN") from error
    if not isinstance(exported, list) or not all(
        isinstance(task, dict) and isinstance(task.get("data"), dict) for task in exported
    ):
        raise StreetveilError(f"{path} is no list of tasks: export it from Label Studio as JSON, not JSON-MIN")
    return exported
