"""Whether a model may be promoted: its figures are held against the bounds, and against the champion's.

The measured figure decides, where enough was measured; its 95 % interval stands beside it. Where too little was
measured, a figure that misses its bound with its whole interval fails all the same, and nothing else is decided. What
no label says anything of, and what cannot be compared with the champion, is not assessed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import inf

from components.evaluation.gate_text import champion_text, group_of, title_of
from components.evaluation.verdict import GRAVEST_FIRST, Figure, Outcome, Requirement, Verdict
from components.settings import Gate, Metric

_ROUNDING = 1e-9  # 0.95 - 0.93 is a little more than 0.02 in binary fractions


def judge(
    figures: Mapping[str, Figure], champion_figures: Mapping[str, Figure] | None, gates: Sequence[Gate]
) -> Verdict:
    """Hold a model's figures against the bounds, and against the champion's figures.

    Args:
        figures: by key, as `gate_figures` makes them and others add to; a row without a figure is not assessed.
        champion_figures: the same of the champion, measured on the same pictures; None if there is no champion.
        gates: the requirements.
    """
    champion = champion_figures
    if champion is not None and not _same_pictures(figures, champion):
        champion = {}
    return Verdict(tuple(_judged(gate, figures, champion) for gate in gates), figures)


def _same_pictures(figures: Mapping[str, Figure], others: Mapping[str, Figure]) -> bool:
    """Whether the figures of whole classes rest on as many objects and pictures."""
    whole = [metric.value for metric in Metric if metric.value in figures and metric.value in others]
    return all(figures[key].count == others[key].count for key in whole if figures[key].count)


def _judged(gate: Gate, figures: Mapping[str, Figure], champion: Mapping[str, Figure] | None) -> Requirement:
    figure = figures.get(gate.key, Figure(None, note="no figure was given"))
    other = champion.get(gate.key) if champion else None
    shown = figure
    if figure.value is None:
        outcome = Outcome.TOO_FEW if figure.lacking else Outcome.NOT_ASSESSED
        notes = [figure.note or figure.lacking or f"no {figure.of} in the test pictures"]
    else:
        shown, by_bound, bound_note = _against_bound(figure, gate)
        by_champion, champion_note = _against_champion(gate, figures, champion)
        outcome = min(by_bound, by_champion, key=GRAVEST_FIRST.index)
        notes = [_rests_on(shown), bound_note, champion_note, figure.lacking]
    return Requirement(
        group_of(gate), gate.key, title_of(gate), gate.metric, gate.bound, gate.max_regression, shown.value,
        shown.interval, other.value if other else None, outcome, "; ".join(note for note in notes if note),
    )  # fmt: skip


def _rests_on(figure: Figure) -> str:
    rests = f"{figure.count:,} {figure.of}" if figure.count else ""
    lead = figure.note or figure.where
    return f"{lead} ({rests})" if lead and rests else lead or rests


def _against_bound(figure: Figure, gate: Gate) -> tuple[Figure, Outcome, str]:
    """What is shown, what it has come to, and why."""
    if gate.bound is None:
        return figure, Outcome.PASSED, ""
    assert figure.value is not None
    if figure.proven is not None and not _keeps(gate, figure.proven.value):
        return figure.proven, Outcome.FAILED, ""
    keeps = _keeps(gate, figure.value)
    if figure.by_chance and not keeps:
        return figure, Outcome.TOO_FEW, "it may be by chance"
    if figure.lacking:
        return figure, Outcome.TOO_FEW, ""
    low, high = figure.interval or (-inf, inf)
    surely_fails = high < gate.bound if gate.metric.higher_is_better else low > gate.bound
    if figure.count < figure.needed and not surely_fails:
        return figure, Outcome.TOO_FEW, f"{figure.needed} are needed"
    over = figure.needed and figure.interval and low <= gate.bound <= high
    outcome = Outcome.PASSED if keeps else Outcome.FAILED
    return figure, outcome, "the interval reaches over the bound" if over else ""


def _keeps(gate: Gate, value: float | None) -> bool:
    assert value is not None
    assert gate.bound is not None
    return value >= gate.bound if gate.metric.higher_is_better else value <= gate.bound


def _against_champion(
    gate: Gate, figures: Mapping[str, Figure], champion: Mapping[str, Figure] | None
) -> tuple[Outcome, str]:
    """Whether it is no worse than the champion, as a whole or in any value of a slice."""
    if gate.max_regression is None:
        return Outcome.PASSED, ""
    if champion is None:
        return Outcome.NOT_ASSESSED if gate.bound is None else Outcome.PASSED, "no champion to compare with"
    if not champion:
        return Outcome.NOT_ASSESSED, "the champion was not measured on the same pictures"
    falls = list(_falls(gate, figures, champion))
    if not falls:
        return Outcome.NOT_ASSESSED, "there is no such figure of the champion"
    fall, where, figure, other = max(falls, key=lambda one: one[0])
    if fall <= gate.max_regression + _ROUNDING:
        return Outcome.PASSED, ""
    told = champion_text(gate.metric, other.value, fall, where)
    if min(figure.count, other.count) < figure.needed:
        return Outcome.TOO_FEW, f"{told}; {figure.needed} {figure.of} are needed"
    return Outcome.FAILED, told


def _falls(
    gate: Gate, figures: Mapping[str, Figure], champion: Mapping[str, Figure]
) -> Iterator[tuple[float, str, Figure, Figure]]:
    """How much worse than the champion's each figure is that counts: by how much, where, and both."""
    by_value = gate.slice is not None and "=" not in gate.slice and not gate.metric.is_gap
    keys = [key for key in figures if key.startswith(f"{gate.key}=")] if by_value else [gate.key]
    for key in keys:
        figure, other = figures[key], champion.get(key)
        if other is None or figure.value is None or other.value is None:
            continue
        if by_value and min(figure.count, other.count) < figure.needed:
            continue  # a slice that is too small for its own figure; the others are compared
        better = other.value - figure.value if gate.metric.higher_is_better else figure.value - other.value
        yield better, key.partition("=")[2], figure, other
