"""The noise of a video does not average out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from components.imaging.noise import Noise, NoiseSource
from components.imaging.obfuscation import obfuscate
from components.settings import PROJECT_ROOT, load_params
from components.video.noise import TrackNoise

# Cells of the original under noise, which only who accepts re-identification can have: here the noise can be measured.
RULE = (
    load_params(PROJECT_ROOT / "params.yaml")
    .regions["strict"]
    .obfuscation.model_copy(
        update={"cell_contrast": 1.0, "accept_reidentification": True, "method": "mosaic", "ramp_share": 0.0}
    )
)
VIDEO = NoiseSource(b"k" * 32, "ab" * 32)
GRAIN = VIDEO.grain(RULE.pixel_noise_std)
FRAMES, SIDE = 64, 32


def of_the_track(areas: np.ndarray, frame: int) -> Noise:
    """What a video's frames are hidden with."""
    return TrackNoise(VIDEO, GRAIN, areas, np.array([7]))


def of_the_frame(areas: np.ndarray, frame: int) -> Noise:
    """What single pictures are hidden with."""
    return NoiseSource(b"k" * 32, f"{frame:064x}")


def averaged_error(noise_of: Callable[[np.ndarray, int], Noise]) -> float:
    """How far the mean of all frames of one moving, unchanging object is from the object: root mean square, levels."""
    total = np.zeros((SIDE, SIDE, 3))
    for frame in range(FRAMES):
        x = 2 + frame
        pixels = np.full((48, 120, 3), 60, np.uint8)
        pixels[8 : 8 + SIDE, x : x + SIDE] = 128
        areas = np.array([[x, 8, x + SIDE, 8 + SIDE]], np.int32)
        total += obfuscate(pixels, areas, RULE, noise_of(areas, frame))[8 : 8 + SIDE, x : x + SIDE]
    return float(np.sqrt(((total / FRAMES - 128) ** 2).mean()))


def test_the_mean_of_many_frames_is_as_noisy_as_one() -> None:
    """An object's noise is one draw however long it is followed; noise of each frame's own would be gone after 64."""
    assert averaged_error(of_the_track) > 0.6 * RULE.cell_noise_std
    assert averaged_error(of_the_frame) < 0.25 * RULE.cell_noise_std


def test_each_track_has_noise_of_its_own_wherever_it_is() -> None:
    """The same track draws the same for every box, another one something else, and a joined area as its oldest one."""
    a, b = np.array([[0, 0, 9, 9]], np.int32), np.array([[30, 5, 80, 90]], np.int32)
    both, apart = np.concatenate([a, b]), TrackNoise(VIDEO, GRAIN, np.concatenate([a, b]), np.array([4, 9]))
    first, second = apart.cell_noise(both, 4, 30)
    assert np.array_equal(TrackNoise(VIDEO, GRAIN, b, np.array([4])).cell_noise(b, 4, 30)[0], first)
    assert not np.allclose(first, second, atol=20)
    whole = np.array([[0, 0, 80, 90]], np.int32)
    assert np.array_equal(apart.cell_noise(whole, 4, 30)[0], first)
