"""A pruned network is really smaller, says the same as far as it is kept, and learns on."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from ultralytics.cfg import get_cfg

from components.errors import StreetveilError
from components.training.checkpoint import arrays_of
from components.training.pruning import (
    hidden_channels,
    multiplications,
    narrowed_like,
    parameter_count,
    pruned,
)
from components.training.yolo.network import RecallDetectionModel
from tests.small_street import noise, small_street


@pytest.fixture
def model() -> RecallDetectionModel:
    """A small network."""
    return small_street(width=0.125)


def answer(model: nn.Module) -> Tensor:
    """What a network says of a picture."""
    with torch.no_grad():
        return model.eval()(torch.from_numpy(noise(96, 64)).permute(2, 0, 1)[None] / 255)[0]


def test_every_bottleneck_and_every_branch_of_the_head_is_a_place(model: RecallDetectionModel) -> None:
    """All inner widths of the bottlenecks, and the two of each of the eight branches, can be pruned."""
    names = [place.name for place in hidden_channels(model)]
    bottlenecks = sum(type(module).__name__ == "Bottleneck" for module in model.modules())
    assert bottlenecks == 4 + 6  # in the backbone, and on the ways down and up
    assert len(names) == len(set(names)) == bottlenecks + 2 * 8


def test_a_share_of_0_is_the_same_network(model: RecallDetectionModel) -> None:
    """Nothing is taken out, and no bit of any answer changes."""
    same = pruned(model, 0)
    assert parameter_count(same) == parameter_count(model)
    assert torch.equal(answer(same), answer(model))


def test_channels_that_nobody_hears_can_go_without_a_change(model: RecallDetectionModel) -> None:
    """Where half of all channels are silenced, exactly those are taken out: the answer stays."""
    silenced = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(5)
    for place in hidden_channels(silenced):
        width = place.convolution.out_channels
        silent = torch.randperm(width, generator=generator)[: width // 2]
        place.norm.weight.data[silent] = 0
        place.norm.bias.data[silent] = 0
    smaller = pruned(silenced, 0.5, block=1)
    assert parameter_count(smaller) < parameter_count(model)
    torch.testing.assert_close(answer(smaller), answer(silenced), rtol=1e-4, atol=1e-3)


def test_a_pruned_network_is_smaller_and_the_given_one_is_not(model: RecallDetectionModel) -> None:
    """Numbers and multiplications fall with the share, masks are not involved, and the original stays as it was."""
    before, own = answer(model), parameter_count(model)
    sizes = [(parameter_count(net), multiplications(net)) for net in (pruned(model, s, 1) for s in (0, 0.25, 0.5))]
    assert sizes[0][0] > sizes[1][0] > sizes[2][0]
    assert sizes[0][1] > sizes[1][1] > sizes[2][1]
    assert sizes[2][1] < 0.75 * sizes[0][1]
    assert parameter_count(model) == own
    assert torch.equal(answer(model), before)


def test_widths_are_whole_blocks(model: RecallDetectionModel) -> None:
    """No place is narrower than a block that processors handle at once, unless it was before."""
    for place in hidden_channels(pruned(model, 0.9, block=8)):
        assert place.convolution.out_channels in (8, 4)
        assert place.consumer.in_channels == place.norm.num_features == place.convolution.out_channels


def test_multiplications_by_hand() -> None:
    """A 3 × 3 convolution from 3 to 5 channels at half size multiplies 27 times for each of its outputs."""
    assert multiplications(nn.Conv2d(3, 5, 3, 2, 1), width=8, height=4) == (4 * 2) * 5 * 27


def test_a_pruned_network_is_rebuilt_from_its_weights_alone(model: RecallDetectionModel) -> None:
    """The shapes in the file are the record of the widths: a fresh network takes them and says the same."""
    smaller = pruned(model, 0.5, block=1)
    weights = arrays_of(smaller.state_dict())
    rebuilt = narrowed_like(small_street(seed=1, width=0.125), weights)
    rebuilt.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    assert torch.equal(answer(rebuilt), answer(smaller))


def test_a_pruned_network_learns_on(model: RecallDetectionModel) -> None:
    """One step on a labelled picture lowers its loss, and every remaining channel has a gradient."""
    smaller: Any = pruned(model, 0.5, block=1).train()
    smaller.args = get_cfg()
    batch = {
        "img": torch.from_numpy(noise(96, 96)).permute(2, 0, 1)[None] / 255,
        "batch_idx": torch.zeros(2),
        "cls": torch.tensor([[0.0], [1.0]]),
        "bboxes": torch.tensor([[0.3, 0.3, 0.2, 0.3], [0.7, 0.7, 0.3, 0.1]]),
    }
    optimiser = torch.optim.SGD(smaller.parameters(), lr=1e-4)
    first = smaller(dict(batch))[0].sum()
    first.backward()
    learning = [place for place in hidden_channels(smaller) if ".cv2." not in place.name]  # not every scale has a box
    assert len(learning) == 10 + 8
    assert all((place.convolution.weight.grad.flatten(1).abs().sum(1) > 0).all() for place in learning)
    optimiser.step()
    assert smaller(dict(batch))[0].sum() < first


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_impossible_shares_are_refused(share: float, model: RecallDetectionModel) -> None:
    """A network without channels is none."""
    with pytest.raises(StreetveilError, match="cannot be pruned"):
        pruned(model, share)


def test_what_cannot_be_pruned_is_refused(model: RecallDetectionModel) -> None:
    """A network without places, fused batch norms included, and weights of another network are named as such."""
    for other in (nn.Sequential(nn.Conv2d(3, 3, 1)), copy.deepcopy(model).fuse(verbose=False)):
        with pytest.raises(StreetveilError, match="nothing to prune"):
            pruned(other, 0.5)
    with pytest.raises(StreetveilError, match="narrower network"):
        narrowed_like(model, {"model.0.conv.weight": np.zeros(3)})
    wider = arrays_of(small_street(width=0.25).state_dict())
    with pytest.raises(StreetveilError, match="narrower network"):
        narrowed_like(model, wider)
