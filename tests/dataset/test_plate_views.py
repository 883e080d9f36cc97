"""Plates are seen as a pinhole camera sees a plane, and set into a picture without touching the rest of it."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.dataset.plate_lens import Light
from components.dataset.plate_views import PlateView, Pose, plate_view, set_into
from components.imaging.reading import Pixels

LIGHTS: tuple[Light, ...] = ("day", "night", "glare", "glass", "dark")
SEEDS = st.integers(0, 2**32 - 1)
HEIGHTS = st.floats(8, 64)
geometry = settings(max_examples=40, deadline=None)


def seen(seed: int, height_px: float, low: float, high: float, square: bool | None = None) -> PlateView:
    """A plate with a seed of its own."""
    return plate_view(np.random.default_rng(seed), height_px, (low, high), square)


def street(seed: int = 3, width: int = 420, height: int = 260) -> Pixels:
    """Something grey and grainy to set plates into."""
    return np.random.default_rng(seed).integers(100, 130, (height, width, 3)).astype(np.uint8)


def shown_area(view: PlateView) -> float:
    """The px² that a plate covers."""
    return float(view.rgba[..., 3].sum() / 255)


@geometry
@given(seed=SEEDS, height_px=HEIGHTS, tilts=st.tuples(st.floats(0, 80), st.floats(0, 80)), square=st.booleans())
def test_a_plate_is_what_was_asked_for(seed: int, height_px: float, tilts: tuple[float, float], square: bool) -> None:
    """Its tilt lies in the range and is the one of its pose, and it has one line or two as was asked."""
    low, high = sorted(tilts)
    view = seen(seed, height_px, low, high, square)
    assert low - 1e-6 <= view.tilt_deg <= high + 1e-6
    assert view.tilt_deg == view.pose.tilt_deg
    assert view.square is square
    assert view.rgba.dtype == np.uint8
    assert view.rgba.shape[2] == 4


@geometry
@given(seed=SEEDS, height_px=HEIGHTS, tilt=st.floats(0, 80))
def test_the_box_is_tight(seed: int, height_px: float, tilt: float) -> None:
    """Each of its sides touches an alpha above one half, no such alpha is outside, and the margin is transparent."""
    view = seen(seed, height_px, tilt, tilt)
    alpha = view.rgba[..., 3]
    rows, columns = np.nonzero(alpha >= min(128, int(alpha.max())))
    assert view.box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    assert not alpha[[0, -1]].any()
    assert not alpha[:, [0, -1]].any()


@geometry
@given(seed=SEEDS, height_px=HEIGHTS, tilt=st.floats(0, 80))
def test_colours_are_premultiplied(seed: int, height_px: float, tilt: float) -> None:
    """No colour is brighter than its alpha allows, so that edges blend without a rim."""
    rgba = seen(seed, height_px, tilt, tilt).rgba.astype(int)
    assert (rgba[..., :3] <= rgba[..., 3:] + 2).all()


@geometry
@given(seed=SEEDS, height_px=st.floats(16, 64), square=st.booleans())
def test_without_tilt_a_plate_has_its_own_shape(seed: int, height_px: float, square: bool) -> None:
    """Its area is that of the flat plate, and its box has the flat plate's sides, turned by the camera's roll."""
    view = seen(seed, height_px, 0, 0, square)
    width, height = np.array(view.size_mm) * height_px / view.size_mm[1]
    roll = abs(np.radians(view.pose.roll_deg))
    box_width, box_height = view.box[2:] - view.box[:2]
    assert shown_area(view) == pytest.approx(width * height, rel=0.05)
    assert box_width == pytest.approx(width * np.cos(roll) + height * np.sin(roll), abs=2.5 + 0.08 * height)
    assert box_height == pytest.approx(height * np.cos(roll) + width * np.sin(roll), abs=2.5 + 0.08 * height)


@geometry
@given(seed=SEEDS, height_px=st.floats(20, 64), tilt=st.floats(0, 75))
def test_the_area_shrinks_with_the_cosine(seed: int, height_px: float, tilt: float) -> None:
    """A tilted plate covers cos(tilt) of what it would cover from the front, up to perspective and whole pixels."""
    view = seen(seed, height_px, tilt, tilt)
    flat_area = height_px**2 * view.size_mm[0] / view.size_mm[1]
    assert shown_area(view) == pytest.approx(flat_area * np.cos(np.radians(tilt)), rel=0.12, abs=12)


@geometry
@given(yaw=st.floats(-80, 80), pitch=st.floats(-50, 50), roll=st.floats(-10, 10))
def test_tilt_is_the_angle_to_the_line_of_sight(yaw: float, pitch: float, roll: float) -> None:
    """It is the angle at the plate's middle between its normal and the way to the camera, whatever the roll."""
    pose = Pose(yaw, pitch, roll, 4000.0, 0.1)
    to_camera = pose.camera_mm() / np.linalg.norm(pose.camera_mm())
    assert np.linalg.norm(pose.camera_mm()) == pytest.approx(4000)
    assert pose.tilt_deg == pytest.approx(np.degrees(np.arccos(-to_camera[2])), abs=1e-4)


def test_what_is_nearer_is_larger() -> None:
    """A plate that is turned has its nearer edge drawn longer than its farther edge, and points behind it shrink."""
    pose = Pose(60.0, 0.0, 0.0, 2500.0, 0.2)
    ends = [pose.project(np.array([[x, -55.0, 0.0], [x, 55.0, 0.0]])) for x in (-260.0, 260.0)]
    depths = pose.depths_mm(np.array([[-260.0, 0, 0], [260.0, 0, 0]]))
    lengths = [float(np.linalg.norm(end[1] - end[0])) for end in ends]
    assert (depths[0] < depths[1]) == (lengths[0] > lengths[1])
    assert max(lengths) > 1.1 * min(lengths)


