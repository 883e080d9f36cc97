"""A panorama has no border at its seam and no end at its poles, and nothing hides there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from components.detection.bundle import Bundle, load_cascade
from components.detection.cascade import Cascade
from components.detection.panorama import (
    View,
    boxes_in_panorama,
    detect_around,
    fold,
    merge_around,
    pixel_boxes_around,
    points_in_panorama,
    polar_views,
    render,
    seam_overlap_px,
)
from components.detection.region_rules import Outcome, areas_to_hide, decide
from components.detections import FACE, LICENSE_PLATE, Boxes, Detections, Mask, dilate, iou
from components.errors import StreetveilError
from components.settings import PROJECT_ROOT, Params, load_params
from tests.toy_model import MAGENTA, SQUARE_PX

WIDTH, HEIGHT = 512, 256
_views = st.builds(
    View,
    yaw_deg=st.floats(-720, 720),
    pitch_deg=st.floats(10, 85) | st.floats(-85, -10),
    fov_deg=st.floats(20, 110),
    size_px=st.integers(16, 400),
)


@pytest.fixture(scope="module")
def cascade(toy: Bundle, params: Params) -> Cascade:
    """The toy model with the shipped settings."""
    return load_cascade(toy, params.detection)


def grey(width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    """A panorama without anything in it."""
    return np.full((height, width, 3), 120, np.uint8)


def with_face(x: int, y: int) -> NDArray[np.uint8]:
    """A panorama with one magenta square, whose columns go on round the seam."""
    pixels = grey()
    pixels[y : y + SQUARE_PX, np.arange(x, x + SQUARE_PX) % WIDTH] = MAGENTA
    return pixels


def overlaps(found: Detections, x: int, y: int) -> NDArray[np.float32]:
    """IoU of each box with a face that begins there, round the seam."""
    turns = [np.array([[x + turn, y, x + turn + SQUARE_PX, y + SQUARE_PX]], np.float32) for turn in (-WIDTH, 0, WIDTH)]
    return np.max([iou(found.xyxy, box)[:, 0] for box in turns], axis=0)


def covered(areas: NDArray[np.int32], width: int = WIDTH, height: int = HEIGHT) -> Mask:
    """The pixels that areas hide; each must be one that a picture can be sliced with."""
    mask = np.zeros((height, width), bool)
    for x1, y1, x2, y2 in areas:
        assert 0 <= x1 < x2 <= width
        assert 0 <= y1 < y2 <= height
        mask[y1:y2, x1:x2] = True
    return mask


def touched(xyxy: Boxes, width: int, height: int) -> Mask:
    """The pixels that boxes touch if the columns go on round the seam for ever, one column after the other."""
    mask = np.zeros((height, width), bool)
    for x1, y1, x2, y2 in xyxy.astype(np.float64):
        rows = slice(int(np.clip(np.floor(y1), 0, height)), int(np.clip(np.ceil(y2), 0, height)))
        for column in range(int(np.floor(x1)), int(np.ceil(x2))):
            mask[rows, column % width] = True
    return mask


def in_view(x: NDArray, y: NDArray, view: View, width: int, height: int) -> tuple[NDArray, NDArray, NDArray]:
    """Snyder's forward gnomonic formulas, as he prints them: px of the view, and cos c (> 0: before the eye)."""
    longitude, latitude = (x / width - 0.5) * 2 * np.pi - np.radians(view.yaw_deg), (0.5 - y / height) * np.pi
    sin, cos = np.sin(np.radians(view.pitch_deg)), np.cos(np.radians(view.pitch_deg))
    cos_c = sin * np.sin(latitude) + cos * np.cos(latitude) * np.cos(longitude)
    with np.errstate(divide="ignore", invalid="ignore"):
        u = np.cos(latitude) * np.sin(longitude) / cos_c
        v = (cos * np.sin(latitude) - sin * np.cos(latitude) * np.cos(longitude)) / cos_c
    return view.size_px / 2 + u * view.focal_px, view.size_px / 2 - v * view.focal_px, cos_c


def projected(box: tuple[float, ...], view: View, width: int = WIDTH, height: int = HEIGHT) -> Mask:
    """The panorama's pixels whose middle a box of the view shows."""
    y, x = np.mgrid[:height, :width] + 0.5
    view_x, view_y, cos_c = in_view(x, y, view, width, height)
    x1, y1, x2, y2 = box
    return (cos_c > 1e-9) & (view_x >= x1) & (view_x <= x2) & (view_y >= y1) & (view_y <= y2)


