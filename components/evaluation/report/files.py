"""The files of a report: the page, the verdict, the slices as a table, and the curves that `dvc plots` draws."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from components.evaluation.detector_metrics import Figures
from components.evaluation.report.page import render
from components.evaluation.report.report import Report
from components.settings import Gate

PAGE, SLICES, METRICS, VERDICT, CURVES = "report.html", "slices.csv", "metrics.json", "verdict.json", "curves"
_EVERY = 10  # thresholds by hundredths: what a plot can show, and a diff can be read


def write_report(report: Report, gates: Sequence[Gate], folder: Path) -> None:
    """Write report.html, verdict.json, slices.csv, and one CSV for each model and class under curves/."""
    (folder / CURVES).mkdir(parents=True, exist_ok=True)
    (folder / PAGE).write_text(render(report, gates, folder), encoding="utf-8")
    (folder / VERDICT).write_text(report.judged.gate.to_json(), encoding="utf-8")
    slices = pd.concat([model.slices.assign(model=model.key) for model in report.models], ignore_index=True)
    columns = ["model", *(column for column in slices.columns if column != "model")]
    slices[columns].to_csv(folder / SLICES, index=False, float_format="%.4f")
    for model in report.models:
        for name, rows in model.curves.items():
            thinned = rows.iloc[_EVERY - 1 :: _EVERY]
            thinned.to_csv(folder / CURVES / f"{model.key}_{name}.csv", index=False, float_format="%.5f")


def report_figures(report: Report) -> Figures:
    """All figures of all models with their gates, by the models' keys, as `dvc metrics` can compare them."""
    return {model.key: {**model.figures, "gate": model.gate.as_figures()} for model in report.models}
