"""The report of a hand count: figures of every counter, agreement of every two, and what to send to labelling."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import combinations
from typing import Any

from components.evaluation.hand_count.agreement import agreement, image_verdict
from components.evaluation.hand_count.answers import RECOGNISABLE, WRONG_BLUR, Answer
from components.evaluation.hand_count.counts import count_table, figures
from components.evaluation.hand_count.sample import Sample

Books = Mapping[str, Mapping[str, Answer]]  # by counter, then by path


def report(sample: Sample, books: Books) -> dict[str, Any]:
    """Everything that a hand count says, as plain values."""
    return {
        "sample_id": sample.sample_id,
        "seed": sample.seed,
        "population": sample.population,
        "stratified_by": sample.stratified_by,
        "images": len(sample.images),
        "models": dict(Counter(image.model for image in sample.images)),
        "regions": dict(Counter(image.region for image in sample.images)),
        "counters": {
            name: {**figures(count_table(sample, answers)), "minutes": _minutes(answers)}
            for name, answers in books.items()
        },
        "agreement": [
            {"first": a, "second": b, **agreement(sample, books[a], books[b])}
            for a, b in combinations(sorted(books), 2)
        ],
        "to_label": to_label(sample, books),
    }


def _minutes(answers: Mapping[str, Answer]) -> float:
    return round(sum(answer.seconds for answer in answers.values() if answer.counted) / 60, 1)


def to_label(sample: Sample, books: Books) -> list[dict[str, Any]]:
    """Pictures that teach the detectors something, with the reasons, those with most reasons first.

    They were chosen for their faults: they belong into training, never into a set that a model is judged by.
    """
    listed = []
    for image in sample.images:
        answers = [book[image.path] for book in books.values() if image.path in book and book[image.path].counted]
        reasons = _reasons(answers)
        if reasons:
            listed.append({"path": image.path, "reasons": reasons})
    return sorted(listed, key=lambda entry: (-len(entry["reasons"]), entry["path"]))


def _reasons(answers: list[Answer]) -> list[str]:
    missed = {mark.class_name for answer in answers for mark in answer.missed()}
    on_areas = {what for answer in answers for what in answer.area_marks().values()}
    told = {
        "missed face": "face" in missed,
        "missed plate": "license_plate" in missed,
        "covered but recognisable": RECOGNISABLE in on_areas,
        "wrong blur": WRONG_BLUR in on_areas,
        "counters disagree": len({(image_verdict(a), tuple(sorted(a.area_marks().items()))) for a in answers}) > 1,
    }
    return [reason for reason, true in told.items() if true]
