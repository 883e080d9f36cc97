"""The gate's attack on hidden faces names nobody where nothing is left of them, and everybody where something is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from components.dataset.labels import LabelledBox, LabelledImage, labelled_image
from components.evaluation.reidentification.attack import LEAST_PEOPLE, reidentification
from components.settings import Params, Region
from tests.conftest import encoded

PEOPLE = LEAST_PEOPLE + 4


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> list[LabelledImage]:
    """Textures that stand for faces, each in a picture of its own, with a smaller one beside it."""
    folder, rng = tmp_path_factory.mktemp("people"), np.random.default_rng(5)
    images = []
    for number in range(PEOPLE):
        coarse = rng.integers(0, 256, (6, 8, 3), np.uint8)
        path = folder / f"{number:02d}.png"
        path.write_bytes(encoded(coarse.repeat(24, axis=0).repeat(24, axis=1)))
        boxes = [LabelledBox((40, 20, 104, 100), "face"), LabelledBox((120, 20, 168, 76), "face")]
        images.append(labelled_image(str(path), (192, 144), "s", boxes))
    return images


def leaky(region: Region) -> Region:
    """The same rules, but for cells that keep their means."""
    changed = {"cell_contrast": 1.0, "accept_reidentification": True}
    return region.model_copy(update={"obfuscation": region.obfuscation.model_copy(update=changed)})


@pytest.mark.parametrize("name", ["strict", "eu", "us"])
def test_what_the_regions_hide_tells_nothing(people: list[LabelledImage], params: Params, name: str) -> None:
    """Every region's own rules keep the attack within twice guessing, its bound included."""
    figure = reidentification(people, params.regions[name], params.reading)
    assert figure.value is not None
    assert figure.interval is not None
    assert 0 < figure.value <= figure.interval[1] <= 2
    assert (figure.count, figure.of) == (PEOPLE, "faces")


def test_what_leaves_something_is_seen_through(people: list[LabelledImage], params: Params) -> None:
    """The attack is no straw man: where cells keep their means, it names nearly everybody."""
    figure = reidentification(people, leaky(params.regions["strict"]), params.reading)
    assert figure.value is not None
    assert figure.value > 0.9 * PEOPLE


def test_a_person_counts_once_and_too_few_say_nothing(people: list[LabelledImage], params: Params) -> None:
    """Of a video one face is taken, faces that are cut off or small are none, and the figure says what is lacking."""
    film = [replace(image, video="one film") for image in people]
    assert "(1, 20 are needed)" in reidentification(film, params.regions["strict"], params.reading).lacking
    cut = [replace(image, width=100, height=90) for image in people]
    figure = reidentification(cut, params.regions["strict"], params.reading)
    assert (figure.value, figure.count) == (None, 0)
    assert "(0, 20 are needed)" in figure.lacking
