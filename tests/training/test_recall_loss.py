"""The loss asks for recall, and leaves out what nobody has labelled."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from components.training.recall_loss import (
    RecallWeightedBCE,
    assigned_elements,
    box_weights_of_elements,
    counted_background,
)

FOCAL = [(0.0, 1.0), (0.5, 0.0), (2.0, 0.0), (2.0, 0.3), (5.0, 0.1)]


def gradient(loss: RecallWeightedBCE, logits: Tensor, targets: Tensor, **weights: Tensor) -> Tensor:
    """d(sum of the loss) / d(logits)."""
    variable = logits.clone().requires_grad_()
    (found,) = torch.autograd.grad(loss(variable, targets, **weights).sum(), variable)
    return found


def elements(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """Logits and targets [4, 50, 2], a fifth of the targets soft and a fifth 1."""
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(4, 50, 2, generator=generator, dtype=dtype) * 4
    kind = torch.rand(4, 50, 2, generator=generator)
    soft = torch.rand(4, 50, 2, generator=generator, dtype=dtype)
    return logits, torch.where(kind < 0.2, soft, (kind < 0.4).to(dtype))


@pytest.mark.parametrize(("gamma", "floor"), FOCAL)
@pytest.mark.parametrize("logit", [-8.0, -2.0, -0.5, 0.5, 3.0])
def test_a_missed_positive_is_pushed_up_and_more_by_a_larger_weight(logit: float, gamma: float, floor: float) -> None:
    """The gradient at a positive is negative, and grows in proportion to its class's weight."""
    logits, targets = torch.full((1, 2), logit, dtype=torch.float64), torch.ones(1, 2, dtype=torch.float64)
    light = gradient(RecallWeightedBCE([1, 1], gamma, floor), logits, targets)
    heavy = gradient(RecallWeightedBCE([15, 5], gamma, floor), logits, targets)
    assert (light < 0).all()
    torch.testing.assert_close(heavy, light * torch.tensor([15.0, 5.0]), rtol=1e-12, atol=0)


def test_a_false_alarm_is_pushed_down_as_ever() -> None:
    """The weight of positives leaves the gradient at background alone."""
    logits, targets = torch.linspace(-9, 9, 20).reshape(10, 2), torch.zeros(10, 2)
    found = gradient(RecallWeightedBCE([15, 5]), logits, targets)
    assert (found > 0).all()
    torch.testing.assert_close(found, logits.sigmoid())


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-14), (torch.float32, 1e-6)])
def test_weight_1_is_the_stock_loss(dtype: torch.dtype, tolerance: float) -> None:
    """Without weights, values and gradients are those of torch's BCEWithLogits, up to rounding."""
    logits, targets = elements(dtype)
    stock = logits.clone().requires_grad_()
    expected = functional.binary_cross_entropy_with_logits(stock, targets, reduction="none")
    ours = RecallWeightedBCE([1, 1])
    torch.testing.assert_close(ours(logits, targets), expected, rtol=tolerance, atol=tolerance)
    expected.sum().backward()
    torch.testing.assert_close(gradient(ours, logits, targets), stock.grad, rtol=tolerance, atol=tolerance)


def test_weights_are_those_of_torch_per_class() -> None:
    """A class's weight is what torch calls pos_weight."""
    logits, targets = elements()
    weight = torch.tensor([5.0, 0.5], dtype=torch.float64)
    expected = functional.binary_cross_entropy_with_logits(logits, targets, pos_weight=weight, reduction="none")
    torch.testing.assert_close(RecallWeightedBCE([5, 0.5])(logits, targets), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("gamma", "floor"), FOCAL)
def test_finite_differences_agree(gamma: float, floor: float) -> None:
    """The gradient is the slope of the value, in double precision, with every weight and mask in play."""
    logits, targets = elements()
    generator = torch.Generator().manual_seed(5)
    weight = torch.rand(logits.shape, generator=generator, dtype=torch.float64) * 3
    counts = torch.rand(logits.shape, generator=generator) < 0.7
    loss = RecallWeightedBCE([5, 2], gamma, floor)
    assert torch.autograd.gradcheck(
        lambda x: loss(x, targets, weight, counts), logits.clone().requires_grad_(), eps=1e-6, atol=1e-6
    )


@pytest.mark.parametrize(("gamma", "floor"), FOCAL)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_extreme_logits_stay_finite(dtype: torch.dtype, gamma: float, floor: float) -> None:
    """At logits of ±10 000, values and gradients are finite, and a missed positive still has its whole gradient."""
    logits = torch.tensor([[-1e4, 1e4], [1e4, -1e4], [-1e4, 1e4]], dtype=dtype)
    targets = torch.tensor([[1, 1], [0, 0], [0.5, 0.5]], dtype=dtype)
    loss = RecallWeightedBCE([5, 5], gamma, floor)
    assert loss(logits, targets).isfinite().all()
    assert loss(logits, targets).dtype == (torch.float32 if dtype == torch.bfloat16 else dtype)
    found = gradient(loss, logits, targets)
    assert found.isfinite().all()
    assert found[0, 0] == -5
    assert found[0, 1] == 0


