"""What the weight of a missed object does: short trainings that differ in it alone, measured on the validation split.

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
from components.detection.street import Runtime, Street, runtime_for
from components.imaging.reading import decode
from components.settings import Params, PositiveWeight, Training, load_params
from components.training.checkpoint import read_arrays
from components.training.images import TrainingImage
from components.training.operating_point import Pairs, operating_point
from components.training.parts import arguments, training_parts
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


def sweep(
    params: Params, training: Sequence[TrainingImage], validation: Sequence[TrainingImage], first: Path, work: Path
) -> list[Row]:
    """Train once for each weight and measure, each alone and all as one ensemble.

    Args:
        params: all settings.
        training, validation: the splits; of the first, a random part is trained on, the same for each weight.
        first: the weights that all start from.
        work: where trainings are kept, so that an interrupted sweep goes on.
    """
    chosen = np.random.default_rng(params.training.seed).permutation(len(training))[: params.sweep.images]
    part = [training[i] for i in sorted(chosen)]
    rows: list[Row] = []
    models: list[Path] = []
    for weight in params.sweep.positive_weights:
        settings = params.training.model_copy(
            update={
                "epochs": params.sweep.epochs,
                "learning_rate": params.sweep.learning_rate,
                "warmup_epochs": 0.0,
                "positive_weight": PositiveWeight(face=weight, license_plate=weight),
            }
        )
        # Other pictures, settings or first weights begin another training, as in stage 1.
        folder = work / f"weight-{weight:g}-{identity_of(settings, part, validation, first)[:12]}"
        left = train_stage1(settings, part, validation, folder, first)
        models.append(left.weights.with_suffix(".onnx"))
        export_onnx(build_model(settings, read_arrays(left.weights)[0]), models[-1])
        rows.append(row_of(f"{weight:g}", found_in(models[-1:], validation, params), settings))
    return [*rows, row_of("ensemble", found_in(models, validation, params), params.training)]


def markdown(rows: Sequence[Row], params: Params) -> str:
    """The table, with what was done."""
    head = (
        "weight", "recall", "precision", "F1", "mAP50", "pixel recall", "pixel FPR", "pixel recall at bound",
        "object recall at bound", "threshold at bound",
    )  # fmt: skip
    lines = [
        f"Each weight: {params.sweep.epochs} epochs on {params.sweep.images} pictures from the same trained weights; "
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


def main() -> None:
    """Write sweep.json and sweep.md."""
    parser = arguments(__doc__)
    parser.add_argument("--weights", type=Path, required=True)
    given = parser.parse_args()
    params = load_params().of_profile(given.profile)
    parts = training_parts(given.prepared, given.taught, params)
    rows = sweep(params, *parts, given.weights, given.out.with_name(f"{given.out.name}.work"))
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "sweep.json").write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")
    (given.out / "sweep.md").write_text(markdown(rows, params), encoding="utf-8")


if __name__ == "__main__":
    main()
