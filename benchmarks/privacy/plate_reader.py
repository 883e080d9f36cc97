"""What a text recogniser reads on a plate, and how much of it is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np

from components.imaging.reading import Pixels

SIGNS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_LEAST_PX = 48  # the recogniser's own height


@dataclass(frozen=True, slots=True)
class Reading:
    """Capital letters and digits in order, and how sure the recogniser is."""

    text: str
    confidence: float


def read_plate(plate: Pixels) -> Reading:
    """Read one line."""
    if plate.shape[0] < _LEAST_PX:
        scale = _LEAST_PX / plate.shape[0]
        plate = np.asarray(cv2.resize(plate, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC), np.uint8)
    read = _engine()(cv2.cvtColor(plate, cv2.COLOR_RGB2BGR), use_det=False, use_cls=False, use_rec=True)
    text = only_signs(read.txts[0] if read.txts else "")
    return Reading(text, float(read.scores[0]) if text else 0.0)


def only_signs(text: str) -> str:
    """A text without what plates put between letters and digits."""
    return "".join(sign for sign in text.upper() if sign in SIGNS)


def character_accuracy(reading: str, truth: str) -> float:
    """1 - edit distance ÷ the longer length."""
    return 1 - edit_distance(reading, truth) / max(len(reading), len(truth), 1)


def accuracy_by_chance(readings: Sequence[str], truths: Sequence[str]) -> float:
    """How well readings fit the texts of all the other plates."""
    pairs = [
        character_accuracy(reading, truth)
        for i, reading in enumerate(readings)
        for j, truth in enumerate(truths)
        if i != j
    ]
    return float(np.mean(pairs))


def edit_distance(one: str, other: str) -> int:
    """The fewest signs to insert, delete or replace (Levenshtein 1966)."""
    row = list(range(len(other) + 1))
    for i, sign in enumerate(one, 1):
        before, row[0] = row[0], i
        for j, other_sign in enumerate(other, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (sign != other_sign))
    return row[-1]


@lru_cache(maxsize=1)
def _engine() -> Any:
    from rapidocr import RapidOCR  # here, so that the faces need no reader of text

    quiet = {"Global.log_level": "critical", "EngineConfig.onnxruntime.intra_op_num_threads": 1}
    return RapidOCR(params=quiet)
