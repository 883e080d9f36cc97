"""The command line: what it prints, where, and which status it ends with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from components.batch.manifest import MANIFESTS
from components.detection.sanity import SANITY_PICTURES
from components.imaging.reading import decode
from components.settings import load_params

STREETVEIL = Path(sys.executable).with_name("streetveil")


def streetveil(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the installed command as a user does."""
    return subprocess.run(
        [STREETVEIL, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "200", **environment},
        check=False,
    )


def test_help_names_every_command_and_has_an_example() -> None:
    """Who asks for help sees what there is, and how a folder is blurred."""
    overview = streetveil("--help")
    assert overview.returncode == 0
    for command in ("blur", "verify", "bootstrap", "serve", "quarantine"):
        assert command in overview.stdout
    assert "streetveil blur photos blurred" in streetveil("blur", "--help").stdout
    assert "--install-completion" in overview.stdout


def test_version_is_the_package_version() -> None:
    """`--version` prints the name and the number."""
    from importlib.metadata import version

    assert streetveil("--version").stdout.strip() == f"streetveil {version('streetveil')}"


def test_a_folder_is_blurred_checked_listed_and_tried_again(day: Path, tmp_path: Path) -> None:
    """One folder's life: blur (status 3), verify, list, show, mend and retry (0), flip a bit (1)."""
    out = tmp_path / "out"
    blurred = streetveil("blur", day, out, "--region", "eu", "--json", "--workers", 2)
    assert blurred.returncode == 3, blurred.stderr
    result = json.loads(blurred.stdout)
    assert (result["inputs"], result["published"], result["quarantined"]) == (3, 2, {"decode_refused": 1})
    assert result["objects"]["face"] >= 1
    assert result["objects"]["license_plate"] >= 1
    limits = load_params().reading
    for picture in SANITY_PICTURES:
        x1, y1, x2, y2 = map(int, picture.box)
        before, after = (decode((folder / picture.file).read_bytes(), limits).pixels for folder in (day, out))
        assert np.abs(before[y1:y2, x1:x2].astype(int) - after[y1:y2, x1:x2]).mean() > 15, picture.file

    assert streetveil("verify", out).returncode == 0
    listed = json.loads(streetveil("quarantine", "list", out, "--json").stdout)
    assert [(entry["path"], entry["reason"]) for entry in listed] == [("broken.jpg", "decode_refused")]
    assert json.loads(streetveil("quarantine", "show", out, "broken.jpg").stdout)["state"] == "quarantined"

    again = streetveil("blur", day, out, "--json")
    assert (again.returncode, json.loads(again.stdout)["finished_before"]) == (0, 3)

    (day / "broken.jpg").write_bytes((day / "face.jpg").read_bytes())
    mended = streetveil("quarantine", "retry", day, out, "--json")
    assert (mended.returncode, json.loads(mended.stdout)["published"]) == (0, 1), mended.stderr
    assert json.loads(streetveil("verify", out, "--json").stdout) == {"images": 3, "findings": []}

    content = bytearray((out / "face.jpg").read_bytes())
    content[len(content) // 2] ^= 1
    (out / "face.jpg").write_bytes(content)
    flipped = streetveil("verify", out)
    assert flipped.returncode == 1
    assert "face.jpg" in flipped.stdout
    assert "1 findings" in flipped.stdout


def test_a_run_on_a_terminal_ends_with_a_summary_for_people(day: Path, tmp_path: Path) -> None:
    """Without --json the result is told in words, with the quarantined file and its reason."""
    (day / "plate.jpg").unlink()
    run = streetveil("blur", day, tmp_path / "out", "--workers", 1)
    assert run.returncode == 3
    for words in ("published", "1 of 2 images", "images/s", "faces", "decode_refused broken.jpg", "version 1"):
        assert words in run.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["blur", "{missing}", "{out}"], "no folder"),
        (["blur", "{day}", "{day}"], "choose another folder"),
        (["blur", "{day}", "{out}", "--region", "atlantis"], "choose one of eu, strict, us"),
        (["blur", "{day}", "{out}", "--device", "cuda"], "--device cpu"),
        (["blur", "{day}", "{foreign}"], "choose an empty or new folder"),
        (["verify", "{missing}"], "was not written by streetveil"),
        (["quarantine", "show", "{day}", "x"], "was not written by streetveil"),
        (["serve"], "PREFECT_API_URL"),
    ],
)
def test_errors_are_one_line_with_a_remedy_and_status_1(
    day: Path, tmp_path: Path, arguments: list[str], words: str
) -> None:
    """What is wrong with the call is told in one line on stderr, without a traceback."""
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "diary.txt").write_text("mine")
    places = {"missing": tmp_path / "missing", "out": tmp_path / "out", "day": day, "foreign": foreign}
    run = streetveil(*(argument.format(**places) for argument in arguments), PREFECT_API_URL="")
    assert run.returncode == 1
    assert words in run.stderr
    assert run.stderr.startswith("error:")
    assert len(run.stderr.strip().splitlines()) == 1
    assert (foreign / "diary.txt").read_text() == "mine"


def test_a_damaged_manifest_is_told_and_not_passed_over(day: Path, tmp_path: Path) -> None:
    """Verify ends with status 1 and names the manifest that cannot be read."""
    out = tmp_path / "out"
    (out / MANIFESTS).mkdir(parents=True)
    (out / MANIFESTS / "x.parquet").write_bytes(b"not parquet")
    run = streetveil("verify", out)
    assert run.returncode == 1
    assert "x.parquet" in run.stderr
