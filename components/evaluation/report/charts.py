"""The charts of a report, as SVG that stands in the page itself and takes its colours from it."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from components.evaluation.report.report import ModelReport
from components.evaluation.skin_tone import CLASSES, DARKEST
from components.settings import Gate, Metric, bound_of

# Colours that stand for the page's own, which are others in the dark and in print. No other thing has these values.
_INK, _SOFT, _LINE, _BOUND = "#010203", "#040506", "#070809", "#0a0b0c"
_MODELS = ("#0d0e0f", "#101112", "#131415")
_OF_PAGE = {_INK: "--ink", _SOFT: "--soft", _LINE: "--line", _BOUND: "--bound"} | {
    colour: f"--model-{i}" for i, colour in enumerate(_MODELS, 1)
}
_DASHES: tuple[str, ...] = ("-", "--", ":")  # told apart in print without colours too
_STYLE: dict[Any, Any] = {  # matplotlib knows each key by name
    "svg.fonttype": "none",
    "font.size": 10.5,
    "text.color": _INK,
    "axes.edgecolor": _LINE,
    "axes.labelcolor": _SOFT,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": _LINE,
    "grid.linewidth": 0.6,
    "xtick.color": _LINE,
    "ytick.color": _LINE,
    "xtick.labelcolor": _SOFT,
    "ytick.labelcolor": _SOFT,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
}
_WIDTH_IN, _CURVE_IN = 6.4, 4.6
MOST_MODELS = len(_MODELS)
_FPR_SHOWN = 0.02  # where no gate asks for a bound
_PERCENT = FuncFormatter(lambda share, _: f"{round(100 * share, 2):g} %")
_TONES = [name for _, name in CLASSES] + [DARKEST]


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart in the page.

    Attributes:
        title: what it shows.
        svg: the drawing; made of nothing but shapes and text, so it needs no escaping.
        told: the same in words, for who cannot see it.
    """

    title: str
    svg: str
    told: str


def precision_recall(models: Sequence[ModelReport], class_name: str, of: str) -> Chart | None:
    """Precision over object recall, at every threshold; None where nothing tells of false ones."""
    able = [model for model in models if model.curves[class_name]["precision"].notna().any()]
    if not able:
        return None
    figure, axes = _figure(_CURVE_IN)
    points = []
    for model in able:
        i = models.index(model)
        rows, at = model.curves[class_name], _operating_row(model, class_name)
        axes.plot(rows["object_recall"], rows["precision"], _DASHES[i], color=_MODELS[i])
        axes.plot(at["object_recall"], at["precision"], "o", color=_MODELS[i], markersize=8)
        points.append(f"{model.title}: {at['object_recall']:.0%} found, {at['precision']:.0%} of the proposals right")
    _in_percent(axes, "x", f"of all {of}, hidden")
    _in_percent(axes, "y", "of all proposals, right")
    told = f"At the threshold in use: {'; '.join(points)}."
    return Chart(f"How much is found, and how much of it is right: {of}", _svg(figure, f"pr-{class_name}"), told)


def over_thresholds(models: Sequence[ModelReport], class_name: str, of: str, gates: Sequence[Gate]) -> Chart:
    """Object recall and pixel FPR over the threshold, with the operating point and the bounds."""
    figure = Figure(figsize=(_WIDTH_IN, _CURVE_IN), layout="constrained")
    with mpl.rc_context(_STYLE):
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    points = []
    for i, model in enumerate(models):
        rows, at = model.curves[class_name], _operating_row(model, class_name)
        for axes, key in ((upper, "object_recall"), (lower, "pixel_fpr")):
            axes.plot(rows["threshold"], rows[key], _DASHES[i], color=_MODELS[i])
            axes.plot(at["threshold"], at[key], "o", color=_MODELS[i], markersize=8)
        points.append(f"{model.title}: {at['object_recall']:.0%} hidden at {at['threshold']:.2f}")
    used = float(_operating_row(models[0], class_name)["threshold"])
    max_fpr = bound_of(gates, Metric.PIXEL_FPR)
    for axes, bound in ((upper, bound_of(gates, Metric(f"{class_name}.object_recall"))), (lower, max_fpr)):
        if bound is not None:
            axes.axhline(bound, color=_BOUND, linewidth=1, linestyle=(0, (2, 2)))
        axes.axvline(used, color=_SOFT, linewidth=1)
    upper.annotate("in use", (used, 0.02), xytext=(5, 0), textcoords="offset points", color=_SOFT)
    _in_percent(upper, "y", f"of all {of}, hidden")
    highest = max(float(model.curves[class_name]["pixel_fpr"].max()) for model in models)
    least_shown = max_fpr or _FPR_SHOWN
    lower.set_ylim(0, 1.5 * max(least_shown, min(highest, 4 * least_shown) if highest > 0 else 0))
    lower.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    lower.yaxis.set_major_formatter(_PERCENT)
    lower.set_ylabel("of the background")
    lower.set_xlim(0, 1)
    lower.set_xlabel("confidence from which on is hidden")
    told = f"At the threshold in use: {'; '.join(points)}."
    return Chart(f"What another threshold would do: {of}", _svg(figure, f"threshold-{class_name}"), told)


