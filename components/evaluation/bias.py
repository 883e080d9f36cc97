"""Whether a model misses some people or plates more often than others: a stage of `dvc.yaml`.

python -m components.evaluation.bias OBJECTS.csv BIAS.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from components.evaluation.slices import NOT_ASSESSED, slice_table


def bias(objects: pd.DataFrame) -> dict[str, Any]:
    """The slices by class, attribute and value, as `dvc metrics` can compare them.

    Args:
        objects: one row an object, as `components.evaluation.object_table` makes it.
    """
    told: dict[str, Any] = {}
    for row in slice_table(objects).to_dict("records"):
        by_attribute = told.setdefault(row.pop("class"), {})
        attribute, value = row.pop("attribute"), row.pop("value")
        if row["verdict"] == NOT_ASSESSED:
            by_attribute[attribute] = NOT_ASSESSED
        else:
            figures = {key: figure for key, figure in row.items() if not pd.isna(figure)}
            by_attribute.setdefault(attribute, {})[value] = figures
    return told


if __name__ == "__main__":
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    # Only what is empty is missing: pandas would take the country NA for no answer.
    rows = pd.read_csv(source, keep_default_na=False, na_values=[""])
    target.write_text(json.dumps(bias(rows), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
