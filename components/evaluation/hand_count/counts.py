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
_Z = 1.959963984540054  # 95 % of a normal distribution lie within ± this
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
    return {
        below: trials,
        "share": successes / trials if trials else None,
        "interval": clustered_wilson(table, above, below),
        "wilson_interval": wilson(successes, trials),
        "bootstrap_interval": with_width(bootstrap_ratio(table, above, below, "path")),
        "verdict": _verdict(trials, LEAST_OBJECTS, below),
    }


def clustered_wilson(table: pd.DataFrame, above: str, below: str) -> Interval | None:
    """Wilson's interval for shares whose objects were drawn by whole pictures; None without objects.

    Objects of one picture are alike, so they tell less than as many drawn one by one. Their number is divided by the
    design effect (Kish 1965; Dean and Pagano 2015 find this form sound near 0 and 1), the variance of the ratio over
    pictures (Cochran 1977, equation 6.9) ÷ that of independent objects; it is never taken as less than 1.
    """
    sums = table.groupby("path")[[above, below]].sum().to_numpy(float)
    trials = float(sums[:, 1].sum())
    if not trials:
        return None
    share = float(sums[:, 0].sum()) / trials
    independent = share * (1 - share) / trials
    effect = 1.0
    if independent and len(sums) > 1:
        residuals = sums[:, 0] - share * sums[:, 1]
        effect = max(1.0, len(sums) / (len(sums) - 1) * float(residuals @ residuals) / trials**2 / independent)
    return wilson_of_share(share, trials / effect)


def wilson_of_share(share: float, trials: float) -> Interval:
    """Wilson's formula (1927) for an effective number of trials, which need not be whole."""
    middle, spread = share + _Z**2 / (2 * trials), _Z**2 / (4 * trials**2)
    half = _Z * (share * (1 - share) / trials + spread) ** 0.5
    scale = 1 + _Z**2 / trials
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)


def with_width(interval: Interval | None) -> Interval | None:
    """A bootstrap without any variation to draw from knows nothing of its doubt: that is no interval."""
    return interval if interval and interval[0] < interval[1] else None


def _verdict(count: int, least: int, what: str) -> str:
    return "counted" if count >= least else f"too few to say: {count} {what}"
