"""The shipped detector's network at a quarter of its smallest width, with random weights that answer to pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import components.training.yolo as yolo  # before ultralytics, which it keeps from changing other libraries
from components.settings import PROJECT_ROOT
from components.training.recall_loss import RecallWeightedBCE
from components.training.yolo.network import RecallDetectionModel

STREET = PROJECT_ROOT / "components" / "training" / "yolo" / "street.yaml"
assert yolo


def described(width: float = 0.0625, scale: str = "n") -> dict[str, Any]:
    """The network's description with one bottleneck wherever it has some, and another width."""
    from ultralytics.utils import YAML

    return {**YAML.load(STREET), "scales": {scale: [0.1, width, 1024]}, "scale": scale}


def small_street(seed: int = 11, width: float = 0.0625) -> RecallDetectionModel:
    """A network whose confidences and boxes differ from place to place; the same at every call."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    model = RecallDetectionModel(described(width), RecallWeightedBCE((5, 5)))  # type: ignore[arg-type]
    head: Any = model.model[-1]
    for branch in head.cv3:
        torch.nn.init.normal_(branch[-1].weight, std=0.3)
        torch.nn.init.constant_(branch[-1].bias, -1.0)
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(layer.weight, 0.5, 1.5)
            layer.momentum = 0.5
    with torch.no_grad():
        for _ in range(6):  # batch norms learn what noise looks like
            model.train()(torch.from_numpy(noise(128, 128)).permute(2, 0, 1)[None] / 255)
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = 0.03
    return model.eval()


def noise(width: int, height: int, seed: int = 3) -> NDArray[np.uint8]:
    """A picture of coarse noise."""
    coarse = np.random.default_rng(seed).integers(0, 256, (-(-height // 8), -(-width // 8), 3), np.uint8)
    return coarse.repeat(8, axis=0).repeat(8, axis=1)[:height, :width]
