"""What the chain has made is put into the package whole, pinned, and with its figures."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from components.detection.proposal_features import features, rows_of
from components.detection.shipped import PINS, STAGE_1, TRAINABLE, VERIFIER, WEIGHTS
from components.detection.verifier import Verifier
from components.detections import Detections
from components.errors import StreetveilError
from components.evaluation.model_card import BEGIN, END
from components.settings import Params
from components.training import ship as module
from components.training.checkpoint import arrays_of, read_arrays, write_arrays
from components.training.ship import CARD, METRICS, ship
from components.training.stage2 import read_network
from components.training.yolo.network import build_model
from tests.toy_model import scene


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    """A chain that has been run to its end, with small files."""
    for name in ("optimised/street.onnx", "stage2/verifier.onnx", "evaluation/metrics.json"):
        file = tmp_path / "chain" / name
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps({"of": name}))
    for number, place in enumerate(TRAINABLE.values()):
        arrays = {"w": np.full(3, 0.1 + number, np.float32), "steps": np.array(70_000)}
        write_arrays(tmp_path / "chain" / place, arrays, {"epoch": 16})
    return tmp_path / "chain"


def test_everything_is_copied_pinned_and_told(chain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks come byte for byte, weights at half precision with whole counters, and each file has its hash."""
    weights = tmp_path / "weights"
    weights.mkdir()
    (weights / CARD).write_text(f"{BEGIN}{END}")
    monkeypatch.setattr(module, "with_figures", lambda card, metrics: f"{card} with {metrics['of']}")
    ship(chain, weights)
    assert (weights / STAGE_1).read_bytes() == (chain / "optimised/street.onnx").read_bytes()
    assert (weights / VERIFIER).read_bytes() == (chain / "stage2/verifier.onnx").read_bytes()
    for number, name in enumerate(TRAINABLE):
        arrays, facts = read_arrays(weights / name)
        assert (arrays["w"].dtype, arrays["steps"].dtype, int(arrays["steps"])) == (np.float16, np.int64, 70_000)
        np.testing.assert_allclose(arrays["w"], 0.1 + number, rtol=1e-3)
        assert facts == {"epoch": 16}
    pins = json.loads((weights / PINS).read_text())
    assert pins == {
        name: hashlib.sha256((weights / name).read_bytes()).hexdigest() for name in (STAGE_1, VERIFIER, *TRAINABLE)
    }
    assert (weights / METRICS).read_bytes() == (chain / "evaluation/metrics.json").read_bytes()
    assert (weights / CARD).read_text() == f"{BEGIN}{END} with evaluation/metrics.json"


@pytest.mark.parametrize(
    "missing", ["optimised/street.onnx", "stage2/verifier.onnx", "evaluation/metrics.json", "stage2/verifier.npz"]
)
def test_half_a_model_is_not_pinned(chain: Path, tmp_path: Path, missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a stage has not run, shipping stops, and the package is as it was."""
    weights = tmp_path / "weights"
    weights.mkdir()
    (weights / CARD).write_text(f"{BEGIN}{END}")
    monkeypatch.setattr(module, "with_figures", lambda card, _: card + "changed")
    (chain / missing).unlink()
    with pytest.raises((OSError, StreetveilError), match=Path(missing).name):
        ship(chain, weights)
    assert [file.name for file in weights.iterdir()] == [CARD]
    assert (weights / CARD).read_text() == f"{BEGIN}{END}"


def test_training_goes_on_from_the_shipped_weights(params: Params) -> None:
    """The shipped weights are all of the settings' network, are finite, and are as they were pinned."""
    arrays, _ = read_arrays(WEIGHTS / "street.npz")
    own = arrays_of(build_model(params.training, arrays).state_dict())
    assert {name: array.shape for name, array in arrays.items()} == {name: array.shape for name, array in own.items()}
    for name, array in arrays.items():
        np.testing.assert_array_equal(own[name], array)
        assert np.isfinite(array).all()
    pins = json.loads((WEIGHTS / PINS).read_text(encoding="utf-8"))
    for name, sha256 in pins.items():
        assert hashlib.sha256((WEIGHTS / name).read_bytes()).hexdigest() == sha256


def test_the_verifier_goes_on_from_the_shipped_weights(params: Params) -> None:
    """The shipped weights are those of the shipped verifier: at half precision they say what its file says."""
    network, verifier = read_network(WEIGHTS / "verifier.npz"), Verifier((WEIGHTS / VERIFIER).read_bytes())
    assert network.families == set(params.verifier.families)
    pixels, boxes = scene(np.random.default_rng(3), 160, 120)
    found = Detections.of(boxes, 0.5, [0, 1][: len(boxes)])
    told = features(pixels, found)
    rows = torch.from_numpy(rows_of(told.geometry, told.colour, told.close_up(), told.context))
    with torch.inference_mode():
        said = network(rows).sigmoid().numpy()[np.arange(len(found)), found.class_id]
    assert verifier.verify(pixels, found) == pytest.approx(said, abs=0.02)
