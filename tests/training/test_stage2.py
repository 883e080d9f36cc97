"""The verifier learns to tell objects from what only looks like them, and means what its confidences say."""

from __future__ import annotations

import json
import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import ArrayLike

from components.detection.proposal_features import COLOUR, GEOMETRY, ROW_LENGTH, Features, features
from components.detection.verifier import Verifier
from components.detections import CLASS_NAMES, FACE, LICENSE_PLATE, Detections
from components.errors import StreetveilError
from components.settings import (
    FAMILIES,
    PROJECT_ROOT,
    Continued,
    CropVariation,
    Params,
    PerClass,
    VerifierTraining,
    load_params,
)
from components.training import stage2
from components.training.checkpoint import arrays_of, read_arrays, write_arrays
from components.training.stage2 import Stage2, ablate, put_into, read_network, train_stage2
from components.training.verifier.calibration import (
    Calibration,
    calibrate,
    crossed_logits,
    figures,
    logit,
    object_logits,
    roc_auc,
    shifts_of,
)
from components.training.verifier.examples import Examples, Labels, concatenate
from components.training.verifier.fitting import balanced_weights, fit, logits_of
from components.training.verifier.network import CALIBRATION, VerifierNetwork
from components.training.verifier.variation import varied
from tests.toy_model import SQUARE_PX, scene

SHIPPED = load_params(PROJECT_ROOT / "params.yaml").verifier
AT = PerClass(face=0.35, license_plate=0.35)
SMALL = SHIPPED.model_copy(
    update={"epochs": 4, "batch_size": 32, "learning_rate": 0.005, "min_objects": 30, "threshold": AT}
)
STILL = CropVariation(jitter_share=0, mirrored_share=0, light_share=0, blur_share=0, noise_share=0, compression_share=0)


def picture(rng: np.random.Generator, number: int) -> Examples:
    """A rendered picture: its face and its plate, each also taken for the other, and as many empty places."""
    pixels, boxes = scene(rng, 160, 120, faces=1, plates=1)
    low = rng.integers(0, [160 - SQUARE_PX, 120 - SQUARE_PX], (4, 2))
    low = low[[all(np.abs(place - box[:2]).max() > SQUARE_PX for box in boxes) for place in low]]
    empty = np.hstack([low, low + SQUARE_PX])
    found = Detections.of(
        [*boxes, *boxes, *empty], rng.uniform(0.1, 0.9, 4 + len(empty)), [0, 1, 1, 0, *rng.integers(0, 2, len(empty))]
    )
    n = len(found)
    true = np.arange(n) < 2
    labels = Labels(true, np.ones(n, np.float32), np.where(true, np.arange(n), -1).astype(np.int32))
    told = features(pixels, found)
    return Examples(told, labels, found.class_id, found.confidence, np.full(n, number, np.int32), np.ones(n, bool))


@pytest.fixture(scope="module")
def toy() -> tuple[Examples, Examples]:
    """Examples for training and for validation."""
    rng = np.random.default_rng(5)
    return concatenate(picture(rng, i) for i in range(50)), concatenate(picture(rng, i) for i in range(30))


@pytest.fixture(scope="module")
def trained(toy: tuple[Examples, Examples], tmp_path_factory: pytest.TempPathFactory) -> Stage2:
    """A training on them."""
    torch.set_num_threads(1)
    return train_stage2(SMALL, *toy, tmp_path_factory.mktemp("stage2"))


def numbers_only(
    picture_of: list[int], object_of: list[int], weight: float = 1.0, class_id: int = 0, px: ArrayLike = 30.0
) -> Examples:
    """Examples of one class without pixels: proposals of objects, or -1 for false ones, as wide as high."""
    n = len(picture_of)
    objects = np.array(object_of, np.int32)
    geometry = np.zeros((n, len(GEOMETRY)), np.float32)
    geometry[:, [GEOMETRY.index("log_width"), GEOMETRY.index("log_height")]] = np.log(px).reshape(-1, 1)
    told = Features(geometry, np.zeros((n, 1)), np.zeros((n, 1), np.uint8), np.zeros((n, 1), np.uint8))
    labels = Labels(objects >= 0, np.full(n, weight, np.float32), objects)
    at = np.array(picture_of, np.int32)
    return Examples(told, labels, np.full(n, class_id, np.int16), np.full(n, 0.5, np.float32), at, np.ones(n, bool))


