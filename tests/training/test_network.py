"""Pruned weights load as they are, and teachers are no part of what they teach."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from ultralytics.cfg import get_cfg

from components.detections import CLASS_NAMES
from components.errors import StreetveilError
from components.settings import Training
from components.training.checkpoint import arrays_of
from components.training.pruning import hidden_channels, parameter_count, pruned
from components.training.yolo.network import RecallDetectionModel, build_model, element_loss
from tests.small_street import noise, small_street


def settings_of(tiny: Training, width: float = 0.25) -> Training:
    """The settings of a network that is wide enough to be pruned."""
    from ultralytics.utils import YAML  # after components.training.yolo, which sets its environment

    described = YAML.load(tiny.architecture.replace("yolov8n.yaml", "yolov8.yaml"))
    changed = {**described, "scales": {"n": [0.33, width, 512]}, "scale": "n"}
    return tiny.model_copy(update={"architecture": changed})


def batch(seed: int = 3) -> dict[str, Tensor]:
    """One picture with one face."""
    return {
        "img": torch.from_numpy(noise(64, 64, seed)).permute(2, 0, 1)[None] / 255,
        "batch_idx": torch.zeros(1),
        "cls": torch.zeros(1, 1),
        "bboxes": torch.tensor([[0.3, 0.3, 0.2, 0.3]]),
    }


def test_pruned_weights_load_whole(tiny: Training) -> None:
    """Every number of a pruned network is taken over, at its own widths, and it answers as before."""
    settings = settings_of(tiny)
    torch.manual_seed(3)
    smaller = pruned(build_model(settings), 0.5).eval()
    whole = build_model(settings)
    assert parameter_count(smaller) < 0.95 * parameter_count(whole)
    again = build_model(settings, arrays_of(smaller.state_dict())).eval()
    mine, theirs = smaller.state_dict(), again.state_dict()
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    with torch.no_grad():
        assert torch.equal(smaller(batch()["img"])[0], again(batch()["img"])[0])


def test_pruned_weights_can_be_trained_on(tiny: Training) -> None:
    """The narrowed network has our loss, and every one of its weights that can be heard gets a gradient."""
    settings = settings_of(tiny)
    model: Any = build_model(settings, arrays_of(pruned(build_model(settings), 0.5).state_dict())).train()
    model.args = get_cfg()
    loss, _ = model(batch())
    loss.sum().backward()
    assert all(place.convolution.weight.grad is not None for place in hidden_channels(model))


def test_weights_of_a_relative_narrow_nothing(tiny: Training) -> None:
    """Wider or other weights leave the network at its own widths, and what fits of them is taken."""
    settings = settings_of(tiny)
    own = {name: tensor.shape for name, tensor in build_model(settings).state_dict().items()}
    wider = arrays_of(build_model(settings_of(tiny, 0.5)).state_dict())
    with pytest.raises(StreetveilError, match="do not fit"):
        build_model(settings, wider)
    some = arrays_of(build_model(settings).state_dict())
    without_head = {name: array for name, array in some.items() if not name.startswith("model.22.")}
    found = build_model(settings, without_head).state_dict()
    assert {name: tensor.shape for name, tensor in found.items()} == own
    assert all(np.array_equal(found[name].numpy(), array) for name, array in without_head.items())


def taught(tiny: Training) -> Any:
    """A student with a wider teacher."""
    student: Any = small_street(seed=4).train()
    student.args = get_cfg()
    student.teachers = (small_street(seed=5, width=0.125),)
    assert isinstance(student, RecallDetectionModel)
    return student


def test_a_taught_network_has_its_teachers_terms(tiny: Training) -> None:
    """Beside the labels' own terms stand two of the teacher, above 0; with itself as the teacher they are 0."""
    student = taught(tiny)
    loss, told = student.loss(batch())
    assert list(told)[-2:] == ["taught_score_loss", "taught_box_loss"]
    assert len(loss) == 5
    assert (loss[3:] > 0).all()
    untaught = copy.deepcopy(student)
    untaught.teachers, untaught.criterion = (), None
    plain, names = untaught.loss(batch())
    assert len(plain) == 3
    assert "taught_score_loss" not in names
    same = small_street(seed=4).eval()
    same.args, same.teachers = get_cfg(), (small_street(seed=4),)
    alike, _ = same.init_criterion()(same(batch()["img"]), batch())
    assert alike[3:].abs().max() < 1e-4


def test_teachers_are_no_part_of_the_network(tiny: Training) -> None:
    """With teachers a network has the same weights, parameters, modules and size on file as without."""
    student, alone = taught(tiny), small_street(seed=4).train()
    assert student.state_dict().keys() == alone.state_dict().keys()
    assert all(torch.equal(tensor, alone.state_dict()[name]) for name, tensor in student.state_dict().items())
    assert parameter_count(student) == parameter_count(alone)
    assert len(list(student.modules())) == len(list(alone.modules()))
    student.train()
    student.loss(batch())
    teacher = student.teachers[0]
    assert not teacher.training
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    student.train()
    assert not teacher.training  # the student's own mode is not passed on


def test_networks_with_two_branches_cannot_be_taught(tiny: Training) -> None:
    """Where a second branch would have no teacher, it is refused before anything is trained."""
    model: Any = RecallDetectionModel("yolo26n.yaml", element_loss(tiny))
    model.args = get_cfg()
    assert model.init_criterion()
    model.teachers = (small_street(),)
    with pytest.raises(StreetveilError, match="second branch"):
        model.init_criterion()
    assert model.names == dict(enumerate(CLASS_NAMES))
