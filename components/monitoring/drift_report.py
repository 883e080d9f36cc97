"""The adapter to Evidently: a day beside its reference, as one HTML page that opens without a network.

The page shows our own verdict on top; Evidently draws the distributions and measures them once more, on values drawn
from the counts.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from components.monitoring.distances import Numbers
from components.monitoring.distributions import DayProfile, grid_of
from components.monitoring.drift import DriftReport, Finding
from components.monitoring.reference import Reference

if TYPE_CHECKING:
    import pandas as pd

_VALUES = 1000  # of each distribution: smooth curves, in a page that still opens at once
_BODY = "<body>"
_NOTE = (
    f"<p>This table decides. Below, Evidently measures once more, with the same limits, on {_VALUES} values drawn from "
    "the counts; close to a limit it may see it otherwise.</p>"
)
# Colours of its own would not follow the light and the dark that Evidently's page may be switched to.
_STYLE = """<style>
:root{color-scheme:light dark}
.verdict{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:1.5rem auto;padding:0 1rem}
.verdict table{border-collapse:collapse;width:100%} .verdict td,.verdict th{padding:.2rem .7rem;text-align:right;
border-bottom:1px solid #8885} .verdict td:first-child,.verdict th:first-child{text-align:left}
.verdict .alarm{background:#e5002b2e} .verdict .warning{background:#f5b70040}
</style>"""


def write_page(reference: Reference, day: DayProfile, report: DriftReport, path: Path) -> None:
    """Write a day's page.

    Args:
        reference: what the day was compared with.
        day: its profile.
        report: what the comparison came to.
        path: of the page; its folder is made.
    """
    names = sorted({test.name for test in report.tests})
    path.parent.mkdir(parents=True, exist_ok=True)
    if not names:
        path.write_text(f"<!DOCTYPE html><meta charset='utf-8'>{_verdict(report)}", encoding="utf-8")
        return
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift

    pool = {name: reference.counts(name, 1).sum(axis=0) for name in names}
    definition = DataDefinition(numerical_columns=names)
    current, usual = (
        Dataset.from_pandas(_frame(counts, names), data_definition=definition) for counts in (day.counts, pool)
    )
    # Its thresholds are ours, so that it calls drift what lies beyond what is usual here.
    metrics = [ValueDrift(column=test.name, method=test.statistic, threshold=test.usual) for test in report.tests]
    page = Report(metrics).run(current, usual).get_html_str(as_iframe=False)
    path.write_text(page.replace(_BODY, f"{_BODY}{_verdict(report)}", 1), encoding="utf-8")


def drawn(counts: Any, name: str) -> Numbers:
    """Values that are distributed as the counts of a distribution, float64 [1000].

    They are the quantiles in even steps, spread evenly over each bin, in no order: Evidently draws them one after the
    other as well, which would look like a trend.
    """
    edges, counts = grid_of(name).edges, np.asarray(counts, np.float64)
    below = np.concatenate([[0.0], np.cumsum(counts)]) / counts.sum()
    shares = (np.arange(_VALUES) + 0.5) / _VALUES
    values = np.interp(shares, below, edges)
    values = np.random.default_rng(0).permutation(values)
    return np.round(values) if name.endswith("objects_per_image") else values


def _frame(counts: Any, names: list[str]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame({name: drawn(counts[name], name) for name in names})


def _verdict(report: DriftReport) -> str:
    head = f"<h1>Drift on {escape(report.day)}: {report.level}</h1><p>Model version {escape(report.model_version)}.</p>"
    columns = ("distribution", "statistic", "distance", "usual up to", "p (Holm)", "values", "level")
    rows = "".join(map(_row, report.tests))
    table = f"<table><tr>{''.join(f'<th>{name}</th>' for name in columns)}</tr>{rows}</table>" if rows else ""
    skipped = "".join(f"<li>{escape(reason)}</li>" for reason in report.skipped)
    left_out = f"<h2>Not compared</h2><ul>{skipped}</ul>" if skipped else ""
    return f"{_STYLE}<section class='verdict'>{head}{table}{_NOTE if rows else ''}{left_out}</section>"


def _row(test: Finding) -> str:
    cells = (escape(test.name), test.statistic, f"{test.distance:.3f}", f"{test.usual:.3f}", f"{test.p_value:.2g}",
             str(test.values), test.level)  # fmt: skip
    return f"<tr class='{test.level}'>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
