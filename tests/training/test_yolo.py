"""Inside ultralytics' network, weights and masks reach the boxes and places that they speak of."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from ultralytics.cfg import get_cfg
from ultralytics.nn.tasks import DetectionModel
from ultralytics.utils.loss import E2ELoss, v8DetectionLoss

from components.errors import StreetveilError
from components.settings import Params, Training
from components.training.checkpoint import arrays_of
from components.training.images import TrainingImage
from components.training.recall_loss import RecallWeightedBCE
from components.training.yolo.loop import find_objects
from components.training.yolo.network import (
    RecallDetectionLoss,
    RecallDetectionModel,
    build_model,
    described,
    element_loss,
)
from components.training.yolo.pictures import CanvasDataset, EpochLoader, WholePictures
from tests.training.conftest import Render, still

Batch = Callable[..., dict[str, Any]]

ONE_BRANCH, TWO_BRANCHES = "yolov8n.yaml", "yolo26n.yaml"
PX = 96  # of pictures and canvases


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


@pytest.fixture
def batch_of(params: Params) -> Batch:
    """A batch of pictures of 96 × 96 px, as they are."""

    def batch(images: list[TrainingImage], ignore_unlabelled: bool = True) -> dict[str, Any]:
        views = still(params.training.views, object_px=(6, 7))
        changes = {"canvas_px": PX, "views": views, "ignore_unlabelled": ignore_unlabelled}
        dataset = CanvasDataset(images, params.training.model_copy(update=changes))
        found = dataset.collate_fn([dataset[i] for i in range(len(dataset))])
        return {**found, "img": found["img"].float() / 255}

    return batch


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
def test_weight_1_is_the_stock_loss_of_the_whole_network(architecture: str, rendered: Render, batch_of: Batch) -> None:
    """On the same batch, loss terms and every weight's gradient are ultralytics' own, in one branch and in two."""
    batch = batch_of(rendered(3, PX, PX))
    ours, stock = model_of(architecture), stock_of(architecture)
    for model in (ours, stock):
        loss, _ = model(copy.copy(batch))
        loss.sum().backward()
        model.found = loss.detach()
    assert type(stock.criterion) in (v8DetectionLoss, E2ELoss)
    torch.testing.assert_close(ours.found, stock.found, rtol=1e-5, atol=0)
    for (name, left), (other, right) in zip(ours.named_parameters(), stock.named_parameters(), strict=True):
        assert name == other
        if left.grad is not None or right.grad is not None:
            torch.testing.assert_close(left.grad, right.grad, rtol=1e-3, atol=5e-5)


def test_both_branches_have_our_loss(rendered: Render, batch_of: Batch) -> None:
    """Where the network has a second branch without suppression, a weight raises the loss of either."""
    batch = batch_of(rendered(2, PX, PX))
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


def test_a_boxs_weight_scales_its_own_gradient_alone(rendered: Render, batch_of: Batch) -> None:
    """Doubling one face's weight doubles the gradient of that face's elements, and leaves all others as they were."""
    images = rendered(2, PX, PX)
    heavy = [*images[:1], TrainingImage.of(images[1].path, (PX, PX), images[1].boxes, [0, 1], [2.0, 1.0])]
    model = model_of(weights=(5, 5))
    usual, known = score_gradient(model, batch_of(images))
    assert (known["element_weight"] == 1).all()
    found, known = score_gradient(model, batch_of(heavy))
    own = known["element_weight"] == 2
    assert own.any(dim=1).tolist() == [[False, False], [True, False]]
    assert (found[own] == 2 * usual[own]).all()
    assert (usual[own] != 0).all()
    assert (found[~own] == usual[~own]).all()


def test_a_box_of_weight_0_is_left_out(rendered: Render, batch_of: Batch) -> None:
    """An object that nobody is sure of teaches neither that it is one, nor that it is background."""
    (image,) = rendered(1, PX, PX)
    unsure = TrainingImage.of(image.path, (PX, PX), image.boxes, [0, 1], [0.0, 1.0])
    found, known = score_gradient(model_of(weights=(5, 5)), batch_of([unsure]))
    own = known["element_weight"] == 0
    assert own.any()
    assert (found[own] == 0).all()


def test_background_of_unlabelled_classes_has_no_gradient(rendered: Render, batch_of: Batch) -> None:
    """In a picture where only plates are labelled, nothing pulls faces down, and labelled objects still count."""
    image, other = rendered(2, PX, PX)
    partly = TrainingImage.of(image.path, (PX, PX), image.boxes, [0, 1], exhaustive=["license_plate"])
    model = model_of(weights=(5, 5))
    usual, _ = score_gradient(model, batch_of([image, other]))
    found, known = score_gradient(model, batch_of([partly, other]))
    counts = known["background_counts"]
    assert (found[0, ..., 0][~counts[0, ..., 0]] == 0).all()
    assert (~counts[0, ..., 0]).sum() > 60
    assert (found[0, ..., 0][counts[0, ..., 0]] != 0).any()
    assert (found[counts] == usual[counts]).all()
    assert counts[0, ..., 1].all()
    assert counts[1].all()


def test_ignored_boxes_are_no_background(rendered: Render, batch_of: Batch) -> None:
    """Inside of an ignored box no element of any class has a gradient, unless it answers for an object."""
    (image,) = rendered(1, PX, PX)
    marked = TrainingImage.of(image.path, (PX, PX), [], [], ignored=[[0, 0, 48, PX]])
    found, _ = score_gradient(model_of(weights=(5, 5)), batch_of([marked]))
    grid = found[0, :144].reshape(12, 12, 2).abs().sum(-1)
    assert (grid[:, :6] == 0).all()
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
def test_one_step_on_a_real_batch_lowers_the_miss(gamma: float, rendered: Render, batch_of: Batch) -> None:
    """After one step of the optimiser, the objects of each class are missed less, and less with a larger weight."""
    batch = batch_of(rendered(4, PX, PX))

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


def test_detections_and_truth_share_their_pixels(rendered: Render) -> None:
    """What is found in the padded square, or only in its reduction, comes back beside the picture's own labels."""
    images = [*rendered(2, 96, 48), *rendered(1, 48, 96)]
    dataset = WholePictures(images, imgsz=64, augment=False, hyp=get_cfg(), batch_size=2, stride=32)
    loader = EpochLoader(dataset, batch_size=2, collate_fn=dataset.collate_fn)
    seen = iter(loader)

    class Oracle:
        end2end = False

        def __call__(self, pictures: Tensor) -> tuple[Tensor]:
            side = pictures.shape[2]
            whole = side == 64
            if whole:
                self.batch = next(seen)
            answers = torch.zeros(len(pictures), 6, 2)  # centre, size, confidences; the second answer is too weak
            for i in range(len(answers)):
                own = self.batch["batch_idx"] == i
                answers[i, :4] = self.batch["bboxes"][own].T * side
                if not whole:
                    answers[i, :4] = answers[i, :4].flip(1)  # the plate first
                answers[i, 4 if whole else 5, 0], answers[i, 4, 1] = 0.9 if whole else 0.8, 0.1
            return (answers,)

    pairs = find_objects(Oracle(), loader, 0.15, lambda batch: batch)
    assert [(truth.width, truth.height) for truth, _ in pairs] == [(64, 32), (64, 32), (32, 64)]
    for truth, found in pairs:
        np.testing.assert_allclose(found.xyxy, truth.objects.xyxy, atol=0.01)
        assert found.class_id.tolist() == [0, 1]
        np.testing.assert_allclose(found.confidence, [0.9, 0.8])