def with_panorama(folder: Path, **changes: Any) -> Path:
    """The shipped settings with another panorama block."""
    values = yaml.safe_load((PROJECT_ROOT / "params.yaml").read_text(encoding="utf-8"))
    values["detection"]["panorama"].update(changes)
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


# The seam


@pytest.mark.parametrize("x", [WIDTH - 20, WIDTH - 16, WIDTH - 12, WIDTH - 8, WIDTH - 1])
def test_a_face_across_the_seam_is_one_face_and_hidden_on_both_sides(cascade: Cascade, params: Params, x: int) -> None:
    """However the border cuts it, there is one proposal across the seam, and its areas hide every pixel."""
    region = params.regions["strict"]
    pixels = with_face(x, 120)
    found = cascade.propose(pixels, region, wraps=True)
    whole = found.select(overlaps(found, x, 120) > 0.5)
    assert len(whole) == 1
    assert whole.xyxy[0, 0] < WIDTH < whole.xyxy[0, 2]
    assert len(areas_to_hide(whole, region, WIDTH, HEIGHT, wraps=True)) == 2
    blurred = found.select(found.confidence >= region.face.threshold)
    hidden = covered(areas_to_hide(blurred, region, WIDTH, HEIGHT, wraps=True))
    assert hidden[(pixels == MAGENTA).all(axis=2)].all()


def test_without_wrapping_a_face_across_the_seam_is_cut(cascade: Cascade, params: Params) -> None:
    """The same picture as an ordinary one leaves pixels of the face open, and no box reaches beyond its border."""
    region = params.regions["strict"]
    pixels = with_face(WIDTH - 1, 120)
    found = cascade.propose(pixels, region)
    assert (found.xyxy[:, 2] <= WIDTH).all()
    face = (pixels == MAGENTA).all(axis=2)
    assert not covered(areas_to_hide(found, region, WIDTH, HEIGHT))[face].all()


@pytest.mark.parametrize("x", [0, 3, 40, 200, WIDTH - SQUARE_PX])
def test_a_face_that_is_shown_twice_is_found_once(cascade: Cascade, params: Params, x: int) -> None:
    """A face in the columns that are continued is one proposal, at its own place, as is one that is shown once."""
    found = cascade.propose(with_face(x, 120), params.regions["strict"], wraps=True)
    assert (overlaps(found, x, 120) > 0.5).sum() == 1
    assert len(found) == len(cascade.propose(with_face(200 + x % 4, 120), params.regions["strict"]))


def test_what_the_border_of_a_look_cut_is_taken_up_by_the_whole(params: Params) -> None:
    """A fragment at the seam is no second object, unless it is the surer one, and what it covers stays covered."""
    whole, fragment = [500, 10, 530, 40], [0, 8, 12, 40]
    for confidence, count in (((0.9, 0.5), 1), ((0.5, 0.9), 2)):
        found = Detections.of([whole, fragment], confidence, FACE)
        cut = np.array([False, True])
        merged = merge_around(found, cut, 0.5, np.ones(2, bool), WIDTH)
        assert len(merged) == count
        before, after = (covered(pixel_boxes_around(part.xyxy, WIDTH, HEIGHT)) for part in (found, merged))
        assert after[before].all()
        assert len(merge_around(found, ~cut & False, 0.5, np.ones(2, bool), WIDTH)) == 2


def test_only_looks_that_end_inside_the_world_cut_objects(params: Params) -> None:
    """Boxes at the sides of the continued picture or at any border of a view are marked, and others are not."""
    overlap_px = seam_overlap_px(WIDTH, params.detection)
    size_px = polar_views(WIDTH, params.detection.panorama)[0].size_px
    end, middle = WIDTH + overlap_px, size_px / 2
    looks = [
        [[0, 100, 20, 120], [end - 20, 100, end, 120], [100, 0, 120, HEIGHT]],
        [
            [0, middle, 9, middle + 9],
            [middle, size_px - 9, middle + 9, size_px],
            [middle, middle, middle + 9, middle + 9],
        ],
    ]
    shown: list[tuple[int, ...]] = []

    def detect(pixels: NDArray[np.uint8]) -> Detections:
        shown.append(pixels.shape)
        return Detections.of(looks.pop(0) if looks else [], 0.9, FACE)

    found, cut = detect_around(detect, grey(), params.detection)
    assert cut.tolist() == [True, True, False] * 2
    assert shown == [(HEIGHT, end, 3)] + [(size_px, size_px, 3)] * 2 * params.detection.panorama.views_per_pole
    assert found.xyxy[1].tolist() == [overlap_px - 20, 100, overlap_px, 120]


