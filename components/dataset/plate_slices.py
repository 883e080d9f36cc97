"""An evaluation set of rendered plates at known angles: from the front and from the side, in one line and in two.

Every picture shows streets without people, with four to eight vehicles; all their plates are labelled, and there is no
face. The same bytes come every time. Run `python -m components.dataset.plate_slices FOLDER`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from PIL import Image

from components.dataset.labels import LabelledBox, LabelledImage, labelled_image, write_labels
from components.dataset.plate_lens import Light
from components.dataset.plate_views import PlateView, plate_view, set_into
from components.dataset.plates import at_night
from components.dataset.rendered_streets import background
from components.dataset.vehicle_bodies import Body, body_around
from components.detections import CLASS_NAMES, Boxes, intersections
from components.imaging.reading import Pixels

# Training draws from its own seeds; what starts with this number is for evaluation only.
SEED = 20_240_229
SIZE = 1440, 1080
TILTS_DEG = (0.0, 30.0), (30.0, 80.0)  # beyond 80° next to nothing is left to see
HEIGHTS_PX = 8.0, 64.0
PER_SLICE = 330  # of either tilt; half of them are square
_NARROWEST_PX = 4.0  # a plate of which less is seen is drawn again: nobody could tell that it is one
_FEWEST, _USUAL, _MOST = 4, 6, 8
_TRIES = 30
_NIGHT_SHARE = 0.25
_DAYS: tuple[Light, ...] = ("day", "day", "glare", "glass", "dark")


@dataclass(frozen=True, slots=True)
class Wanted:
    """One plate of the set: which slice it belongs to, and how high it would be without tilt, px."""

    tilt_deg: tuple[float, float]
    square: bool
    height_px: float


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """A plate on its vehicle at a place of the picture, px."""

    wanted: Wanted
    view: PlateView
    body: Body
    centre: tuple[int, int]

    @property
    def box(self) -> Boxes:
        """Where the plate will be, [4] xyxy px."""
        x, y = (place - middle for place, middle in zip(self.centre, self.view.middle, strict=True))
        return self.view.box + np.array([x, y, x, y], np.float32)


def write_plate_slices(folder: Path, seed: int = SEED, per_slice: int = PER_SLICE) -> Path:
    """Render the set.

    Args:
        folder: gets `images/` and `labels.json`.
        seed: of everything that varies.
        per_slice: how many plates at least of either tilt, half of them square.

    Returns:
        Its `labels.json`, which `read_labels(file, folder="")` reads. Each object's marks are `tilt_deg` (its own
        angle), `square`, `light` and `height_px` (without tilt).
    """
    (folder / "images").mkdir(parents=True, exist_ok=True)
    labels = folder / "labels.json"
    write_labels(labels, _written(folder, np.random.default_rng(seed), per_slice))
    return labels


def _written(folder: Path, rng: np.random.Generator, per_slice: int) -> Iterator[LabelledImage]:
    waiting = wanted_plates(rng, per_slice)
    number = 0
    while waiting:
        placed, waiting = _arranged(waiting, rng)
        path = f"images/{number:03}.jpg"
        pixels, image = _picture(placed, path, rng)
        Image.fromarray(pixels).save(folder / path, "JPEG", quality=int(rng.integers(78, 93)))
        yield image
        number += 1


def wanted_plates(rng: np.random.Generator, per_slice: int) -> list[Wanted]:
    """The plates of all slices, in an order in which every few of them have all heights."""
    each = -(-per_slice // 2)
    plates = []
    for tilt, square in product(TILTS_DEG, (False, True)):
        # One draw from each of many equal parts of the range: evener than as many free draws.
        shares = (np.arange(each) + rng.uniform(0, 1, each)) / each
        heights = HEIGHTS_PX[0] * (HEIGHTS_PX[1] / HEIGHTS_PX[0]) ** shares
        plates += [Wanted(tilt, square, float(height)) for height in heights]
    plates.sort(key=lambda plate: plate.height_px)
    pictures = -(-len(plates) // _USUAL)
    places = [int(place) for start in range(0, len(plates), pictures) for place in rng.permutation(pictures)]
    return [plate for _, plate in sorted(zip(places, plates, strict=False), key=lambda pair: pair[0])]


def _arranged(waiting: list[Wanted], rng: np.random.Generator) -> tuple[list[Placed], list[Wanted]]:
    """The next picture's plates, the far and small ones first; and those that found no room in it or come later."""
    count = int(rng.integers(_FEWEST, _MOST + 1))
    now, later = sorted(waiting[:count], key=lambda plate: plate.height_px), waiting[count:]
    placed: list[Placed] = []
    left_over: list[Wanted] = []
    for wanted in now:
        found = _with_room(wanted, placed, rng)
        placed += [found] if found else []
        left_over += [] if found else [wanted]
    while len(placed) < _FEWEST:  # with more than were asked for, small ones, which find room
        extra = Wanted(TILTS_DEG[int(rng.integers(2))], bool(rng.integers(2)), float(rng.uniform(8, 16)))
        found = _with_room(extra, placed, rng)
        placed += [found] if found else []
    return placed, left_over + later


