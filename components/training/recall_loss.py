"""The classification loss that would rather blur a poster than miss a face.

With p = σ(x), a soft target t in [0, 1] and the class's weight w, an element's loss is

    L(x, t) = w·t·(−log p) + (1 − t)·(−log(1 − p)),    −log p = softplus(−x),    −log(1 − p) = softplus(x).

w = 1 is binary cross-entropy. w > 1 moves the minimum from p = t to p = w·t / (w·t + 1 − t), so the network answers
with a higher confidence wherever it doubts.

The focal variant (Lin et al. 2017, "Focal Loss for Dense Object Detection", eq. 4) multiplies the terms by (1 − p)^γ
and p^γ. Ours keeps the first factor at a floor at least: there, a positive never counts less than that share of w.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class RecallWeightedBCE(nn.Module):
    """Binary cross-entropy from logits with weights that favour recall; nothing is summed.

    Args:
        positive_weight: w for each class.
        focal_gamma: γ; 0 is no focal factor at all.
        focal_floor: the least share of its weight that a positive keeps, 0 (as published) to 1 (always all of it).
    """

    positive_weight: Tensor

    def __init__(self, positive_weight: Sequence[float], focal_gamma: float = 0.0, focal_floor: float = 1.0) -> None:
        super().__init__()
        if min(positive_weight) <= 0 or focal_gamma < 0 or not 0 <= focal_floor <= 1:
            raise ValueError("weights are above 0, focal_gamma is not negative, focal_floor lies between 0 and 1")
        self.focal_gamma = focal_gamma
        self.focal_floor = focal_floor
        # Not persistent: a weight of the loss is none of the network, and stays out of its files.
        self.register_buffer("positive_weight", torch.tensor(list(positive_weight)), persistent=False)

    def forward(
        self,
        logits: Tensor,
        targets: Tensor,
        element_weight: Tensor | None = None,
        background_counts: Tensor | None = None,
    ) -> Tensor:
        """The loss of every element, of the logits' shape and dtype; half precision is taken to float32.

        Args:
            logits: float [..., classes], x.
            targets: float [..., classes], 0 to 1.
            element_weight: float, broadcast to [..., classes]: how much each element counts.
            background_counts: bool, broadcast to [..., classes]: where False, the second term is left out.
        """
        if logits.dtype.itemsize < torch.float32.itemsize:
            logits = logits.float()  # under autocast, torch does the same for its own
        missed = -functional.logsigmoid(logits)  # softplus(-x); torch's own softplus is cut off at 20
        alarmed = -functional.logsigmoid(-logits)  # softplus(x)
        positive = self.positive_weight.to(logits.dtype) * targets * missed
        negative = (1 - targets) * alarmed
        if self.focal_gamma:
            # (1 - p)^γ = exp(-γ·softplus(x)): no power of a rounded 0, whose gradient would be infinite.
            positive = positive * torch.exp(-self.focal_gamma * alarmed).clamp(min=self.focal_floor)
            negative = negative * torch.exp(-self.focal_gamma * missed)
        if background_counts is not None:
            negative = torch.where(background_counts, negative, torch.zeros_like(negative))
        loss = positive + negative
        return loss if element_weight is None else loss * element_weight


def assigned_elements(class_id: Tensor, foreground: Tensor, classes: int) -> Tensor:
    """The elements that answer for an object: its class at its anchors.

    Args:
        class_id: int [images, anchors], the class of each anchor's object; anything where there is none.
        foreground: bool [images, anchors], the anchors that were given an object.
        classes: the number of classes.

    Returns:
        bool [images, anchors, classes].
    """
    own = torch.arange(classes, device=class_id.device) == class_id.unsqueeze(-1)
    return own & foreground.bool().unsqueeze(-1)


def box_weights_of_elements(box_weight: Tensor, box_index: Tensor, assigned: Tensor) -> Tensor:
    """How much each element counts: its box's weight where it answers for one, else 1.

    A box's weight multiplies both terms of its elements. On the first alone, a weight of 0 would not leave a doubtful
    object out but teach that it is background.

    Args:
        box_weight: float [images, boxes].
        box_index: int [images, anchors], which of its image's boxes an anchor was given.
        assigned: bool [images, anchors, classes].

    Returns:
        float [images, anchors, classes].
    """
    if box_weight.shape[1] == 0:  # no object in the whole batch
        return torch.ones_like(assigned, dtype=box_weight.dtype)
    weight = box_weight.gather(1, box_index.long()).unsqueeze(-1)
    return torch.where(assigned, weight, torch.ones_like(weight))


def counted_background(uncounted: Tensor, anchors: Tensor, classes: int) -> Tensor:
    """Where background counts.

    Args:
        uncounted: uint8 [images, height, width]; bit c is set where background of class c must not count.
        anchors: float [anchors, 2], the middle of each (x, y) as a share of the input's width and height.
        classes: the number of classes.

    Returns:
        bool [images, anchors, classes].
    """
    height, width = uncounted.shape[1:]
    column = (anchors[:, 0] * width).long().clamp(0, width - 1)
    row = (anchors[:, 1] * height).long().clamp(0, height - 1)
    bits = uncounted[:, row, column].unsqueeze(-1).int()
    return (bits >> torch.arange(classes, device=bits.device)) & 1 == 0