@pytest.mark.parametrize(("width", "overlap_px"), [(4096, 512), (800, 100), (640, 96), (50, 50)])
def test_the_overlap_is_an_eighth_and_at_least_that_of_tiles(params: Params, width: int, overlap_px: int) -> None:
    """Large panoramas are continued by their share, small ones by the overlap of tiles, tiny ones by all they have."""
    assert seam_overlap_px(width, params.detection) == overlap_px


def test_an_ordinary_picture_pays_nothing(params: Params) -> None:
    """Without wraps the detectors are shown the picture alone, once."""
    shown: list[tuple[int, ...]] = []

    class Blind:
        name = "centerface"

        def detect(self, pixels: NDArray[np.uint8], threshold: float) -> Detections:
            shown.append(pixels.shape)
            return Detections.empty()

    Cascade((Blind(),), params.detection).propose(grey(), params.regions["eu"])
    assert shown == [(HEIGHT, WIDTH, 3)]


# Boxes round the seam

_around = st.lists(
    st.tuples(
        st.floats(-150, 150, width=32),
        st.floats(-40, 60, width=32),
        st.floats(0, 130, width=32),
        st.floats(0, 60, width=32),
    ).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])),
    max_size=5,
)


@given(boxes=_around, class_id=st.sampled_from([FACE, LICENSE_PLATE]))
@settings(max_examples=150, deadline=None)
def test_the_areas_hide_every_dilated_pixel_round_the_seam(params: Params, boxes: list, class_id: int) -> None:
    """Whatever box: exactly the pixels that its dilation touches modulo the width are hidden, all in the picture."""
    region = params.regions["strict"]
    found = Detections.of(np.array(boxes).reshape(-1, 4), 0.9, class_id)
    areas = areas_to_hide(found, region, 60, 40, wraps=True)
    share = region.rule(("face", "license_plate")[class_id]).dilation
    assert np.array_equal(covered(areas, 60, 40), touched(dilate(found.xyxy, share), 60, 40))
    assert areas.dtype == np.int32


@pytest.mark.parametrize(
    ("box", "areas"),
    [
        ([55, 5, 65, 15], [[55, 5, 60, 15], [0, 5, 5, 15]]),
        ([-5, 5, 5, 15], [[55, 5, 60, 15], [0, 5, 5, 15]]),
        ([50, 5, 60, 15], [[50, 5, 60, 15]]),
        ([0, 5, 60, 15], [[0, 5, 60, 15]]),
        ([30, 5, 90, 15], [[0, 5, 60, 15]]),
        ([-500, -5, 500, 5], [[0, 0, 60, 5]]),
        ([59.5, 0, 60.25, 3], [[59, 0, 60, 3], [0, 0, 1, 3]]),
        ([5, 5, 5, 15], []),
    ],
)
def test_boxes_that_reach_over_the_seam_are_split_there(box: list[float], areas: list[list[int]]) -> None:
    """Two areas for a box over the seam, one for any other, and the full width for whatever is wider."""
    assert pixel_boxes_around(np.array([box], np.float32), 60, 40).tolist() == areas


def test_a_dilation_alone_reaches_over_the_seam(params: Params) -> None:
    """A box that ends before the border goes on behind it once it has grown."""
    strict = params.regions["strict"]
    region = strict.model_copy(update={"face": strict.face.model_copy(update={"dilation": 0.15})})
    found = Detections.of([[38, 10, 58, 30]], 0.9, FACE)
    assert areas_to_hide(found, region, 60, 40, wraps=True).tolist() == [[35, 7, 60, 33], [0, 7, 1, 33]]
    assert areas_to_hide(found, region, 60, 40).tolist() == [[35, 7, 60, 33]]


