"""The report as one HTML file: no scripts, nothing from elsewhere, readable offline, in the dark and in print."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from components.detections import CLASS_NAMES
from components.evaluation.gate_text import bound_text, interval_text, percent, value_text, verdict_sentence
from components.evaluation.report.charts import Chart, in_order, over_thresholds, precision_recall, slice_bars
from components.evaluation.report.report import Report
from components.evaluation.report.summary import PLURAL, cannot_be_said, sentences
from components.evaluation.slices import MORE_OFTEN, OF_PEOPLE, OF_PICTURES
from components.evaluation.verdict import Outcome, Overall, Verdict
from components.settings import PROJECT_ROOT, Gate

_FOLDER = Path(__file__).parent
_ATTRIBUTES = {
    "mask": "By mask", "occlusion": "By what covers the face", "gender": "By perceived gender",
    "age": "By perceived age", "skin_type": "By skin type, as labelled", "skin_tone_proxy": "By skin tone proxy",
    "size": "By size: the shorter side", "source": "By source of the pictures", "region": "By country or region",
    "light": "By light", "tilt": "By tilt", "square": "By number of lines",
}  # fmt: skip
_SIGNS = {Outcome.PASSED: "✓", Outcome.FAILED: "✗", Outcome.NOT_ASSESSED: "?", Outcome.TOO_FEW: "?"}
_KINDS = {
    Outcome.PASSED: "good", Outcome.FAILED: "bad", Outcome.NOT_ASSESSED: "unsure", Outcome.TOO_FEW: "unsure",
    Overall.PASSED: "good", Overall.FAILED: "bad", Overall.NEEDS_ACCEPTANCE: "unsure",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ClassSection:
    """The charts of one class.

    Attributes:
        name: of the class, for people.
        curves: over thresholds, and precision over recall.
        people, pictures: the slices by what labels say of people and of pictures.
        unknown: attributes of which no label says anything.
        rows: the judged model's slices as a table.
    """

    name: str
    curves: tuple[Chart, ...]
    people: tuple[Chart, ...]
    pictures: tuple[Chart, ...]
    unknown: tuple[str, ...]
    rows: tuple[dict[Any, Any], ...]


def render(report: Report, gates: Sequence[Gate], folder: Path) -> str:
    """The page.

    Args:
        report: what it says.
        gates: the requirements, whose bounds charts show.
        folder: where the file will lie; links to originals start there.
    """
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            report=report,
            judged=report.judged,
            overall=report.judged.gate.overall,
            verdict_sentence=verdict_sentence(report.judged.gate),
            requirements=list(zip(*(model.gate.rows for model in report.models), strict=True)),
            titles=[model.title for model in report.models],
            sentences=sentences(report),
            cannot_be_said=cannot_be_said(report),
            sections=[_section(report, name, gates) for name in CLASS_NAMES],
            svg=lambda chart: Markup(chart.svg),  # noqa: S704 - matplotlib has escaped the text in it
            link=lambda path: link_to(path, folder),
            name_of=name_of,
            missed_more=MORE_OFTEN,
            singular={name: plural[:-1] for name, plural in PLURAL.items()},
        )
    )


def render_verdict(verdict: Verdict, title: str) -> str:
    """The gate's table alone, as a page that is kept with a model.

    Args:
        verdict: what it says.
        title: the model's name.
    """
    return (
        _environment()
        .get_template("verdict.html.j2")
        .render(
            title=title,
            overall=verdict.overall,
            verdict_sentence=verdict_sentence(verdict),
            reasons=verdict.reasons,
            requirements=[(row,) for row in verdict.rows],
            titles=[title],
        )
    )


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(percent=percent, points=_points)
    environment.globals.update(
        css=Markup((_FOLDER / "page.css").read_text(encoding="utf-8")),  # noqa: S704 - our own file
        kinds=_KINDS,
        signs=_SIGNS,
        bound=bound_text,
        figure_of=value_text,
        interval_of=interval_text,
    )
    return environment


def link_to(path: str, folder: Path) -> str:
    """From a folder to a picture, whose path starts at the project's folder."""
    return quote(Path(os.path.relpath(PROJECT_ROOT / path, folder.resolve())).as_posix())


def name_of(path: str) -> str:
    """A picture's path in the project, or its file's name alone where it lies elsewhere."""
    return Path(path).name if Path(path).is_absolute() else path


def _section(report: Report, class_name: str, gates: Sequence[Gate]) -> ClassSection:
    models, plural = report.models, PLURAL[class_name]
    if not any(model.figures[class_name]["objects"] for model in models):
        return ClassSection(plural, (), (), (), (), ())

    def bars(attributes: tuple[str, ...]) -> tuple[Chart, ...]:
        charts = (slice_bars(models, class_name, mark, _ATTRIBUTES[mark]) for mark in attributes)
        return tuple(chart for chart in charts if chart is not None)

    people, pictures = bars(OF_PEOPLE) if class_name == CLASS_NAMES[0] else (), bars(OF_PICTURES)
    shown = {chart.title for chart in (*people, *pictures)}
    asked = (*(OF_PEOPLE if class_name == CLASS_NAMES[0] else ()), *OF_PICTURES)
    curves = over_thresholds(models, class_name, plural, gates), precision_recall(models, class_name, plural)
    return ClassSection(
        plural,
        tuple(chart for chart in curves if chart is not None),
        people,
        pictures,
        tuple(_ATTRIBUTES[mark][3:].lower() for mark in asked if _ATTRIBUTES[mark] not in shown),
        tuple(_slice_rows(report.judged.slices, class_name)),
    )


def _slice_rows(slices: pd.DataFrame, class_name: str) -> Iterator[dict[Any, Any]]:
    own = slices[(slices["class"] == class_name) & (slices["objects"] > 0)].to_dict("records")
    attributes = list(dict.fromkeys(row["attribute"] for row in own))
    for row in sorted(own, key=lambda row: (attributes.index(row["attribute"]), in_order(row["value"]))):
        yield {**row, "title": _ATTRIBUTES[row["attribute"]][3:], "has_gap": not pd.isna(row["gap"])}


def _points(gap: float) -> str:
    """A difference of two shares, in points of a hundred, with its sign."""
    return f"{100 * gap:+.1f}".replace("-", "\N{MINUS SIGN}")
