"""What ultralytics' loop is made to do: the stated average, our number of threads, and teachers that stay outside."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from components.settings import Training
from components.training import stage1
from components.training.checkpoint import parts, read_arrays
from components.training.stage1 import train_stage1
from components.training.yolo.loop import RecallTraining
from tests.training.conftest import Render


@pytest.mark.parametrize("decay", [0.0, 0.6])
def test_the_kept_weights_are_the_stated_average(
    decay: float, tiny: Training, rendered: Render, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After n steps they are a·kept + (1 − a)·new, step by step, with a = decay · (1 − exp(−n·(1 − decay)))."""
    passed: list[dict[str, torch.Tensor]] = []
    step = RecallTraining.optimizer_step

    def noted(trainer: RecallTraining) -> None:
        if not passed:
            passed.append({name: tensor.clone() for name, tensor in trainer.ema.ema.state_dict().items()})
        step(trainer)
        passed.append({name: tensor.clone() for name, tensor in trainer.model.state_dict().items()})

    monkeypatch.setattr(RecallTraining, "optimizer_step", noted)
    settings = tiny.model_copy(update={"epochs": 2, "average_decay": decay})
    train_stage1(settings, rendered(6), rendered(1), tmp_path / "run")
    assert len(passed) == 5  # two epochs of two batches
    kept = parts(read_arrays(tmp_path / "run" / "state.npz")[0], "ema:")
    names = [name for name, tensor in passed[0].items() if tensor.dtype.is_floating_point]
    for name in names:
        wanted = passed[0][name].double()
        for n, weights in enumerate(passed[1:], 1):
            a = decay * (1 - math.exp(-n * (1 - decay)))
            wanted = a * wanted + (1 - a) * weights[name].double()
        np.testing.assert_allclose(kept[name], wanted.numpy(), rtol=2e-4, atol=2e-6)
    apart = max((passed[-1][name].numpy() - kept[name]).__abs__().max() for name in names)
    assert (apart > 1e-5) == (decay > 0)


@pytest.mark.parametrize("threads", [2, 3])
def test_torch_gets_the_threads_that_are_asked_for(
    threads: int, tiny: Training, rendered: Render, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pictures are seen on so many threads, whatever ultralytics has set before."""
    used = []

    def noted(*_: object) -> None:
        used.append(torch.get_num_threads())
        torch.set_num_threads(1)
        raise KeyboardInterrupt

    monkeypatch.setattr(RecallTraining, "preprocess_batch", noted)
    with pytest.raises(KeyboardInterrupt):
        train_stage1(tiny, rendered(2), rendered(1), tmp_path / "run", threads=threads)
    assert used == [threads]


def test_teachers_are_in_no_file(
    tiny: Training, rendered: Render, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A taught training tells its teachers' terms, and its files have the arrays of one that was not taught."""
    settings = tiny.model_copy(update={"epochs": 1})
    pictures, validation = rendered(4), rendered(1)
    alone = train_stage1(settings, pictures, validation, tmp_path / "alone")
    taught = train_stage1(settings, pictures, validation, tmp_path / "taught", teachers=[alone.weights])
    told = set(taught.history[0].loss) - set(alone.history[0].loss)
    assert any("taught" in name for name in told)
    for name in ("best.npz", "state.npz"):
        ours, theirs = (read_arrays(tmp_path / run / name)[0] for run in ("taught", "alone"))
        assert {key: array.shape for key, array in ours.items()} == {key: array.shape for key, array in theirs.items()}
    # The folder goes on with these teachers alone.
    monkeypatch.setattr(stage1, "RecallTraining", None)
    assert train_stage1(settings, pictures, validation, tmp_path / "taught", teachers=[alone.weights]) == taught
    with pytest.raises(stage1.StreetveilError, match="other settings"):
        train_stage1(settings, pictures, validation, tmp_path / "taught")
