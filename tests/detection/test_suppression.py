"""Suppression makes one box of many and never uncovers a pixel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from components.detection.suppression import merge_duplicates
from components.detections import FACE, LICENSE_PLATE, Detections, iou, pixel_mask

SIDE = 40
_number = st.floats(-4, SIDE + 4, width=32)


@st.composite
def _detections(draw: st.DrawFn) -> Detections:
    """Up to eight boxes, many of them near each other, with confidences that are often equal."""
    boxes = []
    for _ in range(draw(st.integers(0, 8))):
        if boxes and draw(st.booleans()):
            shift = draw(st.lists(st.floats(-4, 4, width=32), min_size=4, max_size=4))
            x1, y1, x2, y2 = (a + b for a, b in zip(draw(st.sampled_from(boxes)), shift, strict=True))
        else:
            x1, y1, x2, y2 = (draw(_number) for _ in range(4))
        boxes.append((min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)))
    n = len(boxes)
    confidence = draw(st.lists(st.integers(0, 10).map(lambda tenths: tenths / 10), min_size=n, max_size=n))
    class_id = draw(st.lists(st.sampled_from([FACE, LICENSE_PLATE]), min_size=n, max_size=n))
    return Detections.of(np.array(boxes).reshape(-1, 4), confidence, class_id)


def everything(found: Detections) -> NDArray[np.bool_]:
    """Rows of which every one counts."""
    return np.ones(len(found), bool)


def mask(found: Detections) -> NDArray[np.bool_]:
    """The pixels that the boxes cover."""
    return pixel_mask(found.xyxy, SIDE, SIDE)


@given(found=_detections(), min_iou=st.floats(0.05, 1), data=st.data())
@settings(max_examples=100, deadline=None)
def test_what_counts_stays_covered(found: Detections, min_iou: float, data: st.DataObject) -> None:
    """For any choice of rows that count, each class covers afterwards at least the pixels that these rows covered."""
    counts = np.array(data.draw(st.lists(st.booleans(), min_size=len(found), max_size=len(found))), bool)
    merged = merge_duplicates(found, min_iou, counts)
    for class_id in (FACE, LICENSE_PLATE):
        before = mask(found.select(counts).of_class(class_id))
        assert mask(merged.of_class(class_id))[before].all()


@given(found=_detections(), min_iou=st.floats(0.05, 1), threshold=st.floats(0, 1))
@settings(max_examples=80, deadline=None)
def test_what_would_have_been_blurred_is_blurred(found: Detections, min_iou: float, threshold: float) -> None:
    """If rows count from a threshold on, the merged rows that reach it cover all that was covered, and only these."""
    merged = merge_duplicates(found, min_iou, found.confidence >= threshold)
    before = mask(found.select(found.confidence >= threshold))
    assert mask(merged.select(merged.confidence >= threshold))[before].all()


@given(found=_detections(), min_iou=st.floats(0.05, 1))
@settings(max_examples=80, deadline=None)
def test_the_strongest_come_first_and_stay_who_they_were(found: Detections, min_iou: float) -> None:
    """Every merged row has class and confidence of an input row whose box it contains, in falling order."""
    merged = merge_duplicates(found, min_iou, everything(found))
    assert (np.diff(merged.confidence) <= 0).all()
    assert len(merged) <= len(found)
    for i in range(len(merged)):
        box = merged.xyxy[i]
        leaders = found.select((found.class_id == merged.class_id[i]) & (found.confidence == merged.confidence[i]))
        inside = (leaders.xyxy[:, :2] >= box[:2]).all(axis=1) & (leaders.xyxy[:, 2:] <= box[2:]).all(axis=1)
        assert inside.any()


@given(found=_detections(), min_iou=st.floats(0.05, 1))
@settings(max_examples=60, deadline=None)
def test_classes_never_meet(found: Detections, min_iou: float) -> None:
    """Faces come out the same, whether there are plates in the picture or not."""
    both = merge_duplicates(found, min_iou, everything(found)).of_class(FACE)
    alone = found.of_class(FACE)
    assert np.array_equal(both.xyxy, merge_duplicates(alone, min_iou, everything(alone)).xyxy)


@given(found=_detections())
@settings(max_examples=60, deadline=None)
def test_boxes_that_do_not_overlap_enough_are_left_alone(found: Detections) -> None:
    """If no two boxes of a class reach the overlap, nothing changes but the order."""
    overlap = iou(found.xyxy, found.xyxy) * (found.class_id[:, None] == found.class_id[None])
    np.fill_diagonal(overlap, 0)
    limit = float(overlap.max(initial=0)) + 0.01
    merged = merge_duplicates(found, limit, everything(found))
    assert sorted(merged.xyxy.tolist()) == sorted(found.xyxy.tolist())


def test_duplicates_become_one_that_covers_both() -> None:
    """Two boxes of one face become their hull, with the confidence of the surer one."""
    found = Detections.of([[0, 0, 10, 10], [2, 0, 12, 10]], [0.4, 0.9], FACE)
    merged = merge_duplicates(found, 0.5, everything(found))
    assert merged.xyxy.tolist() == [[0, 0, 12, 10]]
    assert merged.confidence.tolist() == pytest.approx([0.9])


def test_what_does_not_count_does_not_widen() -> None:
    """A duplicate below the threshold vanishes without making the other box larger."""
    found = Detections.of([[0, 0, 10, 10], [2, 0, 12, 10]], [0.05, 0.9], FACE)
    merged = merge_duplicates(found, 0.5, np.array([False, True]))
    assert merged.xyxy.tolist() == [[2, 0, 12, 10]]


def test_the_overlap_itself_is_enough() -> None:
    """Boxes are merged from exactly the given IoU on, here a third."""
    found = Detections.of([[0, 0, 2, 2], [1, 0, 3, 2]], [0.9, 0.8], FACE)
    assert len(merge_duplicates(found, float(np.float32(1 / 3)), everything(found))) == 1
    assert len(merge_duplicates(found, 0.34, everything(found))) == 2


def test_overlap_is_measured_with_the_strongest_box_itself() -> None:
    """A chain of neighbours is not eaten up by a box that grows: the third one is an object of its own."""
    found = Detections.of([[0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10]], [0.9, 0.8, 0.7], FACE)
    merged = merge_duplicates(found, 0.4, everything(found))
    assert merged.xyxy.tolist() == [[0, 0, 14, 10], [8, 0, 18, 10]]


def test_a_face_on_a_plate_stays_two_objects() -> None:
    """The same box as a face and as a plate is both."""
    found = Detections.of([[0, 0, 10, 10]] * 2, [0.9, 0.8], [FACE, LICENSE_PLATE])
    assert merge_duplicates(found, 0.5, everything(found)).class_id.tolist() == [FACE, LICENSE_PLATE]


def test_nothing_stays_nothing() -> None:
    """An empty picture has nothing to merge."""
    assert len(merge_duplicates(Detections.empty(), 0.5, np.zeros(0, bool))) == 0