def test_a_toy_problem_is_learnt(trained: Stage2) -> None:
    """Striped squares of the right colour stay, those of the wrong one and empty places fall."""
    for name in CLASS_NAMES:
        told = trained.figures[name]
        assert told.objects == 30
        assert told.kept_share is not None
        assert told.kept_share >= SMALL.keep_share - 1e-9
        assert told.auc is not None
        assert told.auc > 0.97
        assert told.removed_share is not None
        assert told.removed_share > 0.8


def test_the_same_seed_gives_the_same_weights(toy: tuple[Examples, Examples]) -> None:
    """Twice the same training is the same network, whatever torch's own generator did; another seed is another one."""
    short, examples = SMALL.model_copy(update={"epochs": 1}), toy[0].select(np.arange(120))
    torch.manual_seed(1)
    first = arrays_of(fit(examples, short).state_dict())
    torch.manual_seed(2)
    before = torch.random.get_rng_state()
    again = arrays_of(fit(examples, short).state_dict())
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(np.array_equal(array, again[name]) for name, array in first.items())
    other = arrays_of(fit(examples, short.model_copy(update={"seed": 8})).state_dict())
    assert not np.array_equal(other["last.weight"], first["last.weight"])


def test_a_training_goes_on_from_other_weights(toy: tuple[Examples, Examples], trained: Stage2) -> None:
    """A short and slow training of a good network stays good and leaves that one alone; from nothing it is worse."""
    first, pace = read_network(trained.weights), {"epochs": 1, "learning_rate": 1e-4}
    before = arrays_of(first.state_dict())
    short = SMALL.model_copy(update={**pace, "continued": Continued(**pace)})
    few = toy[0].select(np.arange(120))

    def auc(start: VerifierNetwork | None) -> float:
        logits = logits_of(fit(few, short, first=start), toy[1])
        true = toy[1].labels.is_object
        return roc_auc(logits[true], logits[~true]) or 0

    assert auc(first) > 0.97 > 0.9 > auc(None)
    assert all(np.array_equal(array, before[name]) for name, array in arrays_of(first.state_dict()).items())


def test_going_on_begins_as_the_other_was_but_for_its_calibration(
    toy: tuple[Examples, Examples], trained: Stage2
) -> None:
    """At a rate of next to nothing the logits are the other network's before it was calibrated."""
    still = SMALL.model_copy(update={"continued": Continued(epochs=1, learning_rate=1e-12), "dropout": 0.0})
    first = read_network(trained.weights)
    again = fit(toy[0].select(np.arange(60)), still, first=first)
    weights, learnt = first.state_dict(), again.state_dict()
    for name in ("last.weight", "mean", "deviation", "towers.cnn.0.weight"):
        assert torch.allclose(weights[name], learnt[name], atol=1e-6), name
    for name in CALIBRATION:
        assert weights[name].any() or name == "steep_shift"
        assert not learnt[name].any()


def test_weights_that_are_told_something_else_are_not_gone_on_from(toy: tuple[Examples, Examples]) -> None:
    """Other families than the settings' are an error that names both and the remedy."""
    with pytest.raises(StreetveilError, match=r"told geometry, verifier\.families .* or train without --weights"):
        fit(toy[0].select(np.arange(60)), SMALL, first=VerifierNetwork(("geometry",)))


def test_what_has_no_weight_teaches_nothing(toy: tuple[Examples, Examples]) -> None:
    """Uncounted examples with wrong labels, strange numbers and other pictures change no weight of the network."""
    short, examples = SMALL.model_copy(update={"epochs": 1}), toy[0].select(np.arange(120))
    told = examples.features
    strange = replace(
        examples,
        features=Features(told.geometry * 9, told.colour - 5, 255 - told.wide, 255 - told.context),
        labels=Labels(~examples.labels.is_object, np.zeros(len(examples), np.float32), examples.labels.object_index),
    )
    plain = arrays_of(fit(examples, short).state_dict())
    beside = arrays_of(fit(concatenate([examples, strange]), short).state_dict())
    assert all(np.array_equal(array, beside[name]) for name, array in plain.items())


