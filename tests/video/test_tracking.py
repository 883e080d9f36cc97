"""Which sightings are one object's: the adapter to ByteTrack."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.detections import FACE, LICENSE_PLATE, Detections
from components.settings import Params
from components.video.tracking import UNTRACKED, Trackers

corners = st.tuples(st.integers(0, 90), st.integers(0, 90), st.integers(0, 40))  # left, upper, size


@pytest.fixture
def trackers(params: Params) -> Trackers:
    """Trackers of a new scene."""
    return Trackers(params.region("strict")[1], params.video)


def update(trackers: Trackers, boxes: list[list[float]], confidence: list[float], classes: list[int]) -> list[int]:
    """The numbers of detections; sure is what reaches the region's threshold, 0.15."""
    found = Detections.of(boxes, confidence, classes)
    return trackers.update(found, found.confidence >= 0.15).tolist()


def test_an_object_keeps_its_number_through_motion_and_doubt(trackers: Trackers) -> None:
    """Who moves by half their width keeps their number, also where the detectors doubt; a plate is no face."""
    first = update(trackers, [[0, 0, 20, 20], [4, 0, 24, 20]], [0.9, 0.8], [FACE, LICENSE_PLATE])
    assert len(set(first)) == 2
    for step, confidence in ((1, 0.9), (2, 0.11), (3, 0.9)):
        boxes = [[8.0 * step, 0, 8 * step + 20, 20], [4, 0, 24, 20]]
        assert update(trackers, boxes, [confidence, 0.8], [FACE, LICENSE_PLATE]) == first


def test_doubt_begins_no_track_and_a_new_scene_knows_nobody(trackers: Trackers) -> None:
    """What is below the threshold has no number unless it goes on with one; after a cut all numbers are new."""
    assert update(trackers, [[0, 0, 20, 20]], [0.11], [FACE]) == [UNTRACKED]
    (before,) = update(trackers, [[0, 0, 20, 20]], [0.9], [FACE])
    trackers.new_scene()
    (after,) = update(trackers, [[0, 0, 20, 20]], [0.9], [FACE])
    assert before != after


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.lists(st.tuples(st.integers(0, 90), st.integers(0, 90), st.integers(0, 40)), max_size=6), max_size=5)
)
def test_whatever_is_sure_has_a_number(params: Params, updates: list[list[tuple[int, int, int]]]) -> None:
    """No detection that is hidden in its own frame is lost by the tracker, however many lie upon each other."""
    trackers = Trackers(params.region("strict")[1], params.video)
    for found in updates:
        boxes = [[x, y, x + size, y + size] for x, y, size in found]
        numbers = update(trackers, boxes, [0.9] * len(boxes), [FACE] * len(boxes))
        assert all(number > 0 for number in numbers)
        assert len(set(numbers)) == len(numbers)
