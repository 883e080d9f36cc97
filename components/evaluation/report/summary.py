"""The figures in plain sentences, and what they do not say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from components.detections import CLASS_NAMES, FACE
from components.evaluation.gate_text import percent
from components.evaluation.report.report import ModelReport, Report
from components.evaluation.skin_tone import MARK as SKIN_TONE_PROXY
from components.evaluation.slices import LEAST_OBJECTS, NOT_ASSESSED, OF_PEOPLE
from components.evaluation.verdict import Outcome

PLURAL = {"face": "faces", "license_plate": "licence plates"}
_WORTH_SAYING = 0.05


def sentences(report: Report) -> list[str]:
    """What the judged model does, and the others beside it."""
    told = [*_visible(report), *_smallest(report.judged), *_without_need(report)]
    return [*told, *_people(report.judged)]


def _visible(report: Report) -> Iterator[str]:
    for name in CLASS_NAMES:
        own = report.judged.figures[name]
        if not own["objects"]:
            yield f"There is no labelled {PLURAL[name][:-1]} in these pictures: nothing is known of {PLURAL[name]}."
            continue
        low, high = (100 * (1 - bound) for bound in reversed(own["object_recall_interval"]))
        text = (
            f"Of 100 {PLURAL[name]}, {_count(1 - own['object_recall'])} stay visible (between {low:.0f} and "
            f"{high:.0f}, measured on {own['objects']:,}). Of all their area, {percent(own['pixel_recall'])} is hidden."
        )
        for other in report.models[1:]:
            text += f" {other.title} leaves {_count(1 - other.figures[name]['object_recall'])} of 100 visible."
        yield text


def _smallest(model: ModelReport) -> Iterator[str]:
    sizes = model.slices[(model.slices["attribute"] == "size") & (model.slices["objects"] >= LEAST_OBJECTS)]
    for name in CLASS_NAMES:
        own = sizes[sizes["class"] == name]
        if len(own) > 1:
            worst, best = (own.loc[own["object_recall"].agg(pick)] for pick in ("idxmin", "idxmax"))
            if best["object_recall"] - worst["object_recall"] < _WORTH_SAYING:
                continue
            yield (
                f"Size matters: {_count(1 - worst['object_recall'])} of 100 {PLURAL[name]} stay visible "
                f"{_at(worst['value'])} (shorter side), {_count(1 - best['object_recall'])} {_at(best['value'])}."
            )


def _at(size: str) -> str:
    return size if size.startswith("from") else f"at {size}"


def _without_need(report: Report) -> Iterator[str]:
    own = report.judged.figures
    if own["pixel_fpr"] is not None:
        text = (
            f"Of the background, {percent(own['pixel_fpr'])} is hidden without need, measured on "
            f"{own['background_images']} pictures in which every face and plate is labelled. Of all that is hidden "
            f"there, {percent(own['false_blur_share'], 0)} lies on no face and no plate."
        )
        for other in report.models[1:]:
            rate, share = other.figures["pixel_fpr"], other.figures["false_blur_share"]
            text += f" {other.title}: {percent(rate)} and {percent(share, 0)}."
        yield text


def _people(model: ModelReport) -> Iterator[str]:
    for row in model.gate.rows:
        if row.key.startswith("face.gap.") and row.outcome is Outcome.FAILED:
            points = f"{100 * (row.measured or 0):.0f} points"
            yield f"By {_mark(row.key)}, one gap of {points} is no chance, and too much: {row.note}."


def cannot_be_said(report: Report) -> list[str]:
    """What these figures do not tell, each in a sentence."""
    judged = report.judged
    told = []
    unknown = [mark.replace("_", " ") for mark in OF_PEOPLE if _is_unknown(judged, mark)]
    if unknown:
        told.append(f"Whether people are missed more often by {_listed(unknown)}: no label says it.")
    few = [_mark(row.key) for row in judged.gate.rows if _is_few(row.key, row.outcome)]
    if few:
        told.append(
            f"Whether some groups are missed more often by {_listed(few)}: at least one group has fewer than "
            f"{LEAST_OBJECTS} faces, or its gap may be chance."
        )
    if not _is_unknown(judged, SKIN_TONE_PROXY):
        told.append(
            "The skin tone proxy is how light a face looks in the picture. Shade and camera move it: a gap is a reason "
            "to look, no proof, and no gap is no all-clear."
        )
    if report.complete_images < report.images:
        told.append(
            f"How much is hidden without need elsewhere: only {report.complete_images} of {report.images} pictures are "
            "labelled completely."
        )
    told.append(
        "How it will be in your streets: the figures hold for pictures like these. Label a sample of your own to know."
    )
    return told


def _is_unknown(model: ModelReport, mark: str) -> bool:
    rows = model.slices[(model.slices["class"] == CLASS_NAMES[FACE]) & (model.slices["attribute"] == mark)]
    return bool((rows["verdict"] == NOT_ASSESSED).all())


def _mark(key: str) -> str:
    return key.rsplit(".", 1)[1].replace("_", " ")


def _is_few(key: str, outcome: Outcome) -> bool:
    return key.startswith("face.gap.") and outcome is Outcome.TOO_FEW


def _count(share: float) -> str:
    """Of 100; one that is not quite none is not called none."""
    number = 100 * share
    return f"{number:.1f}" if 0 < number < 1 else f"{number:.0f}"


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
