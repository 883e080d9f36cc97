"""Several views share one canvas without a gap, and each keeps its objects in its own cell."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from components.imaging.reading import Pixels
from components.settings import PROJECT_ROOT, load_params
from components.training.images import TrainingImage
from components.training.views import canvas as module
from components.training.views.canvas import Drawn, canvas_of
from components.training.views.view import OUTSIDE_GREY, View
from tests.training.conftest import still

SHIPPED = load_params(PROJECT_ROOT / "params.yaml").training.views
SHARES = {1: (1, 0, 0), 4: (0, 1, 0), 9: (0, 0, 1)}
SCRIPT = """
import hashlib
from pathlib import Path

import numpy as np

from components.settings import PROJECT_ROOT, load_params
from components.training.images import TrainingImage
from components.training.views.canvas import canvas_of

settings = load_params(PROJECT_ROOT / "params.yaml").training.views.model_copy(update={"rendered_plate_share": 0.8})
pixels = np.random.default_rng(3).integers(0, 256, (120, 160, 3)).astype(np.uint8)
boxes = [[20, 20, 40, 44], [80, 70, 120, 82]]
image = TrainingImage.of(Path("a.png"), (160, 120), boxes, [0, 1], ignored=[[0, 0, 9, 9]], exhaustive=["face"])
digest = hashlib.sha256()
for seed in range(4):
    view = canvas_of((image, pixels), lambda rng: (image, pixels), settings, 192, [7, 3, seed])
    for values in (view.pixels, view.boxes, view.class_id, view.box_weight, view.uncounted):
        digest.update(values.tobytes())
found = digest.hexdigest()
"""


def shade(number: int) -> int:
    """The grey of a picture, by its number."""
    return 130 + 10 * number


def picture(number: int) -> tuple[TrainingImage, Pixels]:
    """A grey picture, and one white face in it, whose weight is the picture's number."""
    pixels = np.full((80, 100, 3), shade(number), np.uint8)
    pixels[30:50, 40:60] = 255
    exhaustive = ("face",) if number % 2 else ("face", "license_plate")
    return TrainingImage.of(Path(f"{number}.png"), (100, 80), [[40, 30, 60, 50]], 0, number, (), exhaustive), pixels


def drawing() -> Drawn:
    """Gives the pictures 2, 3, … in their order."""
    numbers: Iterator[int] = count(2)
    return lambda rng: picture(next(numbers))


def shown(views: int, side_px: int, seed: int, **changes: object) -> View:
    """A canvas of so many views without other variation: picture 1 first, then the others in their order."""
    varied = still(SHIPPED, cells_shares=SHARES[views], object_px=(8, 16), min_object_px=1, **changes)
    return canvas_of(picture(1), drawing(), varied, side_px, [seed])


@pytest.mark.parametrize("views", [1, 4, 9])
@pytest.mark.parametrize("side_px", [96, 100, 128])
def test_objects_stay_in_their_cells(views: int, side_px: int) -> None:
    """The k-th picture's object is in the k-th cell, by its box and by its pixels, at most one pixel beyond it."""
    cells = round(views**0.5)
    for seed in range(6):
        view = shown(views, side_px, seed)
        assert view.box_weight.tolist() == list(range(1, views + 1))
        edges = np.array([round(i * side_px / cells) for i in range(cells + 1)])
        for k, box in enumerate(view.boxes):
            row, column = divmod(k, cells)
            low, high = np.array([edges[column], edges[row]]), np.array([edges[column + 1], edges[row + 1]])
            assert (box[:2] >= low).all()
            assert (box[2:] <= high + 1).all()
            x, y = ((box[:2] + box[2:]) / 2).astype(int)
            assert (view.pixels[y, x] == 255).all()
            inside = view.pixels[low[1] + 1 : high[1] - 1, low[0] + 1 : high[0] - 1]
            own, *others = ((inside == shade(other)).mean() for other in [k + 1, *{*range(1, 10)} - {k + 1}])
            assert own > 0.2
            assert max(others) < 0.15  # a line where a picture ends can have another one's grey


