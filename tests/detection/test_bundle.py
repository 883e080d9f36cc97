"""Only the very files that were registered are run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.detection.bundle import Bundle, ModelFile, load_cascade
from components.detection.shipped import shipped_files
from components.detections import FACE, LICENSE_PLATE
from components.errors import ModelError
from components.settings import Params
from tests.detection.test_verifier import constant
from tests.toy_model import model_file, scene, toy_onnx


@pytest.fixture
def file(tmp_path: Path) -> ModelFile:
    """One toy network on disk."""
    return model_file(tmp_path / "face.onnx", toy_onnx((0.5, -1.0, 0.5)))


def load(file: ModelFile, params: Params) -> None:
    """Load a bundle of one file."""
    load_cascade(Bundle("b", "1", (file,)), params.detection)


def test_the_bytes_that_were_hashed_are_the_bytes_that_are_run(file: ModelFile) -> None:
    """Reading gives the file's content."""
    assert file.read() == file.path.read_bytes()


@pytest.mark.parametrize("place", [0, 100, -1])
def test_one_changed_bit_is_found(file: ModelFile, params: Params, place: int) -> None:
    """A single flipped bit anywhere in a network keeps it from being loaded."""
    content = bytearray(file.path.read_bytes())
    content[place] ^= 1
    file.path.write_bytes(content)
    for use in (file.read, lambda: load(file, params)):
        with pytest.raises(ModelError, match=r"face\.onnx has sha256 .* pinned is .* do not use it"):
            use()


def test_a_longer_or_shorter_file_is_found(file: ModelFile) -> None:
    """A file with something appended, or cut off, is not the registered one."""
    content = file.path.read_bytes()
    for other in (content + b"\0", content[:-1], b""):
        file.path.write_bytes(other)
        with pytest.raises(ModelError, match="do not use it"):
            file.read()


def test_a_sound_network_with_another_hash_is_not_loaded(file: ModelFile, params: Params) -> None:
    """A network that would work is refused if it is not the one that was pinned."""
    other = replace(file, sha256="0" * 64)
    with pytest.raises(ModelError, match="pinned is 000000000000"):
        load(other, params)


def test_a_missing_file_is_told_with_a_remedy(file: ModelFile, params: Params) -> None:
    """A path without a file, and a folder in its place, are errors that say what to do."""
    file.path.unlink()
    with pytest.raises(ModelError, match=r"face\.onnx cannot be read .*register the version again"):
        load(file, params)
    file.path.mkdir()
    with pytest.raises(ModelError, match="cannot be read"):
        load(file, params)


def test_one_bad_file_keeps_the_whole_bundle_from_loading(file: ModelFile, params: Params, tmp_path: Path) -> None:
    """A model without its second network is no model."""
    plate = model_file(tmp_path / "plate.onnx", toy_onnx((-1.0, 0.5, 0.5)), "license_plate")
    plate.path.unlink()
    with pytest.raises(ModelError, match=r"plate\.onnx"):
        load_cascade(Bundle("b", "1", (file, plate)), params.detection)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"architecture": "yolov99"}, "unknown architecture 'yolov99'"),
        ({"classes": "dog"}, "class 'dog'"),
        ({"detector": "newface"}, r"newface: no detection\.tile_px .*add one"),
    ],
)
def test_what_a_network_is_must_be_known(file: ModelFile, params: Params, change: dict, message: str) -> None:
    """An unknown architecture or class, and a detector without a tile size, are refused by name."""
    with pytest.raises(ModelError, match=message):
        load(replace(file, **change), params)


@pytest.mark.parametrize(
    ("roles", "told"),
    [
        ((), "no file"),
        (("safety",), "safety"),
        (("verifier", "safety"), "verifier, safety"),
        (("stage1", "verifier", "verifier"), "stage1, verifier, verifier"),
        (("stage1", "stage2"), "stage1, stage2"),
    ],
)
def test_files_that_make_no_cascade_are_refused(
    file: ModelFile, params: Params, roles: tuple[Any, ...], told: str
) -> None:
    """Without stage 1, with two verifiers or with an unknown role nothing is loaded, and one line says why."""
    files = tuple(replace(file, role=role) for role in roles)
    with pytest.raises(ModelError, match=f"b 1 has {told}; it needs stage1.*register it again") as refused:
        load_cascade(Bundle("b", "1", files), params.detection)
    assert "\n" not in str(refused.value)


def test_a_verifier_must_be_one(file: ModelFile, params: Params) -> None:
    """A detector in the verifier's place is refused before it is asked."""
    with pytest.raises(ModelError, match=r"face\.onnx: is no verifier"):
        load_cascade(Bundle("b", "1", (file, replace(file, role="verifier"))), params.detection)


def test_every_file_takes_the_place_of_its_role(toy: Bundle, params: Params, tmp_path: Path) -> None:
    """Stage 1, the verifier and the secondary check each get the files that are meant for them, in any order."""
    verifier = replace(
        model_file(tmp_path / "verifier.onnx", constant(0.25, 0.75), detector="judge"),
        architecture="verifier",
        classes="face,license_plate",
        role="verifier",
    )
    face, plate = toy.files
    safety = replace(face, detector="platedet", role="safety")
    cascade = load_cascade(Bundle("b", "1", (safety, verifier, plate)), params.detection)
    assert [detector.name for detector in cascade.detectors] == [plate.detector]
    assert [detector.name for detector in cascade.safety] == ["platedet"]
    assert cascade.verifier is not None
    assert cascade.verifier.name == "judge"


def test_a_hashed_file_that_is_no_network_is_refused(tmp_path: Path, params: Params) -> None:
    """A right hash does not make a network of garbage."""
    with pytest.raises(ModelError, match="not a usable ONNX file"):
        load(model_file(tmp_path / "garbage.onnx", b"garbage"), params)


def test_each_network_finds_its_own_class(toy: Bundle, params: Params, rng: np.random.Generator) -> None:
    """The first file's boxes are faces and the second's are plates, as the bundle says."""
    cascade = load_cascade(toy, params.detection)
    pixels, _ = scene(rng, faces=1, plates=0)
    region = params.regions["strict"]
    assert set(cascade.propose(pixels, region).class_id.tolist()) == {FACE}
    swapped = tuple(
        replace(f, classes={"face": "license_plate", "license_plate": "face"}[f.classes]) for f in toy.files
    )
    cascade = load_cascade(Bundle("b", "1", swapped), params.detection)
    assert set(cascade.propose(pixels, region).class_id.tolist()) == {LICENSE_PLATE}


def test_the_shipped_files_are_the_pinned_ones() -> None:
    """Our own networks and those that packages carry have the pinned hashes; the roles make a whole cascade."""
    files = shipped_files()
    for file in files:
        assert len(file.read()) > 100_000
    assert [file.role for file in files] == ["stage1", "verifier", "safety", "safety"]
    assert {file.classes for file in files if file.role == "safety"} == {"face", "license_plate"}
    assert {file.classes for file in files if file.role != "safety"} == {"face,license_plate"}
