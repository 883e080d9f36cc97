"""Promise: logs and metrics name nobody, whatever files, folders and their metadata are called."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from components.detection.bundle import Bundle
from components.registry.champion import Champion
from components.settings import PROJECT_ROOT, Params
from flows.one_folder import blur_folder
from tests.test_event_log import log

__all__ = ["log"]
NAME = "annaexample"
FOLDER = f"{NAME}/Haus von {NAME} 52.5,13.4"


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Pictures of which path, EXIF and comment hold a name, two of them broken."""
    folder = tmp_path / f"in-{NAME}" / FOLDER
    folder.mkdir(parents=True)
    exif = Image.Exif()
    exif[0x013B] = exif[0x9286] = NAME  # Artist, UserComment
    for number in range(3):
        pixels = Image.new("RGB", (160, 120), (90, 100, 110))
        pixels.save(folder / f"{NAME} {number}.jpg", exif=exif, comment=NAME)
    whole = (folder / f"{NAME} 0.jpg").read_bytes()
    (folder / f"{NAME}-broken.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / f"{NAME}-empty.jpg").write_bytes(b"")
    return tmp_path / f"in-{NAME}"


def test_a_run_over_names_logs_none(
    pictures: Path, tmp_path: Path, toy: Bundle, params: Params, log: io.StringIO, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Log, metrics and whatever this process or its workers print hold no part of a name; what happened is told."""
    monkeypatch.setenv("STREETVEIL_METRICS_DIR", str(tmp_path))
    fallback = f"cannot read {pictures}"
    blur_folder(pictures, tmp_path / f"out-{NAME}", params, "eu", Champion(toy, fallback), workers=1)
    printed = capfd.readouterr()
    metrics = (tmp_path / "streetveil-run-folder.prom").read_text()
    for text in (log.getvalue(), metrics, printed.out, printed.err):
        assert NAME not in text
        assert "52.5" not in text
    events = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [event["event"] for event in events if event["event"].startswith("run.")] == [
        "run.started", "run.fallback", "run.planned", "run.finished",
    ]  # fmt: skip
    assert {event["reason"]: event["images"] for event in events if event["event"] == "images.quarantined"} == {
        "decode_refused": 1, "empty": 1,
    }  # fmt: skip
    assert (events[-1]["published"], events[-1]["quarantined"]) == (3, 2)


@pytest.mark.parametrize("how", [["--log-json"], []], ids=["option", "environment"])
def test_a_command_that_fails_logs_no_name(tmp_path: Path, how: list[str]) -> None:
    """With a JSON log, stderr is one line with kind and place of the error, and not its words."""
    command = [sys.executable, "-m", "flows.cli", *how, "blur", tmp_path / NAME, tmp_path / "out"]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT), **({} if how else {"STREETVEIL_LOG_JSON": "1"})}
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=PROJECT_ROOT, env=environment)
    assert ran.returncode == 1
    assert NAME not in ran.stdout + ran.stderr
    (told,) = map(json.loads, ran.stderr.splitlines())
    assert (told["event"], told["error"], told["exit_status"]) == ("command.failed", "StreetveilError", 1)
    assert told["where"].startswith("sources:")
    assert "--log-json" in told["remedy"]
