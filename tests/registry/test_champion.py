"""One run, one model: resolved once, checked, replaced by its predecessor, or nothing is published."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from components.detection.bundle import ModelFile
from components.detection.sanity import SANITY_PICTURES
from components.detection.shipped import TRAINABLE, WEIGHTS, shipped_files
from components.detections import CLASS_NAMES, iou
from components.errors import ModelError, StreetveilError
from components.imaging.reading import decode
from components.registry import champion as champion_module
from components.registry.champion import bootstrap, resolve_champion
from components.registry.champion_weights import attach_weights, fetch_weights
from components.registry.models import CHAMPION, PREVIOUS, Registry
from components.settings import PROJECT_ROOT, Params, load_params
from tests.toy_model import model_file, toy_onnx


@pytest.fixture(scope="module")
def bootstrapped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a registry in which the shipped detectors are version 1."""
    folder = tmp_path_factory.mktemp("registry")
    assert bootstrap(Registry("detector", f"sqlite:///{folder}/mlflow.db", str(folder))) == "1"
    return folder


@pytest.fixture
def registry(bootstrapped: Path) -> Iterator[Registry]:
    """The registry of the module; aliases and files are put back after the test."""
    kept = {file: file.read_bytes() for file in bootstrapped.rglob("*.onnx")}
    yield Registry("detector", f"sqlite:///{bootstrapped}/mlflow.db", str(bootstrapped))
    for file, content in kept.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    Registry("detector", f"sqlite:///{bootstrapped}/mlflow.db", str(bootstrapped)).set_alias(CHAMPION, "1")


def files_of(registry: Registry) -> dict[str, Path]:
    """The champion's files on disk."""
    return {file.path.name: file.path for file in registry.bundle(CHAMPION).files}


def test_bootstrap_registers_version_1_with_hashes_sources_and_licences(registry: Registry) -> None:
    """A fresh registry has the shipped model as champion, each file with its pinned hash, source and licence."""
    bundle = registry.bundle(CHAMPION)
    assert bundle.version == "1"
    shipped = {file.path.name: (file.sha256, file.source, file.licence) for file in shipped_files()}
    assert {file.path.name: (file.sha256, file.source, file.licence) for file in bundle.files} == shipped
    for file in bundle.files:
        assert file.read()
        assert "site-packages" not in str(file.path)


def test_bootstrap_does_nothing_where_there_is_a_model(registry: Registry) -> None:
    """A second bootstrap neither registers a version nor moves the champion."""
    assert bootstrap(registry) is None
    assert registry.bundle(CHAMPION).version == "1"


def test_a_training_goes_on_from_the_champions_weights_or_the_shipped_ones(registry: Registry, tmp_path: Path) -> None:
    """A champion's own weights are taken whole; one that has none of its own, or half of them, gets the shipped."""
    shipped = {name: (WEIGHTS / name).read_bytes() for name in TRAINABLE}

    def fetched() -> dict[str, bytes]:
        fetch_weights(registry, tmp_path / "first")
        return {name: (tmp_path / "first" / name).read_bytes() for name in TRAINABLE}

    assert fetched() == shipped
    for place in TRAINABLE.values():
        (tmp_path / place).parent.mkdir()
        (tmp_path / place).write_text(f"learnt: {place}")
    version = registry.register([model_file(tmp_path / "face.onnx", toy_onnx((0.5, -1.0, 0.5)))], alias=CHAMPION)
    name, place = next(iter(TRAINABLE.items()))
    registry.attach(version, Path(shutil.copy(tmp_path / place, tmp_path / name)))
    assert fetched() == shipped
    attach_weights(registry, version, tmp_path)
    assert fetched() == {name: (tmp_path / place).read_bytes() for name, place in TRAINABLE.items()}


def test_an_empty_registry_has_the_shipped_weights(tmp_path: Path) -> None:
    """Before anything is registered, a training goes on from what comes with the installation."""
    told = fetch_weights(Registry("none", f"sqlite:///{tmp_path}/mlflow.db", str(tmp_path)), tmp_path / "first")
    assert told == "those that come with the installation"
    assert sorted(file.name for file in (tmp_path / "first").iterdir()) == sorted(TRAINABLE)


def test_a_sound_champion_is_used(registry: Registry, params: Params) -> None:
    """With everything in order the champion is the run's model, and there is no fall-back to report."""
    champion = resolve_champion(registry, params, "eu")
    assert (champion.bundle.version, champion.fallback_reason) == ("1", None)


def test_mlflow_itself_can_load_and_run_the_version(registry: Registry) -> None:
    """A reviewer who loads the version with MLflow alone gets the face of the sanity picture, by its signature."""
    import mlflow

    mlflow.set_tracking_uri(registry.tracking_uri)
    mlflow.set_registry_uri(registry.tracking_uri)
    model = mlflow.pyfunc.load_model("models:/detector@champion")
    assert model.metadata.signature is not None
    face = SANITY_PICTURES[0]
    picture = PROJECT_ROOT / "components/detection/sanity_pictures" / face.file
    found = model.predict(decode(picture.read_bytes(), load_params().reading).pixels)
    best = found[np.argmax(found[:, 4])]
    assert CLASS_NAMES[int(best[5])] == face.class_name
    assert iou(best[None, :4], np.array([face.box], np.float32)).item() > 0.5


