"""A packed set fits, says the same of smaller pictures, and trains."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from components.dataset import pack as module
from components.dataset.labels import LabelledImage, read_labels, write_labels
from components.dataset.pack import pack
from components.detections import FACE, LICENSE_PLATE, Detections
from components.errors import StreetveilError
from components.evaluation.sightings import read_sightings
from components.settings import Params
from components.training import parts
from components.training.parts import training_images

Make = Callable[..., Path]
SIZES = {"train": [(301, 203), (96, 80)], "val": [(203, 301)], "test": [(64, 64)]}
SEEN = [5.0, 6.0, 25.0, 16.0, 0.75, 1.0, 1.0, 0.75, None, None]


@pytest.fixture
def make(tmp_path: Path, rng: np.random.Generator) -> Make:
    """A prepared folder in a project, whose pictures a teacher has seen; `change` alters each label."""

    def _make(change: Callable[[LabelledImage], LabelledImage] = lambda image: image) -> Path:
        prepared, lines = tmp_path / "prepared", []
        prepared.mkdir()
        for part, sizes in SIZES.items():
            images = []
            for number, (width, height) in enumerate(sizes):
                path = f"{part}{number}.png"
                coarse = rng.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), np.uint8)
                pixels = coarse.repeat(8, axis=0).repeat(8, axis=1)[:height, :width]
                Image.fromarray(pixels).save(tmp_path / path)
                objects = Detections.of([[10, 10, 60, 50], [0, 0, width, height]], 1.0, [FACE, LICENSE_PLATE])
                ignored = np.array([[20, 20, 40, 30]], np.float32)
                marks = ({"mask": "with"}, {})
                image = LabelledImage(path, width, height, "s", objects, ignored, frozenset({"face"}), marks=marks)
                images.append(change(image))
                lines.append(json.dumps({"file": path, "found": [SEEN]}))
            write_labels(prepared / f"{part}.json", images)
        (prepared / "seen.jsonl").write_text("\n".join(lines) + "\n")
        return prepared

    return _make


def packed(prepared: Path, max_mib: float = 50) -> tuple[Path, Any]:
    """Pack into a folder beside it."""
    out = prepared.parent / "packed"
    return out, pack(prepared, prepared / "seen.jsonl", out, max_mib, prepared.parent)


def size_mib(folder: Path) -> float:
    """Of all files."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 2**20


