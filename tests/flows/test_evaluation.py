"""`streetveil evaluate`: what it writes, prints and logs, and which status it ends with."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

from components.dataset.labels import LabelledImage, write_labels
from components.detection.bundle import Bundle
from components.detections import CLASS_NAMES, Detections
from components.errors import StreetveilError
from components.evaluation.verdict import Overall
from components.registry.models import Registry
from components.registry.references import Reference, parse_reference
from flows import evaluation_run
from flows.cli import app
from tests.conftest import encoded
from tests.registry.verdicts import verdict
from tests.toy_model import scene, toy_bundle

NAME = "toy-detector"
NOTHING = np.zeros((0, 4), np.float32)


@pytest.fixture(autouse=True)
def _registry() -> None:
    """Other flow tests need the shipped model in a registry; these have a toy of their own."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Bundle]:
    """A registry's folder in which the toy model is version 1, @challenger, and version 2, @champion; and its files."""
    folder = tmp_path_factory.mktemp("toy-registry")
    bundle = toy_bundle(folder / "toy")
    registry = Registry(NAME, f"sqlite:///{folder}/mlflow.db", str(folder / "artifacts"))
    assert registry.register(bundle.files, alias="challenger") == "1"
    assert registry.register(bundle.files, alias="champion") == "2"
    return folder, bundle


@pytest.fixture
def registry(made: tuple[Path, Bundle], monkeypatch: pytest.MonkeyPatch) -> Registry:
    """That registry as the environment names it; the peers are the same toy."""
    folder, bundle = made
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
    monkeypatch.setenv("STREETVEIL_MLFLOW_ARTIFACTS", str(folder / "artifacts"))
    monkeypatch.setattr(evaluation_run, "peer_files", lambda: bundle.files)
    return Registry.of(NAME)


