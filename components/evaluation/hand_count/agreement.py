"""How far two people who counted the same pictures agree, and what both may have overlooked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from components.evaluation.hand_count.answers import RECOGNISABLE, WRONG_BLUR, Answer, Missed
from components.evaluation.hand_count.counts import LEAST_IMAGES, LEAST_OBJECTS, with_width
from components.evaluation.hand_count.sample import Sample
from components.evaluation.intervals import Interval, wilson

IMAGE_VERDICTS = ("clean", "has a miss")
AREA_VERDICTS = ("right", WRONG_BLUR, RECOGNISABLE)
_RESAMPLES = 2000


def image_verdict(answer: Answer) -> str:
    """Whether anything in a picture is missed, or covered and still recognisable."""
    has_miss = answer.missed() or RECOGNISABLE in answer.area_marks().values()
    return IMAGE_VERDICTS[1] if has_miss else IMAGE_VERDICTS[0]


def agreement(sample: Sample, first: Mapping[str, Answer], second: Mapping[str, Answer]) -> dict[str, Any]:
    """Cohen's κ on pictures and on areas, and the misses that both, or only one of them, has seen.

    Only pictures that both have counted say anything.
    """
    both = [
        (image, first[image.path], second[image.path])
        for image in sample.images
        if all(image.path in answers and answers[image.path].counted for answers in (first, second))
    ]
    images = [_crossed(IMAGE_VERDICTS, [(image_verdict(a), image_verdict(b))]) for _, a, b in both]
    areas = [
        _crossed(AREA_VERDICTS, [(_on(a, index), _on(b, index)) for index in range(len(image.areas))])
        for image, a, b in both
    ]
    return {
        "images_counted_by_both": len(both),
        "images": _figures(images, IMAGE_VERDICTS, LEAST_IMAGES, "images"),
        "areas": _figures(areas, AREA_VERDICTS, LEAST_OBJECTS, "areas"),
        "missed": overlooked([(a.missed(), b.missed()) for _, a, b in both]),
    }


def _on(answer: Answer, index: int) -> str:
    return answer.area_marks().get(index, AREA_VERDICTS[0])


def _crossed(verdicts: tuple[str, ...], pairs: list[tuple[str, str]]) -> NDArray[np.int64]:
    table = np.zeros((len(verdicts), len(verdicts)), np.int64)
    for a, b in pairs:
        table[verdicts.index(a), verdicts.index(b)] += 1
    return table


def cohens_kappa(table: NDArray) -> float | None:
    """Agreement beyond chance (Cohen 1960): (pₒ − pₑ) ÷ (1 − pₑ).

    Args:
        table: [k, k], how often the first counter said the row and the second the column.

    Returns:
        κ, at most 1; None where both said the same one thing throughout, or nothing was counted.
    """
    total = table.sum()
    if not total:
        return None
    by_chance = float(table.sum(axis=1) @ table.sum(axis=0)) / float(total) ** 2
    return None if by_chance == 1 else (float(np.trace(table)) / float(total) - by_chance) / (1 - by_chance)


def kappa_interval(tables: NDArray, seed: int = 7) -> Interval | None:
    """The percentile interval of κ, pictures drawn with replacement (Efron 1979); None where it has no width.

    Args:
        tables: [n, k, k], one table a picture: areas of one picture are drawn together.
        seed: of the draws.
    """
    if not len(tables):
        return None
    draws = np.random.default_rng(seed).multinomial(len(tables), np.full(len(tables), 1 / len(tables)), _RESAMPLES)
    drawn = np.tensordot(draws, tables, axes=1)
    kappas = [kappa for kappa in map(cohens_kappa, drawn) if kappa is not None]
    if not kappas:
        return None
    low, high = np.percentile(kappas, [2.5, 97.5])
    return with_width((float(low), float(high)))


def _figures(tables: list[NDArray], verdicts: tuple[str, ...], least: int, what: str) -> dict[str, Any]:
    stacked = np.array(tables).reshape(-1, len(verdicts), len(verdicts))
    table = stacked.sum(axis=0)
    total, same = int(table.sum()), int(np.trace(table))
    return {
        what: total,
        "same": same,
        "same_share": same / total if total else None,
        "same_interval": wilson(same, total),
        "kappa": cohens_kappa(table),
        "kappa_interval": kappa_interval(stacked),
        "verdicts": list(verdicts),
        "table": table.tolist(),
        "verdict": "counted" if total >= least else f"too few to say: {total} {what}",
    }


def overlooked(pairs: list[tuple[tuple[Missed, ...], tuple[Missed, ...]]]) -> dict[str, Any]:
    """Misses that both counters marked, that only one did, and how many there are likely to be.

    Chapman's estimate (1951) of a population that was caught twice, (n₁ + 1)(n₂ + 1) ÷ (m + 1) − 1. It takes the two
    for independent; as what is hard to see is hard for both, it is rather too low.
    """
    both = sum(matched(a, b) for a, b in pairs)
    first, second = (sum(len(pair[side]) for pair in pairs) for side in (0, 1))
    return {
        "by_both": both,
        "only_by_first": first - both,
        "only_by_second": second - both,
        "estimated": (first + 1) * (second + 1) / (both + 1) - 1,
    }


def matched(first: tuple[Missed, ...], second: tuple[Missed, ...]) -> int:
    """How many marks of two counters mean the same object: same class, centres no further apart than a mark is long."""
    if not first or not second:
        return 0
    near = np.array([[_near(a, b) for b in second] for a in first], float)
    rows, columns = linear_sum_assignment(near, maximize=True)
    return int(near[rows, columns].sum())


def _near(a: Missed, b: Missed) -> bool:
    longest = max(a.x2 - a.x1, a.y2 - a.y1, b.x2 - b.x1, b.y2 - b.y1)
    apart = np.hypot(a.x1 + a.x2 - b.x1 - b.x2, a.y1 + a.y2 - b.y1 - b.y2) / 2
    return a.class_name == b.class_name and bool(apart <= longest)
