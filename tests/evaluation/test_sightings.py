"""What a model sees is kept once, picture by picture, and never looks surer on paper than it was."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from components.dataset.labels import LabelledImage
from components.detection.cascade import Proposals
from components.detections import FACE, LICENSE_PLATE, STAGE_DETECTOR, STAGE_SECONDARY, STAGE_VERIFIER, Detections
from components.evaluation.sightings import look_at, read_sightings
from components.imaging.reading import Pixels
from components.settings import PROJECT_ROOT, Params, Reading, load_params

LIMITS: Reading = load_params(PROJECT_ROOT / "params.yaml").reading
NAN = float("nan")


class Model:
    """Sees one plate at the place that the picture's red tells, counts what it was shown, and may be interrupted."""

    def __init__(self, stops_at: int | None = None) -> None:
        self.shown: list[int] = []
        self._stops_at = stops_at

    def __call__(self, pixels: Pixels) -> Proposals:
        """Look at a picture."""
        red = int(pixels[0, 0, 0])
        if len(self.shown) == self._stops_at:
            raise KeyboardInterrupt
        self.shown.append(red)
        return Proposals.of_stage1(Detections.of([[red, 0, red + 10, 5]], 0.75, LICENSE_PLATE))


@pytest.fixture
def pictures(tmp_path: Path) -> list[LabelledImage]:
    """Four pictures, each of another red."""
    images = []
    for red in (10, 20, 30, 40):
        path = tmp_path / f"{red}.png"
        Image.new("RGB", (16, 8), (red, 0, 0)).save(path)
        images.append(LabelledImage(str(path), 16, 8, "s", Detections.empty(), np.zeros((0, 4), np.float32)))
    return images


def test_an_interrupted_look_goes_on(pictures: list[LabelledImage], tmp_path: Path) -> None:
    """What was seen before an interruption is not looked at again, and in the end every picture is on file once."""
    file = tmp_path / "deep" / "seen.jsonl"
    first, second, third = Model(stops_at=2), Model(), Model()
    with pytest.raises(KeyboardInterrupt):
        look_at(pictures, first, LIMITS, file)
    assert set(read_sightings(file)) == {image.path for image in pictures[:2]}
    look_at(pictures, second, LIMITS, file)
    assert first.shown + second.shown == [10, 20, 30, 40]
    seen = read_sightings(file)
    assert [seen[image.path].xyxy[0, 0] for image in pictures] == [10, 20, 30, 40]
    look_at(pictures, third, LIMITS, file)
    assert third.shown == []


@pytest.mark.parametrize("cut", [1, 20, 60])
def test_a_line_that_was_cut_off_costs_its_own_picture_alone(
    pictures: list[LabelledImage], tmp_path: Path, cut: int
) -> None:
    """A file that ends within a line still tells all others, and only that picture is looked at again."""
    file, again = tmp_path / "seen.jsonl", Model()
    look_at(pictures[:3], Model(), LIMITS, file)
    file.write_text(file.read_text()[:-cut])
    assert set(read_sightings(file)) == {image.path for image in pictures[:2]}
    look_at(pictures, again, LIMITS, file)
    assert again.shown == [30, 40]
    assert set(read_sightings(file)) == {image.path for image in pictures}


def test_pixels_are_changed_before_they_are_shown(pictures: list[LabelledImage], tmp_path: Path) -> None:
    """The model sees what `changed` makes of a picture, which is told the picture's path."""
    paths, model = [], Model()

    def brighter(pixels: Pixels, path: str) -> Pixels:
        paths.append(path)
        return pixels + np.uint8(100)

    look_at(pictures, model, LIMITS, tmp_path / "seen.jsonl", brighter)
    assert model.shown == [110, 120, 130, 140]
    assert paths == [image.path for image in pictures]


def test_each_stage_has_its_own_word(pictures: list[LabelledImage], tmp_path: Path) -> None:
    """Boxes, classes and stages come back; each stage's confidence is asked for by name, and what it skipped is not."""
    found = Detections.of(
        [[1, 2, 3, 4], [5, 6, 7.25, 8], [9, 1, 12, 3]],
        [0.9, 0.5, 0.0625],
        [FACE, LICENSE_PLATE, FACE],
        [STAGE_VERIFIER, STAGE_SECONDARY, STAGE_DETECTOR],
    )
    columns = [[0.25, 0.0, 0.5], [0.9, NAN, 0.0625], [NAN, 0.5, NAN]]
    seen = Proposals(found, *(np.array(column, np.float32) for column in columns))
    file = tmp_path / "seen.jsonl"
    look_at(pictures[:1], lambda _: seen, LIMITS, file)
    (last,), (stage1,), (stage2,) = (read_sightings(file, word).values() for word in ("last", "stage1", "stage2"))
    np.testing.assert_allclose(last.xyxy, found.xyxy, atol=0.051)
    np.testing.assert_allclose(last.confidence, [0.9, 0.5, 0.0625], atol=1e-4)
    assert last.class_id.tolist() == found.class_id.tolist()
    assert last.stage.tolist() == found.stage.tolist()
    np.testing.assert_allclose(stage1.confidence, [0.25, 0.5])
    assert stage1.xyxy[:, 0].tolist() == [1, 9]
    np.testing.assert_allclose(stage2.confidence, [0.9, 0.0625], atol=1e-4)
    assert set(stage1.stage.tolist()) == set(stage2.stage.tolist()) == {STAGE_DETECTOR}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=8), st.floats(0.001, 1))
def test_writing_makes_nothing_surer(values: list[float], threshold: float) -> None:
    """No confidence is higher on file than it was, so none passes a threshold by being written; and hardly lower."""
    told = np.array(values, np.float32)
    seen = Proposals.of_stage1(Detections.of([[i, 0, i + 1, 1] for i in range(len(told))], told, FACE))
    with tempfile.TemporaryDirectory() as folder:
        picture, file = Path(folder) / "a.png", Path(folder) / "seen.jsonl"
        Image.new("RGB", (8, 8)).save(picture)
        empty = LabelledImage(str(picture), 8, 8, "s", Detections.empty(), np.zeros((0, 4), np.float32))
        look_at([empty], lambda _: seen, LIMITS, file)
        (read,) = read_sightings(file).values()
    place = read.xyxy[:, 0].astype(int)
    assert (read.confidence <= told[place]).all()
    assert (read.confidence > told[place] - 1.01e-4).all()
    assert set(place[read.confidence >= np.float32(threshold)]) <= set(np.flatnonzero(told >= np.float32(threshold)))
    assert set(np.flatnonzero(told >= 1e-4)) <= set(place.tolist())


def test_a_picture_without_anything_is_known_too(pictures: list[LabelledImage], tmp_path: Path, params: Params) -> None:
    """That nothing was seen is on file, and is not asked again."""
    asked = []

    def blind(_: Pixels) -> Proposals:
        asked.append(1)
        return Proposals.of_stage1(Detections.empty())

    for _ in range(2):
        look_at(pictures, blind, params.reading, tmp_path / "seen.jsonl")
    assert len(asked) == 4
    assert [len(seen) for seen in read_sightings(tmp_path / "seen.jsonl").values()] == [0] * 4
