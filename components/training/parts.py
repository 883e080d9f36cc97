"""What every training starts from: the command line, and the two parts of the split that may be learnt from."""

from __future__ import annotations

import argparse
from pathlib import Path

from components.dataset.labels import read_labels
from components.detections import CLASS_NAMES
from components.errors import StreetveilError
from components.evaluation.sightings import Sightings, read_sightings
from components.settings import PROJECT_ROOT, Params
from components.training.images import TrainingImage, training_image
from components.training.teachers import filled


def arguments(description: str | None) -> argparse.ArgumentParser:
    """A command line with what all stages of training are told."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", default="full")
    parser.add_argument("--prepared", type=Path, required=True)
    parser.add_argument("--taught", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    return parser


def training_parts(prepared: Path, taught: Path, params: Params) -> tuple[list[TrainingImage], list[TrainingImage]]:
    """The training and the validation part, with labels filled in by teachers if the settings say so.

    Args:
        prepared: the folder that the prepare stage has written.
        taught: the file of what teachers have seen.
        params: all settings.
    """
    lessons = read_sightings(taught) if params.training.teachers.fill else None
    return training_images(prepared, "train", params, lessons), training_images(prepared, "val", params, lessons)


def training_images(prepared: Path, name: str, params: Params, lessons: Sightings | None = None) -> list[TrainingImage]:
    """One part of the split, with the smallest objects that the default region hides.

    Args:
        prepared: the folder that the prepare stage has written.
        name: train or val.
        params: all settings.
        lessons: what teachers have seen, to fill in the labels that are missing; without, these stay missing.

    Raises:
        StreetveilError: the teachers have not looked at every picture.
    """
    region = params.region(None)[1]
    min_px = {class_name: region.rule(class_name).min_px for class_name in CLASS_NAMES}
    images = [
        (image.path, training_image(image, PROJECT_ROOT, min_px))
        for image in read_labels(prepared / f"{name}.json", folder="")
    ]
    if lessons is None:
        return [image for _, image in images]
    untaught = next((path for path, _ in images if path not in lessons), None)
    if untaught is not None:
        raise StreetveilError(f"no teacher has looked at {untaught}: run components.training.teachers to its end first")
    return [filled(image, lessons[path], params.training.teachers) for path, image in images]
