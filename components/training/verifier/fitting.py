"""From examples to a network, and from a network to logits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from components.detection.proposal_features import Features, rows_of
from components.detections import CLASS_NAMES
from components.errors import StreetveilError
from components.settings import VerifierTraining
from components.training.recall_loss import RecallWeightedBCE
from components.training.verifier.examples import Examples
from components.training.verifier.network import CALIBRATION, VerifierNetwork
from components.training.verifier.variation import varied

_WARMUP_SHARE = 0.1  # of all steps
_BATCH = 256  # where nothing is learnt
_GRADIENT_NORM = 5.0


def fit(
    examples: Examples,
    settings: VerifierTraining,
    tell: Callable[[str], None] = lambda _: None,
    first: VerifierNetwork | None = None,
) -> VerifierNetwork:
    """Train a network; the same examples and settings give the same weights on a CPU.

    Args:
        examples: those of weight 0 are left out.
        settings: how.
        tell: gets a line an epoch.
        first: a network that is trained on as `continued` says, with the mean and deviation of the numbers that its
            weights are made for; it is not changed. Without one, the seed says what is begun with.

    Returns:
        The network, in evaluation mode, not calibrated.

    Raises:
        StreetveilError: there is nothing to tell apart, the loss is no number, or `first` is told something else.
    """
    pace = settings.continued if first else settings
    rows = np.flatnonzero(examples.labels.weight > 0)
    if len(np.unique(examples.labels.is_object[rows])) < 2:
        raise StreetveilError("there are no true or no false proposals among the examples: label more pictures")
    weights = balanced_weights(examples, settings.max_balance)
    rng = np.random.default_rng(settings.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        network = VerifierNetwork(settings.families, settings.dropout)
        if first is None:
            told = examples.features
            network.measure(torch.from_numpy(told.geometry[rows]), torch.from_numpy(told.colour[rows]))
        else:
            _go_on_from(first, network)
        steps = pace.epochs * (len(rows) // settings.batch_size + 1)
        optimiser = torch.optim.AdamW(network.parameters(), lr=pace.learning_rate, weight_decay=settings.weight_decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, pace.learning_rate, total_steps=steps, pct_start=_WARMUP_SHARE, cycle_momentum=False
        )
        for epoch in range(1, pace.epochs + 1):
            loss = _epoch(network, optimiser, schedule, examples, weights, rng.permutation(rows), settings, rng)
            tell(f"epoch {epoch} of {pace.epochs}: loss {loss:.4f}")
    return network.eval()


def _go_on_from(first: VerifierNetwork, network: VerifierNetwork) -> None:
    """Let a network begin as another one is, but for its calibration."""
    if first.families != network.families:
        theirs, wanted = (", ".join(sorted(one.families)) for one in (first, network))
        raise StreetveilError(
            f"the weights to go on from are told {theirs}, verifier.families in params.yaml says {wanted}: "
            "name the same, or train without --weights"
        )
    learnt = {name: value for name, value in first.state_dict().items() if name not in CALIBRATION}
    network.load_state_dict(learnt, strict=False)


def _epoch(
    network: VerifierNetwork,
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    examples: Examples,
    weights: NDArray[np.float32],
    order: NDArray[np.intp],
    settings: VerifierTraining,
    rng: np.random.Generator,
) -> float:
    """One pass over the examples; the mean loss."""
    network.train()
    wishes = settings.positive_weight
    criterion = RecallWeightedBCE([getattr(wishes, name) for name in CLASS_NAMES])
    total = 0.0
    for start in range(0, len(order), settings.batch_size):
        chosen = order[start : start + settings.batch_size]
        if len(chosen) < 2:  # batch norm needs two
            continue
        seen = _rows(varied(examples.features.select(chosen), settings.variation, rng))
        own = torch.from_numpy(examples.class_id[chosen].astype(np.int64))
        targets = torch.from_numpy(examples.labels.is_object[chosen]).float()[:, None].expand(-1, len(CLASS_NAMES))
        counts = torch.nn.functional.one_hot(own, len(CLASS_NAMES)) * torch.from_numpy(weights[chosen])[:, None]
        loss = criterion(network(seen), targets, counts).sum() / len(chosen)
        if not torch.isfinite(loss):
            raise StreetveilError("the loss is no number: lower learning_rate")
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), _GRADIENT_NORM)
        optimiser.step()
        schedule.step()
        total += loss.item() * len(chosen)
    return total / len(order)


def balanced_weights(examples: Examples, max_balance: float) -> NDArray[np.float32]:
    """How much each example counts, so that true and false ones of each class count the same in sum.

    Args:
        examples: n of them.
        max_balance: the most that a rare kind is raised over the mean.

    Returns:
        float32 [n].
    """
    weights = examples.labels.weight.astype(np.float64)
    kind = examples.class_id * 2 + examples.labels.is_object
    sums = np.bincount(kind, weights, 2 * len(CLASS_NAMES))
    fair = weights.sum() / max(1, np.count_nonzero(sums))
    raised = np.minimum(np.divide(fair, sums, out=np.zeros_like(sums), where=sums > 0), max_balance)
    return (weights * raised[kind]).astype(np.float32)


def logits_of(network: VerifierNetwork, examples: Examples) -> NDArray[np.float32]:
    """The logit of each example's own class; float32 [n]."""
    network.eval()
    parts = [np.zeros((0, len(CLASS_NAMES)), np.float32)]
    with torch.inference_mode():
        for start in range(0, len(examples), _BATCH):
            parts.append(network(_rows(examples.features.select(slice(start, start + _BATCH)))).numpy())
    return np.concatenate(parts)[np.arange(len(examples)), examples.class_id]


def _rows(told: Features) -> Tensor:
    return torch.from_numpy(rows_of(told.geometry, told.colour, told.close_up(), told.context))
