"""Agreement is Cohen's, and two counters together say more than one."""

from __future__ import annotations

import numpy as np
import pytest

from components.evaluation.hand_count.agreement import (
    agreement,
    cohens_kappa,
    kappa_interval,
    matched,
    overlooked,
)
from components.evaluation.hand_count.answers import AreaMark, Missed
from components.evaluation.hand_count.report import report
from tests.evaluation.hand_count.conftest import answer_to, sample_of

MISSED = Missed("face", 10, 10, 30, 30)


def test_kappa_by_published_values() -> None:
    """20, 5, 10, 15 give 0.4; Cohen's own example of 1960 (Table 1) gives 0.492."""
    assert cohens_kappa(np.array([[20, 5], [10, 15]])) == pytest.approx(0.4)
    cohen_1960 = np.array([[88, 14, 18], [10, 40, 10], [2, 6, 12]])
    assert cohens_kappa(cohen_1960) == pytest.approx(0.492, abs=5e-4)


def test_kappa_at_its_ends() -> None:
    """Full agreement is 1, independence 0, opposition negative; where nothing varies it is not defined."""
    assert cohens_kappa(np.diag([5, 5])) == 1
    assert cohens_kappa(np.outer([2, 8], [5, 5])) == pytest.approx(0)
    assert (cohens_kappa(np.array([[0, 5], [5, 0]])) or 0) < 0
    assert cohens_kappa(np.array([[9, 0], [0, 0]])) is None
    assert cohens_kappa(np.zeros((2, 2))) is None


def test_the_interval_of_kappa_is_near_the_one_for_large_samples() -> None:
    """For 500 pictures it is within 0.02 of κ ± 1.96·√(pₒ(1 − pₒ)/n)/(1 − pₑ) (Cohen 1960)."""
    cells = [(0, 0)] * 300 + [(0, 1)] * 50 + [(1, 0)] * 50 + [(1, 1)] * 100
    tables = np.zeros((500, 2, 2), int)
    for table, cell in zip(tables, cells, strict=True):
        table[cell] = 1
    kappa, chance = cohens_kappa(tables.sum(axis=0)) or 0, (350**2 + 150**2) / 500**2
    half = 1.96 * np.sqrt(0.8 * 0.2 / 500) / (1 - chance)
    assert kappa_interval(tables) == pytest.approx((kappa - half, kappa + half), abs=0.02)
    assert kappa_interval(tables[:0]) is None
    assert kappa_interval(tables[:10]) is None


def test_only_pictures_that_both_counted_are_compared() -> None:
    """κ on pictures and areas is that of the table one writes by hand."""
    sample = sample_of(4)
    first = [answer_to(sample, 0, MISSED), answer_to(sample, 1), answer_to(sample, 2, AreaMark(0, "recognisable"))]
    second = [answer_to(sample, 0, MISSED), answer_to(sample, 1, AreaMark(1, "wrong_blur")), answer_to(sample, 3)]
    told = agreement(sample, {a.path: a for a in first}, {a.path: a for a in second})
    assert told["images_counted_by_both"] == 2
    assert told["images"]["table"] == [[1, 0], [0, 1]]
    assert told["images"]["kappa"] == 1
    assert told["images"]["kappa_interval"] is None  # two that always agree leave nothing to draw from
    assert told["areas"]["table"] == [[3, 1, 0], [0, 0, 0], [0, 0, 0]]
    assert told["areas"]["kappa"] == 0
    assert told["areas"]["verdict"] == "too few to say: 4 areas"


def test_marks_that_mean_the_same_object_are_matched_once() -> None:
    """Near marks of one class match, each once; another class or a far place does not."""
    near, far = Missed("face", 14, 8, 36, 30), Missed("face", 90, 10, 110, 30)
    plate = Missed("license_plate", 10, 10, 30, 30)
    assert matched((MISSED,), (near,)) == 1
    assert matched((MISSED,), (near, near)) == 1
    assert matched((MISSED, far), (far, near)) == 2
    assert matched((MISSED,), (far, plate)) == 0
    assert matched((), (near,)) == 0


def test_what_both_overlooked_is_estimated() -> None:
    """Of 9 and 9 marks with 4 in common, Chapman's estimate is 10 · 10 ÷ 5 − 1 = 19."""
    marks = [Missed("face", 40 * i, 0, 40 * i + 10, 10) for i in range(14)]
    told = overlooked([(tuple(marks[:9]), tuple(marks[5:14]))])
    assert told == {"by_both": 4, "only_by_first": 5, "only_by_second": 5, "estimated": 19}


def test_the_report_names_every_counter_pair_and_what_to_label() -> None:
    """Two counters have figures each and one agreement; faulty and disputed pictures are listed with reasons."""
    sample = sample_of(4)
    ada = [answer_to(sample, 0, MISSED), answer_to(sample, 1), answer_to(sample, 2, AreaMark(1, "wrong_blur"))]
    bob = [answer_to(sample, 0, MISSED), answer_to(sample, 1), answer_to(sample, 2), answer_to(sample, 3)]
    told = report(sample, {"bob": {a.path: a for a in bob}, "ada": {a.path: a for a in ada}})
    assert told["counters"].keys() == {"ada", "bob"}
    assert [(pair["first"], pair["second"]) for pair in told["agreement"]] == [("ada", "bob")]
    assert told["to_label"] == [
        {"path": "day/002.png", "reasons": ["wrong blur", "counters disagree"]},
        {"path": "day/000.png", "reasons": ["missed face"]},
    ]
    assert told["models"] == {"toy 1": 4}
    assert told["counters"]["bob"]["minutes"] == pytest.approx(0.1)