@given(boxes=_around)
@settings(max_examples=100, deadline=None)
def test_folded_boxes_stand_where_they_stood(boxes: list) -> None:
    """Folding moves boxes by whole turns: x1 lies in the picture, and the width stays, up to one turn."""
    xyxy = np.array(boxes, np.float32).reshape(-1, 4)
    folded = fold(xyxy, 60)
    assert ((folded[:, 0] >= 0) & (folded[:, 0] < 60)).all()
    assert folded[:, 2] - folded[:, 0] == pytest.approx(np.minimum(xyxy[:, 2] - xyxy[:, 0], 60), abs=1e-4)
    narrow = xyxy[:, 2] - xyxy[:, 0] < 60
    turns = (folded[narrow, 0] - xyxy[narrow, 0]) / 60
    assert turns == pytest.approx(np.round(turns), abs=1e-5)
    assert np.array_equal(folded[:, [1, 3]], xyxy[:, [1, 3]])


def test_a_hair_left_of_the_border_does_not_become_the_width() -> None:
    """−10⁻⁹ px plus a turn is rounded to the width, which is the first column."""
    for hair in (-1e-9, -1e-45):
        folded = fold(np.array([[hair, 0, 5, 5]], np.float32), 60)
        assert folded.tolist() == [[0, 0, 5, 5]]


@given(boxes=_around, data=st.data(), min_iou=st.floats(0.05, 1))
@settings(max_examples=150, deadline=None)
def test_merging_round_the_seam_uncovers_nothing(boxes: list, data: st.DataObject, min_iou: float) -> None:
    """Whichever rows count, and whichever were cut, each class covers afterwards what these rows covered."""
    n = len(boxes)
    shift = data.draw(st.lists(st.floats(-4, 4, width=32), min_size=n, max_size=n))
    twins = [(x1 + d, y1 + d, x2 + d, y2 + d) for (x1, y1, x2, y2), d in zip(boxes, shift, strict=True)]
    both = np.array(boxes + twins, np.float32).reshape(-1, 4)

    def drawn(values: st.SearchStrategy) -> NDArray:
        return np.array(data.draw(st.lists(values, min_size=2 * n, max_size=2 * n)))

    found = Detections.of(fold(both, 60), drawn(st.floats(0, 1, width=32)), drawn(st.sampled_from([0, 1])))
    counts, cut = drawn(st.booleans()).astype(bool), drawn(st.booleans()).astype(bool)
    merged = merge_around(found, cut, min_iou, counts, 60)
    assert len(merged) <= 2 * n
    assert ((merged.xyxy[:, 0] >= 0) & (merged.xyxy[:, 0] < 60)).all()
    for class_id in (FACE, LICENSE_PLATE):
        # Half a thousandth of a pixel may be lost where single precision moves a box by a turn.
        inner = found.select(counts).of_class(class_id).xyxy + np.array([5e-4, 5e-4, -5e-4, -5e-4], np.float32)
        before = touched(inner[(inner[:, 2:] > inner[:, :2]).all(axis=1)], 60, 40)
        assert touched(merged.of_class(class_id).xyxy, 60, 40)[before].all()


def test_duplicates_on_both_sides_of_the_seam_are_one() -> None:
    """A box that begins just left of the border and one just right of it are one object across the seam."""
    found = Detections.of([[58, 0, 78, 20], [1, 0, 21, 20], [0, 0, 18, 20]], [0.5, 0.9, 0.4], FACE)
    merged = merge_around(found, np.zeros(3, bool), 0.5, np.ones(3, bool), 60)
    assert merged.xyxy.tolist() == [[58, 0, 81, 20]]
    assert merged.confidence.tolist() == pytest.approx([0.9])
    unsure = merge_around(found, np.zeros(3, bool), 0.5, np.array([False, True, False]), 60)
    assert unsure.xyxy.tolist() == [[1, 0, 21, 20]]


# The poles


@given(view=_views, share=st.tuples(st.floats(0, 1), st.floats(0, 1)))
@settings(max_examples=300, deadline=None)
def test_points_go_to_the_panorama_and_back(view: View, share: tuple[float, float]) -> None:
    """The inverse projection is undone by Snyder's forward formulas, for every view and every point of it."""
    x, y = np.array(share[0] * view.size_px), np.array(share[1] * view.size_px)
    column, row = points_in_panorama(x, y, view, WIDTH, HEIGHT)
    assert -1e-6 <= row <= HEIGHT + 1e-6
    back_x, back_y, cos_c = in_view(column, row, view, WIDTH, HEIGHT)
    assert cos_c > 0
    assert (float(back_x), float(back_y)) == pytest.approx((float(x), float(y)), abs=1e-4)


