"""A sample is random, the same again by its seed, and proves that it was not changed."""

from __future__ import annotations

import stat
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.batch.manifest import PUBLISHED, ImageRow, Proposal
from components.errors import StreetveilError
from components.evaluation.hand_count.sample import (
    STRATA,
    Area,
    Sample,
    SampledImage,
    draw,
    image_of,
    make_sample,
    read_sample,
    write_sample,
)
from tests.evaluation.hand_count.conftest import image_at, sample_of

POPULATION = [image_at(f"camera-{i % 4}/{i:03d}.png", areas=()) for i in range(40)]


def test_the_seed_decides_and_the_order_of_the_candidates_does_not() -> None:
    """The same seed gives the same pictures in the same order; another seed gives others."""
    drawn = draw(POPULATION, 10, 5)
    assert drawn == draw(POPULATION[::-1], 10, 5)
    assert drawn != draw(POPULATION, 10, 6)
    assert len(set(drawn)) == 10


def test_every_picture_is_as_likely_at_every_place() -> None:
    """Over 2,000 draws of 10 of 40, each picture comes first about 50 times and is drawn about 500 times."""
    draws = [draw(POPULATION, 10, seed) for seed in range(2000)]
    first = Counter(drawn[0].path for drawn in draws)
    anywhere = Counter(image.path for drawn in draws for image in drawn)
    assert len(first) == len(anywhere) == 40
    assert 20 < min(first.values()) <= max(first.values()) < 85  # 4 standard deviations are 28
    assert 420 < min(anywhere.values()) <= max(anywhere.values()) < 580  # and here 77


@settings(max_examples=50)
@given(sizes=st.lists(st.integers(1, 30), min_size=1, max_size=6), share=st.floats(0.01, 1), seed=st.integers(0, 99))
def test_strata_get_their_proportional_share(sizes: list[int], share: float, seed: int) -> None:
    """Each part gives its share of the sample, rounded up or down, and their sum is what was asked for."""
    images = [image_at(f"{part}/{i}.png") for part, size in enumerate(sizes) for i in range(size)]
    count = max(1, int(share * len(images)))
    drawn = draw(images, count, seed, STRATA["folder"])
    got = Counter(image.path.split("/")[0] for image in drawn)
    assert len({image.path for image in drawn}) == count
    for part, size in enumerate(sizes):
        assert abs(got[str(part)] - size * count / len(images)) < 1


@pytest.mark.parametrize("count", [0, 41])
def test_more_than_there_is_cannot_be_drawn(count: int) -> None:
    """A sample of nothing, or larger than the population, is refused in one line."""
    with pytest.raises(StreetveilError, match="of 40 published images: ask for fewer"):
        draw(POPULATION, count, 1)


def test_a_manifests_row_becomes_a_picture_with_what_was_blurred() -> None:
    """Only blurred proposals become areas; a row that lacks the original's hash is refused."""
    proposals = [
        Proposal("face", 1, 2, 3, 4, 1, 0.9, None, None, "blurred"),
        Proposal("license_plate", 1, 2, 3, 4, 1, 0.1, None, None, "below_threshold"),
    ]
    row = ImageRow(
        "a/b.jpg", PUBLISHED, None, None, 1, "eu", "m", "3", "", "", 1, 1, "in", "out", image_format="JPEG", width=8,
        height=9, proposals=tuple(proposals),
    )  # fmt: skip
    image = image_of(row.to_dict())
    assert image == SampledImage("a/b.jpg", "in", "out", "JPEG", 8, 9, 1, "m 3", "eu", (Area("face", 1, 2, 3, 4),))
    with pytest.raises(StreetveilError, match=r"row of a/b\.jpg is incomplete"):
        image_of(replace(row, input_sha256=None).to_dict())


AREAS = st.builds(Area, st.sampled_from(["face", "license_plate"]), *[st.floats(-10, 5000, width=32)] * 4)
IMAGES = st.builds(
    SampledImage, st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.text("0123456789abcdef"),
    st.text("0123456789abcdef"), st.sampled_from(["JPEG", "PNG", "WEBP", "TIFF"]), st.integers(1, 9999),
    st.integers(1, 9999), st.integers(1, 8), st.just("m 1"), st.just("eu"), st.lists(AREAS, max_size=3).map(tuple),
)  # fmt: skip


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(images=st.lists(IMAGES, max_size=4), seed=st.integers(0, 2**32))
def test_what_was_written_is_read_back(images: list[SampledImage], seed: int, tmp_path: Path) -> None:
    """Every sample survives its file, which its owner alone can read."""
    path = tmp_path / "count.json"
    path.unlink(missing_ok=True)
    sample = make_sample(images, 99, seed, "nothing", tmp_path, tmp_path)
    write_sample(sample, path)
    assert read_sample(path) == sample
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_sample_is_never_written_over(on_disk: tuple[Path, Sample]) -> None:
    """Answers refer to the file that is there, so a second one needs another name."""
    path, sample = on_disk
    with pytest.raises(StreetveilError, match="exists, and answers may belong to it"):
        write_sample(sample, path)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"seed": 1', '"seed": 2', "was changed after it was drawn"),
        ("day/0.png", "../../etc/passwd", "was changed after it was drawn"),
        ('"schema_version": 1', '"schema_version": 2', "schema_version"),
        ('"population": 30', '"populace": 30', "is no sample"),
        ("{", "", "is no sample"),
    ],
)
def test_a_changed_sample_is_refused(on_disk: tuple[Path, Sample], old: str, new: str, told: str) -> None:
    """Other numbers, other paths, other versions and broken JSON each end in one line."""
    path, _ = on_disk
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(StreetveilError, match=told):
        read_sample(path)


def test_without_a_sample_the_remedy_is_named(tmp_path: Path) -> None:
    """A path that leads nowhere tells which command makes a sample."""
    with pytest.raises(StreetveilError, match="streetveil handcount sample"):
        read_sample(tmp_path / "none.json")
    assert sample_of(1).sample_id != sample_of(2).sample_id
