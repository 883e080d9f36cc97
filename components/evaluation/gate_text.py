"""Requirements and what they have come to, in words and figures for people."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from components.evaluation.slices import OF_PEOPLE
from components.settings import Gate, Metric

if TYPE_CHECKING:
    from components.evaluation.verdict import Requirement, Verdict

RECALL, FALSE_BLUR, PEOPLE = "How much is hidden", "What is hidden without need", "Gaps between groups of people"
_WORST, _GAPS, _SAFETY = "Where least is hidden", "Gaps between slices", "What it is worth in use"
_SPACE, _MINUS = "\N{NO-BREAK SPACE}", "\N{MINUS SIGN}"
_TITLES = {
    Metric.FACE_OBJECT_RECALL: "Faces",
    Metric.FACE_PIXEL_RECALL: "Faces, by area",
    Metric.FACE_GAP: "Faces",
    Metric.PLATE_OBJECT_RECALL: "Licence plates",
    Metric.PLATE_PIXEL_RECALL: "Licence plates, by area",
    Metric.PLATE_GAP: "Licence plates",
    Metric.PIXEL_FPR: "Background",
    Metric.FALSE_BLUR_SHARE: "Of all that is hidden: no face, no plate",
    Metric.REIDENTIFICATION_RATIO: "Hidden faces that are named, times guessing",
    Metric.EXPORT_RECALL_LOSS: "Pixel recall lost in the shipped file",
    Metric.IMAGES_PER_S: "Images a second, on one core",
}


def group_of(gate: Gate) -> str:
    """What kind of requirement it is."""
    if gate.metric.is_gap:
        return PEOPLE if gate.metric is Metric.FACE_GAP and gate.slice in OF_PEOPLE else _GAPS
    if gate.metric.is_sliced:
        return RECALL if gate.slice is None else _WORST
    return FALSE_BLUR if gate.metric in (Metric.PIXEL_FPR, Metric.FALSE_BLUR_SHARE) else _SAFETY


def title_of(gate: Gate) -> str:
    """Its name."""
    title = _TITLES[gate.metric]
    if gate.slice is None:
        return title
    attribute, _, value = gate.slice.partition("=")
    name = attribute.replace("_", " ")
    if gate.metric.is_gap:
        return f"{title}, by {name}"
    return f"{title}, {name} {value}" if value else f"{title}, the worst {name}"


def percent(share: float | None, digits: int = 1) -> str:
    """A share for people."""
    return "–" if share is None or math.isnan(share) else f"{100 * share:.{digits}f}{_SPACE}%"


def value_text(metric: Metric, value: float | None, digits: int = 1) -> str:
    """A figure in its unit: a share in per cent, a difference of shares in points."""
    if value is None:
        return "–"
    if metric is Metric.REIDENTIFICATION_RATIO:
        return f"{value:.{digits}f}{_SPACE}×"
    if metric is Metric.IMAGES_PER_S:
        return f"{value:.2g}{_SPACE}images/s"
    if metric.is_gap or metric is Metric.EXPORT_RECALL_LOSS:
        return _points(100 * value, digits)
    return percent(value, digits)


def bound_text(row: Requirement, short: bool = False) -> str:
    """What is asked for, in words; short: in signs, for a narrow column."""
    least, most = ("≥", "≤") if short else ("at least", "at most")
    parts = []
    if row.bound is not None:
        digits = 0 if row.bound >= 1 or math.isclose(100 * row.bound, round(100 * row.bound)) else 1
        word = least if row.metric.higher_is_better else most
        parts.append(f"{word} {value_text(row.metric, row.bound, digits)}")
    if row.max_regression is not None:
        worse = "worse" if short else "worse than the champion"
        parts.append(f"{most} {difference_text(row.metric, row.max_regression)} {worse}")
    return ", ".join(parts)


def interval_text(row: Requirement) -> str:
    """The 95 % interval without its unit at the lower end; nothing where there is none."""
    if row.interval is None:
        return ""
    low, high = (value_text(row.metric, end) for end in row.interval)
    return f"{low.replace(' points', '').replace(f'{_SPACE}%', '')} to {high.replace(' points', '')}"


def difference_text(metric: Metric, difference: float) -> str:
    """A difference of two figures in words."""
    if metric in (Metric.REIDENTIFICATION_RATIO, Metric.IMAGES_PER_S):
        return value_text(metric, difference)
    points = 100 * difference
    return _points(points, 0 if math.isclose(points, round(points)) else 1)


def _points(points: float, digits: int) -> str:
    number = f"{points:.{digits}f}".replace("-", _MINUS)
    return f"{number} point" if number == "1" else f"{number} points"


def champion_text(metric: Metric, champion: float | None, fall: float, where: str) -> str:
    """How much worse than the champion it is, and where."""
    place = f"at {where}, " if where else ""
    return f"{place}{difference_text(metric, fall)} worse than the champion ({value_text(metric, champion)})"


def reason_text(row: Requirement) -> str:
    """Why a row is not passed."""
    figure = "" if row.measured is None else f" {value_text(row.metric, row.measured)},"
    note = f" ({row.note})" if row.note else ""
    return f"{row.title}: {row.outcome.value},{figure} asked is {bound_text(row)}{note}"


def verdict_sentence(verdict: Verdict) -> str:
    """What the gate has come to, and what follows."""
    outcomes = [row.outcome.value for row in verdict.rows]
    failed = outcomes.count("failed")
    unknown = len(outcomes) - failed - outcomes.count("passed")
    of_all = f"of {len(outcomes)} requirements"
    if failed:
        more = f" {unknown} more could not be decided." if unknown else ""
        return f"{failed} {of_all} {'is' if failed == 1 else 'are'} not met.{more} This model must not be promoted."
    if verdict.passed:
        return f"All {len(outcomes)} requirements were measured, and are met."
    return (
        f"Nothing failed, but {unknown} {of_all} could not be decided. Before this model is promoted, somebody has "
        "to accept that, by name."
    )


def verdict_markdown(verdict: Verdict, characters: int) -> str:
    """The sentence and the table, as a page that shows Markdown takes it; the gravest rows come first.

    Args:
        verdict: what it says.
        characters: how long it may get; rows that do not fit are left out, and that is said.
    """
    lines = [
        f"**Gate: {verdict.overall.value}.** {verdict_sentence(verdict)}", "",
        "| requirement | asked | measured | champion | | rests on |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    more = "| … | more in gate/verdict.html | | | | |"
    for row in verdict.gravest_first:
        interval = f" ({interval_text(row)})" if row.interval else ""
        cells = (
            row.title, bound_text(row), f"{value_text(row.metric, row.measured)}{interval}",
            value_text(row.metric, row.champion), row.outcome.value, row.note,
        )  # fmt: skip
        line = f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
        if sum(map(len, [*lines, line, more])) + len(lines) + 2 > characters:
            return "\n".join([*lines, more])
        lines.append(line)
    return "\n".join(lines)
