"""The command `streetveil video`: what it prints, and which status it ends with."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from components.detection.bundle import Bundle
from components.registry.champion import Champion
from flows import one_folder
from flows.cli import app
from tests.toy_model import scene


@pytest.fixture(autouse=True)
def _toy_champion(toy: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model of these runs, instead of one that takes seconds."""
    monkeypatch.setattr(one_folder, "current_champion", lambda *_: Champion(toy))


@pytest.fixture
def film(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Seven frames with a face and a plate."""
    import av

    path, pixels = tmp_path / "in.mp4", scene(rng)[0]
    with av.open(str(path), "w") as container:
        track = container.add_stream("libx264", rate=25, options={"crf": "8"})
        track.height, track.width, track.pix_fmt = *pixels.shape[:2], "yuv420p"
        for _ in range(7):
            container.mux(track.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(track.encode())
    return path


def test_a_video_is_blurred_once_and_never_over_another_file(film: Path, tmp_path: Path) -> None:
    """Status 0 with figures; what is there already, or is the source, is not replaced unless that is asked for."""
    out, run = tmp_path / "out.mp4", CliRunner().invoke
    done = run(app, ["video", str(film), str(out), "--json", "--detect-every", "3"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["frames"], told["searched"], told["model"]) == (7, 3, "toy-detector version 1")
    assert told["objects"]["face"] >= 1
    assert told["objects"]["license_plate"] >= 1
    written = out.read_bytes()
    for arguments, said in (
        ([film, out], "exists already"),
        ([film, film, "--overwrite"], "the source itself"),
        ([film, tmp_path / "out.doc"], "choose .mp4"),
        ([tmp_path / "none.mp4", tmp_path / "new.mp4"], "no video"),
        ([film, tmp_path / "new.mp4", "--detect-every", "20"], "raise these in params.yaml"),
    ):
        refused = run(app, ["video", *map(str, arguments)])
        assert refused.exit_code == 1
        assert said in " ".join(refused.output.split())
    assert out.read_bytes() == written
    again = run(app, ["video", str(film), str(out), "--overwrite"])
    assert again.exit_code == 0
    assert "7 frames" in again.stdout
    assert out.read_bytes() != written  # another key, another noise


def test_whole_frames_that_were_hidden_are_told(film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a search fails, the video is written with these frames hidden, and the status says so."""
    from components.detection.cascade import Cascade
    from components.errors import ModelError

    def broken(*_: object) -> None:
        raise ModelError("toy: output is not finite")

    monkeypatch.setattr(Cascade, "propose", broken)
    done = CliRunner().invoke(app, ["video", str(film), str(tmp_path / "out.mp4")])
    assert done.exit_code == 3
    assert "7 whole frames, since a search failed: toy: output is not finite" in done.stdout