def test_onnx_says_what_torch_says(trained: Stage2, toy: tuple[Examples, Examples]) -> None:
    """The exported network agrees with the stored weights within 1e-4, calibration included, for any number."""
    pixels, boxes = scene(np.random.default_rng(3), 160, 120)
    network, verifier = read_network(trained.weights), Verifier(trained.onnx.read_bytes())
    for count in (1, 2, 70):
        found = Detections.of((boxes * 35)[:count], 0.5, ([0, 1, 1] * 35)[:count])
        told = features(pixels, found)
        mine = numbers_only([0] * count, [0] * count)
        expected = logits_of(network, replace(mine, features=told, class_id=found.class_id))
        assert verifier.verify(pixels, found) == pytest.approx(1 / (1 + np.exp(-expected)), abs=1e-4)
    raw = logits_of(network, toy[1])
    kept = (object_logits(toy[1], raw, 0) >= logit(SMALL.threshold.face)).mean()
    assert kept == trained.figures["face"].kept_share


def test_the_report_can_be_read(trained: Stage2) -> None:
    """The file beside the weights holds every figure, and the weights say how they were trained."""
    report = json.loads((trained.weights.parent / "report.json").read_text())
    assert report["weights"] == "verifier.npz"
    assert report["figures"]["face"]["kept"] == trained.figures["face"].kept
    assert len(report["crossed"]["license_plate"]["removed_interval"]) == 2
    assert read_arrays(trained.weights)[1]["settings"] == SMALL.model_dump(mode="json")


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    """A file with other arrays, or without settings, is an error that says what to do."""
    write_arrays(tmp_path / "a.npz", {"x": np.zeros(2)}, {"settings": {"families": ["cnn"]}})
    write_arrays(tmp_path / "b.npz", {"x": np.zeros(2)}, {})
    for name in ("a.npz", "b.npz"):
        with pytest.raises(StreetveilError, match="train stage 2 again"):
            read_network(tmp_path / name)


@pytest.mark.parametrize("keep_share", [1.0, 0.995, 0.9, 0.5])
def test_calibration_keeps_the_share_that_is_asked_for(keep_share: float, rng: np.random.Generator) -> None:
    """At the threshold at least the share stays; where each that falls takes a false one along, one fewer is less."""
    settings = SMALL.model_copy(update={"keep_share": keep_share})
    examples = numbers_only(list(range(400)), [0] * 200 + [-1] * 200)
    true = np.sort(rng.normal(0, 2, 200)).astype(np.float32)
    logits = np.concatenate([true, true + np.float32(1e-3)])
    calibration = calibrate(examples, logits, settings)
    told = figures(examples, logits + shifts_of(calibration, examples), 0, settings.threshold.face)
    assert told.kept_share is not None
    assert keep_share - 1e-9 <= told.kept_share < keep_share + 1 / 200 + 1e-9
    assert calibration.measured_on["face"] == "face"


def test_no_object_falls_for_nothing(rng: np.random.Generator) -> None:
    """Where all false proposals rank below all true ones, or above, every object stays, whatever share is asked for."""
    settings = SMALL.model_copy(update={"keep_share": 0.5})
    examples = numbers_only(list(range(80)), [0] * 40 + [-1] * 40)
    for false in (-9.0, 9.0):
        logits = np.concatenate([rng.normal(0, 1, 40), np.full(40, false)]).astype(np.float32)
        moved = logits + shifts_of(calibrate(examples, logits, settings), examples)
        assert figures(examples, moved, 0, settings.threshold.face).kept_share == 1


@pytest.mark.parametrize(("area_share", "falls"), [(1.0, "large"), (0.0, "small")])
def test_objects_fall_where_most_that_is_false_falls_with_them(area_share: float, falls: str) -> None:
    """One object may fall: that below three small false ones, or, if area counts, that below a large false one."""
    px = np.array([8.0] * 20 + [64.0] * 20 + [8.0] * 3 + [64.0])
    examples = numbers_only(list(range(44)), [0] * 40 + [-1] * 4, px=px)
    logits = np.where(np.arange(44) < 40, 2.0, 1.0).astype(np.float32)
    logits[[0, 20]] = 0.0  # one of each size is doubted more than what is false
    settings = SMALL.model_copy(update={"keep_share": 39 / 40, "area_share": area_share})
    kept = logits + shifts_of(calibrate(examples, logits, settings), examples) >= logit(settings.threshold.face)
    assert kept[[0, 20]].tolist() == [falls == "large", falls == "small"]
    assert kept[40:].tolist() == [falls == "large"] * 3 + [falls == "small"]


