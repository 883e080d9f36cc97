"""A region's rules decide by class, confidence and size, and hide at least what was found."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from components.detection.region_rules import Outcome, areas_to_hide, decide, reaches_threshold
from components.detections import FACE, LICENSE_PLATE, Detections, dilate, pixel_mask
from components.settings import PROJECT_ROOT, ClassRule, Params, Region, load_params

REGION = Region(
    classes=("face", "license_plate"),
    face=ClassRule(threshold=0.3, min_px=6, dilation=0.5),
    license_plate=ClassRule(threshold=0.6, min_px=0, dilation=0.0),
    obfuscation=load_params(PROJECT_ROOT / "params.yaml").regions["strict"].obfuscation,
)
_boxes = st.lists(
    st.tuples(st.floats(-5, 45), st.floats(-5, 35), st.floats(0, 30), st.floats(0, 30)).map(
        lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
    ),
    max_size=5,
)


def outcome(confidence: float, class_id: int, width: float = 10, height: float = 10) -> Outcome:
    """What becomes of one proposal."""
    return decide(Detections.of([5, 5, 5 + width, 5 + height], confidence, class_id), REGION)[0]


def test_each_class_has_its_own_threshold() -> None:
    """At 0.4 a face is blurred and a plate is not."""
    assert outcome(0.4, FACE) is Outcome.BLURRED
    assert outcome(0.4, LICENSE_PLATE) is Outcome.BELOW_THRESHOLD
    assert outcome(0.7, LICENSE_PLATE) is Outcome.BLURRED
    assert outcome(0.2, FACE) is Outcome.BELOW_THRESHOLD


@pytest.mark.parametrize("threshold", [0.1, 0.15, 0.25, 0.3, 0.7])
def test_the_threshold_itself_is_enough(threshold: float) -> None:
    """A confidence that equals the threshold counts, whatever its last binary digit; the next lower one does not."""
    region = REGION.model_copy(update={"face": REGION.face.model_copy(update={"threshold": threshold})})
    exact = np.float32(threshold)
    found = Detections.of([[0, 0, 9, 9]] * 2, [exact, np.nextafter(exact, np.float32(0))], FACE)
    assert reaches_threshold(found, region).tolist() == [True, False]
    assert decide(found, region) == [Outcome.BLURRED, Outcome.BELOW_THRESHOLD]


@pytest.mark.parametrize(("width", "height"), [(5.9, 20), (20, 5.9), (0, 0)])
def test_the_shorter_side_decides_what_is_too_small(width: float, height: float) -> None:
    """A face is too small if either side is shorter than the region asks; a plate here never is."""
    assert outcome(0.9, FACE, width, height) is Outcome.TOO_SMALL
    assert outcome(0.9, LICENSE_PLATE, width, height) is Outcome.BLURRED


def test_the_smallest_size_is_large_enough() -> None:
    """Exactly the smallest size is blurred."""
    assert outcome(0.9, FACE, 6, 6) is Outcome.BLURRED


def test_billboards_are_hidden_unless_the_region_says_from_which_size_on() -> None:
    """A face of 300 px is blurred by default; where 200 px cannot be a person, it stays; a plate never does."""
    region = REGION.model_copy(update={"face": REGION.face.model_copy(update={"depicted_from_px": 200})})
    found = Detections.of(
        [[0, 0, 300, 300], [0, 0, 200, 200], [0, 0, 199.9, 400], [0, 0, 300, 300], [0, 0, 300, 300]],
        [0.9, 0.9, 0.9, 0.9, 0.1],
        [FACE, FACE, FACE, LICENSE_PLATE, FACE],
    )
    assert decide(found, REGION) == [Outcome.BLURRED] * 4 + [Outcome.BELOW_THRESHOLD]
    assert decide(found, region) == [
        Outcome.DEPICTED, Outcome.DEPICTED, Outcome.BLURRED, Outcome.BLURRED, Outcome.BELOW_THRESHOLD,
    ]  # fmt: skip
    with pytest.raises(ValidationError, match="above min_px"):
        ClassRule(threshold=0.3, min_px=6, dilation=0.1, depicted_from_px=6)


def test_no_shipped_region_leaves_billboards() -> None:
    """Depicted faces are hidden in every region that ships."""
    for region in load_params(PROJECT_ROOT / "params.yaml").regions.values():
        assert (region.face.depicted_from_px, region.license_plate.depicted_from_px) == (None, None)


def test_a_weak_small_proposal_is_told_as_weak() -> None:
    """Below the threshold nobody asks for the size."""
    assert outcome(0.1, FACE, 1, 1) is Outcome.BELOW_THRESHOLD


def test_outcomes_stand_in_the_order_of_the_proposals() -> None:
    """The manifest can write proposal and outcome side by side."""
    found = Detections.of(
        [[0, 0, 9, 9], [0, 0, 2, 2], [0, 0, 9, 9], [0, 0, 9, 9]],
        [0.9, 0.9, 0.1, 0.9],
        [FACE, FACE, FACE, LICENSE_PLATE],
    )
    assert decide(found, REGION) == [Outcome.BLURRED, Outcome.TOO_SMALL, Outcome.BELOW_THRESHOLD, Outcome.BLURRED]
    assert decide(Detections.empty(), REGION) == []
    assert reaches_threshold(found, REGION).tolist() == [True, True, False, True]


def test_each_class_is_dilated_by_its_own_share() -> None:
    """A face grows by half of its sides and a plate not at all, and both end at the border."""
    found = Detections.of([[10, 10, 20, 14], [10, 10, 20, 14], [30, 20, 40, 30]], 0.9, [FACE, LICENSE_PLATE, FACE])
    assert areas_to_hide(found, REGION, 40, 30).tolist() == [[5, 8, 25, 16], [10, 10, 20, 14], [25, 15, 40, 30]]


@given(boxes=_boxes, class_id=st.sampled_from([FACE, LICENSE_PLATE]))
@settings(max_examples=80, deadline=None)
def test_the_areas_hide_every_dilated_pixel(boxes: list, class_id: int) -> None:
    """Every pixel that a dilated box touches is hidden, and every area can be sliced out of the picture."""
    found = Detections.of(np.array(boxes).reshape(-1, 4), 0.9, class_id)
    areas = areas_to_hide(found, REGION, 40, 30)
    hidden = np.zeros((30, 40), bool)
    for x1, y1, x2, y2 in areas:
        assert 0 <= x1 < x2 <= 40
        assert 0 <= y1 < y2 <= 30
        hidden[y1:y2, x1:x2] = True
    share = 0.5 if class_id == FACE else 0.0
    assert np.array_equal(hidden, pixel_mask(dilate(found.xyxy, share), 40, 30))
    assert areas.dtype == np.int32


def test_stricter_regions_blur_more(params: Params) -> None:
    """Whatever eu or us blur, strict blurs too, in areas that cover theirs."""
    rng = np.random.default_rng(5)
    corner = rng.uniform(0, 400, (300, 2))
    found = Detections.of(
        np.concatenate([corner, corner + rng.uniform(0, 40, (300, 2))], axis=1),
        rng.uniform(0.1, 1, 300),
        rng.integers(0, 2, 300),
    )
    strict = params.regions["strict"]
    blurred = np.array(decide(found, strict)) == Outcome.BLURRED
    for name in ("eu", "us"):
        theirs = np.array(decide(found, params.regions[name])) == Outcome.BLURRED
        assert blurred[theirs].all()
        assert 0 < theirs.sum() < blurred.sum()
        ours = areas_to_hide(found.select(theirs), strict, 440, 440)
        smaller = areas_to_hide(found.select(theirs), params.regions[name], 440, 440)
        assert (ours[:, :2] <= smaller[:, :2]).all()
        assert (ours[:, 2:] >= smaller[:, 2:]).all()


def test_a_class_that_the_region_does_not_hide_stays() -> None:
    """Where only faces are hidden, a plate is listed as of another class, however sure and large it is."""
    region = REGION.model_copy(update={"classes": ("face",)})
    found = Detections.of([[0, 0, 50, 50], [60, 0, 99, 50]], 0.99, [FACE, LICENSE_PLATE])
    assert decide(found, region) == [Outcome.BLURRED, Outcome.OTHER_CLASS]
    assert reaches_threshold(found, region).tolist() == [True, False]
    assert decide(Detections.empty(), region) == []
