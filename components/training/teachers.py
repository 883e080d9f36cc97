"""Labels that nobody has drawn: the shipped detectors look for the classes that a picture's labels do not cover.

No public source labels faces and plates alike, so nearly every picture has unlabelled objects of one class. Taken for
background they would teach a detector to miss. What a teacher is sure of becomes an object, what it doubts counts
neither way, and only the rest is background.

python -m components.training.teachers --prepared FOLDER --out FOLDER [--profile NAME]

The folder gets seen.jsonl. An interrupted call is gone on with by the next one.
"""

from __future__ import annotations

import argparse
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from components.dataset.labels import read_labels
from components.detection.shipped import peer_files
from components.detection.suppression import merge_duplicates
from components.detections import CLASS_NAMES, Detections, areas, intersections
from components.evaluation.looks import Look, seen_by
from components.settings import Teachers, load_params
from components.training.images import TrainingImage

_OVERLAP_SHARE = 0.3  # of a teacher's box, from which it speaks of an object or a place that people have labelled


def filled(image: TrainingImage, taught: Detections, settings: Teachers) -> TrainingImage:
    """A training image whose missing labels a teacher has filled in; what people have said stays as it is.

    Args:
        image: with the labels of people.
        taught: what the teachers have seen, px of the same picture.
        settings: from which confidences on they are sure, or doubt.

    Returns:
        The image with the sure ones as objects, of the weight that the settings give them, the doubtful ones as
        ignored boxes, and every class exhaustive.
    """
    known = np.concatenate([image.boxes, image.ignored])
    missing = [name for name in CLASS_NAMES if name not in image.exhaustive]
    asked = np.array([name in missing for name in CLASS_NAMES])[taught.class_id]
    own = np.maximum(areas(taught.xyxy), 1e-6)
    told = (intersections(taught.xyxy, known) / own[:, None] >= _OVERLAP_SHARE).any(axis=1)
    new = taught.select(asked & ~told & (taught.confidence >= settings.doubt_from))
    new = merge_duplicates(new, 0.4, new.confidence >= settings.sure_from)
    sure = new.confidence >= settings.sure_from
    weights = np.full(int(sure.sum()), settings.box_weight, np.float32)
    return replace(
        image,
        boxes=np.concatenate([image.boxes, new.xyxy[sure]]),
        class_id=np.concatenate([image.class_id, new.class_id[sure]]),
        box_weight=np.concatenate([image.box_weight, weights]),
        ignored=np.concatenate([image.ignored, new.xyxy[~sure]]),
        exhaustive=frozenset(CLASS_NAMES),
    )


def main() -> None:
    """Teach what the prepare stage has split off for training and validation; the test split keeps people's labels."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", default="full")
    parser.add_argument("--prepared", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    params = load_params().of_profile(given.profile)
    images = [image for part in ("val", "train") for image in read_labels(given.prepared / f"{part}.json", folder="")]
    look = Look("seen", peer_files(), images)
    seen = seen_by(look, params, given.out.with_name(f"{given.out.name}.work"))
    given.out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(seen, given.out / seen.name)


if __name__ == "__main__":
    main()
