"""What users report of published pictures: a JSON object a line."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from components.dataset.annotation import Sides, numbers, text_of
from components.detections import CLASS_NAMES
from components.errors import StreetveilError


@dataclass(frozen=True, slots=True)
class UserReport:
    """Something that somebody found unblurred.

    Attributes:
        path: of the published picture, with or without its day's folder in front.
        sides: xyxy, px of the upright picture; None if only the picture was named.
        class_name: one of `CLASS_NAMES`; None if nobody said.
    """

    path: str
    sides: Sides | None = None
    class_name: str | None = None


def read_reports(file: Path) -> list[UserReport]:
    """Read reports: `{"path": …, "x0": …, "y0": …, "x1": …, "y1": …, "class": …}` a line; all but the path may lack.

    Raises:
        StreetveilError: the file cannot be read, or a line is no report; it names the line.
    """
    lines = enumerate(text_of(file).splitlines(), 1)
    return [_report(line, f"{file}:{number}") for number, line in lines if line.strip()]


def _report(line: str, where: str) -> UserReport:
    try:
        told = json.loads(line)
    except ValueError as error:
        raise StreetveilError(f"{where}: not JSON ({error}); correct or delete the line") from error
    path = told.get("path") if isinstance(told, dict) else None
    if not isinstance(path, str) or not path:
        raise StreetveilError(f"{where}: a report needs the picture's `path`; add it or delete the line")
    class_name = told.get("class")
    if class_name is not None and class_name not in CLASS_NAMES:
        raise StreetveilError(f"{where}: class {class_name!r} is none of {', '.join(CLASS_NAMES)}; correct it")
    corners = [told.get(key) for key in ("x0", "y0", "x1", "y1")]
    if all(corner is None for corner in corners):
        return UserReport(path, None, class_name)
    x0, y0, x1, y1 = numbers(corners, where)
    return UserReport(path, (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)), class_name)