@pytest.mark.parametrize("pitch_deg", [60, -60])
def test_a_view_is_upright_and_not_mirrored(pitch_deg: float) -> None:
    """The middle stands where the view looks, up is towards the zenith and right is east."""
    view = View(90, pitch_deg, 75, 100)
    x, y = np.array([50.0, 50.0, 60.0]), np.array([50.0, 40.0, 50.0])
    columns, rows = points_in_panorama(x, y, view, 360, 180)
    assert (columns[0], rows[0]) == pytest.approx((270, 90 - pitch_deg))
    assert rows[1] < rows[0]
    assert columns[2] > columns[0]


@st.composite
def _boxes_of_views(draw: st.DrawFn) -> tuple[View, tuple[float, ...]]:
    """A view and a box in it, often one around or near to the pole."""
    view = draw(_views)
    x1, x2 = sorted(draw(st.tuples(st.floats(0, view.size_px), st.floats(0, view.size_px))))
    y1, y2 = sorted(draw(st.tuples(st.floats(0, view.size_px), st.floats(0, view.size_px))))
    if draw(st.booleans()):
        pole_y = view.size_px / 2 - view.focal_px / np.tan(np.radians(view.pitch_deg))
        if 0 <= pole_y <= view.size_px:
            y1, y2 = min(y1, pole_y + draw(st.floats(-3, 3))), max(y2, pole_y + draw(st.floats(-3, 3)))
    return view, (x1, max(y1, 0.0), x2, min(y2, float(view.size_px)))


@given(case=_boxes_of_views())
@settings(max_examples=250, deadline=None)
def test_the_mapped_box_contains_every_pixel_of_the_object(case: tuple[View, tuple[float, ...]]) -> None:
    """No pixel whose middle lies in the view's box is outside of the panorama's, pole and seam included."""
    view, box = case
    mapped = boxes_in_panorama(np.array([box], np.float32), view, 256, 128)
    assert 0 <= mapped[0, 0] < 256
    assert 0 <= mapped[0, 1] <= mapped[0, 3] <= 128
    inner = (box[0] + 1e-3, box[1] + 1e-3, box[2] - 1e-3, box[3] - 1e-3)  # boxes are held in single precision
    assert covered(pixel_boxes_around(mapped, 256, 128), 256, 128)[projected(inner, view, 256, 128)].all()


@given(case=_boxes_of_views())
@settings(max_examples=150, deadline=None)
def test_the_mapped_box_is_no_larger_than_needed(case: tuple[View, tuple[float, ...]]) -> None:
    """Each side touches the object: a finely sampled outline comes within two pixels of it, but for a polar box."""
    view, box = case
    x1, y1, x2, y2 = np.array(box, np.float32).astype(float)
    middle, pole_y = view.size_px / 2, view.size_px / 2 - view.focal_px / np.tan(np.radians(view.pitch_deg))
    if x1 - 1 <= middle <= x2 + 1 and y1 - 1 <= pole_y <= y2 + 1:
        return  # there or nearly there the full width is right
    along = np.linspace(0, 1, 2001)
    x = np.concatenate([x1 + (x2 - x1) * along, np.full(2001, x2), x1 + (x2 - x1) * along, np.full(2001, x1)])
    y = np.concatenate([np.full(2001, y1), y1 + (y2 - y1) * along, np.full(2001, y2), y1 + (y2 - y1) * along])
    columns, rows = points_in_panorama(x, y, view, 256, 128)
    mapped = boxes_in_panorama(np.array([box], np.float32), view, 256, 128)[0]
    assert (mapped[1], mapped[3]) == pytest.approx((rows.min(), rows.max()), abs=2.01)
    centre = points_in_panorama(np.array((x1 + x2) / 2), np.array((y1 + y2) / 2), view, 256, 128)[0]
    beside = (columns - centre + 128) % 256 - 128
    assert mapped[2] - mapped[0] <= beside.max() - beside.min() + 2.01


@pytest.mark.parametrize("pitch_deg", [70, -70])
def test_a_box_around_the_pole_is_the_full_width_up_to_it(pitch_deg: float) -> None:
    """It covers every column, from the pole's row on; a box beside the pole does not."""
    view = View(200, pitch_deg, 75, 200)
    pole_y = 100 - view.focal_px / np.tan(np.radians(pitch_deg))
    around, beside = [90, pole_y - 5, 120, pole_y + 9], [110, pole_y - 5, 120, pole_y + 9]
    full, part = boxes_in_panorama(np.array([around, beside], np.float32), view, WIDTH, HEIGHT)
    assert (full[0], full[2]) == (0, WIDTH)
    assert (full[1] == 0) if pitch_deg > 0 else (full[3] == HEIGHT)
    assert full[3] - full[1] < 40
    assert part[2] - part[0] < WIDTH / 2


