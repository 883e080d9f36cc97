"""`streetveil backfill` and the flow over all archives, with toy models."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from components.batch.manifest import read_rows
from components.batch.storage import LocalStorage
from components.detection.bundle import Bundle
from components.registry.champion import Champion
from components.settings import Params
from flows import one_folder
from flows.backfill import archives
from flows.backfill_command import markdown
from flows.cli import app
from tests.archives import publish_day, write_scenes
from tests.toy_model import model_file, toy_onnx


@pytest.fixture
def published(tmp_path: Path, params: Params, toy: Bundle, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A day whose model has missed all plates; by now there is a champion that sees them."""
    write_scenes(tmp_path / "in", [(1, 1), (0, 1), (1, 0)], seed=3)
    magenta = model_file(tmp_path / "magenta.onnx", toy_onnx((0.5, -1.0, 0.5)))
    publish_day(tmp_path / "in", tmp_path / "out", Bundle("toy-detector", "1", (magenta,)), params)
    monkeypatch.setattr(one_folder, "current_champion", lambda *_: Champion(replace(toy, version="2")))
    return tmp_path / "out"


def test_the_command_says_what_it_has_hidden(published: Path) -> None:
    """As JSON: two files with missed plates change, within the limit; a second call finishes, a third does nothing."""
    command = ["backfill", str(published), "--workers", "1", "--json"]
    told = [json.loads(CliRunner().invoke(app, [*command, "--limit", str(limit)]).stdout) for limit in (2, 2, 2)]
    assert [(one["images"], one["left"]) for one in told] == [(2, 1), (1, 0), (0, 0)]
    assert sum(one["reblurred"] for one in told) == 2
    assert told[0]["objects"]["license_plate"] > 0
    rows = read_rows(LocalStorage(published)).values()
    assert sorted(row.model_version for row in rows) == ["1", "2", "2"]


def test_no_archive_is_told_in_one_line(tmp_path: Path) -> None:
    """A folder that no run has written is an error with status 1."""
    outcome = CliRunner().invoke(app, ["backfill", str(tmp_path)])
    assert outcome.exit_code == 1
    assert "error:" in outcome.stderr


def test_archives_come_latest_first_and_the_page_says_if_there_is_nothing_to_do(published: Path) -> None:
    """Folders that no run has written are passed over."""
    for name in ("2026-01-01", "2026-01-03", "2026-01-02"):
        (published.parent / "days" / name / ".streetveil").mkdir(parents=True)
    (published.parent / "days" / "other").mkdir()
    found = [path.name for path in archives(str(published.parent / "days" / "*"))]
    assert found == ["2026-01-03", "2026-01-02", "2026-01-01"]
    assert "nothing to do" in markdown({}, "2")
