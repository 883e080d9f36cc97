"""A small network learns what a larger one sees, at every anchor, also where nobody has drawn a label.

Both have the same strides, so their anchors are the same places. The student is pulled to the teacher's confidence of
each class everywhere (Hinton et al. 2015, arXiv:1503.02531), and to its distribution of each box's side where the
teacher is confident (Zheng et al. 2022, "Localization Distillation", arXiv:2102.12252). Both terms are divergences:
0 where the student says what the teacher says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from components.errors import StreetveilError

Raw = Mapping[str, Tensor]  # what YOLOv8's head says before it is decoded: `boxes` and `scores`
Criterion = Callable[[Any, dict[str, Any]], tuple[Tensor, dict[str, Tensor]]]

_SIDES = 4


@dataclass(frozen=True, slots=True)
class Distillation:
    """How strongly a teacher pulls.

    Attributes:
        score_weight: of the confidences' term, beside the labels' own loss.
        box_weight: of the boxes' term.
        confident_from: the teacher's confidence from which an anchor's box is copied.
    """

    score_weight: float = 1.0
    box_weight: float = 1.0
    confident_from: float = 0.2

    def __post_init__(self) -> None:
        if min(self.score_weight, self.box_weight) < 0 or not 0 <= self.confident_from <= 1:
            raise StreetveilError("distillation: weights are not negative, confident_from lies between 0 and 1")


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """What a teacher says of a batch.

    Attributes:
        confidence: float [n, classes, anchors], 0 to 1.
        sides: float [n, 4, bins, anchors], each box side's distribution over distances of 0, 1, … strides.
    """

    confidence: Tensor
    sides: Tensor


def lesson_of(teachers: Sequence[nn.Module], pictures: Tensor, classes: int) -> Lesson:
    """What teachers say together: the mean of their confidences and, weighted by these, of their sides.

    Args:
        teachers: networks in evaluation mode, with the student's strides and number of bins.
        pictures: float [n, 3, h, w], 0 to 1.
        classes: the number of classes.
    """
    with torch.no_grad():
        said = [teacher(pictures)[1] for teacher in teachers]
        confidences = torch.stack([raw["scores"].float().sigmoid() for raw in said])
        sides = torch.stack([_side_logits(raw).softmax(2) for raw in said])
        surest = confidences.amax(dim=2)[:, :, None, None] + torch.finfo(torch.float32).tiny
        mixed = (sides * surest).sum(dim=0) / surest.sum(dim=0)
    if confidences.shape[2] != classes:
        raise StreetveilError(f"a teacher of {confidences.shape[2]} classes cannot teach {classes}")
    return Lesson(confidences.mean(dim=0), mixed)


def distillation_terms(student: Raw, lesson: Lesson, settings: Distillation) -> tuple[Tensor, Tensor]:
    """The confidences' and the boxes' term, unweighted scalars; each a mean per confident anchor, as in YOLOv8's loss.

    Args:
        student: `boxes` [n, 4 · bins, anchors] and `scores` [n, classes, anchors], logits.
        lesson: what it is to learn, of the same pictures.
        settings: from which confidence on boxes are copied.

    Raises:
        StreetveilError: the two networks have other anchors, classes or bins.
    """
    scores, sides = student["scores"].float(), _side_logits(student)
    if scores.shape != lesson.confidence.shape or sides.shape != lesson.sides.shape:
        raise StreetveilError("teacher and student need the same strides, classes and reg_max")
    told = lesson.confidence
    divergence = functional.binary_cross_entropy_with_logits(scores, told, reduction="none") - _entropy(told)
    scores_term = divergence.sum() / told.sum().clamp(min=1)
    surest = told.amax(dim=1)
    weight = torch.where(surest >= settings.confident_from, surest, torch.zeros_like(surest))
    apart = functional.kl_div(sides.log_softmax(2), lesson.sides, reduction="none").sum(dim=2).mean(dim=1)
    boxes_term = (apart * weight).sum() / weight.sum().clamp(min=1)
    return scores_term, boxes_term


def with_teachers(criterion: Criterion, teachers: Sequence[nn.Module], settings: Distillation) -> Criterion:
    """The labels' own loss with the teachers' terms added, in the form that the training library calls.

    Args:
        criterion: from the student's output and a batch to (loss terms [k] times the batch's size, the terms by name).
        teachers: trained networks; they are put into evaluation mode and learn nothing.
        settings: how strongly they pull.
    """
    for teacher in teachers:
        teacher.eval().requires_grad_(False)

    def taught(predicted: Any, batch: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
        loss, told = criterion(predicted, batch)
        student = predicted[1] if isinstance(predicted, tuple) else predicted
        lesson = lesson_of(teachers, batch["img"], student["scores"].shape[1])
        scores_term, boxes_term = distillation_terms(student, lesson, settings)
        more = torch.stack([settings.score_weight * scores_term, settings.box_weight * boxes_term])
        names = "taught_score_loss", "taught_box_loss"
        return torch.cat([loss, more * len(batch["img"])]), {**told, **dict(zip(names, more.detach(), strict=True))}

    return taught


def _side_logits(raw: Raw) -> Tensor:
    """[n, 4, bins, anchors] from [n, 4 · bins, anchors]."""
    boxes = raw["boxes"].float()
    return boxes.view(len(boxes), _SIDES, -1, boxes.shape[-1])


def _entropy(probability: Tensor) -> Tensor:
    """Of a yes or no with this probability, in nats; the least that cross-entropy can be."""
    return -(torch.xlogy(probability, probability) + torch.xlogy(1 - probability, 1 - probability))
