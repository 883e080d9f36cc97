"""Inside ultralytics' network and data sets, weights and masks reach the boxes and places that they speak of."""

from __future__ import annotations

import copy
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from ultralytics.cfg import get_cfg
from ultralytics.data.build import seed_worker
from ultralytics.nn.tasks import DetectionModel
from ultralytics.utils.loss import E2ELoss, v8DetectionLoss

from components.errors import StreetveilError
from components.settings import PROJECT_ROOT, Training
from components.training.checkpoint import arrays_of
from components.training.images import TrainingImage
from components.training.recall_loss import RecallWeightedBCE
from components.training.yolo.loop import find_objects
from components.training.yolo.network import RecallDetectionLoss, RecallDetectionModel, build_model, element_loss
from components.training.yolo.pictures import EpochLoader, EpochOrder, StreetDataset
from tests.training.conftest import Render

ONE_BRANCH, TWO_BRANCHES = "yolov8n.yaml", "yolo26n.yaml"
WHITE = ("face", "license_plate")


def model_of(architecture: str = ONE_BRANCH, weights: tuple[float, float] = (1, 1), **focal: float) -> Any:
    """A small network in training mode, the same at every call."""
    torch.manual_seed(11)
    model = RecallDetectionModel(architecture, RecallWeightedBCE(weights, **focal))
    model.args = get_cfg()
    return model.train()


def stock_of(architecture: str) -> Any:
    """The same network with ultralytics' own loss."""
    torch.manual_seed(11)
    model = DetectionModel(architecture, nc=2, verbose=False)
    model.args = get_cfg()
    return model.train()


def batch_of(images: list[TrainingImage], **options: Any) -> dict[str, Any]:
    """A batch of unvaried pictures."""
    dataset = dataset_of(images, augment=False, **options)
    batch = dataset.collate_fn([dataset[i] for i in range(len(dataset))])
    batch["img"] = batch["img"].float() / 255
    return batch


def dataset_of(
    images: list[TrainingImage], augment: bool, ignore_unlabelled: bool = True, px: int = 96, **varied: float
) -> StreetDataset:
    """A data set as the trainer builds it."""
    hyp = get_cfg(overrides={"mosaic": 0.0, "hsv_h": 0.0, "hsv_s": 0.0, "hsv_v": 0.0, **varied})
    return StreetDataset(images, ignore_unlabelled, imgsz=px, augment=augment, hyp=hyp, batch_size=4, stride=32)