def test_a_version_keeps_what_each_file_is(registry: Registry, tmp_path: Path) -> None:
    """What a network finds, how it is read and its place in the cascade come back from the registry as registered."""
    face = model_file(tmp_path / "face.onnx", toy_onnx((0.5, -1.0, 0.5)))
    verifier = replace(
        model_file(tmp_path / "judge.onnx", b"a verifier", "face,license_plate", "judge"),
        architecture="verifier",
        role="verifier",
    )
    _register(registry, tmp_path, face, verifier)
    back = {file.path.name: file for file in registry.bundle(CHAMPION).files}
    for file in (face, verifier):
        assert replace(back[file.path.name], path=file.path) == file


def test_two_files_of_one_name_are_not_registered(registry: Registry, tmp_path: Path) -> None:
    """Files are stored by name, so of two with the same one the second would take the first one's place."""
    files = [model_file(tmp_path / folder / "best.onnx", folder.encode()) for folder in ("stage1", "stage2")]
    with pytest.raises(ModelError, match=r"best\.onnx, best\.onnx have one name"):
        registry.register(files, alias=CHAMPION)
    assert registry.bundle(CHAMPION).version == "1"


def _tamper(registry: Registry, tmp_path: Path) -> None:
    file = files_of(registry)["street.onnx"]
    content = bytearray(file.read_bytes())
    content[-100] ^= 1
    file.write_bytes(bytes(content))


def _remove(registry: Registry, tmp_path: Path) -> None:
    files_of(registry)["platedet.onnx"].unlink()


def _remove_folder(registry: Registry, tmp_path: Path) -> None:
    shutil.rmtree(files_of(registry)["platedet.onnx"].parents[1])


def _register(registry: Registry, tmp_path: Path, *files: ModelFile) -> None:
    registry.register(files, alias=CHAMPION)


def _blind(registry: Registry, tmp_path: Path) -> None:
    face = model_file(tmp_path / "blind.onnx", toy_onnx((0.5, -1.0, 0.5)))
    plate = model_file(tmp_path / "blind2.onnx", toy_onnx((-1.0, 0.5, 0.5)), "license_plate")
    _register(registry, tmp_path, face, plate)


def _not_a_number(registry: Registry, tmp_path: Path) -> None:
    _register(registry, tmp_path, model_file(tmp_path / "nan.onnx", toy_onnx((float("nan"), 0.0, 0.0))))


def _wrong_kind(registry: Registry, tmp_path: Path) -> None:
    plates = next(file for file in shipped_files() if file.detector == "platedet")
    as_faces = ModelFile("centerface", "centerface", "face", plates.path, plates.sha256, "x", "x")
    _register(registry, tmp_path, as_faces)


def _no_network(registry: Registry, tmp_path: Path) -> None:
    _register(registry, tmp_path, model_file(tmp_path / "text.onnx", b"this is no network"))


FAULTS: dict[Callable[[Registry, Path], None], str] = {
    _tamper: "sha256",
    _remove: "cannot be read",
    _remove_folder: "cannot be",
    _blind: "sanity picture",
    _not_a_number: "not finite",
    _wrong_kind: "no output",
    _no_network: "not a usable ONNX file",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__.strip("_"))
def test_an_untrustworthy_champion_without_a_predecessor_stops_everything(
    registry: Registry, params: Params, tmp_path: Path, fault: Callable[[Registry, Path], None]
) -> None:
    """Wrong hash, missing file, NaN, wrong output, or blindness: with nobody to fall back to, no run starts."""
    fault(registry, tmp_path)
    with pytest.raises(ModelError, match=FAULTS[fault]) as stopped:
        resolve_champion(registry, params, "eu")
    assert "nothing is published" in str(stopped.value)


def test_a_blind_champion_is_replaced_by_its_predecessor_and_the_reason_is_told(
    registry: Registry, params: Params, tmp_path: Path
) -> None:
    """With a sound @previous the run goes on with that version and carries the reason along."""
    _blind(registry, tmp_path)
    registry.set_alias(PREVIOUS, "1")
    champion = resolve_champion(registry, params, "eu")
    assert champion.bundle.version == "1"
    assert "sanity picture" in (champion.fallback_reason or "")


def test_an_empty_registry_says_how_to_fill_it(tmp_path: Path, params: Params) -> None:
    """Without any version the error names the command that registers one."""
    empty = Registry("detector", f"sqlite:///{tmp_path}/mlflow.db", str(tmp_path))
    with pytest.raises(StreetveilError, match="streetveil bootstrap"):
        resolve_champion(empty, params, "eu")


def test_a_changed_shipped_file_is_never_registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If an installed package carries another file than the pinned one, bootstrap refuses it."""
    forged = model_file(tmp_path / "centerface.onnx", b"forged")
    shipped = shipped_files()[0]
    changed = ModelFile("centerface", "centerface", "face", forged.path, shipped.sha256, "x", "x")
    monkeypatch.setattr(champion_module, "shipped_files", lambda: (changed,))
    empty = Registry("detector", f"sqlite:///{tmp_path}/mlflow.db", str(tmp_path))
    with pytest.raises(ModelError, match="sha256"):
        bootstrap(empty)
    assert empty.is_empty()