def test_stage_1_is_trusted_as_far_as_it_knows(rng: np.random.Generator) -> None:
    """Its word counts as much as the network's where both are as good, and nothing where it tells nothing."""
    truth = np.repeat([0, -1], 300)
    examples = numbers_only(list(range(600)), truth.tolist())
    sign = np.where(truth < 0, -1.0, 1.0)
    logits = (sign + rng.normal(0, 1, 600)).astype(np.float32)
    column = GEOMETRY.index("confidence_logit")
    examples.features.geometry[:, column] = sign + rng.normal(0, 1, 600)
    assert calibrate(examples, logits, SMALL).trust["face"] == pytest.approx(1, abs=0.3)
    examples.features.geometry[:, column] = rng.normal(0, 1, 600)
    assert calibrate(examples, logits, SMALL).trust["face"] == pytest.approx(0, abs=0.15)


@pytest.mark.parametrize(("class_id", "is_raised"), [(FACE, False), (LICENSE_PLATE, True)])
def test_steep_plates_stay_as_often_as_others(class_id: int, is_raised: bool) -> None:
    """Plates hardly wider than high, doubted more than what is false, are raised to the threshold; faces are not."""
    examples = numbers_only(list(range(160)), [0] * 120 + [-1] * 40, class_id=class_id)
    steep = np.arange(160) < 40
    examples.features.geometry[:, GEOMETRY.index("log_aspect")] = np.where(steep, 0, np.log(4))
    logits = np.where(steep, 1 + np.arange(160) / 1000, np.where(np.arange(160) < 120, 3, 2)).astype(np.float32)
    settings = SMALL.model_copy(update={"keep_share": 0.6})
    calibration = calibrate(examples, logits, settings)
    moved = shifts_of(calibration, examples)
    kept = logits + moved >= logit(settings.threshold.license_plate)
    assert kept[40:].tolist() == [True] * 80 + [False] * 40
    assert kept[:40].mean() == (0.6 if is_raised else 0)
    between = numbers_only([0, 1], [0, 0], class_id=class_id)
    between.features.geometry[:, GEOMETRY.index("log_aspect")] = [np.log(1.6), np.log(1.6 * 1.2) / 2]
    own, half = shifts_of(calibration, between) - moved[-1]
    assert (own, half) == pytest.approx((0, calibration.steep[CLASS_NAMES[class_id]] / 2), abs=1e-4)


def test_what_the_cascade_does_not_propose_does_not_calibrate(rng: np.random.Generator) -> None:
    """Proposals below the confidence that the cascade asks for change nothing."""
    examples = numbers_only(list(range(200)), [0] * 100 + [-1] * 100)
    logits = rng.normal(0, 2, 200).astype(np.float32)
    weak = replace(examples, confidence=np.full(200, 0.05, np.float32))
    both, all_logits = concatenate([examples, weak]), np.concatenate([logits, logits - 7])
    assert calibrate(both, all_logits, SMALL) == calibrate(examples, logits, SMALL)


def test_an_object_stays_with_its_best_proposal() -> None:
    """Of two proposals of one object the surer one counts; the same number in another picture is another object."""
    examples = numbers_only([0, 0, 0, 1, 1], [0, 0, 1, 0, -1])
    logits = np.array([-3, 2, -1, 0.5, 9], np.float32)
    assert sorted(object_logits(examples, logits, 0).tolist()) == [-1, 0.5, 2]
    assert object_logits(examples, logits, 1).tolist() == []
    told = figures(examples, logits, 0, 0.5)
    assert (told.objects, told.kept, told.false, told.removed) == (3, 2, 1, 0)


