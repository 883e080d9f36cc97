"""Proposals with what people have said of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from components.detection.proposal_features import Features
from components.detections import CLASS_NAMES, Detections, Mask, areas, heights, intersections, iou, widths
from components.errors import StreetveilError
from components.settings import ProposalExamples
from components.training.checkpoint import Arrays, read_arrays
from components.training.images import TrainingImage

_IN_IGNORED_SHARE = 0.5  # of a proposal, from which it speaks of an ignored place
_OTHER_OBJECT_IOU = 0.5  # with an object of the other class, from which it is known what a proposal shows


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """What is known of each proposal.

    Attributes:
        is_object: bool [n], whether it is an object of its class.
        weight: float32 [n], how much it counts; 0 where nobody can tell.
        object_index: int32 [n], which of its picture's objects it is; -1 for none, and for those that no person drew.
    """

    is_object: Mask
    weight: NDArray[np.float32]
    object_index: NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """Labelled proposals of many pictures; row i of everything speaks of the same one.

    Attributes:
        features: what the network is told.
        labels: what it should say.
        class_id: int16 [n].
        confidence: float32 [n], stage 1's.
        picture: int32 [n], which picture it is of.
        proposed: bool [n], whether stage 1 has proposed it; False for negatives that were added.
    """

    features: Features
    labels: Labels
    class_id: NDArray[np.int16]
    confidence: NDArray[np.float32]
    picture: NDArray[np.int32]
    proposed: Mask

    def __len__(self) -> int:
        return len(self.class_id)

    def select(self, rows: ArrayLike) -> Examples:
        """The rows chosen by a boolean mask or by indices."""
        return examples_of_arrays({name: array[np.asarray(rows)] for name, array in self.arrays().items()})

    def arrays(self) -> Arrays:
        """All of it by name, as shards keep it."""
        parts = (self.features, self.labels)
        inner = {field.name: getattr(part, field.name) for part in parts for field in fields(part)}
        own = ("class_id", "confidence", "picture", "proposed")
        return {**inner, **{name: getattr(self, name) for name in own}}


def examples_of_arrays(arrays: Arrays) -> Examples:
    """What `Examples.arrays` took apart."""
    told = Features(*(arrays[field.name] for field in fields(Features)))
    labels = Labels(*(arrays[field.name] for field in fields(Labels)))
    own = (arrays[name] for name in ("class_id", "confidence", "picture", "proposed"))
    return Examples(told, labels, *own)


def concatenate(parts: Iterable[Examples]) -> Examples:
    """All rows of all parts (at least one), in order."""
    arrays = [part.arrays() for part in parts]
    return examples_of_arrays({name: np.concatenate([part[name] for part in arrays]) for name in arrays[0]})


def read_examples(folder: Path, part: str) -> Examples:
    """All examples of a part of the split.

    Raises:
        StreetveilError: there are none, or a file is damaged.
    """
    files = sorted(folder.glob(f"{part}-*.npz"))
    if not files:
        raise StreetveilError(f"{folder} holds no {part}-*.npz: run python -m components.training.proposals first")
    return concatenate(examples_of_arrays(read_arrays(file)[0]) for file in files)


def label(proposals: Detections, truth: TrainingImage, settings: ProposalExamples) -> Labels:
    """Match proposals with the truth about their picture.

    A proposal is an object of its class if it covers enough of one and is not much larger. It counts neither way if it
    comes close to that without being one, lies in an ignored place, or is of a class whose objects are not all
    labelled; then it is known to be false only on an object of the other class.

    Args:
        proposals: n of them, px of the picture.
        truth: the labels, px of the same picture.
        settings: what is enough.
    """
    n = len(proposals)
    if not len(truth.boxes):
        hits, near, elsewhere = (np.zeros((n, 1), bool) for _ in range(3))
        overlap, weight, by_people = np.zeros((n, 1), np.float32), np.zeros(1, np.float32), np.zeros(1, bool)
    else:
        overlap = iou(proposals.xyxy, truth.boxes)
        covered = intersections(proposals.xyxy, truth.boxes) / np.maximum(areas(truth.boxes), 1e-6)
        shorter = np.minimum(widths(truth.boxes), heights(truth.boxes))
        least = np.where(shorter < settings.small_px, settings.small_min_iou, settings.min_iou)
        same = proposals.class_id[:, None] == truth.class_id[None]
        hits = same & (covered >= settings.min_covered_share) & (overlap >= least)
        near = same & (overlap >= least / 2)
        elsewhere = ~same & (overlap >= _OTHER_OBJECT_IOU)
        weight, by_people = truth.box_weight, truth.box_weight >= 1
    is_object: Mask = np.any(hits, axis=1)
    which = np.where(hits, overlap, -1).argmax(axis=1)
    complete = np.array([name in truth.exhaustive for name in CLASS_NAMES])[proposals.class_id]
    is_background = (complete | elsewhere.any(axis=1)) & ~near.any(axis=1) & ~_in_any(proposals, truth.ignored)
    return Labels(
        is_object,
        np.where(is_object, weight[which], is_background).astype(np.float32),
        np.where(is_object & by_people[which], which, -1).astype(np.int32),
    )


def _in_any(proposals: Detections, places: NDArray[np.float32]) -> Mask:
    own = np.maximum(areas(proposals.xyxy), 1e-6)[:, None]
    lies_there: Mask = np.any(intersections(proposals.xyxy, places) / own >= _IN_IGNORED_SHARE, axis=1)
    return lies_there