def slice_bars(models: Sequence[ModelReport], class_name: str, attribute: str, title: str) -> Chart | None:
    """Object recall of each value of an attribute with Wilson's intervals; None where no label says it."""
    tables = [_of_attribute(model.slices, class_name, attribute) for model in models]
    values = sorted({value for rows in tables for value in rows.index}, key=in_order)
    if not values:
        return None
    height = 0.75 + len(values) * (0.24 + 0.22 * len(models))
    figure, axes = _figure(height)
    step = 0.8 / len(models)
    for i, rows in enumerate(tables):
        for place, value in enumerate(values):
            if value in rows.index:
                _bar(axes, place + (i - (len(models) - 1) / 2) * step, step, rows.loc[value], _MODELS[i])
    counts = [int(next(rows.loc[value, "objects"] for rows in tables if value in rows.index)) for value in values]
    axes.set_yticks(range(len(values)), [f"{value}\n{count:,}" for value, count in zip(values, counts, strict=True)])
    axes.tick_params(axis="y", labelcolor=_INK, length=0)
    axes.set_ylim(len(values) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    _in_percent(axes, "x", "hidden, with the 95 % interval")
    told = "; ".join(
        f"{value}: {tables[0].loc[value, 'object_recall']:.0%}" for value in values if value in tables[0].index
    )
    return Chart(title, _svg(figure, f"slice-{class_name}-{attribute}"), f"{models[0].title}: {told}.")


def _bar(axes: Axes, place: float, step: float, row: pd.Series, colour: str) -> None:
    share = float(row["object_recall"])
    axes.barh(place, share, step * 0.86, color=colour, alpha=0.45, linewidth=0)
    axes.plot([row["low"], row["high"]], [place, place], color=colour, linewidth=2.2, solid_capstyle="butt")
    axes.plot([share], [place], "|", color=colour, markersize=11, markeredgewidth=2.2)
    axes.text(1.02, place, f"{100 * share:.0f} %", va="center", color=_SOFT)


def _of_attribute(slices: pd.DataFrame, class_name: str, attribute: str) -> pd.DataFrame:
    own = slices[(slices["class"] == class_name) & (slices["attribute"] == attribute) & (slices["objects"] > 0)]
    return own.set_index("value")


def in_order(value: str) -> tuple[int, list[float], str]:
    """Numbers in the order of numbers: 8–16 px before 16–32 px, and "from 64 px" last; skin from light to dark."""
    tone = _TONES.index(value) if value in _TONES else 0
    return tone, [float(number) for number in re.findall(r"\d+", value)], value


def _operating_row(model: ModelReport, class_name: str) -> pd.Series:
    """The row of a curve at the threshold that the region uses."""
    rows: pd.DataFrame = model.curves[class_name]
    used = float(model.figures["thresholds"][class_name])
    return rows.iloc[int(np.abs(rows["threshold"] - used).argmin())]


def _figure(height_in: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(_WIDTH_IN, height_in), layout="constrained")
    with mpl.rc_context(_STYLE):
        return figure, figure.subplots()


def _in_percent(axes: Axes, side: str, label: str) -> None:
    axis = axes.xaxis if side == "x" else axes.yaxis
    (axes.set_xlim if side == "x" else axes.set_ylim)(0, 1.005)
    axis.set_ticks(np.linspace(0, 1, 6))
    axis.set_major_formatter(_PERCENT)
    axis.set_label_text(label)


def _svg(figure: Figure, name: str) -> str:
    """The drawing as an element of HTML: the same bytes every time, with ids and colours that fit into the page."""
    out = io.StringIO()
    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure.savefig(
            out, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
        )
    text = out.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r' xmlns(:xlink)?="[^"]*"', "", text).replace("xlink:href", "href")
    text = re.sub(r'(?<=<svg) [^>]*?(viewBox="[^"]*")[^>]*', r" \1", text)
    text = re.sub(r"font-family: [^;\"]*;? ?|<style.*?</style>\s*", "", text)  # the page has a style of its own
    text = re.sub(r'(id="|url\(#|href="#)', rf"\g<1>{name}-", text)
    return _with_colours_of_page(text)


def _with_colours_of_page(svg: str, colours: Mapping[str, str] = _OF_PAGE) -> str:
    for colour, name in colours.items():
        svg = svg.replace(colour, f"var({name})")
    return svg
