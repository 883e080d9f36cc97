"""The gate's speed is pictures by processor time."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import numpy as np
import pytest

from components.dataset.labels import LabelledImage, labelled_image
from components.detection.bundle import Bundle
from components.evaluation import speed
from components.evaluation.looks import Look
from components.evaluation.speed import images_per_s
from components.settings import Params
from tests.conftest import encoded
from tests.toy_model import scene


@pytest.fixture
def images(tmp_path: Path, rng: np.random.Generator) -> list[LabelledImage]:
    """Ninety labelled pictures, all of them the same file."""
    (tmp_path / "a.png").write_bytes(encoded(scene(rng, 64, 48, 0, 0)[0]))
    return [labelled_image(str(tmp_path / "a.png"), (64, 48), "toy", ()) for _ in range(90)]


def test_the_mean_over_some_pictures_is_measured_once(
    images: list[LabelledImage], toy: Bundle, params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thirty pictures of a quarter of a second each are four a second; the next call does not look again."""
    ticks = count()
    monkeypatch.setattr(speed.time, "process_time", lambda: next(ticks) / 4)
    look = Look("toy", toy.files, images)
    figure = images_per_s(look, params, tmp_path / "toy.jsonl")
    assert figure.value == pytest.approx(4)
    assert "on 30 pictures" in figure.note
    assert next(ticks) == 2 * 31  # the first picture is looked at before, uncounted
    assert images_per_s(look, params, tmp_path / "toy.jsonl") == figure
    assert next(ticks) == 2 * 31 + 1
