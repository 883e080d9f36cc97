"""A student is pulled to what its teacher says, and to nothing else."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from ultralytics.cfg import get_cfg

from components.errors import StreetveilError
from components.training.distillation import (
    Distillation,
    Lesson,
    distillation_terms,
    lesson_of,
    with_teachers,
)
from tests.small_street import noise, small_street

CLASSES, BINS, ANCHORS = 2, 8, 30


class Saying(nn.Module):
    """A teacher that says the same of every picture, as ultralytics' networks do in evaluation mode."""

    def __init__(self, raw: dict[str, Tensor]) -> None:
        super().__init__()
        self.raw = raw

    def forward(self, pictures: Tensor) -> tuple[None, dict[str, Tensor]]:
        """The answer, in its raw form too."""
        return None, self.raw


def raw(seed: int, spread: float = 2.0) -> dict[str, Tensor]:
    """What a head says, at random."""
    generator = torch.Generator().manual_seed(seed)
    scores = spread * torch.randn(1, CLASSES, ANCHORS, generator=generator)
    return {"scores": scores, "boxes": spread * torch.randn(1, 4 * BINS, ANCHORS, generator=generator)}


def lesson(*said: dict[str, Tensor]) -> Lesson:
    """What teachers that say this teach together."""
    return lesson_of([Saying(answer) for answer in said], torch.zeros(1, 3, 8, 8), CLASSES)


def test_a_student_that_agrees_has_nothing_to_learn() -> None:
    """Both terms and their gradients are 0 where the student says what the teacher says, and above 0 elsewhere."""
    said = {name: value.clone().requires_grad_() for name, value in raw(1).items()}
    terms = distillation_terms(said, lesson(raw(1)), Distillation())
    for term in terms:
        assert abs(term.item()) < 1e-5
    for gradient in torch.autograd.grad(sum(terms), list(said.values())):
        assert gradient.abs().max() < 1e-6
    assert all(term > 0.01 for term in distillation_terms(raw(2), lesson(raw(1)), Distillation()))


def test_steps_pull_the_student_to_the_teacher() -> None:
    """Following the gradient, confidences and boxes come to the teacher's at confident anchors."""
    target, settings = raw(1), Distillation(confident_from=0.3)
    said = {name: value.clone().requires_grad_() for name, value in raw(2).items()}
    optimiser = torch.optim.Adam(said.values(), lr=0.05)
    for _ in range(600):
        optimiser.zero_grad()
        sum(distillation_terms(said, lesson(target), settings)).backward()
        optimiser.step()
    apart = (said["scores"].sigmoid() - target["scores"].sigmoid()).abs()
    assert apart.max() < 0.05
    sides = [answer["boxes"].view(1, 4, BINS, ANCHORS).softmax(2) for answer in (said, target)]
    confident = target["scores"].sigmoid().amax(1)[0] >= 0.3
    assert (sides[0] - sides[1]).abs()[..., confident].max() < 0.05


def test_boxes_are_copied_where_the_teacher_is_confident_alone() -> None:
    """An unsure anchor's box has no gradient, a confident one's has, and its direction is the teacher's."""
    target = raw(1)
    target["scores"][:] = -3
    target["scores"][0, 1, :10] = 3
    student = {name: value.clone().requires_grad_() for name, value in raw(2).items()}
    _, boxes_term = distillation_terms(student, lesson(target), Distillation(confident_from=0.5))
    (gradient,) = torch.autograd.grad(boxes_term, student["boxes"])
    moved = gradient.abs().sum(dim=1)[0]
    assert (moved[:10] > 0).all()
    assert (moved[10:] == 0).all()
    mine, told = (answer["boxes"].view(1, 4, BINS, ANCHORS).softmax(2) for answer in (student, target))
    towards = (gradient.view(1, 4, BINS, ANCHORS) * (told - mine))[..., :10].sum()
    assert towards < 0


def test_the_confidences_term_by_hand() -> None:
    """It is the cross-entropy of all elements less the teacher's own, for each of the teacher's sure anchors."""
    student, target = raw(2), raw(1)
    told = target["scores"].sigmoid()
    want = functional.binary_cross_entropy_with_logits(student["scores"], told, reduction="sum")
    want = want - functional.binary_cross_entropy(told, told, reduction="sum")
    found, _ = distillation_terms(student, lesson(target), Distillation())
    torch.testing.assert_close(found, want / told.sum())


def test_a_teacher_that_is_quite_sure_gives_finite_terms() -> None:
    """Confidences of exactly 0 and 1 are no infinity."""
    target = raw(1, spread=1000.0)
    said = {name: value.clone().requires_grad_() for name, value in raw(2).items()}
    terms = distillation_terms(said, lesson(target), Distillation())
    gradients = torch.autograd.grad(sum(terms), list(said.values()))
    assert all(value.isfinite().all() for value in (*terms, *gradients))


def test_teachers_teach_their_mean() -> None:
    """Confidences are averaged, and the box is that of the teacher who is sure."""
    sure, unsure = raw(1), raw(2)
    sure["scores"][:], unsure["scores"][:] = 8, -8
    taught = lesson(sure, unsure)
    torch.testing.assert_close(taught.confidence, torch.full((1, CLASSES, ANCHORS), 0.5))
    torch.testing.assert_close(taught.sides, sure["boxes"].view(1, 4, BINS, ANCHORS).softmax(2), atol=1e-3, rtol=0)


def test_a_network_is_taught_by_a_wider_one() -> None:
    """Inside the training's own loss: terms are added and named, the student gets gradients, the teacher none."""
    student: Any = small_street(seed=4).train()
    teacher = small_street(seed=5, width=0.125).train()
    student.args = get_cfg()
    batch = {
        "img": torch.from_numpy(noise(64, 64)).permute(2, 0, 1)[None] / 255,
        "batch_idx": torch.zeros(1),
        "cls": torch.zeros(1, 1),
        "bboxes": torch.tensor([[0.3, 0.3, 0.2, 0.3]]),
    }
    own, _ = student.init_criterion()(student(batch["img"]), dict(batch))
    student.criterion = with_teachers(student.init_criterion(), [teacher], Distillation())
    loss, told = student.loss(dict(batch))
    assert set(told) >= {"box_loss", "cls_loss", "dfl_loss", "taught_score_loss", "taught_box_loss"}
    assert len(loss) == len(own) + 2
    torch.testing.assert_close(loss[:3], own, rtol=1e-4, atol=1e-4)
    assert (loss[3:] > 0).all()
    loss[3:].sum().backward()
    assert all(branch[-1].weight.grad.abs().sum() > 0 for branch in (*student.model[-1].cv2, *student.model[-1].cv3))
    assert not teacher.training
    assert all(parameter.grad is None for parameter in teacher.parameters())


def test_teachers_that_do_not_fit_are_refused() -> None:
    """Other anchors, bins or classes, and impossible settings, are named as such."""
    other = {"scores": torch.zeros(1, CLASSES, 7), "boxes": torch.zeros(1, 4 * BINS, 7)}
    bins = {"scores": torch.zeros(1, CLASSES, ANCHORS), "boxes": torch.zeros(1, 64, ANCHORS)}
    for said in (other, bins):
        with pytest.raises(StreetveilError, match="same strides"):
            distillation_terms(raw(1), lesson(said), Distillation())
    with pytest.raises(StreetveilError, match="80 classes cannot teach 2"):
        lesson({**bins, "scores": torch.zeros(1, 80, ANCHORS)})
    with pytest.raises(StreetveilError, match="confident_from"):
        Distillation(confident_from=2)
