"""Small samples, with and without files."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from components.evaluation.hand_count.answers import Answer, Mark
from components.evaluation.hand_count.sample import Area, Sample, SampledImage, make_sample, write_sample
from tests.conftest import encoded

FACE, PLATE = Area("face", 10, 10, 30, 34), Area("license_plate", 50.5, 60.25, 90, 70)


def image_at(path: str, areas: Sequence[Area] = (FACE, PLATE), content: bytes = b"") -> SampledImage:
    """A picture of 160 × 120 px; both its files hold `content`."""
    digest = hashlib.sha256(content).hexdigest()
    return SampledImage(path, digest, digest, "PNG", 160, 120, 1, "toy 1", "eu", tuple(areas))


def sample_of(count: int, areas: Sequence[Area] = (FACE, PLATE)) -> Sample:
    """A sample of pictures without files."""
    images = [image_at(f"day/{i:03d}.png", areas) for i in range(count)]
    return make_sample(images, 10 * count, 1, "nothing", Path("/originals"), Path("/published"))


def answer_to(sample: Sample, index: int, *marks: Mark, counted: bool = True, revision: int = 1) -> Answer:
    """An answer to one picture of a sample."""
    return Answer(sample.sample_id, sample.images[index].path, revision, counted, marks, 2.0)


@pytest.fixture
def on_disk(tmp_path: Path) -> tuple[Path, Sample]:
    """A sample file of three pictures that are there."""
    images = []
    for i in range(3):
        content = encoded(np.full((120, 160, 3), 60 * i, np.uint8))
        for side in ("originals", "published"):
            (tmp_path / side / "day").mkdir(parents=True, exist_ok=True)
            (tmp_path / side / "day" / f"{i}.png").write_bytes(content)
        images.append(image_at(f"day/{i}.png", content=content))
    sample = make_sample(images, 30, 1, "nothing", tmp_path / "originals", tmp_path / "published")
    write_sample(sample, tmp_path / "count.json")
    return tmp_path / "count.json", sample
