"""What the verifier is told of a proposal: it depends on the place and on the other proposals, and on nothing else."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from numpy.typing import NDArray

from components.detection.proposal_features import (
    COLOUR,
    CROP_PX,
    GEOMETRY,
    ROW_LENGTH,
    WIDE_PX,
    Features,
    colour,
    features,
    geometry,
    rows_of,
)
from components.detections import FACE, LICENSE_PLATE, Detections

Pixels = NDArray[np.uint8]
WIDTH, HEIGHT = 320, 240


@pytest.fixture
def pixels(rng: np.random.Generator) -> Pixels:
    """A picture with texture at every scale."""
    coarse = rng.integers(0, 200, (HEIGHT // 20, WIDTH // 20, 3)).repeat(20, axis=0).repeat(20, axis=1)
    return (coarse + rng.integers(0, 55, (HEIGHT, WIDTH, 3))).astype(np.uint8)


def one(*box: float, class_id: int = FACE, confidence: float = 0.5) -> Detections:
    """A single proposal."""
    return Detections.of([box], confidence, class_id)


def several(rng: np.random.Generator, count: int = 12) -> Detections:
    """Proposals of all sizes, some of which overlap or reach over a border."""
    centre, sides = rng.random((count, 2)) * [WIDTH, HEIGHT], np.exp(rng.uniform(1.5, 4.5, (count, 2)))
    boxes = np.concatenate([centre - sides / 2, centre + sides / 2], axis=1)
    return Detections.of(boxes, rng.random(count), rng.integers(0, 2, count))


def number(told: Features, name: str, row: int = 0) -> float:
    """One of the numbers, by name."""
    if name in GEOMETRY:
        return float(told.geometry[row, GEOMETRY.index(name)])
    return float(told.colour[row, COLOUR.index(name)])


def assert_same(left: Features, right: Features) -> None:
    """Every array is the same, bit for bit."""
    for field in fields(Features):
        assert np.array_equal(getattr(left, field.name), getattr(right, field.name)), field.name


@pytest.mark.parametrize("box", [(140, 100, 180, 150), (100, 100, 190, 125), (150, 110, 157, 118)])
def test_what_lies_far_away_does_not_matter(pixels: Pixels, box: tuple[int, ...]) -> None:
    """A picture that differs outside the square of three box sides gives the same features; one inside does not."""
    half = 1.5 * max(box[2] - box[0], box[3] - box[1]) + 1
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    elsewhere = 255 - pixels
    x1, x2, y1, y2 = (max(0, int(side)) for side in (x - half, x + half + 1, y - half, y + half + 1))
    elsewhere[y1:y2, x1:x2] = pixels[y1:y2, x1:x2]
    assert (elsewhere != pixels).any()
    expected = features(pixels, one(*box))
    assert_same(features(elsewhere, one(*box)), expected)
    inverted = features(255 - pixels, one(*box))
    assert not np.array_equal(inverted.wide, expected.wide)
    assert not np.array_equal(inverted.context, expected.context)
    assert not np.array_equal(inverted.colour, expected.colour)


def test_order_does_not_matter(pixels: Pixels, rng: np.random.Generator) -> None:
    """Proposals in another order have the same features, each its own."""
    proposals, order = several(rng), rng.permutation(12)
    assert_same(features(pixels, proposals.select(order)), features(pixels, proposals).select(order))


def test_each_is_told_the_same_whether_others_are_named_or_not(pixels: Pixels, rng: np.random.Generator) -> None:
    """One proposal compared with the eleven others is told what it is told among the twelve."""
    proposals = several(rng)
    among = features(pixels, proposals)
    for row in range(12):
        rest = proposals.select(np.arange(12) != row)
        assert_same(features(pixels, proposals.select([row]), rest), among.select([row]))


@pytest.mark.parametrize("box", [(-10, -5, 30, 40), (300, 100, 330, 160), (0, 230, 40, 250), (0, 0, 320, 240)])
def test_beyond_a_border_its_pixels_go_on(pixels: Pixels, box: tuple[int, ...]) -> None:
    """A crop over the border is that of a picture which is continued by its outermost pixels."""
    pad = 700
    continued = np.pad(pixels, ((pad, pad), (pad, pad), (0, 0)), mode="edge")
    inside = features(continued, one(*(side + pad for side in box)))
    over = features(pixels, one(*box))
    for left, right in ((over.wide, inside.wide), (over.context, inside.context)):
        difference = np.abs(left.astype(int) - right.astype(int))
        assert difference.max() <= 16  # places between pixels are rounded, to 1/32 px
        assert difference.mean() < 1


def test_a_panorama_goes_on_at_its_other_side(pixels: Pixels) -> None:
    """A box over the seam looks as in the picture that was turned by half; only as a panorama."""
    turned = np.roll(pixels, WIDTH // 2, axis=1)
    expected = features(turned, one(140, 100, 180, 140))
    over = features(pixels, one(300, 100, 340, 140), wraps=True)
    assert np.array_equal(over.wide, expected.wide)
    assert np.array_equal(over.context, expected.context)
    assert not np.array_equal(features(pixels, one(300, 100, 340, 140)).wide, expected.wide)


def test_no_proposals(pixels: Pixels) -> None:
    """Without proposals every array is empty, and of the right form."""
    told = features(pixels, Detections.empty())
    assert [getattr(told, field.name).shape for field in fields(Features)] == [
        (0, len(GEOMETRY)),
        (0, len(COLOUR)),
        (0, WIDE_PX, WIDE_PX, 3),
        (0, CROP_PX, CROP_PX, 3),
    ]
    assert rows_of(told.geometry, told.colour, told.close_up(), told.context).shape == (0, ROW_LENGTH)


@pytest.mark.parametrize(
    "box", [(50, 50, 50, 50), (60, 60, 40, 40), (-900, -900, -800, -800), (5000, 0, 5010, 9), (-2e4, -2e4, 2e4, 2e4)]
)
def test_strange_boxes_are_told_of_in_finite_numbers(pixels: Pixels, box: tuple[float, ...]) -> None:
    """Boxes without content, outside of the picture or larger than it break nothing."""
    told = features(pixels, one(*box, confidence=1.0))
    row = rows_of(told.geometry, told.colour, told.close_up(), told.context)
    assert np.isfinite(row).all()
    assert row.shape == (1, ROW_LENGTH)


def test_geometry_by_hand() -> None:
    """Size, place, confidence and class of a plate of 60 × 20 px in a picture of 300 × 200 px."""
    numbers = geometry(one(30, 90, 90, 110, class_id=LICENSE_PLATE, confidence=0.8), 300, 200)[0]
    told = dict(zip(GEOMETRY, numbers.tolist(), strict=True))
    size = np.sqrt(60 * 20)
    expected = {
        "log_width": np.log(60),
        "log_height": np.log(20),
        "log_aspect": np.log(3),
        "log_relative_size": np.log(size / np.sqrt(300 * 200)),
        "centre_x": 0.2,
        "centre_y": 0.5,
        "log_border_distance": np.log1p(30 / size),
        "confidence_logit": np.log(4),
        "face": 0,
        "license_plate": 1,
        "log_overlapping": 0,
        "log_same_class": 0,
        "has_neighbours": 0,
        "log_height_to_neighbours": 0,
    }
    assert {name: told[name] for name in expected} == pytest.approx(expected, abs=1e-5)


def test_relations_by_hand() -> None:
    """A face with a duplicate, two faces beside it, one far below, and a plate on it, is told of all of them."""
    boxes = [(50, 50, 70, 70), (50, 50, 70, 80), (100, 50, 120, 90), (150, 55, 190, 75), (50, 200, 60, 210)]
    proposals = Detections.of([*boxes, (50, 50, 70, 60)], [0.5, 0.9, 0.2, 0.3, 0.4, 0.6], [0, 0, 0, 0, 0, 1])
    told = dict(zip(GEOMETRY, geometry(proposals, 300, 300)[0].tolist(), strict=True))
    expected = {
        "log_overlapping": np.log1p(1),
        "largest_iou": 2 / 3,
        "largest_iou_with_other_class": 0.5,
        "overlapping_confidence_logit": np.log(9),
        "log_same_class": np.log1p(4),
        "log_height_to_neighbours": np.log(20 / 20),  # the lower one of 40 and 20 px in the same row
        "has_neighbours": 1,
    }
    assert {name: told[name] for name in expected} == pytest.approx(expected, abs=1e-5)


def test_weak_proposals_matter_to_no_other(rng: np.random.Generator) -> None:
    """However far down stage 1 was asked: proposals below 0.1 change nothing for those that were there before."""
    strong = several(rng)
    strong = Detections.of(strong.xyxy, np.maximum(strong.confidence, 0.1), strong.class_id)
    weak = Detections.of(strong.xyxy + 2, 0.099, strong.class_id)
    alone = geometry(strong, WIDTH, HEIGHT)
    assert np.array_equal(geometry(Detections.concatenate([strong, weak]), WIDTH, HEIGHT)[:12], alone)
    seen = Detections.of(strong.xyxy + 2, 0.1, strong.class_id)
    assert not np.array_equal(geometry(Detections.concatenate([strong, seen]), WIDTH, HEIGHT)[:12], alone)


def test_colours_by_hand() -> None:
    """A box of one grey in a ring of another: means and shares are theirs, nothing varies within."""
    wide = np.full((1, WIDE_PX, WIDE_PX, 3), 51, np.uint8)
    wide[0, 12:-12, 12:-12] = 204
    told = dict(zip(COLOUR, colour(wide)[0].tolist(), strict=True))
    assert told["mean_y"] == pytest.approx(0.8, abs=1e-3)
    assert told["ring_mean_y"] == pytest.approx(0.2, abs=1e-3)
    assert told["luma_6_of_8"] == 1
    same = ("std_y", "ring_std_y", "saturation", "edge_share", "skin_share", "log_sharpness", "luma_0_of_8")
    assert [told[name] for name in same] == pytest.approx([0] * len(same), abs=1e-3)


def test_skin_stripes_and_blur_are_seen() -> None:
    """Skin is skin, stripes change along x only, and what is blurred is less sharp."""
    skin = np.full((WIDE_PX, WIDE_PX, 3), (224, 172, 140), np.uint8)
    stripes = np.zeros_like(skin)
    stripes[:, ::4] = stripes[:, 1::4] = 255
    waves = (np.sin(np.arange(WIDE_PX) / 6) * 60 + 100).astype(np.uint8)
    soft = np.broadcast_to(waves[None, :, None], skin.shape)
    told = Features(np.zeros((3, len(GEOMETRY))), colour(np.stack([skin, stripes, soft])), *np.zeros((2, 3, 1, 1, 3)))
    assert [number(told, "skin_share", row) for row in range(3)] == [1, 0, 0]
    assert number(told, "horizontal_change", 1) > 0.5
    assert number(told, "vertical_change", 1) == 0
    assert number(told, "edge_share", 1) > 0.9
    assert number(told, "log_sharpness", 1) > number(told, "log_sharpness", 2) > number(told, "log_sharpness", 0)


def test_the_close_up_is_the_box_grown_by_a_tenth(pixels: Pixels) -> None:
    """A box of 40 px is kept pixel by pixel: 64 px around it, the close-up 48, both around its middle."""
    told = features(pixels, one(140, 100, 180, 140))
    expected = pixels[96:144, 136:184].astype(int)
    assert np.abs(told.close_up()[0].astype(int) - expected)[2:-2, 2:-2].mean() < 25  # samples lie between pixels
    smooth = np.broadcast_to(np.linspace(0, 250, WIDTH).astype(np.uint8)[None, :, None], pixels.shape).copy()
    ramp = features(smooth, one(140, 100, 180, 140))
    assert np.abs(ramp.wide[0].astype(int) - smooth[88:152, 128:192].astype(int)).max() <= 1
    assert np.abs(ramp.close_up()[0].astype(int) - smooth[96:144, 136:184].astype(int)).max() <= 1