def test_too_few_objects_calibrate_nothing() -> None:
    """A class with fewer objects than asked for takes the other one's shift; without either, nothing moves."""
    faces, plates = numbers_only(list(range(40)), [0] * 40), numbers_only(list(range(29)), [0] * 29, class_id=1)
    both = concatenate([faces, plates])
    logits = np.full(len(both), 2.0, np.float32)
    found = calibrate(both, logits, SMALL)
    assert found.measured_on == {"face": "face", "license_plate": "face"}
    assert (
        found.shift["license_plate"]
        == found.shift["face"]
        == pytest.approx((logit(SMALL.threshold.face) - 2,) * 4, abs=0.01)
    )
    none = calibrate(plates, logits[:29], SMALL)
    assert none.measured_on == {"face": None, "license_plate": None}
    assert none.shift == {"face": (0,) * 4, "license_plate": (0,) * 4}
    assert shifts_of(found, both).tolist() == pytest.approx([found.shift["face"][0]] * len(both))


def test_each_size_is_calibrated_by_itself(rng: np.random.Generator) -> None:
    """Small objects that the network doubts are kept, and lower no bar for large ones; between both it is a line."""
    px = np.repeat([8.0, 64.0], 100)
    examples = numbers_only(list(range(200)), [0] * 200, px=px)
    logits = np.where(px < 20, -4.0, 3.0).astype(np.float32)
    calibration = calibrate(examples, logits, SMALL)
    small, _, _, large = calibration.shift["face"]
    assert (small, large) == pytest.approx((logit(SMALL.threshold.face) + 4, logit(SMALL.threshold.face) - 3), abs=0.01)
    assert (logits + shifts_of(calibration, examples) >= logit(SMALL.threshold.face)).all()
    other = numbers_only([0, 1, 2], [0, 0, 0], px=[2.0, 500.0, 8 * 2**1.5])
    between = (calibration.shift["face"][1] + calibration.shift["face"][2]) / 2
    assert shifts_of(calibration, other).tolist() == pytest.approx([small, large, between], abs=1e-4)


def test_no_size_between_the_knots_loses_an_object(rng: np.random.Generator) -> None:
    """Objects of all sizes, whose logits leap between two sizes, are kept in the share that is asked for."""
    px = np.exp(rng.uniform(np.log(4), np.log(200), 400))
    examples = numbers_only(list(range(400)), [0] * 400, px=px)
    logits = np.where(px < 23, -2.0, 4.0).astype(np.float32) + rng.normal(0, 0.1, 400).astype(np.float32)
    settings = SMALL.model_copy(update={"keep_share": 1.0})
    kept = logits + shifts_of(calibrate(examples, logits, settings), examples) >= logit(settings.threshold.face)
    assert kept.all()


def test_the_network_moves_as_its_calibration_says(toy: tuple[Examples, Examples], rng: np.random.Generator) -> None:
    """Put into the network, the shifts are those of the calibration for both classes and any size."""
    examples = toy[1].select(np.arange(60))
    columns = [GEOMETRY.index("log_width"), GEOMETRY.index("log_height"), GEOMETRY.index("log_aspect")]
    sides = rng.uniform(np.log(2), np.log(400), (60, 2))
    examples.features.geometry[:, columns] = np.column_stack([sides, sides[:, 0] - sides[:, 1]])
    shift = {name: tuple(rng.normal(0, 2, 4).tolist()) for name in CLASS_NAMES}
    trust = {name: float(rng.uniform(0, 1)) for name in CLASS_NAMES}
    steep = {name: float(rng.uniform(0, 2)) for name in CLASS_NAMES}
    calibration = Calibration(trust, steep, shift, {name: name for name in CLASS_NAMES})
    network = VerifierNetwork(FAMILIES).eval()
    before = logits_of(network, examples)
    put_into(network, calibration)
    assert logits_of(network, examples) - before == pytest.approx(shifts_of(calibration, examples), abs=1e-4)


def test_what_people_have_not_drawn_is_no_object_to_keep() -> None:
    """True proposals without an object's number, and uncounted false ones, are in no figure but the curve's."""
    examples = numbers_only([0, 0, 0], [0, -1, -1])
    labels = Labels(np.array([True, True, False]), np.array([1, 0.7, 0], np.float32), examples.labels.object_index)
    told = figures(replace(examples, labels=labels), np.zeros(3, np.float32), 0, 0.15)
    assert (told.objects, told.false) == (1, 0)


