"""The attack on the hiding is worth something: it finds what is there, and nothing where nothing is."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data

from benchmarks.privacy.cell_sweep import nearness, with_contrast
from benchmarks.privacy.embedding import embed
from benchmarks.privacy.face_attack import Effort, attack_faces
from benchmarks.privacy.methods import methods
from benchmarks.privacy.plate_reader import character_accuracy, edit_distance, only_signs
from components.evaluation.reidentification.draws import clear_views, expected_views, hidden_views, smaller
from components.evaluation.reidentification.hiding import Method
from components.evaluation.reidentification.photograph import Photograph
from components.evaluation.reidentification.pixel_attack import correlation_scores, likelihood_scores, noise_model
from components.evaluation.reidentification.rates import binomial_upper_bound, rate_of
from components.evaluation.reidentification.scenes import Scenes, scenes_of
from components.packages import package_folder
from components.settings import load_params

PEOPLE = 16
CHANCE = 1 / PEOPLE


@pytest.fixture(scope="module")
def scenes() -> Scenes:
    """Textures that stand for faces."""
    rng = np.random.default_rng(5)
    coarse = rng.integers(0, 256, (PEOPLE, 6, 5, 3))
    pictures = np.repeat(np.repeat(coarse, 20, axis=1), 20, axis=2).astype(np.uint8)
    return scenes_of([Photograph(picture, np.array([20, 24, 80, 96], np.int32)) for picture in pictures], 72)


@pytest.fixture(scope="module")
def by_name() -> dict[str, Method]:
    """The ways of hiding."""
    return {method.name: method for method in methods(load_params())}


def _informed(scenes: Scenes, method: Method, draws: int) -> np.ndarray:
    rng = np.random.default_rng(7)
    tested, own = (hidden_views(scenes, method, n, 16, rng) for n in (draws, draws))
    known = smaller(expected_views(scenes, method, 16), 4)
    return likelihood_scores(smaller(tested, 4), known, noise_model(smaller(own, 4), known))


def test_plain_cell_means_tell_everybody_apart(scenes: Scenes, by_name: dict[str, Method]) -> None:
    """The informed attacker is no straw man: of cell means without noise it names every face."""
    assert rate_of(_informed(scenes, by_name["5×5 cell means alone"], 1)).rank1 == 1


def test_full_contrast_is_found(scenes: Scenes, by_name: dict[str, Method]) -> None:
    """It also sees through noise as long as something of the object is left under it."""
    assert rate_of(_informed(scenes, by_name["ours, contrast 1"], 8)).rank1 > 8 * CHANCE


@pytest.mark.parametrize("name", ["ours, strict", "ours, eu", "ours, us", "ours, mosaic", "ours, solid"])
def test_product_keeps_its_promise(scenes: Scenes, by_name: dict[str, Method], name: str) -> None:
    """What the product publishes tells that attacker nothing: at most twice chance, the 95 % bound included."""
    assert rate_of(_informed(scenes, by_name[name], 20)).holds


def test_same_key_same_area_whatever_the_face(scenes: Scenes, by_name: dict[str, Method]) -> None:
    """With the noise taken away, all faces leave the same area behind: there is nothing to compare."""
    for name in ("ours, strict", "ours, eu", "ours, us"):
        assert np.ptp(expected_views(scenes, by_name[name], 16), axis=0).max() == 0


def test_weak_blur_hides_nobody(scenes: Scenes, by_name: dict[str, Method]) -> None:
    """A blur that leaves a face recognisable is seen through by whoever only looks."""
    method, rng = by_name["understand.ai"], np.random.default_rng(3)
    views, clear = hidden_views(scenes, method, 1, 16, rng), clear_views(scenes, method, 16)
    assert rate_of(correlation_scores(views, clear)).rank1 == 1


def test_recogniser_gives_dlibs_vectors() -> None:
    """The recogniser in PyTorch is dlib's: the same photograph has the same vector."""
    dlib = pytest.importorskip("dlib")
    face = skimage.data.astronaut()[60:210, 145:295].copy()
    weights = package_folder("face_recognition_models") / "models" / "dlib_face_recognition_resnet_model_v1.dat"
    theirs = np.array(dlib.face_recognition_model_v1(str(weights)).compute_face_descriptor(face))
    assert np.abs(embed([face])[0] - theirs).max() < 1e-5


@pytest.mark.slow
def test_every_attacker_reports(scenes: Scenes, by_name: dict[str, Method]) -> None:
    """Each attacker gives a rate for the gallery's own photograph and for another one, and learns."""
    results = list(attack_faces(scenes, 72, by_name["5×5 cell means alone"], Effort(8, 8, 1), 3))
    assert len({(r.attacker, r.gallery) for r in results}) == 10
    assert all(r.rate.rank1 > 4 * CHANCE for r in results if r.attacker == "network")


def test_noise_alone_is_chance() -> None:
    """Scores that know nothing are right as often as chance, and the bound allows for a little more."""
    rate = rate_of(np.random.default_rng(0).normal(size=(60, 200, 60)))
    assert 0.8 < rate.rank1 * 60 < 1.2
    assert rate.rank1 < rate.upper < 2 / 60


def test_equal_scores_share_the_guess() -> None:
    """Where all candidates look alike the rate is chance exactly, and nobody gains by standing first."""
    assert rate_of(np.zeros((10, 3, 10))).rank1 == pytest.approx(0.1)


def test_bound_covers_the_truth() -> None:
    """The exact bound is the rate under which so few successes have a chance of 5 %."""
    assert binomial_upper_bound(0, 100) == pytest.approx(1 - 0.05 ** (1 / 100), abs=1e-9)
    assert binomial_upper_bound(100, 100) == 1
    assert binomial_upper_bound(5, 100) > 0.05


def test_contrast_divides_the_noise_that_is_needed() -> None:
    """Half the contrast is as good as twice the noise, so only their quotient counts."""
    means = np.random.default_rng(1).uniform(0, 255, (30, 12))
    halved = with_contrast(means, np.full((30, 3), 118.0), 0.5)
    one, other = rate_of(nearness(means, 80, 20, 3)), rate_of(nearness(halved, 40, 20, 3))
    assert 2 / 30 < one.rank1 < 1
    assert one.rank1 == pytest.approx(other.rank1, abs=0.01)


def test_readings_are_compared_sign_by_sign() -> None:
    """A reading counts by its letters and digits, and by how many of them would have to change."""
    assert only_signs("ab-12 ·c") == "AB12C"
    assert edit_distance("7ABC123", "7A8C12") == 2
    assert character_accuracy("ABCD", "ABXD") == 0.75
    assert character_accuracy("", "") == 1