@pytest.fixture
def labels(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Four labelled pictures for the toy model beside their labels.json, whose paths start there."""
    images = []
    for i in range(4):
        pixels, boxes = scene(rng, 320, 240)
        (tmp_path / f"{i}.png").write_bytes(encoded(pixels))
        objects = Detections.of(boxes, 1.0, [0, 1])
        images.append(LabelledImage(f"{i}.png", 320, 240, "toy", objects, NOTHING, frozenset(CLASS_NAMES)))
    write_labels(tmp_path / "labels.json", images)
    return tmp_path / "labels.json"


@pytest.mark.usefixtures("_wide_terminal")
def test_a_version_the_peers_and_the_champion_in_one_command(registry: Registry, labels: Path, tmp_path: Path) -> None:
    """The report stands in its folder and beside the version in MLflow; speed and attack are measured with it."""
    import mlflow

    out = tmp_path / "out"
    command = ["evaluate", "-m", f"models:/{NAME}@challenger", "-m", "peers", "-m", f"models:/{NAME}@champion"]
    run = CliRunner().invoke(app, [*command, "--data", str(labels), "--out", str(out)])
    assert run.exit_code == 4, run.output
    for words in ("How much is hidden", "Licence plates", "not assessed", "too few to say", "gate:"):
        assert words in run.output
    assert "toy-detector, version 1" in (out / "report.html").read_text(encoding="utf-8")
    told = json.loads((out / "metrics.json").read_text())
    assert set(told) == {"toy-detector-1", "toy-detector-2", "peers"}
    gate = told["toy-detector-1"]["gate"]
    assert gate["images_per_s"]["measured"] > 0
    assert gate["images_per_s"]["verdict"] != "not assessed"
    assert (gate["reidentification_ratio"]["verdict"], gate["export_recall_loss"]["verdict"]) == (
        "too few to say",
        "not assessed",
    )
    beside = {key: model["gate"]["face.object_recall"].get("champion") for key, model in told.items()}
    recall = told["toy-detector-2"]["face"]["object_recall"]
    assert beside == {"toy-detector-1": recall, "toy-detector-2": None, "peers": recall}
    assert told["peers"]["face"]["object_recall"] == told["toy-detector-1"]["face"]["object_recall"]

    client = mlflow.MlflowClient(registry.tracking_uri)
    version = client.get_model_version(NAME, "1")
    logged = {entry.path for entry in client.list_artifacts(version.run_id, "evaluation")}
    files = ("report.html", "metrics.json", "slices.csv", "verdict.json")
    assert logged == {f"evaluation/{name}" for name in files}
    assert "gate.face.object_recall" in client.get_run(version.run_id).data.metrics


def test_a_report_need_not_be_logged(registry: Registry, labels: Path, tmp_path: Path) -> None:
    """With --no-log-to-mlflow the version's run stays as it is; a prepared folder is read by its part."""
    import mlflow

    (tmp_path / "prepared").mkdir()
    text = labels.read_text().replace('"file": "', f'"file": "{tmp_path}/')
    (tmp_path / "prepared" / "val.json").write_text(text)
    command = ["evaluate", "-m", "models:/toy-detector/2", "--data", str(tmp_path / "prepared"), "--part", "val"]
    client = mlflow.MlflowClient(registry.tracking_uri)
    run_id = client.get_model_version(NAME, "2").run_id

    def logged() -> tuple[object, ...]:
        return client.list_artifacts(run_id, "evaluation"), client.get_metric_history(run_id, "gate.face.object_recall")

    before = logged()
    run = CliRunner().invoke(app, [*command, "--out", str(tmp_path / "out"), "--no-log-to-mlflow"])
    assert run.exit_code == 4, run.output
    assert logged() == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-m", "models:/toy-detector@nobody"], "no @nobody of toy-detector"),
        (["-m", "models:/toy-detector/7"], "no version 7 of toy-detector"),
        (["-m", "runs:/abc"], "names no model"),
        (["-m", "peers", "-m", "peers"], "each of them once"),
        (["-m", "peers", "--region", "atlantis"], "choose one of"),
        (["-m", "peers", "--data", "{folder}"], "has no test.json"),
        (["-m", "peers", "--data", "{folder}/none.json"], "not a labels.json"),
    ],
)
@pytest.mark.usefixtures("registry")
def test_errors_are_one_line_and_status_1(labels: Path, tmp_path: Path, arguments: list[str], words: str) -> None:
    """What is wrong with the call is told with its remedy."""
    given = [argument.format(folder=tmp_path) for argument in arguments]
    data = [] if "--data" in given else ["--data", str(labels)]
    run = CliRunner().invoke(app, ["evaluate", *given, *data, "--out", str(tmp_path / "out")])
    assert run.exit_code == 1
    assert words in run.output
    assert run.output.startswith("error:")


def test_a_passed_gate_is_status_0(labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The status is the judged model's word."""
    gate = verdict()
    assert gate.overall is Overall.PASSED
    model = SimpleNamespace(title="Own", gate=gate)
    report = SimpleNamespace(models=(model,), judged=model)
    monkeypatch.setattr(evaluation_run, "evaluate_models", lambda *_: report)
    run = CliRunner().invoke(app, ["evaluate", "-m", "1", "--data", str(labels), "--out", str(tmp_path)])
    assert run.exit_code == 0, run.output
    assert "gate: passed" in run.output


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("models:/a@champion", Reference("a", "champion")),
        ("models:/a/12", Reference("a", "12")),
        ("12", Reference("default", "12")),
        ("peers", None),
    ],
)
def test_names_of_models(text: str, meant: Reference | None) -> None:
    """An alias, a version of a model, a mere number, and the peers."""
    assert parse_reference(text, "default") == meant


@pytest.mark.parametrize(
    "text", ["", "champion", "models:/", "models:/a", "models:/a@", "models:/a/x", "models:/a/1/2"]
)
def test_other_names_are_refused(text: str) -> None:
    """What names no version is an error that says how to write one."""
    with pytest.raises(StreetveilError, match="models:/NAME@ALIAS"):
        parse_reference(text, "default")
