"""Plates that are narrow for their height have an output of their own, and users are told of two classes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from components.detections import FACE, LICENSE_PLATE
from components.training.yolo.outputs import CLASS_OF_OUTPUT, NARROW_ASPECT, as_classes, outputs_of, with_every_output


@pytest.mark.parametrize(
    ("class_id", "width", "output"),
    [(FACE, 10, 0), (FACE, 90, 0), (LICENSE_PLATE, 10, 2), (LICENSE_PLATE, 39, 2), (LICENSE_PLATE, 41, 1)],
)
def test_a_plate_is_answered_for_by_its_form(class_id: int, width: float, output: int) -> None:
    """Plates below the aspect belong to the narrow output, others to the plates' own, and faces to theirs."""
    box = np.array([[5, 5, 5 + width, 5 + 40 / NARROW_ASPECT]], np.float32)
    found = outputs_of(np.array([class_id], np.int16), box)
    assert found.tolist() == [output]
    assert CLASS_OF_OUTPUT[output] == class_id


def test_the_surer_output_speaks_for_its_class() -> None:
    """Boxes and faces stay as they are, and a plate's confidence is the higher one of both outputs' own."""
    raw = torch.rand(2, 7, 5, generator=torch.Generator().manual_seed(1))
    found = as_classes(raw)
    assert torch.equal(found[:, :5], raw[:, :5])
    assert torch.equal(found[:, 5], raw[:, 5:].amax(1))
    assert found.shape == (2, 6, 5)


def test_narrow_plates_begin_with_what_was_known_of_plates() -> None:
    """Weights of two outputs get a third that answers as the second; other layers, and complete weights, stay."""
    rng = np.random.default_rng(1)
    old = {
        "model.28.cv3.0.2.weight": rng.random((2, 4, 1, 1)),
        "model.28.cv3.0.2.bias": rng.random(2),
        "model.28.cv2.0.2.bias": rng.random(2),
        "model.28.cv3.0.1.bn.bias": rng.random(2),
    }
    new = with_every_output(old)
    for name in ("model.28.cv3.0.2.weight", "model.28.cv3.0.2.bias"):
        assert np.array_equal(new[name][:2], old[name])
        assert np.array_equal(new[name][2], old[name][LICENSE_PLATE])
    for name in ("model.28.cv2.0.2.bias", "model.28.cv3.0.1.bn.bias"):
        assert new[name] is old[name]
    again = with_every_output(new)
    assert all(again[name] is new[name] for name in new)
