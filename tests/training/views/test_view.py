"""A view shows an object at the size that was drawn for it, and its labels where their pixels went."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from numpy.typing import NDArray

from components.detections import CLASS_NAMES, FACE, LICENSE_PLATE, Boxes
from components.imaging.reading import Pixels
from components.settings import PROJECT_ROOT, Views, load_params
from components.training.images import TrainingImage
from components.training.views.view import OUTSIDE_GREY, View, moved_boxes, view_of
from tests.training.conftest import still

SHIPPED = load_params(PROJECT_ROOT / "params.yaml").training.views
WILD = {"rotation_deg": 8, "shear_deg": 6, "stretch_share": 0.15, "perspective": 0.15, "mirrored_share": 0.5}
MAGENTA, YELLOW, RED = (255, 0, 255), (255, 255, 0), (255, 0, 0)
BOTH = {FACE: MAGENTA, LICENSE_PLATE: YELLOW}


def labelled(size: tuple[int, int], boxes: Any, class_id: Any = FACE, **more: Any) -> TrainingImage:
    """Labels without a file."""
    return TrainingImage.of(Path("a.png"), size, boxes, class_id, **more)


def drawn(image: TrainingImage, rounded: bool = False) -> Pixels:
    """A nearly black picture with its faces in magenta and its plates in yellow.

    Args:
        image: the labels.
        rounded: draw shapes between box and ellipse, as faces and plates are.
    """
    pixels = np.full((image.height, image.width, 3), 10, np.uint8)
    for (x1, y1, x2, y2), class_id in zip(image.boxes.tolist(), image.class_id, strict=True):
        top, left = int(y1), int(x1)
        y, x = np.mgrid[top : int(y2) + 1, left : int(x2) + 1] + 0.5
        across, down = abs(x - (x1 + x2) / 2) / ((x2 - x1) / 2), abs(y - (y1 + y2) / 2) / ((y2 - y1) / 2)
        inside = across**4 + down**4 <= 1 if rounded else np.maximum(across, down) <= 1
        pixels[top : int(y2) + 1, left : int(x2) + 1][inside[: image.height - top, : image.width - left]] = BOTH[
            int(class_id)
        ]
    return pixels


def coloured(view: View, colour: tuple[int, int, int]) -> NDArray[np.bool_]:
    """The pixels of a view that are nearer to a pure colour than to what lies around it."""
    return np.all(np.abs(view.pixels.astype(int) - colour) < 110, axis=2)


def around(mask: NDArray[np.bool_]) -> Boxes:
    """The box around a mask."""
    y, x = np.nonzero(mask)
    return np.array([x.min(), y.min(), x.max() + 1, y.max() + 1], np.float32)


def shorter(box: Boxes) -> float:
    """The shorter side."""
    return float(min(box[2] - box[0], box[3] - box[1]))


def seen(image: TrainingImage, seed: int, side: int = 128, rounded: bool = False, **changes: Any) -> View:
    """A view of a drawn picture."""
    settings = still(SHIPPED, **changes)
    return view_of(image, drawn(image, rounded), side, settings.object_px, settings, np.random.default_rng(seed))


@examples(max_examples=80, deadline=None)
@given(
    size=st.tuples(st.integers(60, 500), st.integers(60, 500)),
    place=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    object_px=st.tuples(st.floats(4, 50), st.floats(1, 1.3)),
    wild=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_the_object_has_the_drawn_size(
    size: tuple[int, int], place: tuple[float, float], object_px: tuple[float, float], wild: bool, seed: int
) -> None:
    """A picture's only object is between the bounds, unless the picture is too small for them, or enlarged enough."""
    side, low, high = 128, 8.0, 24.0
    extent = np.array([object_px[0], object_px[0] * object_px[1]])
    corner = np.array(place) * (np.array(size) - extent)
    image = labelled(size, [[*corner, *(corner + extent)]])
    view = seen(image, seed, side, object_px=(low, high), min_object_px=0.1, **(WILD if wild else {}))
    slack = 1.7 if wild else 1.01
    least_scale = side / max(size)
    (box,) = view.boxes
    assert shorter(box) <= max(high, object_px[0] * least_scale) * slack
    if (box > 0).all() and (box < side).all():  # whole
        enlarged = max(SHIPPED.max_enlargement, least_scale)
        assert shorter(box) >= min(max(low, object_px[0] * least_scale), object_px[0] * enlarged) / slack
        assert shorter(box) <= object_px[0] * enlarged * slack


