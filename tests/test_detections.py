"""The geometry of boxes never loses a pixel, and rows stay together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.detections import (
    FACE,
    LICENSE_PLATE,
    STAGE_DETECTOR,
    STAGE_SECONDARY,
    Boxes,
    Detections,
    areas,
    clip,
    dilate,
    heights,
    hull,
    intersections,
    iou,
    pixel_boxes,
    pixel_mask,
    widths,
)

WIDTH, HEIGHT = 13, 9
_coordinate = st.floats(-6, 20, width=32) | st.integers(-3, 16).map(float)
_any_box = st.tuples(_coordinate, _coordinate, _coordinate, _coordinate)
_box = _any_box.map(lambda b: (min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]), max(b[1], b[3])))


def boxes_of(*boxes: tuple[float, float, float, float]) -> Boxes:
    """Boxes as the product holds them."""
    return np.array(boxes, np.float32).reshape(-1, 4)


def three() -> Detections:
    """Three rows that differ in everything."""
    return Detections.of(
        [[0, 0, 1, 1], [2, 2, 4, 4], [5, 5, 9, 9]], [0.3, 0.2, 0.1], [FACE, LICENSE_PLATE, FACE], [1, 2, 3]
    )


def test_scalars_are_repeated_for_every_box() -> None:
    """One confidence, class and stage serve all boxes, in the promised types."""
    found = Detections.of([[0, 0, 1, 1], [2, 2, 4, 4]], 0.5, LICENSE_PLATE, STAGE_SECONDARY)
    assert found.confidence.tolist() == [0.5, 0.5]
    assert found.class_id.tolist() == [LICENSE_PLATE] * 2
    assert found.stage.tolist() == [STAGE_SECONDARY] * 2
    assert [a.dtype for a in (found.xyxy, found.confidence, found.class_id, found.stage)] == [
        np.float32,
        np.float32,
        np.int16,
        np.int16,
    ]
    assert Detections.of([[0, 0, 1, 1]], 0.5, FACE).stage.tolist() == [STAGE_DETECTOR]


@pytest.mark.parametrize("short", ["xyxy", "confidence", "class_id", "stage"])
def test_columns_that_disagree_are_refused(short: str) -> None:
    """No column may be shorter than the others, whichever it is."""
    whole = three()
    columns = {name: getattr(whole, name) for name in ("xyxy", "confidence", "class_id", "stage")}
    with pytest.raises(ValueError, match="disagree"):
        Detections(**{**columns, short: columns[short][:2]})


def test_boxes_of_another_shape_are_refused() -> None:
    """Boxes with three numbers are no boxes."""
    column = np.zeros(2, np.int16)
    with pytest.raises(ValueError, match="disagree"):
        Detections(np.zeros((2, 3), np.float32), np.zeros(2, np.float32), column, column)


def test_nothing_is_empty_and_can_be_joined() -> None:
    """Joining no parts and empty parts gives no rows; joining keeps every row in order."""
    assert len(Detections.empty()) == len(Detections.concatenate([])) == 0
    joined = Detections.concatenate([Detections.empty(), three(), Detections.empty(), three()])
    assert joined.xyxy.tolist() == three().xyxy.tolist() * 2
    assert joined.stage.tolist() == [1, 2, 3, 1, 2, 3]
    assert joined.class_id.tolist() == [FACE, LICENSE_PLATE, FACE] * 2
    assert joined.confidence.tolist() == pytest.approx([0.3, 0.2, 0.1] * 2)


@pytest.mark.parametrize("rows", [[True, False, True], [0, 2], np.array([0, 2])])
def test_rows_are_selected_whole(rows: object) -> None:
    """A mask and indices choose the same rows, and every column follows."""
    chosen = three().select(rows)  # type: ignore[arg-type]
    assert chosen.xyxy.tolist() == [[0, 0, 1, 1], [5, 5, 9, 9]]
    assert chosen.confidence.tolist() == pytest.approx([0.3, 0.1])
    assert chosen.class_id.tolist() == [FACE, FACE]
    assert chosen.stage.tolist() == [1, 3]


def test_rows_are_selected_in_the_order_of_the_indices() -> None:
    """Indices reorder."""
    assert three().select([2, 0, 1]).stage.tolist() == [3, 1, 2]


@pytest.mark.parametrize("rows", [[], [False, False, False], np.zeros(0, int)])
def test_selecting_nothing_gives_nothing(rows: object) -> None:
    """An empty choice from a full picture is an empty picture."""
    assert len(three().select(rows)) == 0  # type: ignore[arg-type]


def test_nothing_can_be_selected_from_nothing() -> None:
    """An empty mask, as a list or an array, fits an empty picture."""
    assert len(Detections.empty().select([])) == len(Detections.empty().select(np.zeros(0, bool))) == 0


def test_a_class_is_selected_by_its_number() -> None:
    """Only the plate is a plate."""
    assert three().of_class(LICENSE_PLATE).stage.tolist() == [2]
    assert three().of_class(FACE).stage.tolist() == [1, 3]


def test_other_boxes_leave_the_rest_alone() -> None:
    """New boxes replace the old ones and nothing else, and their number must fit."""
    moved = three().with_boxes(three().xyxy + 1)
    assert moved.xyxy[0].tolist() == [1, 1, 2, 2]
    assert moved.stage.tolist() == [1, 2, 3]
    assert three().xyxy[0].tolist() == [0, 0, 1, 1]
    with pytest.raises(ValueError, match="disagree"):
        three().with_boxes(three().xyxy[:2])


def test_sides_and_areas_by_hand() -> None:
    """Width, height and area are what a ruler says, and a box turned inside out has none."""
    boxes = boxes_of((1, 2, 4, 7), (4, 2, 1, 7), (1.5, 0, 2, 4))
    assert widths(boxes).tolist() == [3, 0, 0.5]
    assert heights(boxes).tolist() == [5, 5, 4]
    assert areas(boxes).tolist() == [15, 0, 2]


def test_overlap_by_hand() -> None:
    """Two 2×2 boxes that share one pixel have an IoU of 1 in 7; boxes that only touch share nothing."""
    a, b = boxes_of((0, 0, 2, 2)), boxes_of((1, 1, 3, 3), (2, 0, 4, 2), (0, 0, 2, 2), (1, 1, 1, 1))
    assert intersections(a, b).tolist() == [[1, 0, 4, 0]]
    assert iou(a, b)[0].tolist() == pytest.approx([1 / 7, 0, 1, 0])
    assert iou(boxes_of((1, 1, 1, 1)), boxes_of((1, 1, 1, 1))).tolist() == [[0]]


@given(a=st.lists(_box, max_size=4), b=st.lists(_box, max_size=4))
@settings(max_examples=60, deadline=None)
def test_overlap_is_a_symmetric_share(a: list, b: list) -> None:
    """IoU lies between 0 and 1, does not depend on the order, and is 1 only for equal boxes."""
    forth, back = iou(boxes_of(*a), boxes_of(*b)), iou(boxes_of(*b), boxes_of(*a))
    assert forth.shape == (len(a), len(b))
    assert np.array_equal(forth, back.T)
    assert ((forth >= 0) & (forth <= 1 + 1e-6)).all()
    solid = [box for box in a if areas(boxes_of(box))[0] > 1e-3]
    assert np.diag(iou(boxes_of(*solid), boxes_of(*solid))).tolist() == pytest.approx([1.0] * len(solid))


@given(boxes=st.lists(_any_box, max_size=4))
@settings(max_examples=150, deadline=None)
def test_a_mask_has_exactly_the_pixels_that_a_box_touches(boxes: list) -> None:
    """The mask equals what asking every pixel for itself gives, for boxes within, across and beyond the border."""
    mask = pixel_mask(boxes_of(*boxes), WIDTH, HEIGHT)
    for y in range(HEIGHT):
        for x in range(WIDTH):
            touched = any(x1 < x + 1 and x2 > x and y1 < y + 1 and y2 > y for x1, y1, x2, y2 in boxes)
            assert mask[y, x] == touched


@given(boxes=st.lists(_any_box, max_size=4))
@settings(max_examples=60, deadline=None)
def test_pixel_boxes_are_never_empty_and_never_outside(boxes: list) -> None:
    """What is handed to the blur can be sliced out of the picture."""
    for x1, y1, x2, y2 in pixel_boxes(boxes_of(*boxes), WIDTH, HEIGHT):
        assert 0 <= x1 < x2 <= WIDTH
        assert 0 <= y1 < y2 <= HEIGHT


def test_pixel_boxes_stand_fast_against_endless_coordinates() -> None:
    """A box that reaches to infinity hides the whole picture, and one beyond the border hides nothing."""
    endless = boxes_of((-np.inf, -np.inf, np.inf, np.inf), (-1e30, 3, 1e30, 4), (1e30, 1e30, np.inf, np.inf))
    assert pixel_boxes(endless, WIDTH, HEIGHT).tolist() == [[0, 0, WIDTH, HEIGHT], [0, 3, WIDTH, 4]]


@given(boxes=st.lists(_box, min_size=1, max_size=4), share=st.floats(0, 1, width=32))
@settings(max_examples=60, deadline=None)
def test_growing_never_uncovers(boxes: list, share: float) -> None:
    """A dilated box covers the pixels of the box, and so does the hull of all of them."""
    plain = pixel_mask(boxes_of(*boxes), WIDTH, HEIGHT)
    assert pixel_mask(dilate(boxes_of(*boxes), share), WIDTH, HEIGHT)[plain].all()
    assert hull(boxes_of(*boxes)).shape == (1, 4)
    assert pixel_mask(hull(boxes_of(*boxes)), WIDTH, HEIGHT)[plain].all()


def test_growing_by_hand() -> None:
    """Each side moves by the share of the box's own width or height, one share for all or one for each."""
    boxes = boxes_of((10, 10, 20, 30), (0, 0, 4, 8))
    assert dilate(boxes, 0.5).tolist() == [[5, 0, 25, 40], [-2, -4, 6, 12]]
    assert dilate(boxes, [0, 0.25]).tolist() == [[10, 10, 20, 30], [-1, -2, 5, 10]]


def test_the_hull_is_no_larger_than_needed() -> None:
    """The hull ends where the outermost boxes end."""
    assert hull(boxes_of((3, 4, 5, 6), (1, 5, 2, 9))).tolist() == [[1, 4, 5, 9]]


def test_boxes_are_cut_at_the_border() -> None:
    """Width limits x and height limits y, on both sides."""
    assert clip(boxes_of((-2, -3, 50, 60), (1, 2, 3, 4)), 13, 9).tolist() == [[0, 0, 13, 9], [1, 2, 3, 4]]
