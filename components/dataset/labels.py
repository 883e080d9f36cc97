"""Labelled pictures: what people have drawn, and what they have not looked for."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from components.detections import CLASS_IDS, Boxes, Detections
from components.errors import StreetveilError


@dataclass(frozen=True, slots=True, eq=False)
class LabelledImage:
    """The truth about one picture.

    Attributes:
        path: relative to the data set's folder.
        width, height: px of the upright picture.
        source: where the picture comes from.
        objects: the labelled objects; their confidence is 1.
        ignored: boxes [n, 4] that count neither as objects nor as background (depicted, or too unclear to tell).
        exhaustive: classes of which every object in the picture is labelled; only these have a background.
        attributes: whatever else the labels say of the picture.
    """

    path: str
    width: int
    height: int
    source: str
    objects: Detections
    ignored: Boxes
    exhaustive: frozenset[str] = frozenset()
    attributes: dict[str, object] = field(default_factory=dict)


def read_labels(file: Path, exhaustive: Iterable[str] = (), folder: str | None = None) -> Iterator[LabelledImage]:
    """Read a `labels.json`: a list of `{file, w, h, source, boxes: [{cls, box: [x1, y1, x2, y2], ignore?}], …}`.

    Boxes of other classes (vehicles, people) are passed over.

    Args:
        file: the JSON file.
        exhaustive: the classes of which every object is labelled.
        folder: what stands before the pictures' paths; the name of the file's own folder by default.

    Raises:
        StreetveilError: the file cannot be read, or an entry is not of this form.
    """
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))
        for entry in entries:
            yield _labelled(entry, folder or file.parent.name, frozenset(exhaustive))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StreetveilError(f"{file}: not a labels.json ({type(error).__name__}: {error})") from error


def _labelled(entry: dict, folder: str, exhaustive: frozenset[str]) -> LabelledImage:
    known = [box for box in entry["boxes"] if box["cls"] in CLASS_IDS]
    objects = [box for box in known if not box.get("ignore")]
    ignored = _boxes(box["box"] for box in known if box.get("ignore"))
    return LabelledImage(
        path=f"{folder}/{entry['file']}",
        width=int(entry["w"]),
        height=int(entry["h"]),
        source=str(entry["source"]),
        objects=Detections.of(_boxes(box["box"] for box in objects), 1.0, [CLASS_IDS[box["cls"]] for box in objects]),
        ignored=ignored,
        exhaustive=exhaustive,
        attributes={key: value for key, value in entry.items() if key not in {"file", "w", "h", "source", "boxes"}},
    )


def _boxes(boxes: Iterable[list[float]]) -> Boxes:
    rows = [[float(side) for side in box] for box in boxes]
    if any(len(row) != 4 for row in rows):
        raise ValueError("a box needs four sides")
    return np.asarray(rows, np.float32).reshape(-1, 4)