def _with_room(wanted: Wanted, placed: list[Placed], rng: np.random.Generator) -> Placed | None:
    """A vehicle where it hides no plate that is there already; None if there is no such place."""
    view = _broad_enough(wanted, rng)
    body = body_around(view.pose, rng, wanted.square, SIZE)
    lowest = 0.62 + 0.3 * (wanted.height_px - HEIGHTS_PX[0]) / (HEIGHTS_PX[1] - HEIGHTS_PX[0])
    for _ in range(_TRIES):
        x, y = rng.uniform(0.02, 0.98) * SIZE[0], rng.uniform(0.42, lowest) * SIZE[1]
        found = Placed(wanted, view, body, (round(x), round(y)))
        if _inside(found.box) and not any(_hides(found, other.box) for other in placed):
            return found
    return None


def _broad_enough(wanted: Wanted, rng: np.random.Generator) -> PlateView:
    while True:
        view = plate_view(rng, wanted.height_px, wanted.tilt_deg, wanted.square)
        if (view.box[2:] - view.box[:2]).min() >= _NARROWEST_PX:
            return view


def _inside(box: Boxes) -> bool:
    return bool((box[:2] >= 4).all() and (box[2:] <= np.array(SIZE) - 4).all())


def _hides(placed: Placed, box: Boxes) -> bool:
    """Whether a vehicle or its plate would cover a part of a plate, or come within a few px of it."""
    x1, y1, x2, y2 = (int(side) for side in box + np.array([-4, -4, 4, 4], np.float32))
    left, top = (place - middle for place, middle in zip(placed.centre, placed.body.middle, strict=True))
    covered = placed.body.rgba[max(0, y1 - top) : max(0, y2 - top), max(0, x1 - left) : max(0, x2 - left), 3]
    return bool(covered.any()) or bool(intersections(placed.box[None], np.array([[x1, y1, x2, y2]], np.float32)).any())


def _picture(placed: list[Placed], path: str, rng: np.random.Generator) -> tuple[Pixels, LabelledImage]:
    """The pixels of a picture, and its labels."""
    night = bool(rng.random() < _NIGHT_SHARE)
    pixels = background(rng, SIZE)
    for one in placed:
        pixels = _in_front(pixels, one.body, one.centre)
    if night:
        pixels = at_night(pixels, rng, float(rng.uniform(0.18, 0.4)))
    boxes = []
    for one in placed:
        light: Light = "night" if night else _DAYS[int(rng.integers(len(_DAYS)))]
        pixels, box = set_into(pixels, one.view, one.centre, rng, light)
        marks = {
            "tilt_deg": round(one.view.tilt_deg, 1),
            "square": one.view.square,
            "light": light,
            "height_px": round(one.wanted.height_px, 1),
        }
        x1, y1, x2, y2 = (float(side) for side in box)
        boxes.append(LabelledBox((x1, y1, x2, y2), "license_plate", marks=marks))
    image = labelled_image(
        path, SIZE, "rendered", boxes,
        exhaustive=frozenset(CLASS_NAMES), night=night, mean_luma=round(float(pixels.mean()), 1),
    )  # fmt: skip
    return pixels, image


def _in_front(pixels: Pixels, body: Body, centre: tuple[int, int]) -> Pixels:
    height, width = pixels.shape[:2]
    left, top = (place - middle for place, middle in zip(centre, body.middle, strict=True))
    rows = slice(max(0, top), min(height, top + body.rgba.shape[0]))
    columns = slice(max(0, left), min(width, left + body.rgba.shape[1]))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return pixels
    patch = body.rgba[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    drawn = pixels.copy()
    behind = drawn[rows, columns] * (1 - patch[..., 3:] / np.float32(255))
    drawn[rows, columns] = np.clip(behind + patch[..., :3], 0, 255).astype(np.uint8)
    return drawn


if __name__ == "__main__":
    write_plate_slices(Path(sys.argv[1]))
