"""The attacker that learns: a small network, trained to name people from their hidden areas."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from components.evaluation.reidentification.draws import Views
from components.evaluation.reidentification.rates import Scores

_EPOCHS = 8
_BATCH = 96


def train_network(own_draws: Views, seed: int = 0) -> nn.Module:
    """A network trained on the attacker's own draws of everybody in the gallery."""
    torch.manual_seed(seed)
    people, draws = own_draws.shape[:2]
    inputs, labels = _inputs(own_draws), torch.arange(people).repeat_interleave(draws)
    network = nn.Sequential(
        *(nn.Conv2d(3, 24, 3, 2, 1), nn.BatchNorm2d(24), nn.ReLU()),
        *(nn.Conv2d(24, 48, 3, 2, 1), nn.BatchNorm2d(48), nn.ReLU()),
        *(nn.Conv2d(48, 96, 3, 2, 1), nn.BatchNorm2d(96), nn.ReLU()),
        *(nn.Flatten(), nn.Dropout(0.3), nn.LazyLinear(people)),
    )
    network(inputs[:2])
    optimizer = torch.optim.AdamW(network.parameters(), 2e-3, weight_decay=1e-2)
    steps = _EPOCHS * -(-len(inputs) // _BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    for _ in range(_EPOCHS):
        for chosen in torch.randperm(len(inputs)).split(_BATCH):
            loss = nn.functional.cross_entropy(network(_varied(inputs[chosen])), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return network.eval()


def network_scores(network: nn.Module, views: Views) -> Scores:
    """What the network thinks of draws that it has never seen."""
    with torch.inference_mode():
        parts = [network(part) for part in _inputs(views).split(512)]
    return torch.cat(parts).double().numpy().reshape(*views.shape[:2], -1)


def _inputs(views: Views) -> Tensor:
    flat = views.reshape(-1, *views.shape[2:])
    return torch.from_numpy(np.ascontiguousarray(flat.transpose(0, 3, 1, 2)) / 64 - 2)


def _varied(batch: Tensor) -> Tensor:
    """A little more or less light, and grain."""
    gain = 1 + 0.05 * torch.randn(len(batch), 1, 1, 1)
    return batch * gain + 0.03 * torch.randn_like(batch)
