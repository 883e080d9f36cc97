"""One pass over the pictures gives what measuring at every threshold would give."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.dataset.labels import LabelledImage
from components.detections import CLASS_NAMES, FACE, LICENSE_PLATE, Detections
from components.evaluation.curves import Curve, confidence_map, curve, operating_threshold, table
from components.evaluation.detector_metrics import figures
from components.evaluation.object_table import with_threshold
from components.settings import Params, Region

SIDE = 48
BOTH = frozenset(CLASS_NAMES)


@st.composite
def boxes(draw: st.DrawFn, most: int) -> list[tuple[int, int, int, int]]:
    """Boxes in, or partly beyond, a picture of 48 x 48 px."""
    corner, side = st.integers(-4, SIDE - 1), st.integers(1, 20)
    drawn = draw(st.lists(st.tuples(corner, corner, side, side), max_size=most))
    return [(x, y, x + w, y + h) for x, y, w, h in drawn]


@st.composite
def cases(draw: st.DrawFn) -> tuple[LabelledImage, Detections]:
    """A labelled picture of faces, with faces found in it."""
    truth = [box for box in draw(boxes(3)) if min(box) >= 0 and max(box) <= SIDE]
    found = draw(boxes(5))
    thousandths = draw(st.lists(st.integers(1, 1000), min_size=len(found), max_size=len(found)))
    ignored = np.array(draw(boxes(1)), np.float32).reshape(-1, 4)
    image = LabelledImage("a", SIDE, SIDE, "", Detections.of(truth, 1.0, FACE), ignored, BOTH)
    return image, Detections.of(found, np.array(thousandths) / 1000, FACE)


@settings(max_examples=200, deadline=None)
@given(cases(), st.sampled_from([0.001, 0.15, 0.5, 0.731, 1.0]))
def test_a_curve_says_what_measuring_at_its_threshold_says(
    params: Params, case: tuple[LabelledImage, Detections], threshold: float
) -> None:
    """Recalls, pixel FPR and false-blur share of 200 random pictures agree with the metrics at one threshold."""
    image, found = case
    region = with_threshold(params.regions["strict"], dict.fromkeys(CLASS_NAMES, threshold - 1e-4))
    told = figures([image], {"a": found}, region)
    rows = table(curve([image], {"a": found}, region, "face"))
    row = rows[np.isclose(rows["threshold"], threshold)].iloc[0]
    for key, expected in (
        ("object_recall", told["face"]["object_recall"]),
        ("pixel_recall", told["face"]["pixel_recall"]),
        ("pixel_fpr", told["pixel_fpr"]),
        ("false_blur_share", told["false_blur_share"]),
    ):
        assert row[key] == pytest.approx(float("nan") if expected is None else expected, nan_ok=True), key


@pytest.fixture
def plain(params: Params) -> Region:
    """The strict region without dilation."""
    strict = params.regions["strict"]
    return strict.model_copy(update={"face": strict.face.model_copy(update={"dilation": 0.0})})


def one_face(plain: Region, *found: tuple[float, float, float, float], confidence: list[float]) -> Curve:
    """A face of 10 x 10 px at the corner of a picture of 48 px, and what was found."""
    image = LabelledImage("a", SIDE, SIDE, "", Detections.of([[0, 0, 10, 10]], 1.0, FACE), np.zeros((0, 4)), BOTH)
    return curve([image], {"a": Detections.of(found, confidence, FACE)}, plain, "face")


def test_a_curve_by_hand(plain: Region) -> None:
    """Half a face at 0.9 and the rest at 0.4 hide it at 0.4; one false proposal at 0.6 is as large as itself."""
    told = one_face(plain, (0, 0, 10, 5), (0, 0, 10, 10), (20, 20, 30, 30), confidence=[0.9, 0.4, 0.6])
    rows = table(told).set_index("threshold")
    assert rows.loc[[0.4, 0.401, 0.9, 0.901], "object_recall"].tolist() == [1, 0, 0, 0]
    assert rows.loc[[0.4, 0.401, 0.9, 0.901], "pixel_recall"].tolist() == [1, 0.5, 0.5, 0]
    assert rows.loc[[0.6, 0.601], "pixel_fpr"].tolist() == pytest.approx([100 / (48 * 48 - 100), 0])
    assert rows.loc[[0.4, 0.6, 0.9], "precision"].tolist() == pytest.approx([2 / 3, 1 / 2, 1])
    assert rows.loc[[0.4, 0.401], "misses_per_1000_images"].tolist() == [0, 1000]


def test_the_operating_point_is_the_highest_threshold_that_reaches_the_target(plain: Region) -> None:
    """At it the recall is reached, above it it is not, and a recall out of reach has no operating point."""
    rows = table(one_face(plain, (0, 0, 10, 5), (0, 0, 10, 9), confidence=[0.9, 0.4]))
    assert operating_threshold(rows, 0.5) == 0.9
    assert operating_threshold(rows, 0.6) == 0.4
    assert operating_threshold(rows, 0.95) is None
    assert operating_threshold(rows, 0.75, "object_recall") == 0.4


def test_classes_have_curves_of_their_own(params: Params) -> None:
    """A plate's area that happens to hide a face says nothing of the faces' threshold."""
    image = LabelledImage("a", SIDE, SIDE, "", Detections.of([[0, 0, 10, 10]], 1.0, FACE), np.zeros((0, 4)), BOTH)
    seen = {"a": Detections.of([[0, 0, 10, 10]], 0.9, LICENSE_PLATE)}
    faces, plates = (table(curve([image], seen, params.regions["strict"], name)) for name in CLASS_NAMES)
    assert faces["object_recall"].max() == 0
    assert plates["object_recall"].isna().all()
    assert plates["pixel_fpr"].max() > 0


def test_without_complete_labels_nothing_is_said_of_false_ones(plain: Region) -> None:
    """Recall has its curve, everything that needs a background is NaN."""
    image = LabelledImage("a", SIDE, SIDE, "", Detections.of([[0, 0, 10, 10]], 1.0, FACE), np.zeros((0, 4)))
    rows = table(curve([image], {"a": Detections.of([[0, 0, 10, 10]], 0.5, FACE)}, plain, "face"))
    assert rows["pixel_recall"].max() == 1
    assert rows[["pixel_fpr", "false_blur_share", "precision"]].isna().all(axis=None)


def test_curves_add_up(plain: Region) -> None:
    """The curve of two pictures is the sum of theirs."""
    one = one_face(plain, (0, 0, 10, 10), confidence=[0.5])
    pd.testing.assert_frame_equal(
        table(one + one)[["pixel_recall", "pixel_fpr"]], table(one)[["pixel_recall", "pixel_fpr"]]
    )
    assert (one + one).images == 2


def test_the_surest_proposal_counts_where_several_hide(plain: Region) -> None:
    """Whatever their order, a pixel has the highest confidence of all that would hide it, cut to a thousandth."""
    found = Detections.of([[0, 0, 10, 10], [5, 5, 15, 15]], [0.9, 0.3], FACE)
    for order in ([0, 1], [1, 0]):
        told = confidence_map(found.select(order), plain, SIDE, SIDE)
        assert (told[7, 7], told[12, 12], told[40, 40]) == (900, 300, 0)