def test_the_views_see_every_direction_near_the_poles(params: Params) -> None:
    """Every pixel above 30° of latitude lies in a view, up and down, with the pole itself in several."""
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    seen = np.zeros((HEIGHT, WIDTH), int)
    for view in polar_views(WIDTH, params.detection.panorama):
        view_x, view_y, cos_c = in_view(x, y, view, WIDTH, HEIGHT)
        seen += (cos_c > 0) & (view_x >= 0) & (view_x <= view.size_px) & (view_y >= 0) & (view_y <= view.size_px)
    polar = np.abs(90 - y * 180 / HEIGHT) > 30
    assert (seen[polar] >= 1).all()
    assert (seen[[0, -1]] >= params.detection.panorama.views_per_pole).all()


def test_views_are_as_fine_as_the_panorama(params: Params) -> None:
    """In its middle a view has as many pixels for a degree as the panorama has columns, and there are 6 per pole."""
    views = polar_views(4096, params.detection.panorama)
    assert len(views) == len(set(views)) == 12
    for view in views:
        assert view.focal_px == pytest.approx(4096 / (2 * np.pi), rel=0.001)
    assert sorted({view.pitch_deg for view in views}) == [-60, 60]
    assert sorted({view.yaw_deg for view in views}) == [0, 60, 120, 180, 240, 300]


def test_a_rendered_view_shows_the_panorama() -> None:
    """Each pixel of a view has the colour of its direction, at the seam and at the pole without a foreign streak."""
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    red = 128 + 100 * np.cos(x / WIDTH * 2 * np.pi)
    pixels = np.stack([red, y / HEIGHT * 255, np.zeros_like(x)], axis=2).round().astype(np.uint8)
    for pitch_deg in (60, -60):
        view = View(180, pitch_deg, 75, 120)
        seen = render(pixels, view)
        assert (seen.shape, seen.dtype) == ((120, 120, 3), np.uint8)
        columns, rows = points_in_panorama(
            *np.meshgrid(np.arange(120) + 0.5, np.arange(120) + 0.5), view, WIDTH, HEIGHT
        )
        assert np.abs(seen[:, :, 0] - (128 + 100 * np.cos(columns / WIDTH * 2 * np.pi))).max() < 3
        assert np.abs(seen[:, :, 1] - rows / HEIGHT * 255).max() < 3


def test_a_panorama_wider_than_opencv_can_sample_is_seen_too() -> None:
    """40 000 columns, which reading allows, make a view like that of a narrow panorama."""
    pixels = np.zeros((20, 40_000, 3), np.uint8)
    pixels[:, :20_000] = 200
    view = View(-90, 60, 40, 32)
    assert (render(pixels, view)[16:] == 200).all()


class Discs:
    """A detector that knows whole magenta discs by their shape, and nothing that is stretched."""

    name = "centerface"

    def detect(self, pixels: NDArray[np.uint8], threshold: float) -> Detections:
        """A box for each magenta spot that is about as wide as high and fills its box as a disc does."""
        mask = (np.abs(pixels.astype(int) - MAGENTA).max(axis=2) < 60).astype(np.uint8)
        spots = cv2.connectedComponentsWithStats(mask)[2][1:]
        boxes = [
            [x, y, x + width, y + height]
            for x, y, width, height, area in spots
            if 0.7 < width / height < 1.4 and 0.7 < area / (width * height) < 0.9
        ]
        return Detections.of(boxes, 0.9, FACE)


def with_disc(yaw_deg: float, pitch_deg: float) -> tuple[NDArray[np.uint8], Mask]:
    """A panorama with a disc of 12° as somebody who looks there sees it, and the disc's pixels."""
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    view = View(yaw_deg, pitch_deg, 75, 1000)
    view_x, view_y, cos_c = in_view(x, y, view, WIDTH, HEIGHT)
    radius_px = view.focal_px * np.tan(np.radians(6))
    disc = (cos_c > 0) & (np.hypot(view_x - 500, view_y - 500) < radius_px)
    pixels = grey()
    pixels[disc] = MAGENTA
    return pixels, disc