def test_sizes_are_drawn_evenly_by_their_logarithm() -> None:
    """Over many views, an object is as often below the bounds' geometric mean as above it, and comes near to both."""
    image = labelled((400, 400), [[180, 190, 220, 230]])
    found = np.array([shorter(seen(image, seed, object_px=(14, 90)).boxes[0]) for seed in range(200)])
    assert 0.4 < (found < np.sqrt(14 * 90)).mean() < 0.6
    assert found.min() < 16
    assert found.max() > 78


def test_complete_pictures_show_their_background_more_often() -> None:
    """Where every object is known, a view is of any place as often as the settings say; elsewhere, of an object."""
    image = labelled((4000, 4000), [[1980, 1980, 2020, 2020]])
    for complete, wanted in ((False, 1.0), (True, 0.3)):
        told = replace(image, complete=complete)
        shown = [len(seen(told, seed, complete_background_share=0.7).boxes) for seed in range(100)]
        assert np.mean(shown) == pytest.approx(wanted, abs=0.12)


def test_any_object_can_be_the_chosen_one() -> None:
    """Of two objects of different sizes, each is brought to the drawn size equally often."""
    image = labelled((400, 400), [[20, 20, 50, 50], [300, 300, 360, 360]], [FACE, LICENSE_PLATE])
    chosen = []
    for seed in range(60):
        view = seen(image, seed, side=100, object_px=(30, 30.01))  # too far from the other one to show it
        assert 29 < shorter(view.boxes[0]) < 31
        chosen += view.class_id.tolist()
    assert len(chosen) == 60
    assert 15 < chosen.count(FACE) < 45


@examples(max_examples=60, deadline=None)
@given(
    corner=st.tuples(st.integers(60, 180), st.integers(60, 180)),
    extent=st.tuples(st.integers(20, 60), st.integers(20, 60)),
    mirrored=st.sampled_from([0, 1]),
    seed=st.integers(0, 2**32),
)
def test_boxes_go_where_their_pixels_go(
    corner: tuple[int, int], extent: tuple[int, int], mirrored: int, seed: int
) -> None:
    """Turned, sheared, stretched, tilted and mirrored, a shape is inside of its moved box and reaches all its sides."""
    image = labelled((300, 260), [[*corner, corner[0] + extent[0], corner[1] + extent[1]]])
    changes = {**WILD, "mirrored_share": mirrored, "object_px": (16, 60)}
    view = seen(image, seed, side=160, rounded=True, **changes)
    (box,) = view.boxes
    found = around(coloured(view, MAGENTA))
    np.testing.assert_allclose(found, box, atol=2.5)
    assert shorter(box) > 10


@pytest.mark.parametrize(("mirrored", "enlarged"), [(0, 0.7), (0, 1), (0, 2.5), (1, 0.7), (1, 1), (1, 2.5)])
def test_boxes_and_pixels_agree_to_a_part_of_a_pixel(mirrored: int, enlarged: float) -> None:
    """However much a picture is enlarged or mirrored, an object's middle is its box's middle, to 0.3 px."""
    image = labelled((300, 300), [[130, 140, 160, 164]])
    wanted = 24 * enlarged
    off = []
    for seed in range(20):
        view = seen(image, seed, side=150, object_px=(wanted, wanted + 0.01), mirrored_share=mirrored)
        y, x = np.nonzero(coloured(view, MAGENTA))
        box = view.boxes[0]
        if (box > 0).all() and (box < 150).all():
            off.append([x.mean() + 0.5, y.mean() + 0.5] - (box[:2] + box[2:]) / 2)
    assert len(off) > 10
    assert np.abs(np.mean(off, axis=0)).max() < 0.3


