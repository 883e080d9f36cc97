"""Small rendered pictures with their labels, and settings under which a training takes seconds."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import components.training.yolo  # noqa: F401 - before ultralytics, which it keeps from changing other libraries
from components.settings import Light, Params, Training, Views
from components.training.images import TrainingImage
from tests.toy_model import scene

Render = Callable[..., list[TrainingImage]]


def still(views: Views, **changes: Any) -> Views:
    """Settings under which a canvas is one upright view in its own light; then with some changes."""
    none = (
        "rotation_deg",
        "shear_deg",
        "stretch_share",
        "perspective",
        "mirrored_share",
        "rendered_plate_share",
        "background_share",
        "complete_background_share",
    )
    light = dict.fromkeys(Light.model_fields, 0)
    values = {**views.model_dump(), **dict.fromkeys(none, 0), "cells_shares": [1, 0, 0], "light": light}
    return Views.model_validate({**values, **changes})


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Small networks are slower on many threads, and sums are in another order."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> str:
    """YOLOv8 as ultralytics describes it, at half of its smallest width."""
    from ultralytics.utils import ROOT, YAML  # after `components.training.yolo`, which sets its environment

    described = YAML.load(ROOT / "cfg" / "models" / "v8" / "yolov8.yaml")
    folder = tmp_path_factory.mktemp("network")
    YAML.save(folder / "yolov8.yaml", {**described, "scales": {"n": [0.33, 0.125, 512]}})
    return str(folder / "yolov8n.yaml")  # the letter is the scale


@pytest.fixture
def tiny(params: Params, narrow: str) -> Training:
    """The shipped settings for a small network, a few small pictures and epochs."""
    light = params.training.views.light.model_copy(update={"disguise_share": 0.02})
    views = params.training.views.model_copy(
        update={"cells_shares": (0.5, 0.5, 0.0), "object_px": (8.0, 40.0), "light": light}
    )
    small = {"architecture": narrow, "canvas_px": 64, "image_px": 64, "epochs": 3, "batch_size": 4, "warmup_epochs": 1}
    return params.training.model_copy(update={**small, "views": views})


@pytest.fixture
def rendered(tmp_path: Path, rng: np.random.Generator) -> Render:
    """Render labelled pictures, each with one face and one plate."""
    number = itertools.count()

    def render(count: int, width: int = 96, height: int = 80, exhaustive: tuple[str, ...] = ()) -> list[TrainingImage]:
        images = []
        for _ in range(count):
            pixels, boxes = scene(rng, width, height, faces=1, plates=1)
            path = tmp_path / f"{next(number)}.png"
            Image.fromarray(pixels).save(path)
            classes = exhaustive or ("face", "license_plate")
            images.append(TrainingImage.of(path, (width, height), boxes, [0, 1], exhaustive=classes))
        return images

    return render
