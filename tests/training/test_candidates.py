"""Candidates are timed in turns, compared at one threshold, and refused when they see less."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from components.dataset.labels import LabelledImage
from components.detection.onnx_runtime import Session
from components.detections import CLASS_NAMES, Detections
from components.errors import StreetveilError
from components.imaging.reading import Pixels
from components.settings import CheckpointChoice, Params, Training
from components.training import parts
from components.training.checkpoint import Arrays, arrays_of, read_arrays, write_arrays
from components.training.images import TrainingImage
from components.training.optimise import __main__ as command
from components.training.optimise import candidates as module
from components.training.optimise.candidates import (
    Candidate,
    Row,
    keeps_recall,
    markdown,
    measure_candidates,
    seconds_per_run,
    write_table,
)
from components.training.optimise.gpu import gpu_runtime
from components.training.pruning import parameter_count, pruned
from tests.small_street import described, noise, small_street
from tests.training.conftest import Render

CHOICE = CheckpointChoice(lowest_threshold=0.15, max_pixel_fpr=0.02)
BATCH = np.zeros((1, 3, 64, 64), np.float32)


class Covering:
    """A runtime that finds one face of 100 px in width and a part of its height, and is called as told."""

    def __init__(self, height: float, confidence: float = 0.9, called: Callable[[], None] = lambda: None) -> None:
        self.answer = np.array([[[0], [0], [100], [height], [confidence], [0.0]]], np.float32)
        self.called = called

    def run(self, blob: NDArray, outputs: Sequence[str]) -> list[NDArray]:
        """The answer."""
        self.called()
        return [self.answer]


def pictures() -> list[tuple[LabelledImage, Pixels]]:
    """One picture with a face of 100 × 1000 px, completely labelled."""
    face = Detections.of([[0, 0, 100, 1000]], 1.0, 0)
    truth = LabelledImage("p", 200, 1000, "", face, np.zeros((0, 4), np.float32), frozenset(CLASS_NAMES))
    return [(truth, np.zeros((1000, 200, 3), np.uint8))]


def measured(*heights: float) -> list[Row]:
    """The rows of candidates that cover so many of 1000 rows."""
    candidates = [Candidate(f"{height}", None, lambda height=height: Covering(height)) for height in heights]
    return measure_candidates(candidates, pictures(), CHOICE, BATCH, turns=1)


@pytest.mark.parametrize(("height", "accepted"), [(1000, True), (991, True), (990, False), (980, False), (0, False)])
def test_a_candidate_that_loses_a_point_is_refused(height: int, accepted: bool) -> None:
    """Less than 1 % of the pixels may be lost, exactly 1 % is too much."""
    reference, row = measured(1000, height)
    assert reference.accepted is True
    assert row.pixel_recall == {"face": height / 1000, "license_plate": None}
    assert row.accepted is accepted


def test_each_class_counts_for_itself() -> None:
    """A gain in one class makes up for no loss in the other, and an unlabelled class says nothing."""
    assert keeps_recall({"face": 0.9, "license_plate": 0.8}, {"face": 0.895, "license_plate": 0.8})
    assert not keeps_recall({"face": 0.9, "license_plate": 0.8}, {"face": 0.99, "license_plate": 0.78})
    assert keeps_recall({"face": 0.9, "license_plate": None}, {"face": 0.9, "license_plate": None})
    assert not keeps_recall({"face": 0.9, "license_plate": 0.8}, {"face": 0.9, "license_plate": None})


def test_all_are_measured_at_the_references_threshold() -> None:
    """A candidate whose confidences sank below the reference's threshold has lost its objects."""
    candidates = [
        Candidate("float", None, lambda: Covering(1000, 0.9)),
        Candidate("weak", None, lambda: Covering(1000, 0.14)),
        Candidate("enough", None, lambda: Covering(1000, 0.16)),
    ]
    rows = measure_candidates(candidates, pictures(), CHOICE, BATCH, turns=1)
    assert [row.accepted for row in rows] == [True, False, True]