def test_a_mirrored_view_is_mirrored() -> None:
    """With a share of 1, what is on the left of the picture is on the right of every view, and with 0 of none."""
    image = labelled((200, 100), [[20, 40, 50, 70], [150, 40, 180, 70]], [FACE, LICENSE_PLATE])
    for share in (0, 1):
        view = seen(image, 5, side=200, object_px=(25, 26), mirrored_share=share)
        face, plate = (around(coloured(view, colour))[0] for colour in (MAGENTA, YELLOW))
        assert (face > plate) == bool(share)
        assert (view.boxes[0, 0] > view.boxes[1, 0]) == bool(share)


@pytest.mark.parametrize("wild", [False, True])
def test_cut_objects_count_neither_way(wild: bool) -> None:
    """An object of which less than 40 % is seen is no object, and where it is seen, no background of either class."""
    kept = cut = 0
    for seed, (right, down) in enumerate((x, y) for x in range(-90, 91, 12) for y in range(-90, 91, 30)):
        if abs(right) < 35 and abs(down) < 35:
            continue
        other = np.array([185 + right, 185 + down, 215 + right, 215 + down])
        image = labelled((400, 400), [[185, 185, 215, 215], other], [FACE, LICENSE_PLATE])
        view = seen(image, seed, side=100, object_px=(30, 30.01), **(WILD if wild else {}))
        for class_id, colour in BOTH.items():
            mask = coloured(view, colour)
            own = view.boxes[view.class_id == class_id]
            share = mask.sum() / 900
            if share < 0.3 or (not wild and share < 0.38):
                assert not len(own)
            elif share > 0.6 or (not wild and share > 0.42):
                assert len(own) == 1
            if len(own):
                kept += 1
                assert (view.uncounted[mask] == 0).mean() > 0.9
            elif mask.any():
                cut += 1
                assert (view.uncounted[mask] == 3).sum() >= 0.8 * mask.sum() - 40  # but for a line at an edge
    assert min(kept, cut) > 8


def test_objects_below_the_smallest_size_count_neither_way() -> None:
    """An object smaller than `min_object_px` on the canvas is no object, and its place no background."""
    image = labelled((200, 200), [[60, 60, 90, 90], [110, 110, 116, 130]], [FACE, LICENSE_PLATE])
    for seed in range(10):
        view = seen(image, seed, side=200, object_px=(5, 5.01), min_object_px=8)
        assert view.class_id.tolist() == [FACE]
        assert (view.uncounted[coloured(view, YELLOW)] == 3).all()
        assert (view.uncounted == 3).sum() == 6 * 20
    assert seen(image, 0, side=200, object_px=(5, 5.01), min_object_px=5).class_id.tolist() == [FACE, LICENSE_PLATE]


def test_what_nobody_has_labelled_stays_uncounted() -> None:
    """The bits of an unlabelled class lie on the picture, and those of an ignored box on its pixels, beside nothing."""
    image = labelled(
        (300, 200), [[20, 20, 50, 50]], [LICENSE_PLATE], ignored=[[70, 40, 120, 110]], exhaustive=["license_plate"]
    )
    pixels = np.full((200, 300, 3), 10, np.uint8)
    pixels[40:110, 70:120] = RED
    settings = still(SHIPPED, object_px=(12, 60), **WILD)
    shown = np.zeros(3, int)
    for seed in range(40):
        rng = np.random.default_rng(seed)
        view = view_of(image, pixels, 160, settings.object_px, settings, rng)
        ignored = coloured(view, RED)
        usual = (view.pixels == 10).all(axis=2)
        beside = (view.pixels == OUTSIDE_GREY).all(axis=2)
        plate = np.zeros_like(usual)  # cut off, it is uncounted too
        if not len(view.boxes):
            plate[:] = True
        shown += [ignored.sum(), usual.sum(), beside.sum()]
        assert (view.uncounted[ignored] == 3).sum() >= 0.9 * ignored.sum() - 5
        assert (view.uncounted[usual & ~plate] == 1).sum() >= 0.97 * (usual & ~plate).sum()
        assert (view.uncounted[beside] == 0).sum() >= 0.97 * beside.sum()
    assert shown.min() > 2000


