"""Intervals are those that the formulas give by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from components.evaluation.intervals import bootstrap_ratio, wilson

Z = 1.959963984540054  # of 95 %


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (9, 10), (10, 10), (81, 263), (1, 1)])
def test_wilsons_formula(successes: int, trials: int) -> None:
    """The interval is (p + z²/2n ± z·√(p(1 − p)/n + z²/4n²)) / (1 + z²/n)."""
    p, n = successes / trials, trials
    middle, half = p + Z**2 / (2 * n), Z * math.sqrt(p * (1 - p) / n + Z**2 / (4 * n**2))
    wanted = [(middle - half) / (1 + Z**2 / n), (middle + half) / (1 + Z**2 / n)]
    assert wilson(successes, trials) == pytest.approx(wanted, abs=1e-9)


def test_wilson_by_a_published_value() -> None:
    """81 of 263 have the interval 0.2553 to 0.3662 (Newcombe 1998, method 3)."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_without_trials_there_is_no_interval() -> None:
    """Nothing tried is None, rather than 0 to 1."""
    assert wilson(0, 0) is None


def rows(hidden: list[int], labelled: list[int], groups: list[str]) -> pd.DataFrame:
    """Observations of groups."""
    return pd.DataFrame({"hidden": hidden, "labelled": labelled, "group": groups})


def test_one_group_leaves_no_doubt_to_draw() -> None:
    """All pictures of one video are one observation: the interval is the ratio itself."""
    told = bootstrap_ratio(rows([0, 10, 2], [10, 10, 10], ["a", "a", "a"]), "hidden", "labelled", "group")
    assert told == pytest.approx((0.4, 0.4))


def test_pictures_of_a_video_are_drawn_together() -> None:
    """The same pictures in two videos have a wider interval than each for itself, and it spans both videos' ratios."""
    hidden, labelled = [10] * 20 + [0] * 20, [10] * 40
    alone = bootstrap_ratio(rows(hidden, labelled, [str(i) for i in range(40)]), "hidden", "labelled", "group")
    videos = bootstrap_ratio(rows(hidden, labelled, ["a"] * 20 + ["b"] * 20), "hidden", "labelled", "group")
    assert alone is not None
    assert 0.3 < alone[0] < 0.5 < alone[1] < 0.7
    assert videos == (0, 1)


def test_the_interval_covers_as_often_as_it_says() -> None:
    """Of 200 samples with a known ratio, about 95 % have an interval around it."""
    rng = np.random.default_rng(3)
    covers = 0
    for _ in range(200):
        hidden = rng.binomial(20, 0.7, 40)
        low, high = bootstrap_ratio(
            rows(hidden.tolist(), [20] * 40, [str(i) for i in range(40)]), "hidden", "labelled", "group"
        ) or (0, 0)
        covers += low <= 0.7 <= high
    assert 178 <= covers <= 199


def test_sums_are_divided_not_ratios_averaged() -> None:
    """A large group weighs more: with one ratio everywhere but in a tiny group, the interval stays near it."""
    told = bootstrap_ratio(
        rows([90] * 30 + [0], [100] * 30 + [1], [str(i) for i in range(31)]), "hidden", "labelled", "group"
    )
    assert told is not None
    assert told[0] > 0.895


def test_it_is_the_same_each_time_and_absent_without_a_base() -> None:
    """The seed decides the draws; where nothing is below the line, or nothing at all, there is no interval."""
    some = rows([1, 2, 3], [4, 4, 4], ["a", "b", "c"])
    first = bootstrap_ratio(some, "hidden", "labelled", "group")
    assert first == bootstrap_ratio(some, "hidden", "labelled", "group")
    assert bootstrap_ratio(rows([0], [0], ["a"]), "hidden", "labelled", "group") is None
    assert bootstrap_ratio(some[:0], "hidden", "labelled", "group") is None