def test_the_limit_is_kept(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first way that fits is taken, its real size is told, and pictures of a larger way are not left behind."""
    prepared = make()
    monkeypatch.setattr(module, "_WAYS", ((4096, 90), (150, 80), (64, 70)))
    out, whole = packed(prepared)
    assert (whole.pictures, whole.long_side_px) == (3, 4096)
    assert whole.size_mib == pytest.approx(size_mib(out))
    limit = whole.size_mib * 0.999
    out, less = packed(prepared, limit)
    assert (less.long_side_px, less.quality) == (150, 80)
    assert less.size_mib == pytest.approx(size_mib(out))
    assert less.size_mib <= limit
    assert len(list((out / "pictures").iterdir())) == 3
    sizes = [Image.open(file).size for file in sorted((out / "pictures").iterdir())]
    assert sizes == [(150, 101), (96, 80), (101, 150)]


def test_what_does_not_fit_is_told(make: Make) -> None:
    """A limit that no way keeps is an error that says what was tried."""
    with pytest.raises(StreetveilError, match=r"does not fit into 0\.001 MiB at 480 px"):
        packed(make(), 0.001)


def test_labels_and_lessons_shrink_with_their_pictures(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Boxes, ignored boxes and what teachers saw lie where they lay in the picture; all else is said as before."""
    monkeypatch.setattr(module, "_WAYS", ((150, 80),))
    prepared = make()
    out, _ = packed(prepared)
    lessons = read_sightings(out / "taught.jsonl")
    for part in ("train", "val"):
        before, after = (list(read_labels(folder / f"{part}.json", folder="")) for folder in (prepared, out))
        for old, new in zip(before, after, strict=True):
            assert Image.open(prepared.parent / new.path).size == (new.width, new.height)
            factor = np.array([new.width / old.width, new.height / old.height] * 2)
            assert max(new.width, new.height) == min(150, max(old.width, old.height))
            np.testing.assert_allclose(new.objects.xyxy, old.objects.xyxy * factor, rtol=1e-5)
            np.testing.assert_allclose(new.ignored, old.ignored * factor, rtol=1e-5)
            assert new.objects.class_id.tolist() == old.objects.class_id.tolist()
            assert (new.marks, new.exhaustive, new.source) == (old.marks, old.exhaustive, old.source)
            seen = lessons[new.path]
            np.testing.assert_allclose(seen.xyxy[0], np.array(SEEN[:4]) * factor, rtol=1e-5)
            assert (seen.confidence.tolist(), seen.class_id.tolist()) == ([0.75], [1])


def test_a_box_at_the_border_stays_inside(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though sizes are rounded to whole px, a thin box at the lower border can be read again."""

    def thin(image: LabelledImage) -> LabelledImage:
        height = image.height
        box = [[10, height - 0.5, 40, height], [10, 10, 20, 20]]
        return replace(image, objects=image.objects.with_boxes(np.array(box, np.float32)))

    monkeypatch.setattr(module, "_WAYS", ((97, 80),))  # 203 · 97 / 301 = 65.42
    out, _ = packed(make(thin))
    (first, *_) = read_labels(out / "train.json", folder="")
    assert first.height == 65
    assert first.objects.xyxy[0, 3] == 65


def test_pictures_are_the_same_upright_ones(make: Make) -> None:
    """A picture that lies on its side by its EXIF is written as it is seen; colours stay within what JPEG changes."""
    prepared = make()
    path = prepared.parent / "train0.jpg"
    with Image.open(prepared.parent / "train0.png") as image:
        upright = np.asarray(image.convert("RGB"))
        turned = image.rotate(90, expand=True)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(path, "JPEG", quality=95, exif=exif)
    labels = (prepared / "train.json").read_text()
    (prepared / "train.json").write_text(labels.replace("train0.png", "train0.jpg"))
    out, _ = packed(prepared)
    with Image.open(out / "pictures" / "00000.jpg") as image:
        assert image.getexif().get(0x0112, 1) == 1
        assert image.size == (301, 203)
        assert np.abs(np.asarray(image).astype(int) - upright).mean() < 30  # turned, it would be 80


def test_the_packed_folder_trains(make: Make, params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    """The trainer reads it as a prepared folder, lessons included, and each picture has the labelled size."""
    prepared = make()
    out, _ = packed(prepared)
    monkeypatch.setattr(parts, "PROJECT_ROOT", prepared.parent)
    lessons = read_sightings(out / "taught.jsonl")
    for part, count in (("train", 2), ("val", 1)):
        images = training_images(out, part, params, lessons)
        assert len(images) == count
        for image in images:
            assert Image.open(image.path).size == (image.width, image.height)
            assert image.exhaustive == {"face", "license_plate"}
            assert len(image.boxes) >= 2


def test_the_test_part_stays_where_it_is(make: Make) -> None:
    """Neither its labels, its pictures nor what was seen in them are packed."""
    out, told = packed(make())
    assert sorted(file.name for file in out.iterdir()) == ["pictures", "taught.jsonl", "train.json", "val.json"]
    assert told.pictures == len(list((out / "pictures").iterdir())) == len(read_sightings(out / "taught.jsonl")) == 3
    assert "test0" not in (out / "taught.jsonl").read_text()


def test_a_picture_that_no_teacher_has_seen_stays_untaught(
    make: Make, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lesson that is missing, or was cut off, does not become one in which nothing was seen: training refuses it."""
    prepared = make()
    taught = prepared / "seen.jsonl"
    first, second, *rest = taught.read_text().splitlines()
    taught.write_text("\n".join([first, second[:-9], "", *rest]))
    out, _ = packed(prepared)
    assert len(read_sightings(out / "taught.jsonl")) == 2
    monkeypatch.setattr(parts, "PROJECT_ROOT", prepared.parent)
    with pytest.raises(StreetveilError, match=r"no teacher has looked at packed/pictures/00001\.jpg"):
        training_images(out, "train", params, read_sightings(out / "taught.jsonl"))


def test_a_broken_picture_is_named(make: Make) -> None:
    """What cannot be read ends the packing with its name."""
    prepared = make()
    (prepared.parent / "val0.png").write_bytes(b"no picture")
    with pytest.raises(StreetveilError, match=r"val0\.png cannot be read"):
        packed(prepared)
