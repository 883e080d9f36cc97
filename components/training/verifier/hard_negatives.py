"""Places without objects that stage 1 did not propose: the next stage 1 may, and the verifier shall know them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from components.detections import CLASS_NAMES, Boxes, Detections, Mask, areas, heights, intersections, widths
from components.imaging.reading import Pixels
from components.packages import package_folder
from components.settings import ProposalExamples
from components.training.images import TrainingImage

# Pictures without people and plates that scikit-image's wheel carries. Its coins are left out: they show portraits, and
# depicted faces are hidden like others.
PHOTOGRAPHS = (
    "brick.png", "cell.png", "chelsea.png", "chessboard_RGB.png", "clock_motion.png", "coffee.png", "grass.png",
    "gravel.png", "hubble_deep_field.jpg", "ihc.png", "moon.png", "motorcycle_left.png", "motorcycle_right.png",
    "page.png", "retina.jpg", "rocket.jpg", "text.png",
)  # fmt: skip

_SMALLEST_PX = 8
_LARGEST_SHARE = 0.4  # of the picture's shorter side
_ASPECTS = ((0.6, 1.1), (1.2, 5.0))  # width ÷ height of random faces and plates
_FREE_SHARE = 0.2  # of a box or an object, that they may share at most
_USUAL_CONFIDENCE = (0.02, 0.5)  # where a picture has no proposal to take one from


def photographs() -> Iterator[tuple[str, Pixels]]:
    """Name and pixels of each picture without people and plates."""
    folder = package_folder("skimage") / "data"
    for name in PHOTOGRAPHS:
        yield name, np.asarray(Image.open(folder / name).convert("RGB"))


def empty_places(
    truth: TrainingImage, proposals: Detections, settings: ProposalExamples, rng: np.random.Generator
) -> Detections:
    """Boxes anywhere and beside objects that touch no object; only of classes whose objects are all labelled.

    Their confidence is that of one of the picture's proposals, so that it does not tell them from others.

    Args:
        truth: the labels.
        proposals: what stage 1 has proposed in the picture.
        settings: how many.
        rng: source of all chance.
    """
    parts = []
    for class_id, name in enumerate(CLASS_NAMES):
        if name in truth.exhaustive:
            boxes = np.concatenate(
                [_anywhere(truth, class_id, settings.random_boxes, rng), _beside(truth, class_id, settings, rng)]
            )
            boxes = boxes[_is_free(boxes, truth)]
            parts.append(Detections.of(boxes, _confidences(proposals, class_id, len(boxes), rng), class_id))
    return Detections.concatenate(parts)


def _anywhere(truth: TrainingImage, class_id: int, count: int, rng: np.random.Generator) -> Boxes:
    shorter = min(truth.width, truth.height)
    size = _log_uniform((_SMALLEST_PX, max(_SMALLEST_PX, shorter * _LARGEST_SHARE)), count, rng)
    aspect = _log_uniform(_ASPECTS[class_id], count, rng)
    sides = np.column_stack([size * np.sqrt(aspect), size / np.sqrt(aspect)])
    low = rng.random((count, 2)) * np.maximum(np.array([truth.width, truth.height]) - sides, 0)
    return np.concatenate([low, low + sides], axis=1).astype(np.float32)


def _beside(truth: TrainingImage, class_id: int, settings: ProposalExamples, rng: np.random.Generator) -> Boxes:
    """Boxes of an object's size in any direction from it: on chests, hair, bumpers, lamps."""
    objects = truth.boxes[truth.class_id == class_id][: settings.max_objects_beside].repeat(
        settings.boxes_beside, axis=0
    )
    sides = np.column_stack([widths(objects), heights(objects)])
    angle, far = rng.uniform(0, 2 * np.pi, len(objects)), rng.uniform(1.1, 1.8, (len(objects), 1))
    centre = (objects[:, :2] + objects[:, 2:]) / 2 + np.column_stack([np.cos(angle), np.sin(angle)]) * far * sides
    half = sides * rng.uniform(0.35, 0.65, (len(objects), 1))
    return np.concatenate([centre - half, centre + half], axis=1).astype(np.float32)


def _is_free(boxes: Boxes, truth: TrainingImage) -> Mask:
    """Which boxes lie in the picture and on nothing that was labelled."""
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    inside = ((centre >= 0) & (centre < [truth.width, truth.height])).all(axis=1)
    taken = np.concatenate([truth.boxes, truth.ignored])
    smaller = np.maximum(np.minimum(areas(boxes)[:, None], areas(taken)[None]), 1e-6)
    touches: Mask = np.any(intersections(boxes, taken) / smaller > _FREE_SHARE, axis=1)
    return inside & ~touches


def _confidences(proposals: Detections, class_id: int, count: int, rng: np.random.Generator) -> NDArray[np.float32]:
    known = proposals.of_class(class_id).confidence
    if len(known):
        return rng.choice(known, count)
    return _log_uniform(_USUAL_CONFIDENCE, count, rng).astype(np.float32)


def _log_uniform(bounds: tuple[float, float], count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    return np.exp(rng.uniform(np.log(bounds[0]), np.log(bounds[1]), count))
