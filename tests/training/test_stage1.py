"""A training can be stopped at any moment, and ends in the weights of one that was not."""

from __future__ import annotations

import json
import socket
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from ultralytics.utils import SETTINGS

from components.dataset.labels import LabelledImage, write_labels
from components.detection.shipped import WEIGHTS
from components.detections import LICENSE_PLATE, Detections
from components.errors import StreetveilError
from components.settings import Params, Training
from components.training import stage1
from components.training.checkpoint import read_arrays, write_arrays
from components.training.operating_point import OperatingPoint
from components.training.parts import training_images
from components.training.stage1 import Stage1, keep_first, train_stage1
from components.training.yolo import loop
from components.training.yolo.loop import RecallTraining
from components.training.yolo.network import RecallDetectionModel, build_model
from tests.training.conftest import Render, still

Train = Callable[..., Stage1]


@pytest.fixture
def train(tiny: Training, rendered: Render, tmp_path: Path) -> Train:
    """Train on seven pictures, of which two are not labelled completely."""
    pictures = [*rendered(5), *rendered(2, exhaustive=("face",))]
    validation = rendered(2, width=80, height=96)

    def _train(name: str, settings: Training = tiny, **options: object) -> Stage1:
        return train_stage1(settings, pictures, validation, tmp_path / name, **options)

    return _train


def same(left: Path, right: Path) -> bool:
    """Whether two files hold the same arrays, bit for bit."""
    ours, theirs = read_arrays(left)[0], read_arrays(right)[0]
    return ours.keys() == theirs.keys() and all(np.array_equal(ours[name], theirs[name]) for name in ours)


