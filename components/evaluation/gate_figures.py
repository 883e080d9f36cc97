"""The figures that the gate judges, from what was measured of a model on labelled pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import pandas as pd

from components.detections import CLASS_NAMES
from components.evaluation.detector_metrics import Figures
from components.evaluation.intervals import Interval, gap_interval, wilson
from components.evaluation.slices import LEAST_OBJECTS, MORE_OFTEN
from components.evaluation.verdict import Figure
from components.settings import SLICES, Metric

LEAST_IMAGES = 30  # completely labelled pictures; with fewer, one of them decides what the background tells
_NAMES = {"face": "faces", "license_plate": "licence plates"}


def gate_figures(figures: Figures, slices: pd.DataFrame) -> dict[str, Figure]:
    """Everything of a model that a gate can be about and that labelled pictures tell, by the gates' keys.

    Args:
        figures: from `detector_metrics.figures`.
        slices: from `slices.slice_table`.
    """
    told = dict(_whole(figures))
    for name in CLASS_NAMES:
        own = slices[slices["class"] == name]
        for mark in SLICES:
            values = own[own["attribute"] == mark]
            told |= _sliced(name, mark, _by_value(values))
            told[f"{name}.gap.{mark}"] = _gap(values, mark, _NAMES[name])
    return told


def _by_value(values: pd.DataFrame) -> Iterator[tuple[str, Figures]]:
    for row in values.to_dict("records"):
        yield str(row["value"]), {str(key): cell for key, cell in row.items()}


def figures_of_metrics(figures: Figures) -> dict[str, Figure]:
    """The same, of what a metrics.json keeps of a model, such as that of the shipped one; without gaps.

    Args:
        figures: of one model, such as those under "cascade".
    """
    told = dict(_whole(figures))
    for name in CLASS_NAMES:
        for mark, values in figures[name]["slices"].items():
            told |= _sliced(name, mark, values.items())
    return told


def export_figure(chosen: Mapping[str, object], reference: Mapping[str, object]) -> Figure:
    """How much pixel recall the shipped file lacks of the trained network, in the class that loses most.

    Args:
        chosen, reference: lines of the table of candidates; the reference is its first line.
    """
    before, after = (_recalls(line) for line in (reference, chosen))
    losses = {name: before[name] - after[name] for name in before if name in after}
    if not losses:
        return Figure(None, note="no validation picture has a labelled object")
    name = max(losses, key=lambda one: losses[one])
    return Figure(losses[name], note=f"most for {_NAMES[name]}, on the validation pictures")


def _recalls(line: Mapping[str, object]) -> dict[str, float]:
    recalls = line["pixel_recall"]
    assert isinstance(recalls, Mapping)
    return {name: float(value) for name, value in recalls.items() if value is not None}


def _whole(figures: Figures) -> Iterator[tuple[str, Figure]]:
    for name in CLASS_NAMES:
        own = figures[name]
        for key in ("object_recall", "pixel_recall"):
            yield f"{name}.{key}", _figure(own, key, own["objects"], LEAST_OBJECTS, _NAMES[name])
    rests = figures["background_images"], LEAST_IMAGES, "completely labelled pictures"
    for metric in (Metric.PIXEL_FPR, Metric.FALSE_BLUR_SHARE):
        yield metric.value, _figure(figures, metric.value, *rests)


def _figure(told: Figures, key: str, count: int, needed: int, of: str) -> Figure:
    value, note = told[key], ""
    if value is None:
        note = "nothing is hidden in them" if count else f"no {of} in the test pictures"
    return Figure(value, _interval(told.get(f"{key}_interval")), count, needed, of, note=note)


def _interval(told: Iterable[float] | None) -> Interval | None:
    if told is None:
        return None
    low, high = told
    return float(low), float(high)


def _sliced(name: str, mark: str, values: Iterable[tuple[str, Figures]]) -> dict[str, Figure]:
    """The recalls of every value of an attribute, and of its worst one."""
    told: dict[str, Figure] = {}
    known = [(value, row) for value, row in values if row["objects"] > 0]
    for key in ("object_recall", "pixel_recall"):
        of_values = {
            value: Figure(
                float(row[key]), _of_slice(row) if key == "object_recall" else None, int(row["objects"]),
                LEAST_OBJECTS, _NAMES[name], where=value,
            )
            for value, row in known
        }  # fmt: skip
        told |= {f"{name}.{key}.{mark}={value}": figure for value, figure in of_values.items()}
        able = [figure for figure in of_values.values() if figure.count >= LEAST_OBJECTS]
        few = f"too few {_NAMES[name]} in any ({LEAST_OBJECTS} are needed)" if of_values else ""
        nothing = Figure(None, note="" if few else f"no label says the {mark.replace('_', ' ')}", lacking=few)
        told[f"{name}.{key}.{mark}"] = min(able, key=lambda one: one.value or 0.0) if able else nothing
    return told


def _of_slice(row: Figures) -> Interval | None:
    hidden = row.get("hidden", round(row["object_recall"] * row["objects"]))
    return wilson(int(hidden), int(row["objects"]))


def _gap(values: pd.DataFrame, mark: str, of: str) -> Figure:
    """The group that is missed most against all others, for one mark; and the one that is, by no chance."""
    name = mark.replace("_", " ")
    if not (values["objects"] > 0).any():
        return Figure(None, note=f"no label says the {name}")
    able = values[values["p"].notna()].sort_values("gap", kind="stable")
    few = values.loc[values["p"].isna(), "value"].tolist()
    lacking = f"too few {of} ({LEAST_OBJECTS} are needed): {', '.join(few)}" if few else ""
    if not len(able):
        return Figure(None, lacking=lacking)
    sure = able[able["verdict"] == MORE_OFTEN]
    proven = _of_group(sure.iloc[0], values, of, "{} is missed more often than others") if len(sure) else None
    return _of_group(able.iloc[0], values, of, "largest for {}", lacking, proven)


def _of_group(
    worst: pd.Series, values: pd.DataFrame, of: str, note: str, lacking: str = "", proven: Figure | None = None
) -> Figure:
    """How much lower a group's recall is than that of all others together."""
    objects, hidden = (np.array([int(worst[key]), int(values[key].sum())]) for key in ("objects", "hidden"))
    interval = gap_interval((hidden[1] - hidden[0], objects[1] - objects[0]), (hidden[0], objects[0]))
    return Figure(
        max(0.0, -float(worst["gap"])), interval, int(objects[0]), of=of, where=str(worst["value"]),
        note=note.format(worst["value"]), by_chance=True, lacking=lacking, proven=proven,
    )  # fmt: skip