def test_candidates_compute_in_turns_and_the_median_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every turn runs all of them once, the first turn does not count, and one slow moment changes nothing."""
    order: list[str] = []
    clock = iter(np.cumsum([0, 9, 0, 2, 0, 4, 0, 2, 0, 4, 0, 50, 0, 4]).tolist())
    monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    runtimes = {0: Covering(1, called=lambda: order.append("a")), 1: Covering(1, called=lambda: order.append("b"))}
    assert seconds_per_run(runtimes, BATCH, turns=3) == {0: 2, 1: 4}
    assert order == ["a", "b"] * 4


def test_what_this_machine_lacks_is_named_and_not_measured() -> None:
    """Without a GPU the row says so, and claims neither a speed nor a verdict."""
    candidates = [
        Candidate("float", None, lambda: Covering(1000)),
        Candidate("TensorRT", None, lambda: None, absent="no GPU here: not measured"),
    ]
    row = measure_candidates(candidates, pictures(), CHOICE, BATCH, turns=1)[1]
    assert (row.images_per_s, row.accepted, row.note) == (None, None, "no GPU here: not measured")
    assert "| TensorRT | – | – | – | – | – | – | not measured | no GPU here: not measured |" in markdown([row], "x")


def test_a_gpu_is_used_where_onnx_runtime_has_one_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without CUDA and TensorRT there is no runtime, rather than a slow one under a fast one's name."""
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    assert gpu_runtime(b"") is None


def test_nothing_to_compare_with_is_an_error() -> None:
    """Without a reference, or pictures, no candidate is accepted by accident."""
    with pytest.raises(StreetveilError, match="one is missing"):
        measure_candidates([], pictures(), CHOICE, BATCH)
    with pytest.raises(StreetveilError, match="one is missing"):
        measure_candidates([Candidate("float", None, lambda: None)], pictures(), CHOICE, BATCH)
    with pytest.raises(StreetveilError, match="one is missing"):
        measure_candidates([Candidate("float", None, lambda: Covering(1))], [], CHOICE, BATCH)


def test_the_table_is_written_for_machines_and_people(tmp_path: Path) -> None:
    """Both files say the same: names, sizes, speeds beside the float network's, recall and verdict."""
    recall = {"face": 0.9, "license_plate": 0.8}
    rows = [Row("float", 10.0, 2.0, recall, 0.01, True), Row("small", 3.0, 5.0, recall, 0.02, False, "note")]
    write_table(rows, tmp_path / "deep", "One core.")
    told = json.loads((tmp_path / "deep" / "candidates.json").read_text())
    assert told["measured"] == "One core."
    assert told["rows"][1]["images_per_s"] == 5.0
    text = (tmp_path / "deep" / "candidates.md").read_text()
    assert text.startswith("One core.\n\n| candidate |")
    assert "| small | 3.00 | 5.00 | 2.50 | 0.9000 | 0.8000 | 0.0200 | no | note |" in text


