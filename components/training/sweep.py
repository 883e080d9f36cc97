"""What one decision does: short trainings that differ in it alone, measured on the validation split.

One table for the weight of a missed object, and one for what is done with the classes that nobody has labelled.

python -m components.training.sweep --prepared FOLDER --taught FILE --weights FILE.npz --out FOLDER [--profile NAME]
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from components.detection.cascade import Cascade
from components.detection.runtime import Runtime, runtime_for
from components.detection.street import Street
from components.imaging.reading import decode
from components.settings import Params, PositiveWeight, Training, load_params
from components.training.checkpoint import read_arrays
from components.training.images import TrainingImage
from components.training.operating_point import Pairs, operating_point
from components.training.parts import arguments, training_images, training_parts
from components.training.stage1 import identity_of, train_stage1
from components.training.yolo.average_precision import Precision, average_precision
from components.training.yolo.export import export_onnx
from components.training.yolo.network import build_model

_THRESHOLD = 0.25  # of the object-level figures: in the middle of the regions' own
_LEAST = 0.01  # confidences that mean average precision sees


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        name: the weight, or what else was tried.
        objects: precision, recall, F1 at the threshold, and mAP at an IoU of 0.5.
        pixel_recall, pixel_fpr: at the same threshold.
        pixel_recall_at_bound: where the pixel FPR is as high as allowed: what the weights are worth at equal harm.
        threshold_at_bound: the threshold there.
    """

    name: str
    objects: Precision
    pixel_recall: float
    pixel_fpr: float | None
    pixel_recall_at_bound: float
    object_recall_at_bound: float
    threshold_at_bound: float


def row_of(name: str, pairs: Pairs, settings: Training) -> Row:
    """The figures of one model's detections."""
    choice = settings.choice
    # A bound of 1 keeps the threshold where it is.
    fixed = operating_point(pairs, _THRESHOLD, 1.0)
    bound = operating_point(pairs, choice.lowest_threshold, choice.max_pixel_fpr)
    return Row(
        name,
        average_precision(pairs, _THRESHOLD),
        fixed.pixel_recall,
        fixed.pixel_false_positive_rate,
        bound.pixel_recall,
        bound.object_recall,
        bound.threshold,
    )


class _Averaged:
    """Several networks of one architecture as one: the means of their boxes and confidences at each anchor."""

    def __init__(self, runtimes: Sequence[Runtime]) -> None:
        self._runtimes = runtimes

    def run(self, blob: NDArray, outputs: Sequence[str]) -> list[NDArray]:
        """The mean of each output."""
        told = [runtime.run(blob, outputs) for runtime in self._runtimes]
        return [np.mean(each, axis=0) for each in zip(*told, strict=True)]


def found_in(models: Sequence[Path], images: Sequence[TrainingImage], params: Params) -> Pairs:
    """What networks find together, at the scales of production.

    Args:
        models: ONNX files; with several, their outputs are averaged.
        images: where to look.
        params: all settings.
    """
    detector = Street(b"", runtime=_Averaged([runtime_for(path.name, path.read_bytes()) for path in models]))
    cascade = Cascade((detector,), params.detection.model_copy(update={"proposal_threshold": _LEAST}))
    region = params.region(None)[1]
    return [
        (image.truth(), cascade.propose(decode(image.path.read_bytes(), params.reading).pixels, region))
        for image in images
    ]


@dataclass(frozen=True, slots=True)
class Trial:
    """A short training that differs from its neighbours in one thing.

    Attributes:
        name: what differs, as in the table.
        settings: how it is trained.
        training: what it learns from.
    """

    name: str
    settings: Training
    training: Sequence[TrainingImage]


def short(params: Params) -> Training:
    """The settings of training, for a few epochs from trained weights on, whose normalisation is kept."""
    return params.training.model_copy(
        update={
            "epochs": params.sweep.epochs,
            "learning_rate": params.sweep.learning_rate,
            "warmup_epochs": 0.0,
            "fixed_norm_from_epoch": 0,
        }
    )


def sample(training: Sequence[TrainingImage], params: Params) -> list[TrainingImage]:
    """A random part of the training pictures, the same places in every list of them."""
    chosen = np.random.default_rng(params.training.seed).permutation(len(training))[: params.sweep.images]
    return [training[i] for i in sorted(chosen)]


def weight_trials(params: Params, training: Sequence[TrainingImage]) -> list[Trial]:
    """One for each weight of a missed object."""
    return [
        Trial(
            f"{weight:g}",
            short(params).model_copy(update={"positive_weight": PositiveWeight(face=weight, license_plate=weight)}),
            sample(training, params),
        )
        for weight in params.sweep.positive_weights
    ]


