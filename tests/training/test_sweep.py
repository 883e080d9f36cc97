"""The sweep trains once for each weight, from the same start on the same pictures, and measures all alike."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from components.dataset.labels import LabelledImage
from components.detection.onnx_runtime import Session
from components.detections import CLASS_NAMES, FACE, Detections
from components.settings import Params, Training
from components.training import sweep as module
from components.training.checkpoint import write_arrays
from components.training.images import TrainingImage
from components.training.sweep import Row, compare, found_in, label_trials, markdown, row_of, weight_trials
from components.training.yolo.average_precision import Precision, average_precision
from components.training.yolo.export import export_onnx
from tests.small_street import small_street
from tests.training.conftest import Render

NOTHING = np.zeros((0, 4), np.float32)


def pair(found: Detections) -> tuple[LabelledImage, Detections]:
    """A picture of 100 × 100 px with a face of 20 px, and what is found in it."""
    face = Detections.of([[0, 0, 20, 20]], 1.0, FACE)
    return LabelledImage("a", 100, 100, "", face, NOTHING, frozenset(CLASS_NAMES)), found


def test_a_row_by_hand(params: Params) -> None:
    """At 0.25 both detections hide; at the bound only the face's, for which the threshold rises above the false one."""
    found = Detections.of([[0, 0, 20, 20], [40, 40, 90, 90]], [0.6, 0.4], FACE)
    told = row_of("5", [pair(found)], params.training)
    assert told.name == "5"
    assert told.objects == average_precision([pair(found)], 0.25)
    assert (told.pixel_recall, told.pixel_recall_at_bound, told.object_recall_at_bound) == (1, 1, 1)
    assert told.pixel_fpr == pytest.approx(2500 / 9600)
    assert 0.4 < told.threshold_at_bound < 0.42
    low = row_of("5", [pair(Detections.of([[0, 0, 20, 20]], 0.2, FACE))], params.training)
    assert (low.pixel_recall, low.pixel_recall_at_bound) == (0, 1)


def rows(*names: str) -> list[Row]:
    """Rows of a table."""
    figures = Precision(0.5, 0.25, 1 / 3, 0.125)
    return [Row(name, figures, 0.75, None if name == "1" else 0.0123, 0.625, 0.375, 0.42) for name in names]


def test_the_table_has_a_line_for_each_weight_and_the_ensemble(params: Params) -> None:
    """Each row is one line with as many cells as the head, in its order; an unknown rate is a dash."""
    text = markdown(rows("1", "5", "15", "ensemble"), params, "weight")
    head, under, *lines = [line for line in text.splitlines() if line.startswith("|")]
    assert [line.split("|")[1].strip() for line in lines] == ["1", "5", "15", "ensemble"]
    names = [cell.strip() for cell in head.split("|")[1:-1]]
    assert len(under.split("|")) == len(head.split("|"))
    for line in lines:
        cells = dict(zip(names, (cell.strip() for cell in line.split("|")[1:-1]), strict=True))
        wanted = {"recall": "0.250", "precision": "0.500", "F1": "0.333", "mAP50": "0.125", "pixel recall": "0.750"}
        assert {name: cells[name] for name in wanted} == wanted
        assert cells["pixel FPR"] == ("–" if cells["weight"] == "1" else "0.0123")
        assert cells["pixel recall at bound"] == "0.625"
        assert cells["object recall at bound"] == "0.375"
        assert cells["threshold at bound"] == "0.42"
    assert f"{params.training.choice.max_pixel_fpr}" in text.splitlines()[0]


class Saying:
    """A runtime that says the same of every picture."""

    def __init__(self, *values: float) -> None:
        self.values = values

    def run(self, blob: NDArray, outputs: Sequence[str]) -> list[NDArray]:
        """Its answer."""
        return [np.array(self.values, np.float32).reshape(1, 6, 1)]