def test_the_other_half_calibrates(rng: np.random.Generator) -> None:
    """Pictures whose logits are 5 higher than the others' are moved by what the others need, and the other way."""
    examples = numbers_only(list(range(200)), [0] * 200)
    logits = np.where(np.arange(200) % 2, 5.0, 0.0).astype(np.float32)
    moved = crossed_logits(examples, logits, SMALL)
    assert moved[1::2] == pytest.approx(logit(SMALL.threshold.face) + 5, abs=0.01)
    assert moved[::2] == pytest.approx(logit(SMALL.threshold.face) - 5, abs=0.01)


def test_roc_auc_is_the_share_of_pairs_in_order(rng: np.random.Generator) -> None:
    """Counting all pairs, ties half, gives the same; without a kind there is none."""
    true, false = rng.integers(0, 6, 40).astype(float), rng.integers(0, 4, 30).astype(float)
    above = np.sign(true[:, None] - false[None]) / 2 + 0.5
    assert roc_auc(true, false) == pytest.approx(above.mean())
    assert roc_auc(true, []) is roc_auc([], false) is None


def test_kinds_weigh_the_same() -> None:
    """True and false proposals of each class have the same weight in sum, however rare; up to the bound."""
    parts = [
        numbers_only([0] * n, [o] * n, class_id=c) for n, o, c in ((90, -1, 0), (10, 0, 0), (30, -1, 1), (2, 0, 1))
    ]
    examples = concatenate(parts)
    kind = examples.class_id * 2 + examples.labels.is_object
    sums = np.bincount(kind, balanced_weights(examples, 100))
    assert sums == pytest.approx(np.full(4, len(examples) / 4), rel=1e-5)
    assert balanced_weights(examples, 5).max() == 5
    assert not balanced_weights(replace(examples, labels=numbers_only([0] * 132, [-1] * 132, 0).labels), 5).any()


def test_nothing_to_tell_apart_is_an_error(toy: tuple[Examples, Examples]) -> None:
    """Without true or without false proposals there is nothing to learn."""
    true = np.flatnonzero(toy[0].labels.is_object)
    with pytest.raises(StreetveilError, match="no true or no false"):
        fit(toy[0].select(true), SMALL)


@pytest.mark.parametrize("only", FAMILIES)
def test_a_family_that_is_left_out_is_not_read(only: str, rng: np.random.Generator) -> None:
    """A network that is told one family answers the same whatever stands in the other columns."""
    network = VerifierNetwork((only,)).eval()
    rows = torch.from_numpy(rng.uniform(0, 3, (3, ROW_LENGTH)).astype(np.float32))
    pixels = (ROW_LENGTH - len(GEOMETRY) - len(COLOUR)) // 2
    ends = np.cumsum([0, len(GEOMETRY), len(COLOUR), pixels, pixels])
    place = FAMILIES.index(only)
    own = slice(ends[place], ends[place + 1])
    others = torch.zeros_like(rows)
    others[:, own] = rows[:, own]
    changed = rows.clone()
    changed[:, own] += 1
    with torch.no_grad():
        assert torch.equal(network(others), network(rows))
        assert not torch.equal(network(changed), network(rows))


def test_the_ablation_has_a_row_for_everything(toy: tuple[Examples, Examples]) -> None:
    """All families, all but each, and each alone; colours alone tell the toy's classes apart better than geometry."""
    less = SMALL.model_copy(update={"ablation_epochs": 1})
    rows = ablate(less, toy[0].select(np.arange(150)), toy[1].select(np.arange(150)))
    assert [len(row.families) for row in rows] == [4, 3, 3, 3, 3, 1, 1, 1, 1]
    auc = {row.families: row.auc["face"] or 0 for row in rows}
    assert len(auc) == 9
    assert auc[("colour",)] > auc[("geometry",)]


