"""A user's first day, as the documentation tells it: its commands, word for word, in a folder of their own."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from components.settings import PROJECT_ROOT
from tests.documents.blocks import commands

DAY, EXEMPTION = "2026-12-31", "3f0c9a12b4de"  # what the reader puts their own in place of
# In order: document, command, exit status.
STORY = [
    ("README.md", ".venv/bin/streetveil blur photos blurred --region eu", 3),
    ("docs/operate.md", "streetveil quarantine list blurred", 0),
    ("docs/operate.md", "streetveil quarantine list blurred --reason decode_refused --json", 0),
    ("docs/operate.md", "streetveil quarantine show blurred broken.jpg", 0),
    ("docs/operate.md", "streetveil quarantine retry photos blurred", 3),
    ("docs/operate.md", "streetveil quarantine discard blurred broken.jpg --why 'sent twice' --by ada", 0),
    (
        "docs/operate.md",
        f"streetveil allow add blurred face.jpg 85,30,200,190 --class face --until {DAY} --why 'a statue'",
        0,
    ),
    (
        "docs/operate.md",
        f"streetveil allow add blurred 'camera-7/*.jpg' 0,900,260,980 --class license_plate --until {DAY} "
        "--why 'our own van'",
        0,
    ),
    ("docs/operate.md", "streetveil allow list --published blurred", 0),
    ("docs/operate.md", f"streetveil allow end {EXEMPTION} blurred --why 'it is gone'", 0),
    (
        "docs/capacity.md",
        "streetveil capacity --images-per-day 10e6 --megapixels 5 --deadline 20h --from benchmark.json",
        0,
    ),
    ("docs/review.md", "streetveil review list", 0),
    ("docs/service.md", "streetveil report list", 0),
    ("docs/service.md", "streetveil report export reports.jsonl", 0),
    ("docs/video.md", "streetveil video drive.mp4 blurred.mp4", 0),
]


def test_the_story_is_told() -> None:
    """Each command of the story stands in its document, word for word."""
    told = {(command.document, command.text) for command in commands()}
    assert [step for step in STORY if step[:2] not in told] == []


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_story_can_be_lived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command ends as the documentation says, and the folder is what it should be after the last one."""
    _lay_out(tmp_path)
    monkeypatch.setenv("STREETVEIL_EXEMPTIONS", str(tmp_path / "exemptions.jsonl"))
    monkeypatch.setenv("STREETVEIL_REPORTS", str(tmp_path / "reports.sqlite"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    own = {DAY: (date.today() + timedelta(days=30)).isoformat()}
    for _, command, status in STORY:
        text = command.removeprefix(".venv/bin/")
        for example, value in own.items():
            text = text.replace(example, value)
        done = subprocess.run(shlex.split(text), cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == status, f"{text}\n{done.stdout}\n{done.stderr}"
        if " allow add " in text and EXEMPTION not in own:
            own[EXEMPTION] = done.stdout.split()[1].rstrip(":")
    shown = subprocess.run(
        ["streetveil", "quarantine", "show", "blurred", "broken.jpg"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    told = json.loads(shown.stdout)
    assert (told["state"], told["reason"]) == ("quarantined", "discarded")
    assert "ada" in told["detail"]
    assert [entry["reason"] for entry in told["history"]] == ["decode_refused", "decode_refused", "discarded"]
    assert sorted(path.name for path in (tmp_path / "blurred").rglob("*.jpg")) == ["0.jpg", "1.jpg", "face.jpg"]
    assert (tmp_path / "blurred.mp4").stat().st_size > 0


def _lay_out(folder: Path) -> None:
    """Photographs, one of them broken, the pictures of a camera, a video, and a machine's measurement."""
    face = Image.open(PROJECT_ROOT / "components/detection/sanity_pictures/face.jpg").convert("RGB")
    street = np.random.default_rng(1).integers(90, 110, (1200, 1600, 3), np.uint8)
    (folder / "photos" / "camera-7").mkdir(parents=True)
    for i in range(2):
        Image.fromarray(street + i).save(folder / "photos" / "camera-7" / f"{i}.jpg", quality=90)
    seen = Image.fromarray(street)
    seen.paste(face, (0, 0))
    seen.save(folder / "photos" / "face.jpg", quality=95)
    (folder / "photos" / "broken.jpg").write_bytes((folder / "photos" / "face.jpg").read_bytes()[:3000])
    shutil.copy(PROJECT_ROOT / "docs" / "benchmark.json", folder / "benchmark.json")
    with av.open(str(folder / "drive.mp4"), "w") as video:
        stream = video.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for i in range(6):
            frame = av.VideoFrame.from_ndarray(np.roll(np.asarray(face.resize((320, 240))), i, axis=1), format="rgb24")
            video.mux(stream.encode(frame))
        video.mux(stream.encode())