@pytest.mark.parametrize("pitch_deg", [65, -65, 80, -80, 88, -88])
@pytest.mark.parametrize("yaw_deg", [0, 37, 180])
def test_a_face_at_a_pole_is_found_and_hidden(params: Params, pitch_deg: float, yaw_deg: float) -> None:
    """What only somebody looking up or down recognises is hidden whole, at the seam too; without views it is missed."""
    region = params.regions["strict"]
    pixels, disc = with_disc(yaw_deg, pitch_deg)
    cascade = Cascade((Discs(),), params.detection)
    assert len(cascade.propose(np.roll(pixels, WIDTH // 4, axis=1), region)) == 0  # away from the seam too
    found = cascade.propose(pixels, region, wraps=True)
    hidden = covered(areas_to_hide(found, region, WIDTH, HEIGHT, wraps=True))
    assert hidden[disc].all()
    assert hidden.mean() < 0.25
    if abs(pitch_deg) == 88:  # it contains the pole
        assert hidden[0 if pitch_deg > 0 else -1].all()


def test_a_face_at_the_horizon_is_found_without_views(params: Params) -> None:
    """The detector that needs the views at the poles needs none elsewhere."""
    pixels, disc = with_disc(40, 5)
    found = Cascade((Discs(),), params.detection).propose(pixels, params.regions["strict"])
    assert len(found) == 1
    assert covered(areas_to_hide(found, params.regions["strict"], WIDTH, HEIGHT))[disc].all()


@pytest.mark.parametrize("pitch_deg", [60, -60, 80, -80])
def test_the_toy_models_faces_at_a_pole_are_covered(cascade: Cascade, params: Params, pitch_deg: float) -> None:
    """A square drawn through a view is hidden whole by what the network's own boxes become in the panorama."""
    region = params.regions["strict"]
    view = View(60, pitch_deg, 75, 1000)
    side_px = 1.5 * SQUARE_PX * view.focal_px / (WIDTH / 2 / np.pi)
    low, high = view.size_px / 2 - side_px / 2, view.size_px / 2 + side_px / 2
    face = projected((low, low, high, high), view)
    pixels = grey()
    pixels[face] = MAGENTA
    found = cascade.propose(pixels, region, wraps=True)
    blurred = found.select([outcome is Outcome.BLURRED for outcome in decide(found, region)])
    assert covered(areas_to_hide(blurred, region, WIDTH, HEIGHT, wraps=True))[face].all()


# Settings


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fov_deg": 50}, "must reach the pole"),
        ({"views_per_pole": 5}, "leave a gap"),
        ({"views_per_pole": 2}, "views_per_pole"),
        ({"pitch_deg": 90}, "pitch_deg"),
        ({"fov_deg": 121}, "fov_deg"),
        ({"seam_overlap_share": 1.1}, "seam_overlap_share"),
    ],
)
def test_settings_that_leave_directions_unseen_are_refused(
    tmp_path: Path, changes: dict[str, float], message: str
) -> None:
    """Views must reach the pole and each other, and every value its bounds; the message names the key."""
    with pytest.raises(StreetveilError, match=rf"detection\.panorama.*{message}"):
        load_params(with_panorama(tmp_path, **changes))


@given(pitch_deg=st.floats(1, 89), fov_deg=st.floats(2, 120), views_per_pole=st.integers(3, 12))
@settings(max_examples=200, deadline=None)
def test_settings_that_load_leave_no_gap(params: Params, pitch_deg: float, fov_deg: float, views_per_pole: int) -> None:
    """Between the latitude of the views' middle and the pole, every direction is in a view, whatever is configured."""
    changes = {"pitch_deg": pitch_deg, "fov_deg": fov_deg, "views_per_pole": views_per_pole}
    try:
        chosen = type(params.detection.panorama).model_validate(params.detection.panorama.model_dump() | changes)
    except ValueError:
        return
    latitude, longitude = np.meshgrid(np.linspace(pitch_deg, 90, 40), np.linspace(0, 360, 180))
    seen = np.zeros(latitude.shape, bool)
    for view in polar_views(36_000, chosen):
        x, y, cos_c = in_view(longitude * 100, (90 - latitude) * 100, view, 36_000, 18_000)
        # The views' whole number of pixels is worth a hundredth of a degree.
        seen |= (cos_c > 0) & (np.abs(2 * x / view.size_px - 1) < 1.001) & (np.abs(2 * y / view.size_px - 1) < 1.001)
    assert seen.all()
