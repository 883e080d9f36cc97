"""A training can be stopped at any moment, and ends in the weights of one that was not."""

from __future__ import annotations

import json
import socket
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from ultralytics.utils import SETTINGS

from components.errors import StreetveilError
from components.settings import Training
from components.training import stage1
from components.training.checkpoint import read_arrays, write_arrays
from components.training.operating_point import OperatingPoint
from components.training.stage1 import Stage1, train_stage1
from components.training.yolo import loop
from components.training.yolo.loop import RecallTraining
from components.training.yolo.network import RecallDetectionModel, build_model
from tests.training.conftest import Render

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


@pytest.mark.slow
def test_it_learns(rendered: Render, tiny: Training, tmp_path: Path) -> None:
    """From nothing, a few pictures are learnt until their objects are covered without hiding the rest."""
    still = dict.fromkeys(type(tiny.augmentation).model_fields, 0)
    changes = {"epochs": 80, "image_px": 96, "learning_rate": 0.002, "augmentation": still}
    settings = Training.model_validate({**tiny.model_dump(), **changes})
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


def test_a_damaged_state_is_told(train: Train, tiny: Training, tmp_path: Path) -> None:
    """A state file that cannot be read ends the training before anything is overwritten."""
    write_arrays(tmp_path / "run" / "state.npz", {"a": np.ones(500)}, {"identity": "x"})
    path = tmp_path / "run" / "state.npz"
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(StreetveilError, match=r"state\.npz"):
        train("run", tiny)
