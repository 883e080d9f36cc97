"""What is hidden is gone: only a few noisy cell means are left of an area, and nothing else changes."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from components.imaging.noise import NoiseSource
from components.imaging.obfuscation import join, obfuscate, ramp_windows
from components.settings import PROJECT_ROOT, Obfuscation, load_params

Pixels = NDArray[np.uint8]
SHIPPED = {name: region.obfuscation for name, region in load_params(PROJECT_ROOT / "params.yaml").regions.items()}
SHARP = SHIPPED["strict"].model_copy(update={"ramp_share": 0.0})
# The rules of a picture whose cells are measured: what the safety floor allows only to whoever asks for it by name.
RULE = SHARP.model_copy(update={"cell_contrast": 1.0, "accept_reidentification": True})
WEAKEST = RULE.model_copy(
    update={"cells": 5, "cell_noise_std": 25.0, "blur_sigma_px": 0.0, "blur_sigma_share": 0.1, "pixel_noise_std": 0.0}
)
NOISE = NoiseSource(b"k" * 32, hashlib.sha256(b"picture").hexdigest())
WIDTH, HEIGHT = 40, 30


def areas_of(*areas: tuple[int, int, int, int]) -> NDArray[np.int32]:
    """Areas as the product holds them."""
    return np.array(areas, np.int32).reshape(-1, 4)


def textured(seed: int, width: int = WIDTH, height: int = HEIGHT) -> Pixels:
    """A picture in which no two pixels are alike for long."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def shuffled_in_cells(pixels: Pixels, area: tuple[int, int, int, int], cells: int, seed: int) -> Pixels:
    """The same picture with the pixels of each cell of an area in another order; sides are multiples of `cells`."""
    rng = np.random.default_rng(seed)
    x1, y1, x2, y2 = area
    high, wide = (y2 - y1) // cells, (x2 - x1) // cells
    other = pixels.copy()
    for y in range(y1, y2, high):
        for x in range(x1, x2, wide):
            cell = pixels[y : y + high, x : x + wide].reshape(-1, 3)
            other[y : y + high, x : x + wide] = rng.permutation(cell).reshape(high, wide, 3)
    return other


@st.composite
def _some_areas(draw: st.DrawFn) -> NDArray[np.int32]:
    count = draw(st.integers(0, 4))
    areas = []
    for _ in range(count):
        x1, y1 = draw(st.integers(0, WIDTH - 1)), draw(st.integers(0, HEIGHT - 1))
        areas.append((x1, y1, draw(st.integers(x1 + 1, WIDTH)), draw(st.integers(y1 + 1, HEIGHT))))
    return areas_of(*areas)


