"""What one counter has seen, as figures with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from components.detections import CLASS_NAMES
from components.evaluation.hand_count.answers import RECOGNISABLE, WRONG_BLUR, Answer
from components.evaluation.hand_count.sample import Sample
from components.evaluation.intervals import Interval, bootstrap_ratio, wilson

LEAST_OBJECTS = 50  # below, the interval of any share is wider than 10 points
LEAST_IMAGES = 50
Figures = dict[str, Any]
COLUMNS = ("areas", "missed", "recognisable", "wrong", "covered", "objects")


def count_table(sample: Sample, answers: Mapping[str, Answer]) -> pd.DataFrame:
    """One row for each class of each picture that was counted.

    An area stands for one object of its class, unless it was marked as a wrong blur.

    Returns:
        Columns: `path`, `class_name`, `areas` (hidden), `missed`, `recognisable`, `wrong` (marks), `covered` (areas
        that are right), `objects` (covered + missed + recognisable).
    """
    rows = []
    for image in sample.images:
        answer = answers.get(image.path)
        if answer is None or not answer.counted:
            continue
        marks = answer.area_marks()
        for name in CLASS_NAMES:
            areas = [index for index, area in enumerate(image.areas) if area.class_name == name]
            missed = sum(mark.class_name == name for mark in answer.missed())
            recognisable = sum(marks.get(index) == RECOGNISABLE for index in areas)
            wrong = sum(marks.get(index) == WRONG_BLUR for index in areas)
            covered = len(areas) - recognisable - wrong
            counts = len(areas), missed, recognisable, wrong, covered, covered + missed + recognisable
            rows.append((image.path, name, *counts))
    return pd.DataFrame(rows, columns=["path", "class_name", *COLUMNS])


def figures(table: pd.DataFrame) -> Figures:
    """Recall by class and of both, wrong blurs, and pictures with a miss.

    Args:
        table: as `count_table` makes it.
    """
    images = table.groupby("path")[["missed", "recognisable"]].sum() if len(table) else table
    with_miss = int((images.sum(axis=1) > 0).sum()) if len(table) else 0
    count = int(table["path"].nunique())
    interval = wilson(with_miss, count)
    return {
        "images_counted": count,
        "recall": {
            **{name: recall(table[table["class_name"] == name]) for name in CLASS_NAMES},
            "both": recall(table),
        },
        "wrong_blurs": {
            **{name: wrong_blurs(table[table["class_name"] == name]) for name in CLASS_NAMES},
            "both": wrong_blurs(table),
        },
        "images_with_miss": {
            "count": with_miss,
            "per_1000": 1000 * with_miss / count if count else None,
            "per_1000_interval": (1000 * interval[0], 1000 * interval[1]) if interval else None,
            "verdict": _verdict(count, LEAST_IMAGES, "images"),
        },
    }


def recall(table: pd.DataFrame) -> Figures:
    """Object recall: covered ÷ (covered + missed + recognisable)."""
    told = {name: int(table[name].sum()) for name in ("covered", "missed", "recognisable")}
    return {**told, **_share(table, "covered", "objects")}


def wrong_blurs(table: pd.DataFrame) -> Figures:
    """The share of the blurred areas that hide neither a face nor a plate.

    The field calls it the false-positive rate; it is what statistics calls the false discovery rate, since nobody can
    count the places where rightly nothing was blurred.
    """
    return {"wrong": int(table["wrong"].sum()), **_share(table, "wrong", "areas")}


def _share(table: pd.DataFrame, above: str, below: str) -> Figures:
    successes, trials = int(table[above].sum()), int(table[below].sum())
    over_objects = wilson(successes, trials)
    over_images = with_width(bootstrap_ratio(table, above, below, "path"))
    return {
        below: trials,
        "share": successes / trials if trials else None,
        "interval": widest(over_objects, over_images),
        "wilson_interval": over_objects,
        "over_images_interval": over_images,
        "verdict": _verdict(trials, LEAST_OBJECTS, below),
    }


def with_width(interval: Interval | None) -> Interval | None:
    """A bootstrap without any variation to draw from knows nothing of its doubt: that is no interval."""
    return interval if interval and interval[0] < interval[1] else None


def widest(*intervals: Interval | None) -> Interval | None:
    """What spans all of them: objects of one picture are alike, so neither way of drawing alone is on the safe side."""
    known = [interval for interval in intervals if interval]
    return (min(low for low, _ in known), max(high for _, high in known)) if known else None


def _verdict(count: int, least: int, what: str) -> str:
    return "counted" if count >= least else f"too few to say: {count} {what}"
