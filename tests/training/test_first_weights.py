"""A checkpoint of the training library becomes a file of numbers."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest
import torch
from ultralytics.nn.tasks import DetectionModel

from components.settings import Training
from components.training import first_weights
from components.training.checkpoint import read_arrays
from components.training.yolo.network import build_model


def test_a_checkpoint_is_a_start_for_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny: Training, narrow: str
) -> None:
    """Every weight of a network for 80 classes comes out as a number, and ours can start from them."""
    network = DetectionModel(narrow, nc=80, verbose=False)
    checkpoint, weights = tmp_path / "published.pt", tmp_path / "weights.npz"
    torch.save({"model": network, "ema": None}, checkpoint)
    monkeypatch.setattr(sys, "argv", ["first_weights", str(checkpoint), str(weights)])
    first_weights.main()
    arrays, facts = read_arrays(weights)
    assert facts == {"from": "published.pt", "sha256": hashlib.sha256(checkpoint.read_bytes()).hexdigest()}
    assert arrays.keys() == network.state_dict().keys()
    backbone = "model.0.conv.weight"
    assert torch.equal(build_model(tiny, arrays).state_dict()[backbone], network.state_dict()[backbone])