def test_several_networks_answer_with_their_mean(
    params: Params, rendered: Render, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Boxes and confidences of an ensemble are the means at each anchor; one network is itself."""
    said = {"a": Saying(8, 8, 24, 28, 0.9, 0.0), "b": Saying(8, 8, 28, 32, 0.3, 0.0)}
    monkeypatch.setattr(module, "runtime_for", lambda name, _: said[name])
    files = [tmp_path / name for name in said]
    for file in files:
        file.write_bytes(b"")
    scales = params.detection.scales.model_copy(update={"max_scale": 1.0})
    once = params.model_copy(update={"detection": params.detection.model_copy(update={"scales": scales})})
    ((labels, alone),), ((_, both),) = (found_in(chosen, rendered(1), once) for chosen in (files[:1], files))
    assert labels.exhaustive == set(CLASS_NAMES)
    np.testing.assert_allclose(alone.xyxy[0], [8, 8, 24, 28], atol=0.01)
    np.testing.assert_allclose(both.xyxy[0], [8, 8, 26, 30], atol=0.01)
    np.testing.assert_allclose([alone.confidence[0], both.confidence[0]], [0.9, 0.6], rtol=1e-5)


def test_weights_differ_in_nothing_else(params: Params, tiny: Training, rendered: Render) -> None:
    """Each weight has the short settings, its own value for both classes, and the same pictures as the others."""
    short = params.sweep.model_copy(update={"positive_weights": (1, 5), "images": 3, "epochs": 2})
    light, heavy = weight_trials(params.model_copy(update={"sweep": short, "training": tiny}), rendered(6))
    assert (light.name, heavy.name) == ("1", "5")
    for weight, trial in ((1, light), (5, heavy)):
        both = trial.settings.positive_weight
        assert (both.face, both.license_plate) == (weight, weight)
        assert (trial.settings.epochs, trial.settings.warmup_epochs) == (2, 0)
        assert trial.settings.fixed_norm_from_epoch == 0
        assert trial.settings.learning_rate == short.learning_rate
        assert len(trial.training) == 3
    assert [image.path for image in light.training] == [image.path for image in heavy.training]
    assert heavy.settings.model_copy(update={"positive_weight": light.settings.positive_weight}) == light.settings


def test_missing_labels_are_treated_in_three_ways(params: Params, tiny: Training, rendered: Render) -> None:
    """One trial learns from filled labels, two from bare ones, and only the last takes these for complete."""
    short = params.sweep.model_copy(update={"images": 3})
    filled = rendered(6)
    bare = [replace(image, exhaustive=frozenset()) for image in filled]
    told = label_trials(params.model_copy(update={"sweep": short, "training": tiny}), filled, bare)
    assert [trial.settings.ignore_unlabelled for trial in told] == [True, True, False]
    assert [all(image.exhaustive for image in trial.training) for trial in told] == [True, False, False]
    assert len({tuple(image.path for image in trial.training) for trial in told}) == 1


def test_a_comparison_goes_on_where_it_was_and_starts_anew_from_other_weights(
    params: Params, tiny: Training, rendered: Render, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each trial has its own folder, the same in every call, and is measured alone; another start has others."""
    folders: list[Path] = []
    measured: list[int] = []

    def trained(settings: Training, part: list[TrainingImage], _: Any, folder: Path, first: Path) -> SimpleNamespace:
        folders.append(folder)
        write_arrays(folder / "best.npz", {"w": np.ones(1)}, {})
        return SimpleNamespace(weights=folder / "best.npz")

    def seen(models: Sequence[Path], *_: object) -> list[tuple[LabelledImage, Detections]]:
        measured.append(len(models))
        assert all(file.name == "best.onnx" for file in models)
        return [pair(Detections.empty())]

    monkeypatch.setattr(module, "train_stage1", trained)
    monkeypatch.setattr(module, "build_model", lambda *_: None)
    monkeypatch.setattr(module, "export_onnx", lambda _, path: path.write_bytes(b""))
    monkeypatch.setattr(module, "found_in", seen)
    short = params.sweep.model_copy(update={"positive_weights": (1, 5)})
    changed = params.model_copy(update={"sweep": short, "training": tiny})
    trials, validation, work = weight_trials(changed, rendered(6)), rendered(1), tmp_path / "work"
    first = tmp_path / "first.npz"
    write_arrays(first, {"w": np.ones(1)}, {})
    told, models = compare(trials, validation, changed, first, work)
    assert [row.name for row in told] == ["1", "5"]
    assert measured == [1, 1]
    assert [model.parent for model in models] == folders
    assert len(set(folders)) == 2
    compare(trials, validation, changed, first, work)
    assert folders[2:] == folders[:2]
    write_arrays(first, {"w": np.zeros(1)}, {})
    compare(trials, validation, changed, first, work)
    assert len(set(folders)) == 4
    assert all(folder.parent == work for folder in folders)


def test_a_network_is_measured_as_production_runs_it(
    params: Params, rendered: Render, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A real network's file is run at the scales of production, down to a confidence that mAP sees."""
    monkeypatch.setattr(module, "runtime_for", Session)
    export_onnx(small_street(), tmp_path / "best.onnx")
    ((labels, found),) = found_in([tmp_path / "best.onnx"], rendered(1), params)
    assert (labels.width, labels.height) == (96, 80)
    assert len(found)
    assert (found.confidence >= 0.01).all()
    assert (found.confidence < 0.15).any()
    assert found.xyxy.min() >= 0
    assert (found.xyxy.max(axis=0) <= [96, 80, 96, 80]).all()


def test_the_command_writes_both_comparisons(params: Params, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Weights are compared on filled labels, alone and together; treatments on filled and bare ones; four files."""
    asked: list[Any] = []

    def compared(trials: Any, validation: Any, used: Params, *place: Path) -> tuple[list[Row], list[Path]]:
        asked.append((validation, used, *place))
        return rows(*trials), [Path(name) for name in trials]

    monkeypatch.setattr(module, "compare", compared)
    monkeypatch.setattr(module, "weight_trials", lambda _, filled: ["1", f"5 {filled}"])
    monkeypatch.setattr(module, "label_trials", lambda _, filled, bare: [f"{filled} {bare}"])
    monkeypatch.setattr(module, "exported", lambda first, work, _: work / first)
    monkeypatch.setattr(module, "found_in", lambda models, *_: [(None, len(models))])
    monkeypatch.setattr(module, "row_of", lambda name, pairs, _: rows(f"{name} of {pairs[0][1]}")[0])
    monkeypatch.setattr(module, "load_params", lambda: params)
    monkeypatch.setattr(module, "training_parts", lambda *_: ("filled", "val"))
    monkeypatch.setattr(module, "training_images", lambda *_: "bare")
    line = ["sweep", "--profile", "rendered", "--prepared", "p", "--weights", "best.npz", "--taught", "t"]
    monkeypatch.setattr(sys, "argv", [*line, "--out", str(tmp_path / "out")])
    module.main()
    profile = params.of_profile("rendered")
    assert asked == [("val", profile, Path("best.npz"), tmp_path / "out.work")] * 2
    weights, labels = rows("none yet of 1", "1", "5 filled", "ensemble of 2"), rows("filled bare")
    told = {name: (tmp_path / "out" / name).read_text() for name in ("sweep.md", "missing_labels.md")}
    assert told["sweep.md"] == markdown(weights, profile, "weight")
    assert told["missing_labels.md"] == markdown(labels, profile, "unlabelled classes are")
    assert json.loads((tmp_path / "out" / "sweep.json").read_text()) == [asdict(row) for row in weights]
    assert json.loads((tmp_path / "out" / "missing_labels.json").read_text()) == [asdict(row) for row in labels]
