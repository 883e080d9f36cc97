"""Small videos with squares that the toy model finds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from components.detection.bundle import Bundle, load_cascade
from components.detection.cascade import Cascade
from components.settings import Params
from tests.toy_model import MAGENTA, SQUARE_PX

WIDTH, HEIGHT, RATE = 160, 96, 25
Pixels = NDArray[np.uint8]


@pytest.fixture(scope="session")
def cascade(toy: Bundle, params: Params) -> Cascade:
    """The toy model, loaded once."""
    return load_cascade(toy, params.detection)


def frame_with(places: Sequence[tuple[int, int]], seed: int = 5) -> Pixels:
    """A grey picture with magenta squares whose left upper corners are given; parts outside are cut."""
    rng = np.random.default_rng(seed)
    pixels = np.repeat(rng.integers(90, 140, (HEIGHT // 8, WIDTH // 8, 1), np.uint8), 3, axis=2)
    pixels = pixels.repeat(8, axis=0).repeat(8, axis=1)
    for x, y in places:
        pixels[max(0, y) : max(0, y + SQUARE_PX), max(0, x) : max(0, x + SQUARE_PX)] = MAGENTA
    return pixels


def magenta_share(pixels: Pixels, place: tuple[int, int]) -> float:
    """How much of a square's place is still magenta."""
    x, y = place
    square = pixels[max(0, y) : y + SQUARE_PX, max(0, x) : x + SQUARE_PX].astype(int)
    return float(((square[..., 0] > 200) & (square[..., 1] < 70) & (square[..., 2] > 200)).mean())


@pytest.fixture
def film(tmp_path: Path) -> Callable[..., Path]:
    """Write frames as a video file, with sound and tags if asked for."""

    def _film(
        frames: Sequence[Pixels],
        name: str = "in.mp4",
        sound: bool = False,
        turned_deg: int = 0,
        metadata: dict[str, str] | None = None,
        **options: Any,
    ) -> Path:
        path = tmp_path / name
        with av.open(str(path), "w", options={"movflags": "use_metadata_tags"}, **options) as container:
            container.metadata.update(metadata or {})
            track = container.add_stream("libx264", rate=RATE, options={"crf": "8", "preset": "ultrafast", "g": "10"})
            track.height, track.width = frames[0].shape[:2]
            track.pix_fmt = "yuv420p"
            if turned_deg:
                track.set_display_rotation(turned_deg)
            tone = container.add_stream("aac", rate=8000, layout="mono") if sound else None
            for pixels in frames:
                container.mux(track.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            container.mux(track.encode())
            if tone is not None:
                for number in range(len(frames) * 8000 // RATE // 1024):
                    samples = np.sin(np.arange(1024) / 9 + number).astype(np.float32)[None]
                    sounding = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
                    sounding.sample_rate, sounding.pts = 8000, number * 1024
                    sounding.time_base = Fraction(1, 8000)
                    container.mux(tone.encode(sounding))
                container.mux(tone.encode())
        return path

    return _film


def decoded(path: Path | str, **options: Any) -> list[Pixels]:
    """All frames of a video."""
    with av.open(str(path), **options) as container:
        return [image.to_ndarray(format="rgb24") for image in container.decode(video=0)]
