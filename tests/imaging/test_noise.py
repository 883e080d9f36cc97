"""Noise is as strong as asked, the same for the holder of the key, and another for everybody else."""

from __future__ import annotations

import hashlib
import re

import numpy as np
import pytest

from components.imaging.noise import NoiseSource

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
HASH, OTHER_HASH = hashlib.sha256(b"one picture").hexdigest(), hashlib.sha256(b"another").hexdigest()
AREA, OTHER_AREA = np.array([1, 2, 30, 40], np.int32), np.array([4, 2, 30, 41], np.int32)


def cells(key: bytes = KEY, image: str = HASH, area: np.ndarray = AREA, std: float = 30.0) -> np.ndarray:
    """The noise of 5 × 5 cells."""
    return NoiseSource(key, image).cell_noise(area[None], 5, std)[0]


def grain(
    key: bytes = KEY, image: str = HASH, area: np.ndarray = AREA, std: float = 6.0, size: tuple[int, int] = (20, 30)
) -> np.ndarray:
    """The grain on a grey area, in grey levels."""
    grey = np.full((*size, 3), 128, np.uint8)
    return NoiseSource(key, image).grain(std).on(grey, int(area[0]), int(area[1])).astype(int) - 128


def many_cells(std: float) -> np.ndarray:
    """The cell noise of 600 areas, [600, 5, 5, 3]."""
    areas = np.array([(i, 0, i + 9, 9) for i in range(600)])
    return NoiseSource(KEY, HASH).cell_noise(areas, 5, std)


@pytest.mark.parametrize("draw", [cells, grain])
def test_the_same_key_repeats_the_noise(draw: type) -> None:
    """A re-run can write the same bytes."""
    assert np.array_equal(draw(), draw())


@pytest.mark.parametrize("draw", [cells, grain])
@pytest.mark.parametrize("change", [{"key": OTHER_KEY}, {"image": OTHER_HASH}, {"area": OTHER_AREA}])
def test_another_key_image_or_area_has_other_noise(draw: type, change: dict[str, object]) -> None:
    """No draw can be told from one with another key, image or area: hardly a value agrees, and nothing correlates."""
    one, two = draw().ravel(), draw(**change).ravel()
    assert (one == two).mean() < 0.2
    assert abs(np.corrcoef(one, two)[0, 1]) < 0.5


def test_the_noise_of_an_area_does_not_depend_on_the_others() -> None:
    """Drawn together or alone, an area's noise is the same."""
    together = NoiseSource(KEY, HASH).cell_noise(np.stack([OTHER_AREA, AREA]), 5, 30.0)
    assert np.array_equal(together[1], cells())
    assert NoiseSource(KEY, HASH).cell_noise(np.zeros((0, 4), np.int32), 5, 30.0).shape == (0, 5, 5, 3)


def test_every_coordinate_of_an_area_counts() -> None:
    """Moving any single edge by a pixel changes the noise."""
    draws = [cells(area=AREA + np.eye(4, dtype=np.int32)[i]) for i in range(4)] + [cells()]
    assert len({draw.tobytes() for draw in draws}) == 5


def test_the_kind_of_integer_does_not_count() -> None:
    """An area as int32 and as int64 has the same noise, so no caller can change it by accident."""
    assert np.array_equal(cells(area=AREA.astype(np.int64)), cells())
    assert np.array_equal(grain(area=AREA.astype(np.int64)), grain())


@pytest.mark.parametrize("std", [25.0, 30.0, 60.0])
def test_cell_noise_is_as_strong_as_asked(std: float) -> None:
    """45,000 draws have the mean 0 and the standard deviation asked for, within 3 %."""
    draws = many_cells(std)
    assert abs(draws.mean()) < 0.03 * std
    assert abs(draws.std() / std - 1) < 0.03


def test_cell_noise_is_normal() -> None:
    """As many draws lie within one, two and three standard deviations as a normal distribution has there."""
    draws = np.abs(many_cells(1.0))
    for limit, share in ((1, 0.6827), (2, 0.9545), (3, 0.9973)):
        assert (draws < limit).mean() == pytest.approx(share, abs=0.01)
    assert draws.max() > 3.5


def test_cells_and_channels_have_noise_of_their_own() -> None:
    """Neither two cells nor two channels of one cell share noise that could be cancelled out."""
    draws = many_cells(1.0).reshape(600, -1)
    correlation = np.corrcoef(draws.T) - np.eye(75)
    assert np.abs(correlation).max() < 0.25


@pytest.mark.parametrize("size", [(100, 110), (300, 270)])
def test_the_grain_is_as_strong_as_asked(size: tuple[int, int]) -> None:
    """Areas smaller and larger than a piece of grain have the mean 0 and the standard deviation asked for."""
    noise = grain(size=size)
    assert abs(noise.mean()) < 0.2
    assert noise.std() == pytest.approx(6.0, rel=0.04)
    assert (noise == noise[:, :, :1]).all()
    assert abs(np.corrcoef(noise[:-1].ravel(), noise[1:].ravel())[0, 1]) < 0.03


def test_grain_on_black_and_white_does_not_wrap() -> None:
    """At the ends of the scale the grain is cut off; no black pixel becomes a white one."""
    source = NoiseSource(KEY, HASH).grain(30.0)
    assert source.on(np.zeros((90, 90, 3), np.uint8), 1, 2).max() <= 180
    assert source.on(np.full((90, 90, 3), 255, np.uint8), 1, 2).min() >= 75


def test_without_strength_there_is_no_grain() -> None:
    """A standard deviation of 0 is allowed for pixels and adds nothing."""
    assert not grain(std=0).any()


def test_the_blurring_id_names_one_blurring() -> None:
    """32 hex digits, the same for the same key and image, others for any other."""
    found = NoiseSource(KEY, HASH).blurring_id()
    assert re.fullmatch("[0-9a-f]{32}", found)
    assert found == NoiseSource(KEY, HASH).blurring_id()
    assert len({found, NoiseSource(OTHER_KEY, HASH).blurring_id(), NoiseSource(KEY, OTHER_HASH).blurring_id()}) == 3


def test_the_blurring_id_is_no_hash_of_the_original() -> None:
    """Whoever holds a suspected original but no key cannot compute the id from its hash."""
    found = NoiseSource(KEY, HASH).blurring_id()
    raw = bytes.fromhex(HASH)
    guesses = [
        HASH,
        *(hashlib.sha256(guess).hexdigest() for guess in (raw, HASH.encode(), b"blurring-id|" + raw + b"|")),
    ]
    assert not any(found in guess for guess in guesses)


def test_the_key_does_not_show() -> None:
    """Neither the key nor its hex stands in what a log may print."""
    shown = repr(NoiseSource(b"s3cret!!" * 4, HASH))
    assert "s3cret" not in shown
    assert (b"s3cret!!" * 4).hex() not in shown
    assert HASH in shown