@pytest.mark.parametrize("views", [1, 4, 9])
def test_masks_stay_in_their_cells(views: int) -> None:
    """A picture whose plates nobody has labelled is uncounted on its own pixels, and the others are not."""
    view = shown(views, 96, 3)
    for number in range(1, views + 1):
        own = (view.pixels == shade(number)).all(axis=2)
        assert own.sum() > 200
        assert (view.uncounted[own] == (2 if number % 2 else 0)).mean() > 0.95


@pytest.mark.parametrize("views", [1, 4, 9])
def test_the_first_picture_is_always_shown(views: int) -> None:
    """Whatever else is on a canvas, the picture that it was made for is on it, with its object."""
    for seed in range(10):
        view = shown(views, 128, seed, mirrored_share=0.5, rotation_deg=8)
        assert view.box_weight[0] == 1
        assert (view.pixels == shade(1)).all(axis=2).sum() > 300


@pytest.mark.parametrize("views", [1, 4, 9])
@pytest.mark.parametrize("side_px", [64, 97, 100, 101])
def test_no_pixel_is_left_unset(views: int, side_px: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sides that do not divide by the number of cells leave no gap, in the pixels and in the mask."""
    unset = 77
    monkeypatch.setattr(module.np, "empty", lambda shape, dtype=float: np.full(shape, unset, dtype))
    view = shown(views, side_px, 1)
    monkeypatch.undo()
    assert view.pixels.shape == (side_px, side_px, 3)
    assert view.pixels.min() >= OUTSIDE_GREY
    assert view.uncounted.shape == (side_px, side_px)
    assert view.uncounted.max() <= 3


def test_shares_choose_the_number_of_views() -> None:
    """Each number of views comes up as often as its share says."""
    settings = still(SHIPPED, cells_shares=(0.5, 0.3, 0.2), object_px=(8, 16), min_object_px=1)
    counts = [len(canvas_of(picture(1), drawing(), settings, 96, [seed]).boxes) for seed in range(200)]
    shares = [counts.count(views) / 200 for views in (1, 4, 9)]
    np.testing.assert_allclose(shares, [0.5, 0.3, 0.2], atol=0.12)
    assert sum(shares) == pytest.approx(1)


def test_objects_are_smaller_where_there_is_less_room() -> None:
    """In a ninth of a canvas the largest objects are smaller than on a whole one, the smallest ones the same."""
    sizes = {}
    for views in SHARES:
        settings = still(SHIPPED, cells_shares=SHARES[views], object_px=(6, 160), min_view_share=0.1, max_enlargement=9)
        boxes = [canvas_of(picture(1), drawing(), settings, 320, [seed]).boxes for seed in range(60 // views)]
        sizes[views] = np.concatenate([box[:, 3] - box[:, 1] for box in boxes])
    assert sizes[1].max() > 100
    assert sizes[4].max() < 160 / 2**1.5 + 1
    assert sizes[9].max() < 160 / 3**1.5 + 1
    assert max(found.min() for found in sizes.values()) < 9


def test_rendered_plates_become_objects() -> None:
    """With a share of 1, views get a plate of weight 1 beside their own objects, and its place counts as background."""
    found = [shown(1, 128, seed, rendered_plate_share=1, min_view_share=1) for seed in range(10)]
    plates = [view for view in found if 1 in view.class_id]
    assert len(plates) >= 5
    for view in plates:
        own = view.class_id == 1
        assert (own.sum(), (~own).sum()) == (1, 1)
        assert view.box_weight[own].tolist() == [1]
        x1, y1, x2, y2 = view.boxes[own][0].astype(int)
        assert (view.uncounted[y1:y2, x1:x2] == 0).all()
        assert view.pixels[y1:y2, x1:x2].std() > 5


def test_the_same_seed_gives_the_same_canvas_in_another_process() -> None:
    """With everything varied, pixels and labels follow from the seed alone, in whichever process they are made."""
    here: dict[str, str] = {}
    exec(SCRIPT, here)
    command = [sys.executable, "-c", f"{SCRIPT}\nprint(found)"]
    outcome = subprocess.run(command, capture_output=True, text=True, check=True, cwd=PROJECT_ROOT)
    assert outcome.stdout.strip() == here["found"]
    first, other = (canvas_of(picture(1), drawing(), SHIPPED, 192, [seed]) for seed in (1, 2))
    assert not np.array_equal(first.pixels, other.pixels)
