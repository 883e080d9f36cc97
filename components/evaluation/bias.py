"""Whether a model misses some people or plates more often than others: a stage of `dvc.yaml`.

python -m components.evaluation.bias OBJECTS.csv BIAS.json

Recall by every attribute that the labels carry, with Wilson's interval. A slice is compared with all others of its
class by Fisher's exact test, and the p values are corrected for their number (Holm 1979). A slice that is too small is
called so, and an attribute that no label carries is not assessed; neither is passed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd
from scipy.stats import fisher_exact

from components.evaluation.detector_metrics import recall

LEAST_OBJECTS = 50  # below, 5 points of recall are within the interval of any figure
ATTRIBUTES = ("mask", "region", "source", "size", "gender", "age", "skin_type")
_SIGNIFICANT = 0.05


def bias(objects: pd.DataFrame) -> dict[str, Any]:
    """Recall by attribute and class, with the gap between each slice and the rest of its class.

    Args:
        objects: one row an object, as `components.evaluation.object_table` makes it.
    """
    told: dict[str, Any] = {
        str(name): {attribute: _slices(rows, attribute) for attribute in ATTRIBUTES}
        for name, rows in objects.groupby("class")
    }
    compared = [
        part
        for by_attribute in told.values()
        for slices in by_attribute.values()
        if isinstance(slices, dict)
        for part in slices.values()
        if "p" in part
    ]
    _correct(compared)
    return told


def _slices(rows: pd.DataFrame, attribute: str) -> dict[str, Any] | str:
    if attribute not in rows or not rows[attribute].notna().any():
        return "not assessed: no label says"
    return {
        str(value): _compared(part, rows[rows[attribute].notna() & (rows[attribute] != value)])
        for value, part in rows.groupby(attribute)
    }


def _compared(part: pd.DataFrame, rest: pd.DataFrame) -> dict[str, Any]:
    told = recall(part)
    if len(part) < LEAST_OBJECTS or len(rest) < LEAST_OBJECTS:
        return {**told, "verdict": f"too few to say: {min(len(part), len(rest))} objects"}
    table = [[int(side["hidden"].sum()), int((~side["hidden"].astype(bool)).sum())] for side in (part, rest)]
    gap = float(part["hidden"].mean() - rest["hidden"].mean())
    return {**told, "gap": gap, "p": float(fisher_exact(table).pvalue)}


def _correct(compared: list[dict[str, Any]]) -> None:
    """Holm's step-down correction, and a word for each slice."""
    highest = 0.0
    for rank, part in enumerate(sorted(compared, key=lambda part: part["p"])):
        highest = max(highest, min(1.0, part["p"] * (len(compared) - rank)))
        part["p"] = highest
        significant = highest < _SIGNIFICANT
        part["verdict"] = (
            ("missed more often" if part["gap"] < 0 else "missed less often") if significant else "no gap seen"
        )


if __name__ == "__main__":
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    # Only what is empty is missing: pandas would take the country NA for no answer.
    rows = pd.read_csv(source, keep_default_na=False, na_values=[""])
    target.write_text(json.dumps(bias(rows), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
