"""What a model sees in labelled pictures, kept so that every threshold and stage can be tried without looking again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from components.dataset.labels import LabelledImage
from components.detection.cascade import Proposals
from components.detections import STAGE_DETECTOR, Detections
from components.imaging.reading import Pixels, decode
from components.settings import PROJECT_ROOT, Reading

Sightings = dict[str, Detections]  # by a picture's path
Word = Literal["last", "stage1", "stage2"]  # whose confidence counts

_COLUMNS = 10  # x1, y1, x2, y2, last confidence, class, stage; the confidences of stage 1, stage 2 and secondary check


def look_at(
    images: Sequence[LabelledImage],
    examine: Callable[[Pixels], Proposals],
    limits: Reading,
    file: Path,
    changed: Callable[[Pixels, str], Pixels] | None = None,
) -> None:
    """Show each picture to a model once; a later call goes on where this one was stopped.

    Args:
        images: the pictures, with paths from the project's folder.
        examine: the model.
        limits: bounds on what is decoded.
        file: gets one line of JSON a picture.
        changed: what is done to a picture's pixels before, given its path.
    """
    known = read_sightings(file) if file.exists() else {}
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as lines:
        for image in images:
            if image.path in known:
                continue
            pixels = decode((PROJECT_ROOT / image.path).read_bytes(), limits).pixels
            seen = examine(changed(pixels, image.path) if changed else pixels)
            lines.write("\n" + json.dumps(_line(image.path, seen)))  # the end of a line that was cut off comes first
            lines.flush()


def read_sightings(file: Path, word: Word = "last") -> Sightings:
    """What `look_at` wrote; a line that was cut off by an interruption is passed over.

    Args:
        file: the file.
        word: whose confidence counts. Proposals on which that stage has not spoken are left out.
    """
    return dict(_sightings(file.read_text(encoding="utf-8"), word))


def _sightings(text: str, word: Word) -> Iterator[tuple[str, Detections]]:
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        rows = np.array(entry["found"], float).reshape(-1, _COLUMNS)  # null becomes NaN
        confidence = rows[:, {"last": 4, "stage1": 7, "stage2": 8}[word]]
        rows, confidence = rows[confidence > 0], confidence[confidence > 0]
        stage = rows[:, 6] if word == "last" else STAGE_DETECTOR
        yield entry["file"], Detections.of(rows[:, :4], confidence, rows[:, 5], stage)


def _line(path: str, seen: Proposals) -> dict[str, Any]:
    found = seen.found
    # Confidences are cut, not rounded: none may rise over a threshold by being written down.
    told = np.floor(np.column_stack([found.confidence, seen.stage1, seen.stage2, seen.secondary]) * 1e4) / 1e4
    rows = np.column_stack([found.xyxy.round(1), told[:, 0], found.class_id, found.stage, told[:, 1:]]).astype(float)
    return {"file": path, "found": [[None if np.isnan(v) else round(v, 4) for v in row] for row in rows.tolist()]}
