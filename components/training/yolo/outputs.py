"""What the network answers: one output for each class, and one more for plates that are narrow for their height.

Plates seen from far to the side, and those of two lines, look little like the long ones that most labels show. With an
output of their own, neither kind has to be found by what is made for the other. Whoever uses the network is told one
class: the surer output speaks for both.
"""

from __future__ import annotations

import re

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from components.detections import CLASS_NAMES, FACE, LICENSE_PLATE, Boxes, heights, widths
from components.training.checkpoint import Arrays

OUTPUTS = (*CLASS_NAMES, "narrow_license_plate")
CLASS_OF_OUTPUT = (FACE, LICENSE_PLATE, LICENSE_PLATE)
NARROW_ASPECT = 1.6  # width ÷ height, below which a plate is narrow: US plates are 2, the EU's 4.7, of two lines 1.2

_NARROW = OUTPUTS.index("narrow_license_plate")
_LAST_LAYER = re.compile(r"\.cv3\.\d+\.2\.(weight|bias)$")  # of the branch of YOLOv8's head that tells classes


def outputs_of(class_id: NDArray[np.int16], boxes: Boxes) -> NDArray[np.int16]:
    """Which output answers for each labelled object, int16 [n]; boxes [n, 4] xyxy px."""
    narrow = (class_id == LICENSE_PLATE) & (widths(boxes) < NARROW_ASPECT * heights(boxes))
    return np.where(narrow, _NARROW, class_id).astype(np.int16)


def as_classes(found: Tensor) -> Tensor:
    """From [n, 4 + outputs, anchors] to [n, 4 + classes, anchors]: of each class's outputs, the surer one."""
    boxes, face, plate, narrow = found.split([4, 1, 1, 1], dim=1)
    return torch.cat([boxes, face, torch.maximum(plate, narrow)], dim=1)


def with_every_output(weights: Arrays) -> Arrays:
    """Weights of a network that had one output for each class: narrow plates begin with what it knew of plates."""
    return {
        name: np.concatenate([array, array[LICENSE_PLATE:]])
        if _LAST_LAYER.search(name) and len(array) == len(CLASS_NAMES)
        else array
        for name, array in weights.items()
    }
