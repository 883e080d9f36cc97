"""Figures are those that one gets by counting on paper."""

from __future__ import annotations

import pytest

from components.evaluation.hand_count.answers import AreaMark, Missed
from components.evaluation.hand_count.counts import count_table, figures, recall, widest, with_width
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


def test_the_interval_is_on_the_safe_side() -> None:
    """Misses that lie together widen it beyond Wilson's; without any miss Wilson's stands, and never 100 to 100 %."""
    sample = sample_of(60)
    crowd = [Missed("face", i, 0, i + 9, 9) for i in range(30)]
    answers = [answer_to(sample, 0, *crowd), *(answer_to(sample, i) for i in range(1, 60))]
    clustered = recall(count_table(sample, {a.path: a for a in answers}).query("class_name == 'face'"))
    assert clustered["interval"][0] < clustered["wilson_interval"][0]
    clean = recall(count_table(sample, {a.path: a for a in (answer_to(sample, i) for i in range(60))}))
    assert clean["over_images_interval"] is None
    assert clean["interval"] == clean["wilson_interval"] == wilson(120, 120)


def test_nothing_counted_gives_no_figure() -> None:
    """An empty count is None and too few, not a division by zero."""
    told = figures(count_table(sample_of(2), {}))
    assert told["recall"]["face"]["share"] is None
    assert told["recall"]["both"]["interval"] is None
    assert told["images_with_miss"]["per_1000"] is None
    assert told["images_with_miss"]["verdict"] == "too few to say: 0 images"


def test_intervals_are_joined() -> None:
    """The widest spans all that are known; one without width knows nothing."""
    assert widest((0.2, 0.5), None, (0.1, 0.4)) == (0.1, 0.5)
    assert widest(None) is None
    assert with_width((1.0, 1.0)) is None
    assert with_width((0.9, 1.0)) == (0.9, 1.0)
