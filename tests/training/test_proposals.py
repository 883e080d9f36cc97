"""Examples for stage 2 say of each proposal what people have said, and nothing where nobody has looked."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from components.dataset.labels import read_labels, write_labels
from components.detection.bundle import Bundle
from components.detections import Detections, areas, intersections
from components.errors import StreetveilError
from components.imaging.reading import Pixels
from components.settings import PROJECT_ROOT, Detection, Params, ProposalExamples, Region, Training, load_params
from components.training import proposals as module
from components.training.checkpoint import read_arrays
from components.training.images import TrainingImage
from components.training.proposals import Making, examples_of, write_canvases, write_examples
from components.training.verifier.examples import (
    Examples,
    concatenate,
    examples_of_arrays,
    label,
    read_examples,
)
from components.training.verifier.hard_negatives import empty_places, photographs
from tests.training.conftest import Render

SETTINGS = load_params(PROJECT_ROOT / "params.yaml").verifier.examples
FACE_ONLY = ("face",)


def truth(
    boxes: list[tuple[float, ...]],
    class_id: list[int],
    weight: float = 1.0,
    ignored: tuple[tuple[float, ...], ...] = (),
    exhaustive: tuple[str, ...] = ("face", "license_plate"),
) -> TrainingImage:
    """Labels of a picture of 200 × 150 px."""
    return TrainingImage.of(Path("a.jpg"), (200, 150), boxes, class_id, weight, ignored, exhaustive)


def said(labels: TrainingImage, *box: float, class_id: int = 0) -> tuple[bool, float, int]:
    """What is known of one proposal: whether it is an object, its weight, and which one it is."""
    known = label(Detections.of([box], 0.5, class_id), labels, SETTINGS)
    return bool(known.is_object[0]), float(known.weight[0]), int(known.object_index[0])


def colours(pixels: Pixels) -> Detections:
    """A stage 1 for rendered pictures: each square of 24 px where it is, and sixty false faces in a corner."""
    found = []
    for class_id, channel in ((0, 1), (1, 0)):  # magenta lacks green, cyan lacks red
        y, x = np.nonzero((pixels.min(axis=2) == pixels[..., channel]) & (np.ptp(pixels, axis=2) > 150))
        if len(x):
            found.append(Detections.of([[x.min(), y.min(), x.max() + 1, y.max() + 1]], 0.9, class_id))
    corner = [[side, side, side + 3, side + 3] for side in np.arange(60) / 100]
    return Detections.concatenate([*found, Detections.of(corner, 0.05, 0)])


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((50, 50, 90, 90), (True, 1, 1)),
        ((50, 50, 90, 70), (True, 1, 1)),  # half is covered, IoU 0.5
        ((50, 50, 90, 69), (False, 0, -1)),  # not quite half: neither way
        ((40, 40, 110, 110), (True, 1, 1)),  # all is covered, IoU 0.33
        ((40, 40, 114, 114), (False, 0, -1)),  # IoU 0.29: neither way
        ((0, 0, 190, 140), (False, 1, -1)),  # far too large
        ((60, 60, 70, 70), (False, 1, -1)),  # far too small
        ((120, 20, 160, 60), (False, 1, -1)),  # nowhere near
        ((8, 8, 25, 25), (True, 1, 0)),  # of a small object, IoU 0.2 is enough
    ],
)
def test_matching_by_hand(box: tuple[float, ...], expected: tuple[bool, float, int]) -> None:
    """Coverage and IoU decide what is an object, what is none, and what counts neither way."""
    assert said(truth([(10, 10, 18, 18), (50, 50, 90, 90)], [0, 0]), *box) == expected


def test_the_class_must_be_right() -> None:
    """A plate proposed on a face is false, even where plates are not labelled: there, nothing else is known of them."""
    labels = truth([(50, 50, 90, 90)], [0], exhaustive=FACE_ONLY)
    assert said(labels, 50, 50, 90, 90, class_id=1) == (False, 1, -1)
    assert said(labels, 120, 20, 160, 60, class_id=1) == (False, 0, -1)
    assert said(labels, 120, 20, 160, 60, class_id=0) == (False, 1, -1)


def test_ignored_places_count_neither_way() -> None:
    """What lies in an ignored box has no weight, unless it is a labelled object."""
    labels = truth([(50, 50, 90, 90)], [0], ignored=((40, 40, 190, 100),))
    assert said(labels, 120, 50, 160, 90) == (False, 0, -1)
    assert said(labels, 20, 50, 59, 90) == (False, 1, -1)  # less than half of it
    assert said(labels, 50, 50, 90, 90) == (True, 1, 0)


def test_what_a_teacher_filled_in_is_learnt_from_but_not_counted() -> None:
    """An object of less than full weight gives its weight to its proposals, and no object to calibrate on."""
    assert said(truth([(50, 50, 90, 90)], [0], weight=0.75), 50, 50, 90, 90) == (True, 0.75, -1)


def test_pictures_without_labels_or_proposals(rng: np.random.Generator) -> None:
    """All is background in a picture that shows nothing, and no proposals are no examples."""
    nothing = truth([], [])
    assert said(nothing, 10, 10, 20, 20) == (False, 1, -1)
    assert len(label(Detections.empty(), nothing, SETTINGS).weight) == 0
    pixels = np.zeros((150, 200, 3), np.uint8)
    assert len(examples_of(nothing, pixels, lambda _: Detections.empty(), SETTINGS, 0, varied=False)) == 0


def test_added_places_touch_nothing(rng: np.random.Generator) -> None:
    """Random boxes and boxes beside objects overlap no label, lie in the picture, and tell nothing by confidence."""
    labels = truth([(50, 50, 90, 90), (120, 60, 180, 80)], [0, 1], ignored=((10, 100, 60, 140),))
    many = SETTINGS.model_copy(update={"random_boxes": 200, "boxes_beside": 50})
    proposed = Detections.of([(0, 0, 9, 9)] * 3, [0.1, 0.2, 0.9], [0, 0, 0])
    made = empty_places(labels, proposed, many, rng)
    taken = np.concatenate([labels.boxes, labels.ignored])
    smaller = np.minimum(areas(made.xyxy)[:, None], areas(taken)[None])
    assert (intersections(made.xyxy, taken) <= 0.2 * smaller + 1e-3).all()
    middle = (made.xyxy[:, :2] + made.xyxy[:, 2:]) / 2
    assert ((middle >= 0) & (middle <= [200, 150])).all()
    assert set(made.class_id.tolist()) == {0, 1}
    assert set(made.of_class(0).confidence.tolist()) == set(proposed.confidence.tolist())
    assert len(made) > 150


def test_nothing_is_added_where_objects_may_be_unlabelled(rng: np.random.Generator) -> None:
    """Only classes whose objects are all labelled get negatives of ours."""
    made = empty_places(truth([(50, 50, 90, 90)], [0], exhaustive=FACE_ONLY), Detections.empty(), SETTINGS, rng)
    assert set(made.class_id.tolist()) == {0}
    assert len(empty_places(truth([], [], exhaustive=()), Detections.empty(), SETTINGS, rng)) == 0


def test_examples_of_a_picture(rendered: Render, params: Params) -> None:
    """Training keeps true proposals and so many false ones, and adds places; validation keeps all as they are."""
    (image,) = rendered(1)
    pixels = module.decode(image.path.read_bytes(), params.reading).pixels
    few = SETTINGS.model_copy(update={"max_negatives": 7, "random_boxes": 20})
    plain = examples_of(image, pixels, colours, few, 3, varied=False)
    assert (len(plain), int(plain.labels.is_object.sum())) == (62, 2)
    assert plain.proposed.all()
    made = examples_of(image, pixels, colours, few, 3, varied=True)
    assert int((made.labels.is_object & made.proposed).sum()) == 2
    assert int((~made.labels.is_object & made.proposed).sum()) == 7
    assert int((~made.proposed).sum()) > 10
    assert not made.labels.is_object[~made.proposed].any()
    assert set(made.picture.tolist()) == {3}
    again = examples_of(image, pixels, colours, few, 3, varied=True)
    assert all(np.array_equal(array, again.arrays()[name]) for name, array in made.arrays().items())
    other = examples_of(image, pixels, colours, few, 4, varied=True)
    assert not np.array_equal(other.features.geometry, made.features.geometry)


def test_examples_keep_together() -> None:
    """Rows that are chosen, taken apart and put together again are the same ones."""
    pixels = np.random.default_rng(0).integers(0, 255, (150, 200, 3), np.uint8)
    labels = truth([(50, 50, 90, 90)], [0])
    boxes = [(50, 50, 90, 90), (100, 10, 120, 40), (10, 10, 30, 30)]
    whole = examples_of(labels, pixels, lambda _: Detections.of(boxes, [0.9, 0.2, 0.3], [0, 1, 0]), SETTINGS, 5, False)
    again = concatenate([whole.select([0]), examples_of_arrays(whole.select([1, 2]).arrays())])
    for name, array in whole.arrays().items():
        assert np.array_equal(array, again.arrays()[name]), name
        assert len(array) == len(whole) == 3


def test_shards_are_made_once(
    rendered: Render, params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second call looks at no picture; other settings make new ones, and fewer pictures leave no old shard behind."""
    monkeypatch.setattr(module, "_PICTURES_A_SHARD", 2)
    images, looked = rendered(5), []

    def propose(pixels: Pixels) -> Detections:
        looked.append(pixels.shape)
        return colours(pixels)

    def make(count: int, settings: ProposalExamples = SETTINGS, proposer: str = "one") -> Examples:
        looked.clear()
        making = Making(propose, proposer, settings, tmp_path / "out")
        files = list(write_examples(images[:count], making, params.reading, "val", False))
        assert sorted((tmp_path / "out").glob("*.npz")) == files
        return read_examples(tmp_path / "out", "val")

    first = make(5)
    assert (len(looked), len(first), set(first.picture.tolist())) == (5, 5 * 62, set(range(5)))
    again = make(5)
    assert not looked
    assert all(np.array_equal(array, again.arrays()[name]) for name, array in first.arrays().items())
    make(5, proposer="another")
    assert len(looked) == 5
    make(5, SETTINGS.model_copy(update={"min_iou": 0.4}), "another")
    assert len(looked) == 5
    assert set(make(2, SETTINGS.model_copy(update={"min_iou": 0.4}), "another").picture.tolist()) == {0, 1}