def test_every_form_of_a_network_is_made_and_measured(
    params: Params, rendered: Render, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From weights to files and table: whole, pruned and taught on each runtime; the weights load, one is chosen."""
    monkeypatch.setattr(command, "_TIMED_PX", (64, 96))
    monkeypatch.setattr(command, "OpenVinoSession", Session)  # faster to load; its own tests are elsewhere
    monkeypatch.setattr(command, "quantise_onnx", lambda whole, small, pictures: shutil.copy(whole, small))
    asked = []

    class Untrained(command.Trainer):
        """Gives back what it is to train."""

        def again(self, name: str, first: Path, teachers: Sequence[Path] = ()) -> Arrays:
            """The first weights."""
            asked.append((name, first, list(teachers)))
            return read_arrays(first)[0]

    settings = params.training.model_copy(update={"architecture": described()})
    changed = params.model_copy(update={"training": settings})
    labelled = [(image.truth(), noise(image.width, image.height, i)) for i, image in enumerate(rendered(3))]
    shown = command.Pictures([pixels for _, pixels in labelled], labelled)
    weights, out = tmp_path / "best.npz", tmp_path / "out"
    write_arrays(weights, arrays_of(small_street().state_dict()), {})
    rows = command.optimise(weights, Untrained(changed, [], [], tmp_path / "work"), shown, out)
    assert asked == [("pruned", out / "pruned.npz", []), ("taught", out / "pruned.npz", [weights])]
    assert [row.name for row in rows[:4]] == [
        "float, ONNX Runtime",
        "float, torch",
        "float, OpenVINO",
        "float, 8 bits, ONNX Runtime",
    ]
    names = ("float", "pruned 50%", "pruned 50% and taught")
    assert len(rows) == 18
    assert {row.name for row in rows if row.accepted is None} == {f"{name}, TensorRT" for name in names}
    assert all(row.images_per_s > 0 for row in rows if row.accepted is not None)
    assert (out / "candidates.md").exists()
    assert (out / "float_int8.onnx").stat().st_size == rows[4].file_mb * 1e6
    again = command.network_of(settings, read_arrays(out / "pruned_50_and_taught.npz")[0])
    assert parameter_count(again) == parameter_count(pruned(small_street(), 0.5))
    best = json.loads((out / "chosen.json").read_text())
    assert best["accepted"]
    assert best["name"] == command.chosen(rows).name
    assert (out / command.CHOSEN).stat().st_size == best["file_mb"] * 1e6


def row(name: str, speed: float | None, file_mb: float | None, accepted: bool | None = True) -> Row:
    """A line of the table."""
    return Row(name, file_mb, speed, dict.fromkeys(CLASS_NAMES, 0.9), 0.01, accepted)


@pytest.mark.parametrize(
    ("rows", "name"),
    [
        ([row("a", 10, 5), row("b", 9.31, 3)], "b"),  # nearly as fast, and smaller
        ([row("a", 10, 5), row("b", 9.29, 3)], "a"),  # slower by more than 7 %
        ([row("a", 10, 3), row("b", 9.5, 3)], "a"),  # as small, and slower
        ([row("a", 10, 5), row("b", 20, 1, accepted=False)], "a"),
        ([row("a", 10, 5), row("b", 20, 1, accepted=None)], "a"),
        ([row("a", 10, 5), row("b", 20, None)], "a"),  # no file to ship
        ([row("a", 10, 5), row("b, TensorRT", 500, 1)], "a"),  # the speed of a GPU
        ([row("a", 10, 5), row("b", 20, 1, accepted=False), row("c", 9.4, 4), row("d", 9.9, 2)], "d"),
    ],
)
def test_the_smallest_of_the_fastest_is_chosen(rows: list[Row], name: str) -> None:
    """Within 7 % of the fastest accepted one the smallest file wins; refused and unmeasured ones count for nothing."""
    assert command.chosen(rows).name == name
    assert command.chosen(rows[::-1]).name == name


def test_the_same_pictures_are_drawn_in_every_run(
    params: Params, rendered: Render, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calibration comes from the training part, recall from the validation part; large pictures shrink with boxes."""
    monkeypatch.setattr(command, "_MOST_PX", 48)
    few = params.optimisation.model_copy(update={"calibration_images": 2, "validation_images": 3})
    settings = params.model_copy(update={"optimisation": few})
    training, validation = rendered(5), rendered(4)
    first, second = (command.read_pictures(training, validation, settings) for _ in range(2))
    assert len(first.calibration) == 2
    assert len(first.validation) == 3
    assert all(np.array_equal(*both) for both in zip(first.calibration, second.calibration, strict=True))
    assert [truth.path for truth, _ in first.validation] == [truth.path for truth, _ in second.validation]
    for truth, pixels in first.validation:
        whole = next(image for image in validation if str(image.path) == truth.path)
        assert pixels.shape == (truth.height, truth.width, 3) == (40, 48, 3)
        np.testing.assert_allclose(truth.objects.xyxy, whole.boxes / 2)
    monkeypatch.setattr(command, "_MOST_PX", 96)
    assert command.read_pictures(training, validation, settings).validation[0][1].shape == (80, 96, 3)


def test_pruned_networks_are_trained_again(
    params: Params, tiny: Training, rendered: Render, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Short settings and a part of the pictures, the same each time; other weights or teachers have another folder."""
    short = params.optimisation.model_copy(update={"epochs": 2, "images": 3, "learning_rate": 0.001})
    calls: list[tuple[Training, list[TrainingImage], Path, Path, list[Path]]] = []

    def trained(settings: Training, part: list[TrainingImage], _validation: object, folder: Path, first: Path,
                teachers: list[Path]) -> SimpleNamespace:  # fmt: skip
        calls.append((settings, part, folder, first, teachers))
        write_arrays(folder / "best.npz", {"w": np.full(1, len(calls))}, {})
        return SimpleNamespace(weights=folder / "best.npz")

    monkeypatch.setattr(command, "train_stage1", trained)
    files = [tmp_path / name for name in ("first.npz", "other.npz")]
    for number, file in enumerate(files):
        write_arrays(file, {"w": np.full(1, number)}, {})
    settings = params.model_copy(update={"optimisation": short, "training": tiny})
    pictures = rendered(5)
    trainer = command.Trainer(settings, pictures, rendered(1), tmp_path / "work")
    assert trainer.again("pruned", files[0])["w"] == 1
    trainer.again("pruned", files[0])
    trainer.again("pruned", files[1])
    trainer.again("pruned", files[0], [files[1]])
    used, part, folder, first, teachers = calls[0]
    assert (used.epochs, used.learning_rate, used.warmup_epochs) == (2, 0.001, 0)
    assert used.model_copy(update={"epochs": tiny.epochs, "learning_rate": tiny.learning_rate,
                                   "warmup_epochs": tiny.warmup_epochs}) == tiny  # fmt: skip
    assert len(part) == 3
    assert {image.path for image in part} < {image.path for image in pictures}
    assert (first, list(teachers)) == (files[0], [])
    assert [image.path for image in calls[1][1]] == [image.path for image in part]
    assert calls[1][2] == folder
    assert len({call[2] for call in calls}) == 3
    assert list(calls[3][4]) == [files[1]]
    assert all(call[2].parent == tmp_path / "work" for call in calls)


def test_the_command_reads_the_split_with_its_lessons(
    params: Params, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both parts with what teachers saw, the profile's settings, a work folder beside the output; a table printed."""
    asked: dict[str, Any] = {}
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "candidates.md").write_text("the table")
    (tmp_path / "seen.jsonl").write_text("")

    def images(prepared: Path, part: str, _params: Params, lessons: object) -> list[str]:
        return [f"{prepared.name} {part} {lessons}"]

    def optimise(*given: Any) -> None:
        asked["weights"], asked["trainer"], _, asked["out"] = given

    monkeypatch.setattr(command, "load_params", lambda: params)
    monkeypatch.setattr(parts, "training_images", images)
    monkeypatch.setattr(command, "read_pictures", lambda *given: asked.update(pictures=given[:2]))
    monkeypatch.setattr(command, "optimise", optimise)
    line = ["optimise", "--profile", "rendered", "--weights", "a.npz", "--prepared", "p"]
    monkeypatch.setattr(sys, "argv", [*line, "--taught", str(tmp_path / "seen.jsonl"), "--out", str(tmp_path / "out")])
    command.main()
    trainer = asked["trainer"]
    assert asked["weights"] == Path("a.npz")
    assert (trainer.training, trainer.validation) == asked["pictures"] == (["p train {}"], ["p val {}"])
    assert trainer.work == tmp_path / "out.work"
    assert trainer.params == params.of_profile("rendered")
    assert asked["out"] == tmp_path / "out"
    assert "the table" in capsys.readouterr().out