def score_gradient(model: Any, batch: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
    """d(classification loss) / d(logits) [images, anchors, classes], and what the loss knew."""
    with torch.no_grad():
        predicted = dict(model(batch["img"]))
    scores = predicted["scores"].clone().requires_grad_()
    criterion = model.init_criterion()
    loss, _ = criterion({**predicted, "scores": scores}, batch)
    (found,) = torch.autograd.grad(loss[1], scores)
    return found.permute(0, 2, 1), criterion._weights


@pytest.mark.parametrize("architecture", [ONE_BRANCH, TWO_BRANCHES])
def test_weight_1_is_the_stock_loss_of_the_whole_network(architecture: str, rendered: Render) -> None:
    """On the same batch, loss terms and every weight's gradient are ultralytics' own, in one branch and in two."""
    batch = batch_of(rendered(3))
    ours, stock = model_of(architecture), stock_of(architecture)
    for model in (ours, stock):
        loss, _ = model(copy.copy(batch))
        loss.sum().backward()
        model.found = loss.detach()
    assert type(stock.criterion) in (v8DetectionLoss, E2ELoss)
    torch.testing.assert_close(ours.found, stock.found, rtol=1e-6, atol=0)
    for (name, left), (other, right) in zip(ours.named_parameters(), stock.named_parameters(), strict=True):
        assert name == other
        if left.grad is not None or right.grad is not None:
            torch.testing.assert_close(left.grad, right.grad, rtol=1e-3, atol=1e-5)


def test_both_branches_have_our_loss(rendered: Render) -> None:
    """Where the network has a second branch without suppression, a weight raises the loss of either."""
    batch = batch_of(rendered(2))
    criterion = model_of(TWO_BRANCHES).init_criterion()
    assert isinstance(criterion.one2many, RecallDetectionLoss)
    assert isinstance(criterion.one2one, RecallDetectionLoss)
    predicted = model_of(TWO_BRANCHES)(batch["img"])
    heavy = model_of(TWO_BRANCHES, (15, 15)).init_criterion()
    for branch in ("one2many", "one2one"):
        light_loss = getattr(criterion, branch).loss(predicted[branch], batch)[0]
        heavy_loss = getattr(heavy, branch).loss(predicted[branch], batch)[0]
        assert heavy_loss[1] > light_loss[1] * 1.001
        torch.testing.assert_close(heavy_loss[[0, 2]], light_loss[[0, 2]])


def test_a_boxs_weight_scales_its_own_gradient_alone(rendered: Render) -> None:
    """Doubling one face's weight doubles the gradient of that face's elements, and leaves all others as they were."""
    images = rendered(2)
    heavy = [*images[:1], TrainingImage.of(images[1].path, (96, 80), images[1].boxes, [0, 1], [2.0, 1.0])]
    model = model_of(weights=(5, 5))
    usual, known = score_gradient(model, batch_of(images))
    assert (known["element_weight"] == 1).all()
    found, known = score_gradient(model, batch_of(heavy))
    own = known["element_weight"] == 2
    assert own.any(dim=1).tolist() == [[False, False], [True, False]]
    assert (found[own] == 2 * usual[own]).all()
    assert (usual[own] != 0).all()
    assert (found[~own] == usual[~own]).all()


def test_a_box_of_weight_0_is_left_out(rendered: Render) -> None:
    """An object that nobody is sure of teaches neither that it is one, nor that it is background."""
    (image,) = rendered(1)
    unsure = TrainingImage.of(image.path, (96, 80), image.boxes, [0, 1], [0.0, 1.0])
    found, known = score_gradient(model_of(weights=(5, 5)), batch_of([unsure]))
    own = known["element_weight"] == 0
    assert own.any()
    assert (found[own] == 0).all()


def test_background_of_unlabelled_classes_has_no_gradient(rendered: Render) -> None:
    """In a picture where only plates are labelled, nothing pulls faces down, and labelled objects still count."""
    image, other = rendered(2)
    partly = TrainingImage.of(image.path, (96, 80), image.boxes, [0, 1], exhaustive=["license_plate"])
    model = model_of(weights=(5, 5))
    usual, _ = score_gradient(model, batch_of([image, other]))
    found, known = score_gradient(model, batch_of([partly, other]))
    counts = known["background_counts"]
    inside = np.zeros((12, 12), bool)
    inside[1:11] = True  # anchors of 8 px on the 80 rows of picture between two paddings of 8
    seen = torch.from_numpy(inside.ravel())
    assert (found[0, :144, 0][seen & ~counts[0, :144, 0]] == 0).all()
    assert (~counts[0, :144, 0][seen]).sum() > 60
    assert (found[0, ..., 0][counts[0, ..., 0]] != 0).any()
    assert (found[counts] == usual[counts]).all()
    assert counts[0, ..., 1].all()
    assert counts[1].all()


def test_ignored_boxes_are_no_background(rendered: Render) -> None:
    """Inside of an ignored box no element of any class has a gradient, unless it answers for an object."""
    (image,) = rendered(1)
    marked = TrainingImage.of(image.path, (96, 80), [], [], ignored=[[0, 0, 48, 80]])
    found, _ = score_gradient(model_of(weights=(5, 5)), batch_of([marked]))
    grid = found[0, :144].reshape(12, 12, 2).abs().sum(-1)
    assert (grid[1:11, :6] == 0).all()
    assert (grid[:, 6:] > 0).all()
    unmarked = batch_of([marked], ignore_unlabelled=False)
    assert "uncounted" not in unmarked
    assert (score_gradient(model_of(weights=(5, 5)), unmarked)[0] != 0).all()


def test_pictures_without_objects_are_learnt_from() -> None:
    """A batch of empty pictures has a finite loss that pulls every element down."""
    batch = {
        "img": torch.rand(2, 3, 64, 64),
        "batch_idx": torch.zeros(0),
        "cls": torch.zeros(0, 1),
        "bboxes": torch.zeros(0, 4),
        "box_weight": torch.zeros(0),
        "uncounted": torch.zeros(2, 64, 64, dtype=torch.uint8),
    }
    found, _ = score_gradient(model_of(weights=(5, 5)), batch)
    assert found.isfinite().all()
    assert (found > 0).all()


@pytest.mark.parametrize("gamma", [0.0, 2.0])
def test_one_step_on_a_real_batch_lowers_the_miss(gamma: float, rendered: Render) -> None:
    """After one step of the optimiser, the objects of each class are missed less, and less with a larger weight."""
    batch = batch_of(rendered(4))

    def misses(model: Any) -> Tensor:
        with torch.no_grad():
            scores = model(batch["img"])["scores"].permute(0, 2, 1)
        middles = (batch["bboxes"][:, :2] * 12).long()
        image, place = batch["batch_idx"].long(), middles[:, 1] * 12 + middles[:, 0]
        objects = -torch.nn.functional.logsigmoid(scores[image, place, batch["cls"][:, 0].long()])
        return torch.stack([objects[batch["cls"][:, 0] == c].mean() for c in (0, 1)])

    left = {}
    for weight in (1, 15):
        model = model_of(weights=(weight, weight), focal_gamma=gamma, focal_floor=0.5)
        before = misses(model)
        optimiser = torch.optim.SGD(model.parameters(), lr=1e-3)
        loss, _ = model(copy.copy(batch))
        loss.sum().backward()
        optimiser.step()
        left[weight] = misses(model)
        if weight > 1:
            assert (left[weight] < before).all()
    assert left[15].mean() < left[1].mean()


@pytest.fixture
def coloured(tmp_path: Path) -> list[TrainingImage]:
    """Blue pictures, in which faces are not labelled, and red ones; each with a brighter object of its own weight."""
    images = []
    for i in range(6):
        channel, shade = (2, 100) if i % 2 else (0, 100)
        pixels = np.zeros((64, 96, 3), np.uint8)
        pixels[..., channel] = shade
        pixels[20:44, 30:66, 1] = 40 * (i + 1)
        path = tmp_path / f"{i}.png"
        Image.fromarray(pixels).save(path)
        exhaustive = ("license_plate",) if i % 2 else WHITE
        images.append(TrainingImage.of(path, (96, 64), [[30, 20, 66, 44]], [1], [i + 1.0], exhaustive=exhaustive))
    return images


def test_weights_and_masks_follow_their_picture_through_mosaics(coloured: list[TrainingImage]) -> None:
    """Over mosaics, perspectives and mirrors, the mask lies on the blue pictures, and a weight on its own object."""
    random.seed(2)
    np.random.seed(2)
    dataset = dataset_of(coloured, True, mosaic=1.0, degrees=10.0, perspective=0.0005, scale=0.3, fliplr=0.5)
    parts, boxes = [], 0
    on_blue, on_red = [], []
    for i in range(24):
        sample = dataset[i % len(coloured)]
        red, green, blue = sample["img"].float()
        mask = sample["uncounted"]
        # Edges are mixed by interpolation, in the picture but not in the mask: compare where a colour is pure.
        on_blue.append(mask[(blue == 100) & (red == 0)])
        on_red.append(mask[(red == 100) & (blue == 0)])
        assert (mask[(red == 114) & (blue == 114)] == 0).all()  # padding is background
        parts.append((mask == 1).float().mean().item())
        for (x, y, *_), weight in zip(sample["bboxes"] * 96, sample["box_weight"], strict=True):
            if green[int(y), int(x)] % 40 == 0 and green[int(y), int(x)] > 0:
                assert green[int(y), int(x)] / 40 == weight
                boxes += 1
    assert (torch.cat(on_blue) == 1).float().mean() > 0.99
    assert (torch.cat(on_red) == 0).float().mean() > 0.99
    assert min(len(torch.cat(found)) for found in (on_blue, on_red)) > 10_000
    assert len({round(part, 2) for part in parts}) > 5
    assert boxes > 30


def test_a_batch_knows_each_boxs_weight(coloured: list[TrainingImage]) -> None:
    """In a batch, weights stand in the order of the boxes, pictures without objects included."""
    empty = TrainingImage.of(coloured[0].path, (96, 64), [], [])
    batch = batch_of([coloured[3], empty, coloured[4]])
    assert batch["box_weight"].tolist() == [4, 5]
    assert batch["batch_idx"].tolist() == [0, 2]
    assert batch["cls"].shape == (2, 1)
    assert batch["uncounted"].shape == (3, 96, 96)


def test_masks_are_made_where_they_are_needed(coloured: list[TrainingImage]) -> None:
    """If every picture is labelled completely, or the settings say so, batches have no mask."""
    assert "uncounted" not in batch_of(coloured[::2])
    assert "uncounted" not in batch_of(coloured, ignore_unlabelled=False)


def test_a_picture_of_another_size_is_refused(coloured: list[TrainingImage]) -> None:
    """Boxes that were drawn on a picture of another size are not trained on."""
    wrong = TrainingImage.of(coloured[0].path, (96, 65), [], [])
    with pytest.raises(StreetveilError, match=r"0\.png is \(96, 64\) px"):
        batch_of([wrong])


def test_a_rotated_photograph_is_seen_upright(tmp_path: Path) -> None:
    """EXIF orientation is applied, as in the labels."""
    pixels = np.zeros((64, 96, 3), np.uint8)
    pixels[:20, :20] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned to the right
    Image.fromarray(pixels).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    batch = batch_of([TrainingImage.of(tmp_path / "turned.jpg", (64, 96), [], [])])
    assert batch["img"][0, 0, :20, 16 + 46 : 16 + 62].mean() > 0.9


def test_detections_and_truth_share_their_pixels(rendered: Render) -> None:
    """What a network finds in its padded square comes back beside the picture's own labels, strongest first."""
    images = [*rendered(2, 96, 48), *rendered(1, 48, 96)]
    dataset = dataset_of(images, augment=False, px=64)
    loader = EpochLoader(dataset, batch_size=2, collate_fn=dataset.collate_fn)
    seen = iter(loader)

    class Oracle:
        end2end = False

        def __call__(self, _pictures: Tensor) -> Tensor:
            batch = next(seen)
            answers = torch.zeros(len(batch["img"]), 6, 3)  # centre, size, confidences; the third answer is too weak
            for i in range(len(answers)):
                own = batch["batch_idx"] == i
                answers[i, :4, :2] = batch["bboxes"][own].T * 64
                answers[i, 4, 0], answers[i, 5, 1], answers[i, 4, 2] = 0.9, 0.8, 0.1
            return answers

    pairs = find_objects(Oracle(), loader, 0.15, lambda batch: batch)
    assert [(truth.width, truth.height) for truth, _ in pairs] == [(64, 32), (64, 32), (32, 64)]
    for truth, found in pairs:
        np.testing.assert_allclose(found.xyxy, truth.objects.xyxy, atol=0.01)
        assert found.class_id.tolist() == [0, 1]
        np.testing.assert_allclose(found.confidence, [0.9, 0.8])


def test_every_epoch_has_its_own_order() -> None:
    """The order of pictures is a permutation that depends on seed and epoch alone."""
    order, twin, other = EpochOrder(50, 7), EpochOrder(50, 7), EpochOrder(50, 8)
    assert list(order) == list(twin) != list(other)
    first = list(order)
    order.epoch = 1
    assert list(order) != first
    assert sorted(order) == list(range(50))


def test_a_repeated_epoch_is_the_same_in_other_processes(coloured: list[TrainingImage]) -> None:
    """Where pictures are read by worker processes, seed and epoch alone decide what a batch shows."""

    def epoch() -> list[Tensor]:
        dataset = dataset_of(coloured, True, mosaic=0.5, hsv_v=0.4, degrees=10.0)
        order = EpochOrder(len(dataset), 7)
        order.epoch = 3
        torch.manual_seed(5)
        loader = EpochLoader(
            dataset, batch_size=4, sampler=order, num_workers=2, collate_fn=dataset.collate_fn,
            worker_init_fn=seed_worker,
        )  # fmt: skip
        return [batch["img"] for batch in loader]

    first, again = epoch(), epoch()
    assert [len(batch) for batch in first] == [4, 2]
    assert all(torch.equal(left, right) for left, right in zip(first, again, strict=True))


def test_weights_of_other_classes_are_a_start(tiny: Training) -> None:
    """From a network for 80 classes everything but its last layers is taken, at its own width; from ours everything."""
    torch.manual_seed(5)
    tiny = tiny.model_copy(update={"architecture": ONE_BRANCH})
    coco = DetectionModel(ONE_BRANCH, nc=80, verbose=False).state_dict()
    model = build_model(tiny, arrays_of(coco))
    mine = model.state_dict()
    same = [name for name in mine if mine[name].shape == coco[name].shape and torch.equal(mine[name], coco[name])]
    others = set(mine) - set(same)
    assert others == {f"model.22.cv3.{i}.2.{part}" for i in range(3) for part in ("weight", "bias")}
    assert mine["model.22.cv3.0.2.weight"].shape[:2] == (2, 80)
    again = build_model(tiny, arrays_of(mine)).state_dict()
    assert again.keys() == mine.keys()
    assert all(torch.equal(again[name], mine[name]) for name in mine)
    with torch.no_grad():
        assert model.eval()(torch.zeros(1, 3, 64, 64))[0].shape == (1, 6, 84)


@pytest.mark.parametrize(
    "break_it",
    [
        lambda w: {},
        lambda w: {k: v for k, v in w.items() if "cv2" not in k},
        lambda w: {**w, "model.0.conv.weight": np.zeros((3, 3, 3, 3), np.float32)},
    ],
)
def test_weights_of_another_network_are_refused(tiny: Training, break_it: Callable[[dict], dict]) -> None:
    """Weights that do not fit the architecture are an error that names it."""
    weights = arrays_of(DetectionModel(ONE_BRANCH, nc=2, verbose=False).state_dict())
    with pytest.raises(StreetveilError, match=r"yolov8n\.yaml"):
        build_model(tiny, break_it(weights))


def test_the_loss_is_the_settings(tiny: Training) -> None:
    """Weights and focal factor of the settings are those of the loss, face first."""
    positive = tiny.positive_weight.model_copy(update={"face": 7.0, "license_plate": 3.0})
    loss = element_loss(tiny.model_copy(update={"positive_weight": positive, "focal_gamma": 2.0, "focal_floor": 0.25}))
    assert loss.positive_weight.tolist() == [7, 3]
    assert (loss.focal_gamma, loss.focal_floor) == (2.0, 0.25)


def test_other_libraries_stay_as_they_were() -> None:
    """Importing the trainer changes no function of Pillow, OpenCV or torch for the rest of the process."""
    script = """
import cv2, torch
from PIL import Image
names = [(Image, "open"), (cv2, "imread"), (cv2, "imwrite"), (cv2, "imdecode"), (torch, "load"), (torch, "save")]
before = [getattr(library, name) for library, name in names]
import components.training.stage1
changed = [name for (library, name), old in zip(names, before) if getattr(library, name) is not old]
assert not changed, changed
"""
    subprocess.run([sys.executable, "-c", script], check=True, cwd=PROJECT_ROOT)