def test_what_nobody_knows_is_no_false_proposal(rendered: Render) -> None:
    """Proposals and added boxes where background must not count have no weight; objects there keep theirs."""
    image, pixels = truth([(50, 50, 90, 90)], [0]), np.zeros((120, 160, 3), np.uint8)
    found = Detections.of([(50, 50, 90, 90), (100, 10, 120, 40), (10, 10, 30, 30)], [0.9, 0.2, 0.3], [0, 1, 0])
    for uncounted, weights in ((0, [1, 1, 1]), (3, [1, 0, 0]), (1, [1, 1, 0]), (2, [1, 0, 1])):
        bits = np.full((120, 160), uncounted, np.uint8)
        told = examples_of(image, pixels, lambda _: found, SETTINGS, 5, False, bits)
        assert told.labels.weight.tolist() == weights
    bits = np.full((120, 160), 3, np.uint8)
    assert len(examples_of(image, pixels, lambda _: found, SETTINGS, 5, True, bits)) == 1


def test_canvases_are_the_same_in_every_run_and_differ_from_each_other(
    rendered: Render, params: Params, tiny: Training, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More canvases than pictures are all different; a second call makes none, other views make new ones."""
    monkeypatch.setattr(module, "_PICTURES_A_SHARD", 2)
    canvases = SETTINGS.canvases.model_copy(update={"side_px": 96})
    images, looked = rendered(2), list[Pixels]()

    def propose(pixels: Pixels) -> Detections:
        looked.append(pixels)
        return colours(pixels)

    def make(training: Training = tiny) -> Examples:
        looked.clear()
        settings = SETTINGS.model_copy(update={"canvases": canvases})
        making = Making(propose, "one", settings, tmp_path / "out")
        files = list(write_canvases(images, making, training, "val", 5, varied=False))
        assert [file.name for file in files] == [f"val-canvas-0000{i}.npz" for i in range(3)]
        return read_examples(tmp_path / "out", "val")

    first = make()
    assert {pixels.shape for pixels in looked} == {(96, 96, 3)}
    assert len({pixels.tobytes() for pixels in looked}) == 5
    assert len(set(first.picture.tolist())) == 5
    again = make()
    assert not looked
    assert all(np.array_equal(array, again.arrays()[name]) for name, array in first.arrays().items())
    make(tiny.model_copy(update={"views": tiny.views.model_copy(update={"mirrored_share": 0.1})}))
    assert len(looked) == 5


def test_no_examples_are_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    """A folder without shards names the command that makes them."""
    with pytest.raises(StreetveilError, match=r"components\.training\.proposals"):
        read_examples(tmp_path, "train")


def test_photographs_that_show_nobody_are_installed() -> None:
    """Each file that we name is there, in colour."""
    shown = list(photographs())
    assert len(shown) == 17
    assert all(pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.dtype == np.uint8 for _, pixels in shown)


def test_the_command_makes_both_parts_and_never_the_tests(
    rendered: Render, params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training and validation pictures are proposed on, filled in by teachers; other scales propose anew."""
    for part, count in (("train", 2), ("val", 1), ("test", 1)):
        write_labels(tmp_path / f"{part}.json", [image.truth() for image in rendered(count)])
    paths = [image.path for part in ("train", "val") for image in read_labels(tmp_path / f"{part}.json", folder="")]
    (tmp_path / "seen.jsonl").write_text("\n".join(json.dumps({"file": path, "found": []}) for path in paths))
    (tmp_path / "street.onnx").write_bytes(b"weights")
    canvases = SETTINGS.canvases.model_copy(update={"train": 2, "val": 1, "side_px": 96})
    few = params.verifier.model_copy(update={"examples": SETTINGS.model_copy(update={"canvases": canvases})})
    settings, looked, asked = [params.model_copy(update={"verifier": few})], [], []

    def propose(pixels: Pixels, region: Region) -> Detections:
        assert region == params.region(None)[1]
        looked.append(pixels.shape)
        return colours(pixels)

    def load(bundle: Bundle, detection: Detection) -> SimpleNamespace:
        asked.append((bundle.files, detection))
        return SimpleNamespace(propose=propose)

    monkeypatch.setattr(module, "load_params", lambda: settings[-1])
    monkeypatch.setattr(module, "load_cascade", load)
    monkeypatch.setattr(module, "photographs", lambda: iter([("nothing", np.zeros((64, 64, 3), np.uint8))]))
    line = ["proposals", "--prepared", str(tmp_path), "--taught", str(tmp_path / "seen.jsonl"), "--out"]
    monkeypatch.setattr(sys, "argv", [*line, str(tmp_path / "out"), "--stage1", str(tmp_path / "street.onnx")])
    module.main()
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [
        "train-00000.npz",
        "train-canvas-00000.npz",
        "train-empty.npz",
        "val-00000.npz",
        "val-canvas-00000.npz",
    ]
    assert len(looked) == 7
    ((file,), detection), *_ = asked
    assert file.sha256 == hashlib.sha256(b"weights").hexdigest()
    assert detection.proposal_threshold == params.verifier.examples.proposal_threshold
    assert len(read_arrays(tmp_path / "out" / "val-00000.npz")[0]["class_id"]) == 62
    module.main()
    assert len(looked) == 7
    scales = params.detection.model_copy(update={"merge_iou": 0.31})
    settings.append(settings[0].model_copy(update={"detection": scales}))
    module.main()
    assert len(looked) == 14