def test_weights_of_other_classes_are_a_start(tiny: Training) -> None:
    """From a network for 80 classes everything but the classification branch is taken, and from ours everything."""
    torch.manual_seed(5)
    tiny = tiny.model_copy(update={"architecture": ONE_BRANCH})
    coco = DetectionModel(ONE_BRANCH, nc=80, verbose=False).state_dict()
    model = build_model(tiny, arrays_of(coco))
    mine = model.state_dict()
    assert mine.keys() == coco.keys()
    others = {name for name in mine if not (name in coco and torch.equal(mine[name], coco[name]))}
    assert others
    assert all(name.startswith("model.22.cv3.") for name in others)
    assert all(name in others for name in mine if mine[name].shape != coco[name].shape)
    again = build_model(tiny, arrays_of(mine)).state_dict()
    assert again.keys() == mine.keys()
    assert all(torch.equal(again[name], mine[name]) for name in mine)
    with torch.no_grad():
        assert model.eval()(torch.zeros(1, 3, 64, 64))[0].shape == (1, 6, 84)


def test_our_network_starts_from_yolov8s_backbone(tiny: Training) -> None:
    """YOLOv8n's weights for 80 classes fit our network's whole backbone and top-down path."""
    torch.manual_seed(5)
    coco = DetectionModel(ONE_BRANCH, nc=80, verbose=False).state_dict()
    mine = build_model(tiny.model_copy(update={"architecture": "street-n"}), arrays_of(coco)).state_dict()
    shared = [name for name in mine if int(name.split(".")[1]) <= 15]
    assert {int(name.split(".")[1]) for name in shared} >= {*range(10), 12, 15}
    assert all(torch.equal(mine[name], coco[name]) for name in shared)


@pytest.mark.parametrize(("architecture", "first_width"), [("street-n", 16), ("street-s", 32)])
def test_our_network_answers_from_stride_4_on(architecture: str, first_width: int) -> None:
    """Our own description gives a network of the asked width with outputs at four strides, for two classes."""
    model: Any = RecallDetectionModel(described(architecture), RecallWeightedBCE((1, 1))).eval()
    assert model.stride.tolist() == [4, 8, 16, 32]
    assert model.state_dict()["model.0.conv.weight"].shape[0] == first_width
    with torch.no_grad():
        assert model(torch.zeros(1, 3, 64, 64))[0].shape == (1, 6, 16**2 + 8**2 + 4**2 + 2**2)
    assert described(ONE_BRANCH) == ONE_BRANCH


@pytest.mark.parametrize("few", [lambda w: {}, lambda w: w, lambda w: {"other": np.ones(10**6, np.float32)}])
def test_weights_of_another_network_are_refused(tiny: Training, few: Callable[[dict], dict]) -> None:
    """Weights of which less than a quarter fits the architecture are an error that names it."""
    weights = arrays_of(DetectionModel(ONE_BRANCH, nc=2, verbose=False).state_dict())
    with pytest.raises(StreetveilError, match=r"yolov8n\.yaml \(only \d+% of them\)"):
        build_model(tiny, few(weights))


def test_the_loss_is_the_settings(tiny: Training) -> None:
    """Weights and focal factor of the settings are those of the loss, face first."""
    positive = tiny.positive_weight.model_copy(update={"face": 7.0, "license_plate": 3.0})
    loss = element_loss(tiny.model_copy(update={"positive_weight": positive, "focal_gamma": 2.0, "focal_floor": 0.25}))
    assert loss.positive_weight.tolist() == [7, 3]
    assert (loss.focal_gamma, loss.focal_floor) == (2.0, 0.25)
