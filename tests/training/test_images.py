"""What the trainer is told of a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from components.dataset.labels import LabelledImage
from components.detections import FACE, LICENSE_PLATE, Detections
from components.training.images import TrainingImage, images_sha256, training_image


def image(**changes: object) -> TrainingImage:
    """A picture of 40 × 20 px with a face and a plate."""
    facts = {"path": Path("a.png"), "size": (40, 20), "boxes": [[0, 0, 8, 8], [20, 0, 30, 10]], "class_id": [0, 1]}
    return TrainingImage.of(**{**facts, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"box_weight": -1.0}, "weight"),
        ({"box_weight": float("nan")}, "weight"),
        ({"class_id": [0, 2]}, "classes"),
        ({"exhaustive": ["dog"]}, "classes"),
    ],
)
def test_impossible_labels_are_refused(changes: dict, message: str) -> None:
    """Weights that are no weights and classes that there are not are errors that name the picture."""
    with pytest.raises(ValueError, match=rf"a\.png.*{message}"):
        image(**changes)


def test_what_is_not_labelled_has_no_background() -> None:
    """A class that is not labelled exhaustively is marked everywhere, an ignored box for every class, to scale."""
    assert not image().uncounted(40, 20).any()
    assert (image(exhaustive=["face"]).uncounted(40, 20) == 2).all()
    assert (image(exhaustive=[]).uncounted(4, 2) == 3).all()
    bits = image(ignored=[[10, 4, 20.5, 8]], exhaustive=["license_plate"]).uncounted(80, 40)
    assert (bits[8:16, 20:41] == 3).all()
    assert (bits == 3).sum() == 8 * 21
    assert (bits[bits != 3] == 1).all()


def test_an_ignored_box_may_reach_out_of_the_picture() -> None:
    """Sides beyond the border are cut there, not counted from the other side."""
    bits = image(ignored=[[-5, -5, 5, 5]]).uncounted(40, 20)
    assert (bits[:5, :5] == 3).all()
    assert bits.astype(bool).sum() == 25


def test_truth_is_scaled() -> None:
    """Metrics get the labels in the px that the network saw."""
    truth = image(ignored=[[4, 4, 8, 8]]).truth(0.5)
    assert (truth.width, truth.height) == (20, 10)
    np.testing.assert_array_equal(truth.objects.xyxy, [[0, 0, 4, 4], [10, 0, 15, 5]])
    np.testing.assert_array_equal(truth.ignored, [[2, 2, 4, 4]])
    assert truth.objects.class_id.tolist() == [0, 1]


@pytest.mark.parametrize(
    "changes",
    [
        {"path": Path("b.png")},
        {"size": (41, 20)},
        {"boxes": [[0, 0, 8, 8], [20, 0, 30, 11]]},
        {"class_id": [1, 1]},
        {"box_weight": [1, 2]},
        {"ignored": [[0, 0, 1, 1]]},
        {"exhaustive": ["face"]},
    ],
)
def test_the_hash_knows_every_label(changes: dict) -> None:
    """Whatever changes in a picture's labels changes the hash; where the picture lies does not."""
    assert images_sha256([image(**changes)]) != images_sha256([image()])
    assert images_sha256([image(path=Path("elsewhere/a.png"))]) == images_sha256([image()])
    assert images_sha256([image(), image()]) != images_sha256([image()])


def test_objects_too_small_to_be_hidden_count_neither_way() -> None:
    """A face below the region's smallest size is ignored, everything else is an object with the weight 1."""
    labelled = LabelledImage(
        path="street/a.jpg",
        width=40,
        height=20,
        source="s",
        objects=Detections.of([[0, 0, 8, 8], [20, 0, 24, 10], [30, 0, 34, 4]], 1.0, [FACE, FACE, LICENSE_PLATE]),
        ignored=np.array([[5, 5, 9, 9]], np.float32),
        exhaustive=frozenset({"face"}),
    )
    found = training_image(labelled, Path("/data"), {"face": 6, "license_plate": 0})
    assert (found.path, found.width, found.height) == (Path("/data/street/a.jpg"), 40, 20)
    assert found.boxes.tolist() == [[0, 0, 8, 8], [30, 0, 34, 4]]
    assert found.class_id.tolist() == [FACE, LICENSE_PLATE]
    assert found.box_weight.tolist() == [1, 1]
    assert found.ignored.tolist() == [[5, 5, 9, 9], [20, 0, 24, 10]]
    assert found.exhaustive == {"face"}