@pytest.mark.parametrize("light", LIGHTS)
@geometry
@given(seed=SEEDS, height_px=HEIGHTS, tilt=st.floats(0, 80))
def test_only_the_box_and_a_soft_edge_change(light: Light, seed: int, height_px: float, tilt: float) -> None:
    """Far enough from the box every pixel stays as it was, and within the box the plate is seen."""
    pixels, view = street(), seen(seed, height_px, tilt, tilt)
    before = pixels.copy()
    found, box = set_into(pixels, view, (210, 130), np.random.default_rng(seed), light)
    x1, y1, x2, y2 = box.astype(int)
    edge = 6 + view.rgba.shape[0] // 12
    untouched = np.ones(pixels.shape[:2], bool)
    untouched[max(0, y1 - edge) : y2 + edge, max(0, x1 - edge) : x2 + edge] = False
    assert (found[untouched] == before[untouched]).all()
    assert (pixels == before).all()
    assert (found[y1:y2, x1:x2] != before[y1:y2, x1:x2]).any()
    assert (found.shape, found.dtype) == (pixels.shape, np.uint8)


@geometry
@given(seed=SEEDS, x=st.floats(-300, 700), y=st.floats(-300, 600))
def test_a_plate_may_lie_over_the_border(seed: int, x: float, y: float) -> None:
    """Wherever it is set, its box stays within the picture, and beyond the border nothing fails."""
    pixels = street()
    found, box = set_into(pixels, seen(seed, 40, 0, 60), (x, y), np.random.default_rng(seed), "day")
    assert found.shape == pixels.shape
    assert (box >= 0).all()
    assert (box <= [420, 260, 420, 260]).all()
    assert (box[:2] <= box[2:]).all()


def test_the_box_lies_about_the_centre() -> None:
    """A plate is set where it was asked for."""
    for seed in range(20):
        _, box = set_into(street(), seen(seed, 24, 0, 30), (200, 120), np.random.default_rng(seed), "day")
        assert ((box[:2] + box[2:]) / 2).tolist() == pytest.approx([200, 120], abs=3)


@pytest.mark.parametrize("light", LIGHTS)
def test_the_same_seed_draws_the_same_bytes(light: Light) -> None:
    """View and picture depend on the generator alone; another seed draws another plate."""

    def drawn(seed: int) -> bytes:
        rng = np.random.default_rng(seed)
        view = plate_view(rng, 30, (0, 70))
        return view.rgba.tobytes() + set_into(street(), view, (200, 130), rng, light)[0].tobytes()

    assert drawn(5) == drawn(5) != drawn(6)


def luma(level: int, light: Light) -> float:
    """How bright plates are, on average, in a street of a level."""
    pixels = np.full((160, 320, 3), level, np.uint8)
    values = []
    for seed in range(25):
        found, box = set_into(pixels, seen(seed, 30, 0, 20), (160, 80), np.random.default_rng(seed), light)
        x1, y1, x2, y2 = box.astype(int)
        values.append(float(found[y1:y2, x1:x2].mean()))
    return float(np.mean(values))


def test_a_plate_takes_the_light_of_its_place() -> None:
    """In a dark street plates are darker; glare makes them brighter than day, shadow darker."""
    assert luma(40, "day") < 0.7 * luma(160, "day")
    assert luma(160, "dark") < 0.7 * luma(160, "day") < 0.7 * luma(160, "glare")


def test_glass_takes_contrast() -> None:
    """Behind glass, a plate's darkest and brightest parts are closer to each other than by day."""
    spreads: dict[Light, float] = {}
    for light in ("day", "glass"):
        found = [
            set_into(street(), seen(seed, 40, 0, 20), (210, 130), np.random.default_rng(seed), light)
            for seed in range(20)
        ]
        spreads[light] = float(
            np.mean([pixels[int(b[1]) : int(b[3]), int(b[0]) : int(b[2])].std() for pixels, b in found])
        )
    assert spreads["glass"] < 0.75 * spreads["day"]


def test_plates_vary() -> None:
    """A hundred draws show many shapes, white, yellow and dark grounds, and both numbers of lines."""
    views = [seen(seed, 40, 0, 0) for seed in range(100)]
    colours = np.array([np.median(view.rgba[view.rgba[..., 3] == 255][:, :3], axis=0) for view in views])
    assert len({round(view.size_mm[0] / view.size_mm[1], 1) for view in views}) > 12
    assert (colours.min(axis=1) > 130).sum() > 20
    assert ((colours[:, 0] > 130) & (colours[:, 2] < 90)).sum() > 8
    assert (colours.max(axis=1) < 80).sum() > 1
    assert 20 < sum(view.square for view in views) < 60


@pytest.mark.parametrize(("height_px", "tilt"), [(3.0, (0, 10)), (20.0, (10, 5)), (20.0, (0, 89)), (20.0, (-5, 5))])
def test_what_cannot_be_seen_is_refused(height_px: float, tilt: tuple[float, float]) -> None:
    """Heights and tilts out of range are errors and never an empty plate."""
    with pytest.raises(ValueError, match="°"):
        plate_view(np.random.default_rng(0), height_px, tilt)


def test_a_plate_is_drawn_fast() -> None:
    """A plate of 40 px takes far less than training has time for, on a machine that does other things as well."""
    rng = np.random.default_rng(0)
    for _ in range(40):
        plate_view(rng, 40, (0, 80))
    start = time.process_time()
    for _ in range(60):
        plate_view(rng, 40, (0, 80))
    assert (time.process_time() - start) / 60 < 0.015
