"""Figures are those that one gets by counting on paper."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from components.evaluation.hand_count.answers import AreaMark, Missed
from components.evaluation.hand_count.counts import (
    clustered_wilson,
    count_table,
    figures,
    recall,
    wilson_of_share,
    with_width,
)
from components.evaluation.intervals import wilson
from tests.evaluation.hand_count.conftest import answer_to, sample_of

MISSED_FACE, MISSED_PLATE = Missed("face", 1, 2, 30, 40), Missed("license_plate", 1, 2, 30, 40)
FACE_AREA, PLATE_AREA = 0, 1  # each picture hides one face and one plate


def test_a_small_count_by_hand() -> None:
    """Of 4 counted pictures: 3 faces covered, 1 missed, 1 recognisable; 3 plates covered and a wrong blur."""
    sample = sample_of(5)
    answers = {
        answer.path: answer
        for answer in (
            answer_to(sample, 0),
            answer_to(sample, 1, MISSED_FACE),
            answer_to(sample, 2, AreaMark(FACE_AREA, "recognisable"), AreaMark(PLATE_AREA, "wrong_blur")),
            answer_to(sample, 3),
            answer_to(sample, 4, MISSED_PLATE, counted=False),  # begun, and not finished: says nothing
        )
    }
    told = figures(count_table(sample, answers))
    face, plate = told["recall"]["face"], told["recall"]["license_plate"]
    assert (face["covered"], face["missed"], face["recognisable"], face["objects"]) == (3, 1, 1, 5)
    assert face["share"] == pytest.approx(3 / 5)
    assert face["wilson_interval"] == wilson(3, 5)
    assert (plate["share"], plate["objects"]) == (1, 3)
    assert told["recall"]["both"]["share"] == pytest.approx(6 / 8)
    assert (told["wrong_blurs"]["both"]["wrong"], told["wrong_blurs"]["both"]["areas"]) == (1, 8)
    assert told["images_counted"] == 4
    assert told["images_with_miss"]["count"] == 2
    assert told["images_with_miss"]["per_1000"] == 500
    low, high = wilson(2, 4) or (0, 0)
    assert told["images_with_miss"]["per_1000_interval"] == pytest.approx((1000 * low, 1000 * high))


def test_a_few_objects_are_too_few_to_say() -> None:
    """Below 50 objects or images the figure carries that verdict, from there on it counts."""
    for count, verdict in ((49, "too few to say: 49 objects"), (50, "counted")):
        sample = sample_of(count)
        told = figures(count_table(sample, {a.path: a for a in (answer_to(sample, i) for i in range(count))}))
        assert told["recall"]["face"]["verdict"] == verdict
        assert told["images_with_miss"]["verdict"] == verdict.replace("objects", "images")


def test_objects_of_one_picture_tell_less() -> None:
    """Misses that lie together widen the interval beyond Wilson's, and it still ends below 100 % where one was seen."""
    sample = sample_of(60)
    crowd = [Missed("face", i, 0, i + 9, 9) for i in range(30)]
    answers = [answer_to(sample, 0, *crowd), *(answer_to(sample, i) for i in range(1, 60))]
    told = recall(count_table(sample, {a.path: a for a in answers}).query("class_name == 'face'"))
    assert told["interval"][0] < told["wilson_interval"][0]
    assert told["share"] < told["interval"][1] < 1


def test_without_a_miss_the_interval_is_wilsons() -> None:
    """A flawless count is never 100 to 100 %, which is what a bootstrap alone would say."""
    sample = sample_of(60)
    told = recall(count_table(sample, {a.path: a for a in (answer_to(sample, i) for i in range(60))}))
    assert told["bootstrap_interval"] is None
    assert told["wilson_interval"] == wilson(120, 120)
    assert told["interval"] == pytest.approx(told["wilson_interval"])


def test_ten_like_objects_a_picture_count_as_one() -> None:
    """Where all ten objects of a picture share their fate, the interval is the one for a tenth of them."""
    rows = pd.DataFrame({"path": range(40), "hit": [10] * 30 + [0] * 10, "all": [10] * 40})
    assert clustered_wilson(rows, "hit", "all") == pytest.approx(wilson_of_share(0.75, 39))
    alone = pd.DataFrame({"path": range(40), "hit": [1] * 30 + [0] * 10, "all": [1] * 40})
    assert clustered_wilson(alone, "hit", "all") == pytest.approx(wilson(30, 40), abs=0.003)
    assert wilson_of_share(81 / 263, 263) == pytest.approx(wilson(81, 263))


def test_the_interval_covers_as_often_as_it_says() -> None:
    """Of 300 samples of pictures with alike objects and a recall of 0.95, 92 to 99 % have an interval around it."""
    rng = np.random.default_rng(5)
    covers = 0
    for _ in range(300):
        objects = rng.integers(1, 9, 150)
        hits = rng.binomial(objects, rng.beta(9.5, 0.5, 150))
        rows = pd.DataFrame({"path": range(150), "hit": hits, "all": objects})
        low, high = clustered_wilson(rows, "hit", "all") or (0, 0)
        covers += low <= 0.95 <= high
    assert 276 <= covers <= 297


def test_nothing_counted_gives_no_figure() -> None:
    """An empty count is None and too few, not a division by zero."""
    told = figures(count_table(sample_of(2), {}))
    assert told["recall"]["face"]["share"] is None
    assert told["recall"]["both"]["interval"] is None
    assert told["images_with_miss"]["per_1000"] is None
    assert told["images_with_miss"]["verdict"] == "too few to say: 0 images"


def test_an_interval_without_width_is_none() -> None:
    """One that has no width knows nothing of its doubt."""
    assert with_width((1.0, 1.0)) is None
    assert with_width(None) is None
    assert with_width((0.9, 1.0)) == (0.9, 1.0)
