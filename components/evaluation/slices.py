"""Recall by what the labels say of objects and pictures, and which slices are missed more often than the rest.

A slice is compared with all others of its class and attribute by Fisher's exact test. Attributes of people and of
pictures are two families: in each, the p values are corrected for their number (Holm 1979), so that among many slices
none stands out by chance. A slice that is too small is called so, and an attribute of which no label says anything is
not assessed; neither is passed.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from fairlearn.metrics import MetricFrame, count
from scipy.stats import fisher_exact

from components.evaluation.intervals import wilson
from components.evaluation.skin_tone import MARK as SKIN_TONE_PROXY

LEAST_OBJECTS = 50  # below, 5 points of recall are within the interval of any figure
OF_PEOPLE = ("mask", "occlusion", "gender", "age", "skin_type", SKIN_TONE_PROXY)
OF_PICTURES = ("size", "source", "region", "light", "tilt", "square")
NOT_ASSESSED, TOO_FEW = "not assessed", "too few to say"
MORE_OFTEN, LESS_OFTEN, NO_GAP = "missed more often", "missed less often", "no gap seen"
COLUMNS = (
    "class", "attribute", "value", "objects", "hidden", "object_recall", "low", "high", "pixel_recall", "gap", "p",
    "verdict",
)  # fmt: skip
_SIGNIFICANT = 0.05


def slice_table(objects: pd.DataFrame) -> pd.DataFrame:
    """One row for each class, attribute and value, in the order of the attributes above.

    Args:
        objects: one row an object, as `components.evaluation.object_table` makes it.

    Returns:
        `COLUMNS`. An attribute of which no label says anything has one row without a value. low, high: Wilson's 95 %
        interval of the object recall; gap: to the object recall of all others together; p: corrected.
    """
    families = []
    for attributes in (OF_PEOPLE, OF_PICTURES):
        rows = [
            row
            for name, own in objects.groupby("class")
            for attribute in attributes
            for row in _rows(own, str(name), attribute)
        ]
        families.append(_corrected(pd.DataFrame(rows, columns=list(COLUMNS))))
    return pd.concat(families, ignore_index=True)


def _rows(own: pd.DataFrame, name: str, attribute: str) -> list[dict[str, object]]:
    """The slices of one class by one attribute."""
    known = own[own[attribute].notna()] if attribute in own else own.iloc[:0]
    if not len(known):
        return [
            {"class": name, "attribute": attribute, "value": "", "objects": 0, "hidden": 0, "verdict": NOT_ASSESSED}
        ]
    # What is measured of each slice is counted by Fairlearn; "true" is that an object is there at all.
    hidden = known["hidden"].astype(int)
    frame = MetricFrame(
        metrics={"objects": count, "hidden": lambda _, found: int(np.sum(found))},
        y_true=np.ones(len(known), int),
        y_pred=hidden,
        sensitive_features=known[attribute].astype(str).rename("value"),
    )
    pixels = known.groupby(known[attribute].astype(str))[["covered_px", "px"]].sum()
    return [
        _row(int(part["objects"]), int(part["hidden"]), len(known), int(hidden.sum()))
        | {"class": name, "attribute": attribute, "value": value}
        | {"pixel_recall": float(pixels.loc[value, "covered_px"] / pixels.loc[value, "px"])}
        for value, part in frame.by_group.iterrows()
    ]


def _row(objects: int, hidden: int, all_objects: int, all_hidden: int) -> dict[str, object]:
    """The figures of a slice, beside those of all slices together."""
    low, high = wilson(hidden, objects) or (np.nan, np.nan)
    told = {"objects": objects, "hidden": hidden, "object_recall": hidden / objects, "low": low, "high": high}
    others, others_hidden = all_objects - objects, all_hidden - hidden
    if min(objects, others) < LEAST_OBJECTS:
        return {**told, "verdict": f"{TOO_FEW}: {min(objects, others)} objects"}
    counts = [[hidden, objects - hidden], [others_hidden, others - others_hidden]]
    return {**told, "gap": hidden / objects - others_hidden / others, "p": float(fisher_exact(counts).pvalue)}


def _corrected(rows: pd.DataFrame) -> pd.DataFrame:
    """Holm's step-down correction over one family, and a word for each slice that was compared."""
    rows = rows.astype({"gap": float, "p": float})
    order = rows["p"].dropna().sort_values(kind="stable").index
    steps = (rows.loc[order, "p"] * np.arange(len(order), 0, -1)).clip(upper=1).cummax()
    rows.loc[order, "p"] = steps
    words = np.where(rows.loc[order, "gap"] < 0, MORE_OFTEN, LESS_OFTEN)
    rows.loc[order, "verdict"] = np.where(steps < _SIGNIFICANT, words, NO_GAP)
    return rows


def worst(rows: pd.DataFrame) -> pd.DataFrame:
    """For each class, the slice that is least often hidden among those that can tell; the first of equals."""
    able = rows[rows["p"].notna()]
    return able.loc[able.groupby("class")["object_recall"].idxmin()] if len(able) else able