@pytest.mark.parametrize(("gamma", "floor"), [(2.0, 0.3), (5.0, 0.1), (2.0, 1.0)])
def test_the_focal_factor_never_takes_a_positive_below_its_floor(gamma: float, floor: float) -> None:
    """Anywhere, value and gradient of a positive are at least the floor's share of those without focal factor."""
    logits = torch.linspace(-12, 12, 97, dtype=torch.float64).reshape(-1, 1)
    targets = torch.ones_like(logits)
    plain, focal = RecallWeightedBCE([5]), RecallWeightedBCE([5], gamma, floor)
    assert (focal(logits, targets) >= floor * plain(logits, targets) * (1 - 1e-12)).all()
    slopes = gradient(focal, logits, targets), gradient(plain, logits, targets)
    assert (slopes[0] <= floor * slopes[1] * (1 - 1e-12)).all()


def test_without_a_floor_the_focal_variant_is_the_published_one() -> None:
    """With hard targets and a floor of 0, it is −(1 − p_t)^γ·log(p_t) of Lin et al."""
    logits, _ = elements()
    targets = (torch.arange(logits.numel()).reshape(logits.shape) % 3 == 0).double()
    p = logits.sigmoid()
    p_t = torch.where(targets == 1, p, 1 - p)
    expected = -((1 - p_t) ** 2) * p_t.log()
    torch.testing.assert_close(RecallWeightedBCE([1, 1], 2.0, 0.0)(logits, targets), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("gamma", [0.0, 2.0])
def test_masked_background_has_no_gradient_and_masked_positives_have(gamma: float) -> None:
    """Where background does not count, an element without object has exactly no gradient, one with object its own."""
    logits, targets = elements()
    counts = torch.zeros_like(targets, dtype=torch.bool)
    loss = RecallWeightedBCE([5, 5], gamma, 0.5)
    masked, whole = gradient(loss, logits, targets, background_counts=counts), gradient(loss, logits, targets)
    assert (masked[targets == 0] == 0).all()
    assert (masked[targets > 0] < 0).all()
    torch.testing.assert_close(masked[targets == 1], whole[targets == 1], rtol=1e-12, atol=0)
    assert (gradient(loss, logits, targets, background_counts=~counts) == whole).all()


def test_elements_count_by_their_weight() -> None:
    """An element's weight multiplies its gradient exactly."""
    logits, targets = elements()
    weight = torch.rand(4, 50, 1, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 4
    loss = RecallWeightedBCE([5, 5])
    found = gradient(loss, logits, targets, element_weight=weight)
    torch.testing.assert_close(found, gradient(loss, logits, targets) * weight, rtol=1e-14, atol=0)


@pytest.mark.parametrize("options", [([0.0],), ([5.0], -1.0), ([5.0], 1.0, 1.1), ([5.0], 1.0, -0.1)])
def test_impossible_weights_are_refused(options: tuple) -> None:
    """A weight of 0, a negative gamma and a floor that is no share are errors."""
    with pytest.raises(ValueError, match="weights are above 0"):
        RecallWeightedBCE(*options)


def test_the_weights_stay_out_of_the_networks_files() -> None:
    """A network that holds the loss has no entry of it among its weights."""
    assert RecallWeightedBCE([5, 5]).state_dict() == {}


def test_elements_know_their_box() -> None:
    """The element of a box's own class at its anchors has its weight; all others have 1."""
    class_id = torch.tensor([[0, 1, 1, 0], [1, 0, 0, 0]])
    foreground = torch.tensor([[True, True, False, False], [True, False, False, True]])
    own = assigned_elements(class_id, foreground, 2)
    assert own.nonzero().tolist() == [[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 3, 0]]
    weight = box_weights_of_elements(
        torch.tensor([[7.0, 0.5], [3.0, 0.0]]), torch.tensor([[1, 0, 0, 0], [0, 0, 0, 1]]), own
    )
    expected = torch.ones(2, 4, 2)
    expected[0, 0, 0], expected[0, 1, 1], expected[1, 0, 1], expected[1, 3, 0] = 0.5, 7.0, 3.0, 0.0
    assert (weight == expected).all()


def test_a_batch_without_boxes_has_usual_weights() -> None:
    """Where there is no object at all, every element counts once."""
    own = torch.zeros(2, 5, 2, dtype=torch.bool)
    weight = box_weights_of_elements(torch.zeros(2, 0), torch.zeros(2, 5), own)
    assert weight.shape == own.shape
    assert (weight == 1).all()


def test_background_is_looked_up_by_place_and_class() -> None:
    """Bit c under an anchor's middle says that background of class c does not count there; edges are inside."""
    uncounted = torch.zeros(1, 4, 8, dtype=torch.uint8)
    uncounted[0, :2, 4:] = 1
    uncounted[0, 3, 7] = 3
    places = torch.tensor([[0.1, 0.1], [0.9, 0.1], [0.9, 0.6], [1.0, 1.0]])
    counted = counted_background(uncounted, places, 2)
    assert counted[0].tolist() == [[True, True], [False, True], [True, True], [False, False]]
