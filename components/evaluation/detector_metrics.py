"""The figures of a model on a labelled set: as a whole, by slices, with intervals, and against another model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from components.dataset.labels import LabelledImage
from components.detections import CLASS_NAMES, Detections
from components.evaluation.intervals import bootstrap_ratio, wilson
from components.evaluation.object_table import Measured, measured, with_threshold
from components.settings import Region

Figures = dict[str, Any]
_ABOVE_ALL = 1.01  # a confidence may be rounded to 1; here, nothing is hidden, and every bound is kept
SLICES = ("size", "source", "region", "mask", "tilt", "square", "light")


def figures(images: Sequence[LabelledImage], seen: Mapping[str, Detections], region: Region) -> Figures:
    """Recall by class and slice, and what is hidden too much, at a region's operating point."""
    return figures_of(measured(images, seen, region), region)


def figures_of(both: Measured, region: Region) -> Figures:
    """The figures of what was measured already."""
    return {
        "thresholds": {name: region.rule(name).threshold for name in CLASS_NAMES},
        "images": int(both.images["path"].nunique()),
        **{name: _class_figures(both, name) for name in CLASS_NAMES},
        **_false_figures(both.images),
    }


def _class_figures(both: Measured, name: str) -> Figures:
    objects = both.objects[both.objects["class"] == name] if len(both.objects) else both.objects
    images = both.images[both.images["class"] == name]
    told = recall(objects)
    labelled = int(images["labelled"].sum())
    told["pixel_recall"] = float(images["covered"].sum() / labelled) if labelled else None
    told["pixel_recall_interval"] = bootstrap_ratio(images, "covered", "labelled", "group")
    told["slices"] = {
        column: {str(value): recall(rows) for value, rows in objects.groupby(column)}
        for column in SLICES
        if column in objects and objects[column].notna().any()
    }
    return told


def recall(objects: pd.DataFrame) -> Figures:
    """Object and pixel recall of a slice; here, pixels that two objects share count twice."""
    if not len(objects):
        return {"objects": 0, "object_recall": None, "object_recall_interval": None, "pixel_recall": None}
    hidden, count = int(objects["hidden"].sum()), len(objects)
    return {
        "objects": count,
        "object_recall": hidden / count,
        "object_recall_interval": wilson(hidden, count),
        "pixel_recall": float(objects["covered_px"].sum() / objects["px"].sum()),
    }


def _false_figures(images: pd.DataFrame) -> Figures:
    """What is hidden of the background; the same for each class's rows, so one class's are taken."""
    rows = images[images["class"] == CLASS_NAMES[0]]
    background, hidden = int(rows["background"].sum()), int(rows["hidden"].sum())
    return {
        "background_images": int((rows["background"] > 0).sum()),
        "pixel_fpr": float(rows["background_hidden"].sum() / background) if background else None,
        "pixel_fpr_interval": bootstrap_ratio(rows, "background_hidden", "background", "group"),
        "false_blur_share": float(rows["hidden_off_target"].sum() / hidden) if hidden else None,
        "false_blur_share_interval": bootstrap_ratio(rows, "hidden_off_target", "hidden", "group"),
    }


def at_fpr(
    images: Sequence[LabelledImage], seen: Mapping[str, Detections], region: Region, max_pixel_fpr: float
) -> Figures:
    """The figures at the lowest common factor on the odds of the region's thresholds that keeps a pixel FPR."""
    complete = [image for image in images if image.exhaustive >= set(CLASS_NAMES)]
    kept = with_threshold(region, dict.fromkeys(CLASS_NAMES, _ABOVE_ALL))
    for factor in np.geomspace(10_000, 0.1, 80):
        tried = with_threshold(region, {name: _raised(region.rule(name).threshold, factor) for name in CLASS_NAMES})
        rate = _false_figures(measured(complete, seen, tried).images)["pixel_fpr"]
        if rate is not None and rate > max_pixel_fpr:
            break
        kept = tried
    return figures(images, seen, kept)


def _raised(threshold: float, factor: float) -> float:
    """A threshold whose odds are so many times as high."""
    return float(threshold * factor / (1 + threshold * (factor - 1)))
