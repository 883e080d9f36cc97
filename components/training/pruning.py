"""A really smaller network: channels that tell little are taken out of the weights, and no mask stays behind.

Only channels with one producer and one consumer are touched: those inside each bottleneck and inside each branch of the
detection head. Nothing else in the network has to know. The widths need no record of their own: they are the shapes of
the weights in the file, and `narrowed_like` cuts a fresh network to them.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from components.errors import StreetveilError

_BLOCK = 8  # channels that processors handle at once; less than a block is computed like a whole one

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True, slots=True, eq=False)
class Hidden:
    """Channels that nobody else sees.

    Attributes:
        name: the producer's, as in the weights.
        convolution, norm: the producer; batch norm follows its convolution.
        consumer: the convolution that reads them.
    """

    name: str
    convolution: nn.Conv2d
    norm: nn.BatchNorm2d
    consumer: nn.Conv2d


def hidden_channels(model: nn.Module) -> list[Hidden]:
    """All places of a YOLOv8-style network whose channels can be taken out without a change elsewhere."""
    return list(_hidden(model))


def pruned(model: Network, share: float, block: int = _BLOCK) -> Network:
    """A copy in which at least `1 - share` of each place's channels are kept, the most telling ones.

    A channel tells as much as it can change what comes next: |γ| of its batch norm times the L1 norm of the weights
    that read it. Every kept channel computes what it did before; fine-tuning makes up for the others.

    Args:
        model: the network, not fused.
        share: of channels that may go, 0 to below 1, in every place.
        block: widths are rounded up to a multiple of it.

    Raises:
        StreetveilError: the network has no such places, or the share is impossible.
    """
    if not 0 <= share < 1:
        raise StreetveilError(f"a share of {share} cannot be pruned: it lies from 0 to below 1")
    smaller = copy.deepcopy(model)
    places = hidden_channels(smaller)
    if not places:
        raise StreetveilError("nothing to prune: this is no YOLOv8-style network, or its batch norms are fused")
    for place in places:
        width = place.convolution.out_channels
        kept = min(width, -(-round(width * (1 - share)) // block) * block)
        _keep(place, _most_telling(place, max(kept, 1)))
    return smaller


def narrowed_like(model: Network, weights: Mapping[str, NDArray[Any]]) -> Network:
    """A copy with the widths that these weights have; its own weights are cut to fit, and are to be replaced.

    Raises:
        StreetveilError: the weights are wider than the network, or of another one.
    """
    smaller = copy.deepcopy(model)
    for place in hidden_channels(smaller):
        array = weights.get(f"{place.name}.conv.weight")
        if array is None or not 1 <= len(array) <= place.convolution.out_channels:
            raise StreetveilError(f"these weights are not of a narrower network of this kind: {place.name} differs")
        if len(array) < place.convolution.out_channels:
            _keep(place, torch.arange(len(array), device=place.convolution.weight.device))
    return smaller


def parameter_count(model: nn.Module) -> int:
    """How many numbers are learnt or fixed in a network's layers."""
    return sum(parameter.numel() for parameter in model.parameters())


@torch.no_grad()
def multiplications(model: nn.Module, width: int = 640, height: int = 640) -> int:
    """Multiplications of all convolutions for one picture."""
    counts: list[int] = []

    def count(layer: nn.Module, _inputs: object, output: Tensor) -> None:
        assert isinstance(layer, nn.Conv2d)
        counts.append(output[0].numel() * layer.weight[0].numel())

    network = copy.deepcopy(model).eval()
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(count)
    network(torch.zeros(1, 3, height, width, device=next(network.parameters()).device))
    return int(np.sum(counts))


def _hidden(model: nn.Module) -> Iterator[Hidden]:
    for name, module in model.named_modules():
        kind = type(module).__name__  # ultralytics' own classes; it is imported elsewhere
        if kind == "Bottleneck":
            yield from _between(f"{name}.cv1", module.cv1, module.cv2)
        elif kind == "Detect":
            for branch_name in ("cv2", "cv3"):
                for i, branch in enumerate(getattr(module, branch_name)):
                    for j in (0, 1):
                        yield from _between(f"{name}.{branch_name}.{i}.{j}", branch[j], branch[j + 1])


def _between(name: str, producer: Any, consumer: Any) -> Iterator[Hidden]:
    """The channels between two layers, if these are convolutions that read all channels."""
    reader = getattr(consumer, "conv", consumer)
    writer, norm = getattr(producer, "conv", None), getattr(producer, "bn", None)
    if not (isinstance(writer, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d) and isinstance(reader, nn.Conv2d)):
        return
    if writer.groups == reader.groups == 1:
        yield Hidden(name, writer, norm, reader)


def _most_telling(place: Hidden, count: int) -> Tensor:
    """The indices of the most telling channels, in their old order."""
    heard = place.consumer.weight.detach().abs().sum(dim=(0, 2, 3))
    worth = place.norm.weight.detach().abs() * heard
    return worth.argsort(descending=True, stable=True)[:count].sort().values


def _keep(place: Hidden, channels: Tensor) -> None:
    """Leave only these channels, in place."""
    convolution, norm, consumer = place.convolution, place.norm, place.consumer
    _cut(convolution, "weight", channels, 0)
    for name in ("weight", "bias", "running_mean", "running_var"):
        _cut(norm, name, channels, 0)
    _cut(consumer, "weight", channels, 1)
    convolution.out_channels = norm.num_features = consumer.in_channels = len(channels)


def _cut(layer: nn.Module, name: str, channels: Tensor, axis: int) -> None:
    old = getattr(layer, name)
    new = old.detach().index_select(axis, channels).clone()
    is_parameter = isinstance(old, nn.Parameter)
    setattr(layer, name, nn.Parameter(new, requires_grad=old.requires_grad) if is_parameter else new)