def test_an_interrupted_training_ends_in_the_same_weights(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped by its time after the first epoch and killed within the second, it goes on there to the same end."""
    whole = train("whole")
    assert whole.finished
    assert [epoch.epoch for epoch in whole.history] == [1, 2, 3]
    first = train("parts", max_seconds=0)
    assert (len(first.history), first.finished) == (1, False)

    steps = RecallTraining.optimizer_step

    def killed(trainer: RecallTraining) -> None:
        if (trainer.epoch, trainer.train_loader.sampler.epoch) == (1, 1) and trainer.ema.updates >= 3:
            raise KeyboardInterrupt
        steps(trainer)

    with monkeypatch.context() as patch:
        patch.setattr(RecallTraining, "optimizer_step", killed)
        with pytest.raises(KeyboardInterrupt):
            train("parts")
    torch.manual_seed(99)  # whatever happened in between
    rest = train("parts")
    assert rest.finished
    assert [epoch.epoch for epoch in rest.history] == [1, 2, 3]
    assert same(tmp_path / "whole" / "state.npz", tmp_path / "parts" / "state.npz")
    assert same(whole.weights, rest.weights)
    assert [epoch.loss for epoch in rest.history] == [epoch.loss for epoch in whole.history]
    assert [epoch.point for epoch in rest.history] == [epoch.point for epoch in whole.history]
    # A finished training is not done again.
    monkeypatch.setattr(stage1, "RecallTraining", None)
    assert train("parts") == rest


def test_the_kept_weights_are_those_of_the_chosen_epoch(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file of weights is the averaged network of the epoch with the best recall, not of the last one."""
    recalls = iter([0.2, 0.8, 0.5])
    averaged = []

    def point(*_: object) -> OperatingPoint:
        recall = next(recalls)
        return OperatingPoint(0.15, recall, recall, 0.01, {"face": recall, "license_plate": None})

    written = stage1._write

    def noted(folder: Path, trainer: RecallTraining, *rest: object) -> None:
        averaged.append(trainer.ema.ema.state_dict()["model.0.conv.weight"].clone().numpy())
        written(folder, trainer, *rest)

    monkeypatch.setattr(loop, "operating_point", point)
    monkeypatch.setattr(stage1, "_write", noted)
    result = train("run")
    arrays, facts = read_arrays(result.weights)
    assert result.chosen.epoch == facts["epoch"] == 2
    assert facts["point"]["pixel_recall"] == 0.8
    assert facts["classes"] == ["face", "license_plate"]
    assert np.array_equal(arrays["model.0.conv.weight"], averaged[1])
    assert not np.array_equal(averaged[1], averaged[2])
    told = json.loads((tmp_path / "run" / "history.json").read_text())
    assert [epoch["point"]["pixel_recall"] for epoch in told] == [0.2, 0.8, 0.5]


def test_weights_that_were_trained_are_a_start(train: Train, tiny: Training, tmp_path: Path) -> None:
    """The next training begins with the kept weights, and its folder refuses to go on from others."""
    settings = tiny.model_copy(update={"epochs": 1})
    champion = train("champion", settings).weights
    started = []

    class Watched(RecallTraining):
        def get_model(self, *args: object, **options: object) -> RecallDetectionModel:
            model = super().get_model(*args, **options)
            started.append({name: value.clone() for name, value in model.state_dict().items()})
            return model

    monkey = pytest.MonkeyPatch()
    with monkey.context() as patch:
        patch.setattr(stage1, "RecallTraining", Watched)
        train("next", settings, first_weights=champion)
    kept = read_arrays(champion)[0]
    assert all(np.array_equal(started[0][name].numpy(), kept[name]) for name in kept)
    assert build_model(settings, kept)
    with pytest.raises(StreetveilError, match="other settings, pictures or weights"):
        train("next", settings)
    with pytest.raises(StreetveilError, match="other settings, pictures or weights"):
        train("champion", settings.model_copy(update={"seed": 8}))


def test_without_an_epoch_the_first_weights_stay(tmp_path: Path) -> None:
    """What was shipped is left as if it had been trained, number for number; without weights there is no network."""
    keep_first(WEIGHTS / "street.npz", tmp_path)
    kept, shipped = (read_arrays(file)[0] for file in (tmp_path / "best.npz", WEIGHTS / "street.npz"))
    assert kept.keys() == shipped.keys()
    for name, array in shipped.items():
        np.testing.assert_array_equal(kept[name], array)
    assert json.loads((tmp_path / "history.json").read_text()) == []
    with pytest.raises(StreetveilError, match=r"raise training\.epochs"):
        keep_first(None, tmp_path)


@pytest.mark.slow
def test_it_learns(rendered: Render, tiny: Training, tmp_path: Path) -> None:
    """From nothing, a few pictures are learnt until their objects are covered without hiding the rest."""
    views = still(tiny.views, object_px=(8, 9))
    changes = {"epochs": 80, "canvas_px": 96, "image_px": 96, "learning_rate": 0.002, "views": views}
    # Layers that are new know no statistics but those of their batches.
    settings = tiny.model_copy(update={**changes, "fixed_norm_from_epoch": 80})
    pictures = rendered(8)
    chosen = train_stage1(settings, pictures, pictures, tmp_path / "run").chosen
    assert chosen.point.pixel_recall > 0.9
    assert chosen.point.pixel_false_positive_rate <= 0.02


def test_a_loss_that_is_no_number_stops(train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights that are no numbers are never kept: the training ends with a remedy, and the epoch before stays."""
    kept = train("run", max_seconds=0)
    before = kept.weights.read_bytes()

    def broken(trainer: RecallTraining) -> None:
        with torch.no_grad():
            next(trainer.model.parameters()).fill_(float("nan"))
        trainer.ema.update(trainer.model)

    monkeypatch.setattr(RecallTraining, "optimizer_step", broken)
    with pytest.raises(StreetveilError, match=r"epoch 2.*learning_rate"):
        train("run")
    assert kept.weights.read_bytes() == before


def test_only_our_own_files_are_written(
    train: Train, tiny: Training, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A training leaves three files without pickled objects, asks for no connection, and writes nothing elsewhere."""

    def refused(*_: object) -> None:
        raise AssertionError("a connection was asked for")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)
    elsewhere = tmp_path / "cwd"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    settings_file = SETTINGS.file_path.read_bytes()
    watched = []
    monkeypatch.setattr(stage1, "RecallTraining", lambda *a, **k: watched.append(RecallTraining(*a, **k)) or watched[0])
    train("run", tiny.model_copy(update={"epochs": 1}))
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["best.npz", "history.json", "state.npz"]
    for name in ("best.npz", "state.npz"):
        with zipfile.ZipFile(tmp_path / "run" / name) as file:
            assert all(entry.endswith(".npy") for entry in file.namelist())
    assert not list(elsewhere.iterdir())
    assert SETTINGS.file_path.read_bytes() == settings_file
    assert not any(SETTINGS.get(name) for name in ("sync", "mlflow", "dvc", "wandb", "tensorboard"))
    hooks = {hook.__qualname__ for hooks in watched[0].callbacks.values() for hook in hooks}
    assert hooks == {"RecallTraining._begin_epoch", "RecallTraining._end_epoch"}


@pytest.mark.parametrize("missing", ["training", "validation"])
def test_without_pictures_there_is_nothing_to_do(
    missing: str, rendered: Render, tiny: Training, tmp_path: Path
) -> None:
    """An empty split is an error that names the remedy."""
    pictures = rendered(1)
    splits = {"training": pictures, "validation": pictures, missing: []}
    with pytest.raises(StreetveilError, match="prepare"):
        train_stage1(tiny, **splits, folder=tmp_path)


def test_teachers_fill_the_split(params: Params, tmp_path: Path) -> None:
    """With lessons, missing labels are filled in picture by picture; without, they stay missing; half a set is told."""
    nothing = Detections.empty(), np.zeros((0, 4), np.float32), frozenset({"face"})
    write_labels(tmp_path / "val.json", [LabelledImage(f"{name}.png", 96, 80, "s", *nothing) for name in "ab"])
    plate = Detections.of([[10, 10, 40, 20]], 0.9, LICENSE_PLATE)
    untaught = training_images(tmp_path, "val", params)
    assert [(len(image.boxes), image.exhaustive) for image in untaught] == [(0, {"face"})] * 2
    taught = training_images(tmp_path, "val", params, {"a.png": Detections.empty(), "b.png": plate})
    assert [image.path.name for image in taught] == ["a.png", "b.png"]
    assert [image.class_id.tolist() for image in taught] == [[], [LICENSE_PLATE]]
    assert all(image.exhaustive == {"face", "license_plate"} for image in taught)
    with pytest.raises(StreetveilError, match=r"looked at b\.png: run components\.training\.teachers"):
        training_images(tmp_path, "val", params, {"a.png": plate})


def test_a_damaged_state_is_told(train: Train, tiny: Training, tmp_path: Path) -> None:
    """A state file that cannot be read ends the training before anything is overwritten."""
    write_arrays(tmp_path / "run" / "state.npz", {"a": np.ones(500)}, {"identity": "x"})
    path = tmp_path / "run" / "state.npz"
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(StreetveilError, match=r"state\.npz"):
        train("run", tiny)


@pytest.fixture
def command(
    tiny: Training, params: Params, rendered: Render, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Path]:
    """Run the command on three pictures to train on, that a teacher has seen, and one to validate with."""
    for part, count in (("train", 3), ("val", 1)):
        write_labels(tmp_path / f"{part}.json", [image.truth() for image in rendered(count)])
    paths = [
        entry["file"] for part in ("train", "val") for entry in json.loads((tmp_path / f"{part}.json").read_text())
    ]
    (tmp_path / "seen.jsonl").write_text("\n".join(json.dumps({"file": path, "found": []}) for path in paths))
    profile = params.profiles["full"].model_copy(update={"epochs": 2, "canvas_px": 64})
    changed = params.model_copy(update={"training": tiny, "profiles": {"full": profile}})
    monkeypatch.setattr(stage1, "load_params", lambda: changed)
    line = ["stage1", "--prepared", str(tmp_path), "--taught", str(tmp_path / "seen.jsonl"), "--threads", "1"]

    def run(*more: str) -> Path:
        monkeypatch.setattr(sys, "argv", [*line, "--out", str(tmp_path / "out"), *more])
        stage1.main()
        return tmp_path / "out"

    return run


def test_the_command_asks_to_be_called_again(command: Callable[..., Path], tmp_path: Path) -> None:
    """Stopped by its time it ends with 75 and no result; called again it goes on, and copies weights and history."""
    with pytest.raises(SystemExit) as stopped:
        command("--max-seconds", "0")
    assert stopped.value.code == 75
    assert not (tmp_path / "out").exists()
    (work,) = (tmp_path / "out.work").iterdir()
    assert read_arrays(work / "state.npz")[1]["identity"].startswith(work.name)
    assert len(work.name) == 12
    out = command()
    assert sorted(file.name for file in out.iterdir()) == ["best.npz", "history.json"]
    assert [epoch["epoch"] for epoch in json.loads((out / "history.json").read_text())] == [1, 2]
    assert (out / "best.npz").read_bytes() == (work / "best.npz").read_bytes()
    assert [folder.name for folder in (tmp_path / "out.work").iterdir()] == [work.name]


def test_other_weights_begin_another_work_folder(
    command: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call with other first weights, or other lessons, is no error: it works in a folder of its own."""
    folders = []

    def noted(*given: Any, **_: Any) -> Stage1:
        folders.append(given[3])
        return Stage1(given[3] / "best.npz", (), cast("stage1.Epoch", None), False)

    monkeypatch.setattr(stage1, "train_stage1", noted)
    (tmp_path / "first.npz").write_bytes(b"weights")
    calls = [(), (), ("--weights", str(tmp_path / "first.npz"))]
    for more in calls:
        with pytest.raises(SystemExit):
            command(*more)
    taught = tmp_path / "seen.jsonl"
    taught.write_text(
        taught.read_text().replace('"found": []', '"found": [[70, 60, 90, 75, 0.2, 1, 1, 0.2, null, null]]')
    )
    labels = tmp_path / "train.json"
    labels.write_text(labels.read_text().replace('["face", "license_plate"]', '["face"]'))
    with pytest.raises(SystemExit):
        command()
    assert folders[0] == folders[1]
    assert len(set(folders)) == 3
    assert all(folder.parent == tmp_path / "out.work" for folder in folders)