def label_trials(params: Params, filled: Sequence[TrainingImage], bare: Sequence[TrainingImage]) -> list[Trial]:
    """One for each way to treat the classes that nobody has labelled.

    Args:
        params: all settings.
        filled: the training pictures with what teachers have found.
        bare: the same pictures, in the same order, with what people have labelled.
    """
    settings = short(params)
    complete = settings.model_copy(update={"ignore_unlabelled": False})
    return [
        Trial("filled in by teachers", settings, sample(filled, params)),
        Trial("left out of the loss", settings, sample(bare, params)),
        Trial("taken for background", complete, sample(bare, params)),
    ]


def train_trial(trial: Trial, validation: Sequence[TrainingImage], first: Path, work: Path) -> Path:
    """The network of a trial, ONNX; an interrupted training goes on, and a finished one is not repeated.

    Args:
        trial: what is trained.
        validation: chooses the epoch.
        first: the weights that all start from.
        work: where trainings are kept, each in a folder named after everything that decides its result.
    """
    folder = work / identity_of(trial.settings, trial.training, validation, first)[:12]
    left = train_stage1(trial.settings, trial.training, validation, folder, first)
    model = left.weights.with_suffix(".onnx")
    export_onnx(build_model(trial.settings, read_arrays(left.weights)[0]), model)
    return model


def exported(first: Path, work: Path, settings: Training) -> Path:
    """The network that all trials start from, ONNX."""
    work.mkdir(parents=True, exist_ok=True)
    export_onnx(build_model(settings, read_arrays(first)[0]), work / "start.onnx")
    return work / "start.onnx"


def compare(
    trials: Sequence[Trial], validation: Sequence[TrainingImage], params: Params, first: Path, work: Path
) -> tuple[list[Row], list[Path]]:
    """Train each and measure it alone; their rows and their networks.

    Args:
        trials: what differs.
        validation: what all are measured on.
        params: all settings.
        first, work: as for `train_trial`.
    """
    models = [train_trial(trial, validation, first, work) for trial in trials]
    rows = [
        row_of(trial.name, found_in([model], validation, params), trial.settings)
        for trial, model in zip(trials, models, strict=True)
    ]
    return rows, models


def markdown(rows: Sequence[Row], params: Params, differs: str) -> str:
    """A table, with what was done.

    Args:
        rows: its lines.
        params: all settings.
        differs: the head of the first column.
    """
    head = (
        differs, "recall", "precision", "F1", "mAP50", "pixel recall", "pixel FPR", "pixel recall at bound",
        "object recall at bound", "threshold at bound",
    )  # fmt: skip
    lines = [
        f"Each row: {params.sweep.epochs} epochs on {params.sweep.images} pictures from the same trained weights; "
        f"measured on the validation split. Recall to pixel FPR at a confidence of {_THRESHOLD}; the bound is a pixel "
        f"FPR of {params.training.choice.max_pixel_fpr}.",
        "",
        "| " + " | ".join(head) + " |",
        "|" + "---|" * len(head),
    ]
    for row in rows:
        fpr = "–" if row.pixel_fpr is None else f"{row.pixel_fpr:.4f}"
        values = (
            row.name, f"{row.objects.recall:.3f}", f"{row.objects.precision:.3f}", f"{row.objects.f1:.3f}",
            f"{row.objects.map50:.3f}", f"{row.pixel_recall:.3f}", fpr, f"{row.pixel_recall_at_bound:.3f}",
            f"{row.object_recall_at_bound:.3f}", f"{row.threshold_at_bound:.2f}",
        )  # fmt: skip
        lines.append("| " + " | ".join(values) + " |")
    return "\n".join(lines) + "\n"


def write_table(rows: Sequence[Row], name: str, differs: str, params: Params, out: Path) -> None:
    """Write a table for people, and one for programs."""
    out.mkdir(parents=True, exist_ok=True)
    told = json.dumps([asdict(row) for row in rows], indent=1)
    (out / f"{name}.json").write_text(told + "\n", encoding="utf-8")
    (out / f"{name}.md").write_text(markdown(rows, params, differs), encoding="utf-8")


def main() -> None:
    """Write the table of weights, and that of what is done where labels are missing."""
    parser = arguments(__doc__)
    parser.add_argument("--weights", type=Path, required=True)
    given = parser.parse_args()
    params = load_params().of_profile(given.profile)
    filled, validation = training_parts(given.prepared, given.taught, params)
    bare = training_images(given.prepared, "train", params)
    place = given.weights, given.out.with_name(f"{given.out.name}.work")
    weights, models = compare(weight_trials(params, filled), validation, params, *place)
    together = row_of("ensemble", found_in(models, validation, params), params.training)
    start = row_of("none yet", found_in([exported(*place, params.training)], validation, params), params.training)
    write_table([start, *weights, together], "sweep", "weight", params, given.out)
    labels, _ = compare(label_trials(params, filled, bare), validation, params, *place)
    write_table(labels, "missing_labels", "unlabelled classes are", params, given.out)


if __name__ == "__main__":
    main()
