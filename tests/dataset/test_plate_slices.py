"""The rendered slices hold as many plates as they promise, labelled as they are, the same in every run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.dataset.labels import LabelledImage, read_labels
from components.dataset.plate_slices import (
    HEIGHTS_PX,
    PER_SLICE,
    SEED,
    SIZE,
    TILTS_DEG,
    wanted_plates,
    write_plate_slices,
)
from components.detections import CLASS_NAMES, LICENSE_PLATE, intersections


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small set, of the full kind."""
    folder = tmp_path_factory.mktemp("slices")
    write_plate_slices(folder, seed=4, per_slice=8)
    return folder


@pytest.fixture(scope="module")
def images(folder: Path) -> list[LabelledImage]:
    """The small set as it is read."""
    return list(read_labels(folder / "labels.json", folder=""))


def marks_of(images: list[LabelledImage]) -> list[Mapping[str, object]]:
    """What is said of each plate."""
    return [mark for image in images for mark in image.marks]


def test_the_full_set_has_at_least_320_plates_of_either_tilt() -> None:
    """Half of each slice is square, and heights are spread evenly in their logarithm over all of the range."""
    plates = wanted_plates(np.random.default_rng(SEED), PER_SLICE)
    counts = Counter((plate.tilt_deg, plate.square) for plate in plates)
    assert set(counts) == {(tilt, square) for tilt in TILTS_DEG for square in (False, True)}
    assert min(counts.values()) >= 160
    assert len(set(counts.values())) == 1
    bins, _ = np.histogram([plate.height_px for plate in plates], np.geomspace(*HEIGHTS_PX, 7))
    assert bins.min() > 0.9 * bins.max()


def test_no_plate_that_is_wanted_is_left_out(images: list[LabelledImage]) -> None:
    """A set has at least as many plates of each kind as it was asked for, though vehicles need room."""
    counts = Counter((float(str(mark["tilt_deg"])) < 30, mark["square"]) for mark in marks_of(images))
    assert min(counts[side, square] for side in (False, True) for square in (False, True)) >= 4


def test_labels_read_back_with_their_marks(images: list[LabelledImage]) -> None:
    """Every picture is exhaustive for both classes, and every plate has its tilt, lines, light and height."""
    assert all(image.exhaustive == set(CLASS_NAMES) and image.night is not None for image in images)
    for mark in marks_of(images):
        assert set(mark) == {"tilt_deg", "square", "light", "height_px"}
        assert 0 <= float(str(mark["tilt_deg"])) <= 80
        assert HEIGHTS_PX[0] <= float(str(mark["height_px"])) <= HEIGHTS_PX[1]
        assert mark["light"] in {"day", "night", "glare", "glass", "dark"}


def test_pictures_hold_four_to_eight_plates(images: list[LabelledImage]) -> None:
    """There are no other objects, and the pictures are as large as their labels say."""
    for image in images:
        assert 4 <= len(image.objects) <= 8
        assert (image.objects.class_id == LICENSE_PLATE).all()
        assert (image.width, image.height) == SIZE


def test_every_plate_is_whole_and_free(images: list[LabelledImage]) -> None:
    """Plates lie within the picture, at least four px across, and none covers another."""
    for image in images:
        boxes = image.objects.xyxy
        assert (boxes[:, :2] >= 0).all()
        assert (boxes[:, 2:] <= SIZE).all()
        assert (boxes[:, 2:] - boxes[:, :2]).min() >= 4
        shared = intersections(boxes, boxes)
        assert not (shared - np.diag(np.diag(shared))).any()


def test_night_pictures_are_dark(images: list[LabelledImage]) -> None:
    """All plates of a night picture are lit as at night, none of a day picture is, and nights are darker."""
    for image in images:
        assert {mark["light"] == "night" for mark in image.marks} == {image.night}
    nights = [image.mean_luma or 0 for image in images if image.night]
    days = [image.mean_luma or 0 for image in images if not image.night]
    assert not nights or max(nights) < np.median(days)


def test_plates_are_where_the_labels_say(folder: Path, images: list[LabelledImage]) -> None:
    """Within the boxes of large plates by day there is more to see than right around them."""
    inside, around = [], []
    for image in images:
        pixels = np.asarray(Image.open(folder / image.path)).astype(float)
        assert pixels.shape == (image.height, image.width, 3)
        for box, mark in zip(image.objects.xyxy.astype(int), image.marks, strict=True):
            x1, y1, x2, y2 = (int(side) for side in box)
            if mark["light"] == "day" and float(str(mark["height_px"])) > 20:
                inside.append(pixels[y1:y2, x1:x2].std())
                around.append(pixels[max(0, y1 - 9) : y1 - 3, x1:x2].std())
    assert inside
    assert np.median(inside) > np.median(around)


def test_the_same_set_comes_again(tmp_path: Path) -> None:
    """Written twice, all files have the same bytes; another seed gives other pictures."""

    def files(name: str, seed: int) -> dict[str, bytes]:
        write_plate_slices(tmp_path / name, seed=seed, per_slice=2)
        return {path.name: path.read_bytes() for path in (tmp_path / name).rglob("*.*")}

    first = files("first", 4)
    assert {"labels.json", "000.jpg"} <= set(first)
    assert files("again", 4) == first
    assert files("other", 5)["000.jpg"] != first["000.jpg"]
