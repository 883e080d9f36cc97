"""`streetveil label` on the command line: from a published folder to landed labels, and every refusal in one line."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import yaml
from click.testing import Result
from typer.testing import CliRunner

from components.dataset import versions
from components.settings import PROJECT_ROOT
from flows.cli import app
from tests.dataset.labelling.night import NEAR, night


@pytest.fixture(autouse=True)
def _registry() -> None:
    """Labelling needs no model, so none is registered."""


@pytest.fixture
def label(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run a command as a user types it, in a project of its own; what DVC is asked to track is kept in `tracked`."""
    values = yaml.safe_load((PROJECT_ROOT / "params.yaml").read_text(encoding="utf-8"))
    folders = {"folder": str(tmp_path / "labelling"), "labelled": str(tmp_path / "labelled"), "random_share": 1.0}
    values["labelling"] |= folders
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    monkeypatch.setenv("STREETVEIL_PARAMS", str(tmp_path / "params.yaml"))
    monkeypatch.setattr("components.settings.PROJECT_ROOT", tmp_path)

    def snapshot(paths: Sequence[Path], project: Path) -> str:
        (tmp_path / "tracked").write_text(" ".join(path.relative_to(project).as_posix() for path in paths))
        return "a" * 64

    monkeypatch.setattr(versions, "snapshot", snapshot)
    return lambda *arguments: CliRunner().invoke(app, ["label", *map(str, arguments)], env={"COLUMNS": "200"})


def test_a_sample_goes_to_people_and_comes_back(tmp_path: Path, label: Callable[..., Result]) -> None:
    """Each command tells the next one; the import says what to commit, and erasure leaves labels and nobody's face."""
    published, originals = night(tmp_path, {f"{i}": (NEAR,) for i in range(3)})
    drawn = label("sample", published, "--originals", originals, "--seed", "s")
    assert drawn.exit_code == 0, drawn.output
    assert "3 of 3 published images (3 random)" in drawn.output
    assert (tmp_path / "tracked").read_text() == "labelled/samples"
    (waiting,) = json.loads(label("status", "--json").output)
    name = waiting["sample_id"]
    assert (waiting["state"], waiting["originals"]) == ("waiting", 3)
    assert label("export", name[:4]).exit_code == 0
    tasks = json.loads((tmp_path / "labelling" / name / "exports" / "label_studio" / "tasks.json").read_text())
    told = [{**task, "annotations": task["predictions"]} for task in tasks]
    (tmp_path / "export.json").write_text(json.dumps(told[:2]))
    refused = label("import", name, tmp_path / "export.json")
    assert (refused.exit_code, "1 open: nothing landed" in refused.output) == (1, True)
    (tmp_path / "export.json").write_text(json.dumps(told))
    landed = label("import", name, tmp_path / "export.json")
    assert landed.exit_code == 0, landed.output
    assert "commit it: git add labelled/random.dvc labelled/samples.dvc" in landed.output
    assert "3 originals of 1 samples erased" in label("erase", "--now", name).output
    assert "imported  3 images, no originals" in label("status").output
    assert "0 originals" in label("erase").output


def test_refusals_are_one_line(tmp_path: Path, label: Callable[..., Result]) -> None:
    """An unknown sample and a folder that is no destination are named, without a traceback."""
    for arguments, message in (
        (("export", "beef"), "0 samples begin with 'beef'"),
        (("sample", tmp_path), "has no manifests"),
    ):
        told = label(*arguments)
        assert (told.exit_code, told.output.count("\n")) == (1, 1)
        assert message in told.output