def test_without_variation_nothing_changes(toy: tuple[Examples, Examples]) -> None:
    """All shares at 0 leave crops and numbers as they are; and varying never touches what is stored."""
    told = toy[0].features.select(np.arange(20))
    before = told.select(np.arange(20))
    still = varied(told, STILL, np.random.default_rng(0))
    for field in fields(Features):
        assert np.array_equal(getattr(still, field.name), getattr(told, field.name)), field.name
    changed = varied(told, SHIPPED.variation, np.random.default_rng(0))
    again = varied(told, SHIPPED.variation, np.random.default_rng(0))
    for field in fields(Features):
        assert np.array_equal(getattr(told, field.name), getattr(before, field.name))
        assert np.array_equal(getattr(changed, field.name), getattr(again, field.name))
        assert getattr(changed, field.name).shape == getattr(told, field.name).shape
        assert not np.array_equal(getattr(changed, field.name), getattr(told, field.name))


def test_mirrored_is_mirrored(toy: tuple[Examples, Examples]) -> None:
    """Both crops are turned over, the place moves to the other side, and the colours stay."""
    told = toy[0].features.select(np.arange(20))
    mirrored = varied(told, STILL.model_copy(update={"mirrored_share": 1.0}), np.random.default_rng(0))
    assert np.array_equal(mirrored.wide, told.wide[:, :, ::-1])
    assert np.array_equal(mirrored.context, told.context[:, :, ::-1])
    x = GEOMETRY.index("centre_x")
    assert mirrored.geometry[:, x] == pytest.approx(1 - told.geometry[:, x])
    assert mirrored.colour == pytest.approx(told.colour, abs=0.02)


def test_boxes_stray_by_what_the_numbers_say(rng: np.random.Generator) -> None:
    """A white box on black looks as much smaller as the jittered box is told to be larger."""
    wide = np.zeros((40, 64, 64, 3), np.uint8)
    wide[:, 12:-12, 12:-12] = 255
    told = Features(
        np.zeros((40, len(GEOMETRY)), np.float32),
        np.zeros((40, len(COLOUR)), np.float32),
        wide,
        wide[:, 8:-8, 8:-8].copy(),
    )
    moved = varied(told, STILL.model_copy(update={"jitter_share": 0.1}), rng)
    seen = np.sqrt(moved.wide[..., 0].sum(axis=(1, 2)) / 255 / 40**2)
    assert 1 / seen == pytest.approx(np.exp(moved.geometry[:, GEOMETRY.index("log_relative_size")]), abs=0.03)
    grown = moved.geometry[:, GEOMETRY.index("log_width")] - moved.geometry[:, GEOMETRY.index("log_height")]
    assert moved.geometry[:, GEOMETRY.index("log_aspect")] == pytest.approx(grown, abs=1e-5)
    assert np.ptp(seen) > 0.05


def test_settings_name_families_once() -> None:
    """A family that is named twice is a mistake."""
    with pytest.raises(ValueError, match="named once"):
        VerifierTraining.model_validate({**SHIPPED.model_dump(), "families": ("cnn", "cnn")})


def test_the_command_trains_on_what_was_proposed(
    tmp_path: Path, toy: tuple[Examples, Examples], monkeypatch: pytest.MonkeyPatch, params: Params
) -> None:
    """It reads both parts from a folder, writes weights, network and report, and the ablation only when asked."""
    for part, examples in zip(("train", "val"), toy, strict=True):
        few = examples.select(np.arange(120))
        write_arrays(tmp_path / "examples" / f"{part}-00000.npz", few.arrays(), {"pictures": 1})
    short = SMALL.model_copy(update={"epochs": 1})
    monkeypatch.setattr(stage2, "load_params", lambda: params.model_copy(update={"verifier": short}))
    line = ["stage2", "--proposals", str(tmp_path / "examples"), "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", line)
    stage2.main()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "report.json",
        "verifier.npz",
        "verifier.onnx",
    ]
    monkeypatch.setattr(sys, "argv", [*line, "--ablate"])
    monkeypatch.setattr(stage2, "ablate", lambda *_: (stage2.AblationRow(("cnn",), {"face": 0.5}, {"face": None}),))
    stage2.main()
    assert json.loads((tmp_path / "out" / "ablation.json").read_text()) == [
        {"families": ["cnn"], "auc": {"face": 0.5}, "removed_share": {"face": None}}
    ]