def test_complete_labels_leave_nothing_uncounted() -> None:
    """Where every class is labelled, nothing is ignored and nothing is cut, background counts everywhere."""
    image = labelled((200, 200), [[90, 90, 110, 110]])
    for seed in range(10):
        assert not seen(image, seed, object_px=(10, 40), **WILD).uncounted.any()


@pytest.mark.parametrize("exhaustive", [CLASS_NAMES, ()])
@pytest.mark.parametrize("size", [(40, 30), (700, 500)])
def test_a_picture_without_objects_is_background(size: tuple[int, int], exhaustive: tuple[str, ...]) -> None:
    """Any place of an empty picture is shown; it has no objects, and counts where somebody has looked."""
    image = labelled(size, [], [], exhaustive=exhaustive)
    for seed in range(5):
        view = seen(image, seed, object_px=(8, 40), **WILD)
        assert view.pixels.shape == (128, 128, 3)
        assert (len(view.boxes), len(view.class_id), len(view.box_weight)) == (0, 0, 0)
        picture = (view.pixels == 10).all(axis=2)
        assert picture.sum() > 300
        assert (view.uncounted[picture] == (0 if exhaustive else 3)).mean() > 0.95


def test_the_same_seed_gives_the_same_view() -> None:
    """Pixels and labels follow from the seed alone, another one gives another view, and the picture stays as it is."""
    image = labelled((300, 260), [[60, 80, 90, 120], [150, 80, 190, 100]], [0, 1], ignored=[[0, 0, 30, 30]])
    pixels = np.random.default_rng(1).integers(0, 256, (260, 300, 3)).astype(np.uint8)
    before, settings = pixels.copy(), still(SHIPPED, **WILD)

    def view(seed: int) -> View:
        return view_of(image, pixels, 160, (8, 60), settings, np.random.default_rng(seed))

    first, again, other = view(1), view(1), view(2)
    for name in ("pixels", "boxes", "class_id", "box_weight", "uncounted"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert not np.array_equal(first.pixels, other.pixels)
    np.testing.assert_array_equal(pixels, before)


def test_weights_stay_with_their_objects() -> None:
    """Of several objects, those that a view shows keep their classes and weights."""
    image = labelled((400, 100), [[40 * i + 10, 40, 40 * i + 30, 60] for i in range(9)], [0, 1] * 4 + [0],
                     box_weight=np.arange(9) + 1.0)  # fmt: skip
    some = set()
    for seed in range(20):
        view = seen(image, seed, side=100, object_px=(20, 20.1))
        lefts = view.boxes[:, 0]
        assert (np.diff(view.box_weight) == 1).all()
        assert (np.diff(lefts[view.box_weight > 0]) > 0).all()
        assert (view.class_id == (view.box_weight - 1) % 2).all()
        some.add(len(view.boxes))
    assert some <= {1, 2, 3}


def test_moved_boxes_of_no_boxes() -> None:
    """Nothing moves to nothing, and the identity leaves a box as it is."""
    assert moved_boxes(np.zeros((0, 4), np.float32), np.eye(3)).shape == (0, 4)
    np.testing.assert_allclose(moved_boxes(np.array([[1, 2, 5, 9]], np.float32), np.eye(3)), [[1, 2, 5, 9]], atol=1e-5)


def test_what_is_far_away_does_not_reach_into_a_view() -> None:
    """In a tilted view, objects of a large picture that the view does not show leave its background counted."""
    image = labelled((1920, 1080), [[x, y, x + 60, y + 60] for x in range(0, 1860, 200) for y in range(0, 1020, 200)])
    pixels = np.zeros((1080, 1920, 3), np.uint8)
    settings: Views = still(SHIPPED, **WILD)
    for seed in range(60):
        view = view_of(image, pixels, 107, (30, 31), settings, np.random.default_rng(seed))
        assert (view.uncounted == 3).mean() < 0.5
