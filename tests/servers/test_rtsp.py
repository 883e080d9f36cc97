"""A camera that speaks RTSP is blurred while it sends: real server, real sockets, real H.264."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from components.detection.bundle import Bundle, load_cascade
from components.settings import Params
from components.video.pipeline import Wishes, blur_video
from components.video.stream import source_of
from components.video.writing import target_of
from tests.toy_model import MAGENTA, SQUARE_PX

pytestmark = pytest.mark.servers
RATE, FRAMES = 15, 90
FOUR_S = Wishes(duration_s=4)  # of the six that the film lasts, for its end is told late
WIDTH, HEIGHT = 320, 192
STREETVEIL = Path(sys.executable).with_name("streetveil")
SERVER = Path(__file__).with_name("rtsp_server.py")


@dataclass(frozen=True, slots=True)
class Camera:
    """A server that sends a film and records what is sent to it."""

    address: str
    receiver: str
    recording: Path


def place(index: int) -> tuple[int, int]:
    """Where the square is in a frame."""
    return 40 + index, 60


def picture(index: int) -> NDArray[np.uint8]:
    """A grey street with a square that moves one pixel a frame."""
    pixels = np.repeat(np.random.default_rng(5).integers(90, 140, (HEIGHT // 8, WIDTH // 8, 1), np.uint8), 3, axis=2)
    pixels = pixels.repeat(8, axis=0).repeat(8, axis=1)
    x, y = place(index)
    pixels[y : y + SQUARE_PX, x : x + SQUARE_PX] = MAGENTA
    return pixels


def magenta(pixels: NDArray[np.uint8]) -> int:
    """How many pixels of a picture have the square's colour."""
    wide = pixels.astype(int)
    return int(((wide[..., 0] > 200) & (wide[..., 1] < 80) & (wide[..., 2] > 200)).sum())


def decoded(file: Path | str) -> list[NDArray[np.uint8]]:
    """All frames of a file."""
    with av.open(str(file)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


@pytest.fixture
def camera(tmp_path: Path) -> Iterator[Camera]:
    """A film of six seconds, sent at its own pace on loopback."""
    film = tmp_path / "film.mp4"
    with av.open(str(film), "w") as container:
        track = container.add_stream("libx264", rate=RATE, options={"crf": "8", "g": "15", "bf": "0"})
        track.width, track.height, track.pix_fmt, track.time_base = WIDTH, HEIGHT, "yuv420p", Fraction(1, RATE)
        for index in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(picture(index), format="rgb24")
            frame.pts = index
            container.mux(track.encode(frame))
        container.mux(track.encode())
    assert min(magenta(frame) for frame in decoded(film)) > SQUARE_PX**2 / 2
    recording = tmp_path / "recording.mkv"
    command = ["/usr/bin/python3", SERVER, film, recording]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        yield Camera(f"rtsp://127.0.0.1:{port}/camera", f"rtsp://127.0.0.1:{port}/blurred", recording)
        server.terminate()


def with_patience(params: Params) -> Params:
    """Room for every frame, and time for each, on a busy machine."""
    return params.model_copy(
        update={"video": params.video.model_copy(update={"queue_frames": 200, "stream_timeout_s": 20})}
    )


@pytest.mark.slow
def test_a_camera_is_blurred_into_a_file(camera: Camera, params: Params, toy: Bundle, tmp_path: Path) -> None:
    """Every frame that came is in the file, and none of them shows the square."""
    patient = with_patience(params)
    source = source_of(camera.address, patient.video)
    out = tmp_path / "out.mp4"
    cascade = load_cascade(toy, params.detection)
    summary = blur_video(source, target_of(str(out), source), cascade, patient, patient.regions["eu"], FOUR_S)
    shown = decoded(out)
    assert source.is_live
    assert len(shown) == summary.frames > FRAMES / 2  # a camera is joined when it is under way
    assert (summary.dropped, summary.hidden_frames) == (0, 0)
    assert summary.searched < summary.frames / 2
    assert max(magenta(frame) for frame in shown) < SQUARE_PX**2 * 0.02


@pytest.mark.slow
def test_a_camera_is_blurred_into_another_server(camera: Camera, params: Params, toy: Bundle) -> None:
    """What a second server records of our stream is a video in which no frame shows the square."""
    patient = with_patience(params)
    source = source_of(camera.address, patient.video)
    cascade = load_cascade(toy, params.detection)
    summary = blur_video(source, target_of(camera.receiver, source), cascade, patient, patient.regions["eu"], FOUR_S)
    shown = decoded(camera.recording)
    assert summary.frames > FRAMES / 2
    assert len(shown) > summary.frames / 2
    assert max(magenta(frame) for frame in shown) < SQUARE_PX**2 * 0.02


def test_the_command_takes_a_camera(camera: Camera, tmp_path: Path) -> None:
    """`streetveil video rtsp://… OUT` reads for as long as it is told, and its file is a whole video."""
    out = tmp_path / "out.mp4"
    command = [
        Path(sys.executable).with_name("streetveil"),
        "video",
        camera.address,
        out,
        "--duration-s",
        "2",
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["frames"] + told["dropped"] > RATE
    assert len(decoded(out)) == told["frames"] <= 2 * RATE + 1


def test_a_camera_that_is_not_there_is_told_in_one_line(camera: Camera, tmp_path: Path) -> None:
    """An address that the server does not know is an error, status 1, and leaves no file."""
    command = [STREETVEIL, "video", f"{camera.address}-9", tmp_path / "out.mp4"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "cannot be opened as video" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "out.mp4").exists()