@pytest.mark.parametrize("region", SHIPPED)
@pytest.mark.parametrize("method", ["gaussian", "mosaic", "solid"])
@given(areas=_some_areas(), seed=st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_nothing_of_what_is_hidden_is_left(region: str, method: str, areas: NDArray[np.int32], seed: int) -> None:
    """Two pictures that differ in the hidden areas alone, in any way, are published as the same bytes."""
    rule = SHIPPED[region].model_copy(update={"method": method})
    one, other = textured(seed), textured(seed)
    for x1, y1, x2, y2 in areas:
        other[y1:y2, x1:x2] = np.random.default_rng(seed + 1).integers(0, 256, (y2 - y1, x2 - x1, 3))
    assert obfuscate(one, areas, rule, NOISE).tobytes() == obfuscate(other, areas, rule, NOISE).tobytes()


@pytest.mark.parametrize("rule", [*SHIPPED.values(), RULE, WEAKEST])
@given(areas=_some_areas(), seed=st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_outside_the_ramps_nothing_changes(areas: NDArray[np.int32], rule: Obfuscation, seed: int) -> None:
    """However many areas overlap or reach the border, all other pixels and the source itself stay as they were."""
    pixels = textured(seed)
    before = pixels.copy()
    hidden = obfuscate(pixels, areas, rule, NOISE)
    outside = np.ones((HEIGHT, WIDTH), bool)
    for x1, y1, x2, y2 in ramp_windows(areas, rule, WIDTH, HEIGHT):
        outside[y1:y2, x1:x2] = False
    assert (hidden.shape, hidden.dtype) == (pixels.shape, np.uint8)
    assert np.array_equal(hidden[outside], pixels[outside])
    assert np.array_equal(pixels, before)
    assert hidden is not pixels


def test_the_edge_falls_off_smoothly_and_outside() -> None:
    """The area itself is hidden to its last pixel, and over the ramp around it the picture comes back step by step."""
    pixels = np.zeros((200, 200, 3), np.uint8)
    rule = SHIPPED["strict"].model_copy(update={"method": "solid", "pixel_noise_std": 0.0, "ramp_share": 0.2})
    line = obfuscate(pixels, areas_of((50, 50, 150, 150)), rule, NOISE)[100, :, 0].astype(int)
    assert set(line[50:150]) == {118}
    assert set(line[:30]) == set(line[170:]) == {0}
    assert (np.diff(line[30:51]) > 0).all()
    assert np.diff(line).max() < 12
    assert line[30:50].tolist() == line[150:170][::-1].tolist()


def test_areas_that_overlap_are_joined() -> None:
    """Areas are one group if they overlap, also through others; those that only touch or lie apart are not."""
    areas = areas_of((0, 0, 10, 10), (9, 9, 20, 20), (19, 0, 30, 10), (20, 20, 25, 25), (40, 0, 50, 9), (50, 0, 60, 9))
    group_of, wholes = join(areas)
    assert group_of.tolist() == [0, 0, 0, 1, 2, 3]
    assert wholes.tolist() == [[0, 0, 30, 20], *areas[3:].tolist()]


def test_joined_areas_share_their_cells() -> None:
    """Where two areas overlap no seam runs: neighbouring pixels across either one's edge differ by the blur alone."""
    pixels = textured(1, 200, 200)
    rule = SHARP.model_copy(update={"pixel_noise_std": 0.0})
    hidden = obfuscate(pixels, areas_of((20, 20, 120, 120), (80, 80, 180, 180)), rule, NOISE).astype(int)
    for x in (79, 80, 119, 120):
        assert np.abs(hidden[85:115, x] - hidden[85:115, x - 1]).max() < 6


def test_the_base_is_that_of_the_published_surroundings() -> None:
    """In a red wall an area becomes reddish, also where its neighbours are hidden; without surroundings it is grey."""
    wall = np.zeros((120, 120, 3), np.uint8)
    wall[:] = (200, 40, 40)
    wall[60:, :60] = (0, 255, 0)
    rule = SHIPPED["eu"].model_copy(update={"ramp_share": 0.0, "blur_sigma_share": 0.5})
    areas = areas_of((20, 20, 60, 60), (20, 60, 60, 120), (0, 60, 20, 120))
    red, green, _ = obfuscate(wall, areas, rule, NOISE)[20:60, 20:60].reshape(-1, 3).mean(axis=0)
    assert red - green > 70
    everything = obfuscate(wall, areas_of((0, 0, 120, 120)), rule, NOISE).reshape(-1, 3).mean(axis=0)
    assert np.abs(everything - 118).max() < 25


def test_a_mosaic_has_cells_and_a_fill_has_none() -> None:
    """Five by five cells of one colour each, or one colour for all."""
    pixels, area = textured(2, 100, 100), areas_of((0, 0, 100, 100))
    flat = {"pixel_noise_std": 0.0, "cells": 5}
    mosaic = obfuscate(pixels, area, SHARP.model_copy(update={"method": "mosaic", **flat}), NOISE)
    assert len(np.unique(mosaic.reshape(-1, 3), axis=0)) == 25
    assert (mosaic.reshape(5, 20, 5, 20, 3) == mosaic[::20, ::20].reshape(5, 1, 5, 1, 3)).all()
    solid = obfuscate(pixels, area, SHARP.model_copy(update={"method": "solid", **flat}), NOISE)
    assert len(np.unique(solid)) == 1


def test_the_blur_grows_with_the_picture() -> None:
    """The σ in px is meant for pictures of `blur_sigma_at_px`: in one of twice that size it is twice as wide."""
    rule = WEAKEST.model_copy(update={"blur_sigma_px": 60.0, "blur_sigma_at_px": 400})
    pixels = np.zeros((800, 800, 3), np.uint8)
    pixels[:, 100:] = 255
    area = areas_of((0, 0, 200, 200))
    wide = obfuscate(pixels, area, rule, NOISE)
    narrow = obfuscate(pixels[:400, :400], area, rule, NOISE)
    assert np.ptp(wide[:200, :200].mean(axis=(0, 2))) < 0.9 * np.ptp(narrow[:200, :200].mean(axis=(0, 2)))


@given(
    cells=st.integers(1, 5),
    wide=st.integers(1, 4),
    high=st.integers(1, 4),
    x1=st.integers(0, WIDTH - 20),
    y1=st.integers(0, HEIGHT - 20),
    seed=st.integers(0, 99),
)
@settings(max_examples=80, deadline=None)
def test_only_the_cell_means_are_left(cells: int, wide: int, high: int, x1: int, y1: int, seed: int) -> None:
    """Two pictures that differ wherever their cells' means agree, up to the area's very edge, give the same bytes."""
    rule = RULE.model_copy(update={"cells": cells})
    area = (x1, y1, x1 + cells * wide, y1 + cells * high)
    one = textured(seed)
    other = shuffled_in_cells(one, area, cells, seed)
    hidden = [obfuscate(pixels, areas_of(area), rule, NOISE) for pixels in (one, other)]
    assert hidden[0].tobytes() == hidden[1].tobytes()


def test_the_edge_of_an_area_is_hidden_like_its_middle() -> None:
    """α is 1 everywhere: a line of text along each edge vanishes without a trace if its cells' means stay the same."""
    area = (0, 0, WIDTH, 28)
    plain = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    written = plain.copy()
    for line in (np.s_[0, :], np.s_[27, :], np.s_[:28, 0], np.s_[:28, WIDTH - 1]):
        written[line][::2] = 180
        written[line][1::2] = 60
    assert (written[0, 0] != plain[0, 0]).all()
    hidden = [
        obfuscate(pixels, areas_of(area), RULE.model_copy(update={"cells": 1}), NOISE) for pixels in (plain, written)
    ]
    assert written[:28].mean() == plain[:28].mean()
    assert np.array_equal(*hidden)


def test_what_is_left_follows_the_means() -> None:
    """A dark and a bright area stay dark and bright: the means are measured and not invented."""
    area = areas_of((0, 0, 200, 200))
    for level in (60, 190):
        means = []
        for i in range(20):
            noise = NoiseSource(b"k" * 32, hashlib.sha256(bytes([i])).hexdigest())
            means.append(obfuscate(np.full((200, 200, 3), level, np.uint8), area, RULE, noise).mean())
        assert np.mean(means) == pytest.approx(level, abs=8)


@given(areas=_some_areas(), seed=st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_the_order_of_the_areas_does_not_count(areas: NDArray[np.int32], seed: int) -> None:
    """Detections in another order give the same bytes."""
    order = np.random.default_rng(seed).permutation(len(areas))
    pixels = textured(seed)
    assert np.array_equal(obfuscate(pixels, areas, RULE, NOISE), obfuscate(pixels, areas[order], RULE, NOISE))


def test_the_same_key_gives_the_same_bytes_and_another_gives_others() -> None:
    """Key and image hash decide the bytes, together and each for itself."""
    pixels, area = textured(3), areas_of((5, 5, 30, 25))
    sources = [NOISE, NoiseSource(b"x" * 32, NOISE.image_sha256), NoiseSource(NOISE.run_key, "00" * 32)]
    once = [obfuscate(pixels, area, RULE, source).tobytes() for source in sources]
    again = [obfuscate(pixels, area, RULE, source).tobytes() for source in sources]
    assert once == again
    assert len(set(once)) == 3


def test_the_cells_are_noisy_even_without_grain() -> None:
    """With two keys the same area comes out by many grey levels apart, so its means cannot be read off."""
    pixels, area = np.full((100, 100, 3), 128, np.uint8), areas_of((0, 0, 100, 100))
    draws = []
    for i in range(30):
        noise = NoiseSource(bytes([i]) * 32, "00" * 32)
        draws.append(obfuscate(pixels, area, WEAKEST, noise)[50, 50].astype(float))
    assert np.std(draws) > 8


def test_between_cells_there_is_no_edge() -> None:
    """Before the grain, neighbouring pixels differ by little, although the cells differ by a lot."""
    pixels = np.zeros((120, 120, 3), np.uint8)
    pixels[:, 60:] = 255
    rule = RULE.model_copy(update={"pixel_noise_std": 0.0, "blur_sigma_px": 10.0})
    hidden = obfuscate(pixels, areas_of((0, 0, 120, 120)), rule, NOISE).astype(int)
    assert hidden[:, 100].mean() - hidden[:, 20].mean() > 80
    assert np.abs(np.diff(hidden, axis=1)).max() < 15
    assert np.abs(np.diff(hidden, axis=0)).max() < 15


def test_a_wider_blur_smooths_more() -> None:
    """Each of the two ways to ask for blur, in px and as a share of the height, lowers the remaining contrast."""
    pixels = np.zeros((120, 120, 3), np.uint8)
    pixels[:, 60:] = 255

    def contrast(**blur: float) -> float:
        rule = WEAKEST.model_copy(update=blur)
        columns = obfuscate(pixels, areas_of((0, 0, 120, 120)), rule, NOISE).mean(axis=(0, 2))
        return float(np.ptp(columns))

    assert contrast(blur_sigma_px=60.0) < 0.75 * contrast()
    assert contrast(blur_sigma_share=0.5) < 0.75 * contrast()


def test_the_grain_is_as_strong_as_asked() -> None:
    """The difference that the pixel noise makes has its standard deviation, within 5 %."""
    pixels, area = np.full((100, 100, 3), 128, np.uint8), areas_of((0, 0, 100, 100))
    smooth = RULE.model_copy(update={"pixel_noise_std": 0.0})
    difference = obfuscate(pixels, area, RULE, NOISE).astype(float) - obfuscate(pixels, area, smooth, NOISE)
    assert difference.std() == pytest.approx(6, rel=0.05)


@pytest.mark.parametrize("x", [0, 17, WIDTH - 1])
@pytest.mark.parametrize("y", [0, 11, HEIGHT - 1])
def test_a_single_pixel_is_hidden_too(x: int, y: int) -> None:
    """An area of one pixel in a corner, on an edge or inside changes with the key and nothing around it does."""
    pixels = textured(4) // 2 + 64
    seen = set()
    for i in range(8):
        hidden = obfuscate(pixels, areas_of((x, y, x + 1, y + 1)), RULE, NoiseSource(bytes([i]) * 32, "00" * 32))
        seen.add(hidden[y, x].tobytes())
        hidden[y, x] = pixels[y, x]
        assert np.array_equal(hidden, pixels)
    assert len(seen) == 8


@pytest.mark.parametrize(
    "area",
    [
        (0, 0, WIDTH, HEIGHT),
        (0, 0, 1, HEIGHT),
        (WIDTH - 1, 0, WIDTH, HEIGHT),
        (0, 0, WIDTH, 1),
        (0, HEIGHT - 1, WIDTH, HEIGHT),
        (0, 0, 3, 3),
        (WIDTH - 7, HEIGHT - 5, WIDTH, HEIGHT),
        (WIDTH - 2, 0, WIDTH, 23),
    ],
)
@pytest.mark.parametrize("rule", [RULE, WEAKEST])
def test_areas_at_every_border_are_hidden(area: tuple[int, int, int, int], rule: Obfuscation) -> None:
    """Lines, corners and the whole picture lose their content: nearly every pixel in them changes."""
    pixels = textured(5)
    x1, y1, x2, y2 = area
    hidden = obfuscate(pixels, areas_of(area), rule, NOISE)
    changed = (hidden[y1:y2, x1:x2] != pixels[y1:y2, x1:x2]).any(axis=2)
    assert changed.mean() > 0.9


def test_the_share_of_the_blur_is_one_of_the_height() -> None:
    """Half of its height smooths a tall area from end to end, and leaves the two ends of a flat one apart."""

    def contrast(width: int, height: int, share: float) -> float:
        pixels = np.zeros((height, width, 3), np.uint8)
        pixels[height // 2 if height > width else 0 :, width // 2 if width > height else 0 :] = 255
        rule = WEAKEST.model_copy(update={"blur_sigma_share": share})
        hidden = obfuscate(pixels, areas_of((0, 0, width, height)), rule, NOISE)
        return float(np.ptp(hidden.mean(axis=(1, 2) if height > width else (0, 2))))

    assert contrast(40, 400, 0.5) < 0.75 * contrast(40, 400, 0.1)
    assert contrast(400, 40, 0.5) > 0.85 * contrast(400, 40, 0.1)
