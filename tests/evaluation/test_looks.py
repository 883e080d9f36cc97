"""A look is kept under everything that decides what is seen: nothing old is taken for something new."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from components.dataset.labels import LabelledImage
from components.detection.cascade import Proposals
from components.detections import FACE, Detections
from components.evaluation import looks
from components.evaluation.looks import Look, seen_by
from components.evaluation.sightings import read_sightings
from components.imaging.reading import Pixels
from components.settings import Detection, Params


def model(sha256: str = "0", role: str = "stage1") -> Any:
    """A model's file."""
    return SimpleNamespace(role=role, sha256=sha256)


def picture(folder: Path, name: str, red: int = 9, **attributes: object) -> LabelledImage:
    """A picture of one colour."""
    Image.new("RGB", (16, 8), (red, 0, 0)).save(folder / name)
    nothing = Detections.empty(), np.zeros((0, 4), np.float32)
    return LabelledImage(str(folder / name), 16, 8, "s", *nothing, attributes=attributes)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[Pixels]:
    """What a stand-in for every model is shown; it sees one face."""
    pictures: list[Pixels] = []

    def examine(pixels: Pixels, _region: object) -> Proposals:
        pictures.append(pixels)
        return Proposals.of_stage1(Detections.of([[1, 1, 5, 5]], 0.5, FACE))

    monkeypatch.setattr(looks, "load_cascade", lambda *_: SimpleNamespace(examine=examine))
    return pictures


def test_the_same_look_is_taken_once(shown: list[Pixels], params: Params, tmp_path: Path) -> None:
    """The file is named after the look, and asking again looks at nothing."""
    look = Look("own", (model(),), [picture(tmp_path, "a.png"), picture(tmp_path, "b.png")])
    first, again = seen_by(look, params, tmp_path / "work"), seen_by(look, params, tmp_path / "work")
    assert first == again
    assert first.name == "own.jsonl"
    assert len(shown) == len(read_sightings(first)) == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda look, params, _: (replace(look, files=(model("1"),)), params),
        lambda look, params, _: (replace(look, files=(model(role="safety"),)), params),
        lambda look, params, _: (replace(look, files=(model(), model("1", "verifier"))), params),
        lambda look, params, folder: (replace(look, images=[*look.images, picture(folder, "b.png")]), params),
        lambda look, params, folder: (replace(look, images=[picture(folder, "a.png", red=10)]), params),
        lambda look, params, folder: (replace(look, images=[picture(folder, "a.png", sha256="other")]), params),
        lambda look, params, _: (look, with_detection(params, merge_iou=0.31)),
        lambda look, params, _: (look, params.model_copy(update={"default_region": "eu"})),
        lambda look, params, _: (replace(look, name="own_night"), params),
        lambda look, params, _: (replace(look, proposal_threshold=0.02), params),
    ],
    ids=["weights", "role", "verifier", "more", "content", "hash", "setting", "region", "name", "threshold"],
)
def test_anything_else_begins_another_file(
    change: Callable[[Look, Params, Path], tuple[Look, Params]], shown: list[Pixels], params: Params, tmp_path: Path
) -> None:
    """Another network, role, picture, content, setting, region or name is looked at anew, in a file of its own."""
    look = Look("own", (model(),), [picture(tmp_path, "a.png")])
    before = seen_by(look, params, tmp_path / "work")
    looked = len(shown)
    other, changed = change(look, params, tmp_path)
    after = seen_by(other, changed, tmp_path / "work")
    assert after != before
    assert len(shown) == looked + len(other.images)


def with_detection(params: Params, **changes: object) -> Params:
    """Settings that show pictures otherwise."""
    return params.model_copy(update={"detection": params.detection.model_copy(update=changes)})


def test_a_look_may_list_more_than_the_settings_say(
    monkeypatch: pytest.MonkeyPatch, params: Params, tmp_path: Path
) -> None:
    """Its own threshold of proposals is what the model is loaded with; without one, the settings' own."""
    loaded: list[float] = []

    def load(_bundle: object, detection: Detection) -> Any:
        loaded.append(detection.proposal_threshold)
        return SimpleNamespace(examine=lambda *_: Proposals.of_stage1(Detections.empty()))

    monkeypatch.setattr(looks, "load_cascade", load)
    look = Look("peers", (model(),), [picture(tmp_path, "a.png")])
    for one in (look, replace(look, proposal_threshold=0.02)):
        seen_by(one, params, tmp_path)
    assert loaded == [params.detection.proposal_threshold, 0.02]


def test_training_settings_change_no_look(shown: list[Pixels], params: Params, tmp_path: Path) -> None:
    """What only decides how models are made begins no other file."""
    look = Look("own", (model(),), [picture(tmp_path, "a.png")])
    other = params.model_copy(update={"training": params.training.model_copy(update={"epochs": 99})})
    assert seen_by(look, params, tmp_path / "work") == seen_by(look, other, tmp_path / "work")
    assert len(shown) == 1


def test_what_only_a_gpu_does_changes_no_look(shown: list[Pixels], params: Params, tmp_path: Path) -> None:
    """The form in which a GPU computes begins no other file: looks are taken by the CPU."""
    look = Look("own", (model(), model("1", "safety")), [picture(tmp_path, "a.png")])
    other = with_detection(params, gpu_precision="float16")
    assert seen_by(look, params, tmp_path / "work") == seen_by(look, other, tmp_path / "work")
    assert len(shown) == 1


def test_what_is_never_asked_changes_no_look(shown: list[Pixels], params: Params, tmp_path: Path) -> None:
    """The secondary check's settings begin another file for a cascade, and none for detectors that stand alone."""
    check = params.detection.safety_check.model_copy(update={"asked_from": 0.99})
    other = with_detection(params, safety_check=check)
    image = picture(tmp_path, "a.png")
    alone = Look("own", (model(),), [image])
    cascade = replace(alone, files=(model(), model("1", "safety")))
    for look, is_another in ((alone, False), (cascade, True)):
        assert (seen_by(look, params, tmp_path) != seen_by(look, other, tmp_path)) == is_another
    assert len(shown) == 3


def test_the_model_sees_the_changed_picture(shown: list[Pixels], params: Params, tmp_path: Path) -> None:
    """What a look changes in pictures reaches the model."""
    look = Look("own", (model(),), [picture(tmp_path, "a.png", red=9)], lambda pixels, _: pixels + np.uint8(1))
    seen_by(look, params, tmp_path / "work")
    assert (shown[0][..., 0] == 10).all()
