"""Make smaller and faster networks of a trained one, and measure what each is worth.

python -m components.training.optimise --weights best.npz --prepared FOLDER --taught FILE --out FOLDER [--profile NAME]
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch

from components.dataset.labels import LabelledImage
from components.detection.onnx_runtime import Session
from components.detection.openvino_runtime import OpenVinoSession, is_installed
from components.detection.runtime import Runtime
from components.detection.street import padded
from components.detections import CLASS_NAMES
from components.errors import StreetveilError
from components.imaging.reading import Pixels, decode
from components.settings import Params, Training, load_params
from components.training.checkpoint import Arrays, arrays_of, read_arrays, write_arrays
from components.training.images import TrainingImage
from components.training.optimise.candidates import Candidate, Row, measure_candidates, write_table
from components.training.optimise.gpu import gpu_runtime
from components.training.optimise.quantise import quantise_onnx
from components.training.parts import arguments, training_parts
from components.training.pruning import multiplications, narrowed_like, parameter_count, pruned
from components.training.stage1 import identity_of, train_stage1
from components.training.yolo.export import TorchRuntime, export_onnx
from components.training.yolo.network import RecallDetectionModel, build_model

_MOST_PX = 1280  # longer sides are reduced to this for calibration and recall
_TIMED_PX = (736, 1280)  # height, width
_NO_OPENVINO = "OpenVINO is not installed: not measured"
_NEARLY = 0.93  # of the fastest; closer than that, a slower run is as likely the machine's doing
CHOSEN = "street.onnx"
_TENSORRT = "TensorRT"
_NO_GPU = "no GPU here: not measured"


@dataclass(frozen=True, slots=True)
class Pictures:
    """What is measured on: calibration pictures from the training part, and labelled ones from the validation part."""

    calibration: list[Pixels]
    validation: list[tuple[LabelledImage, Pixels]]


@dataclass(frozen=True, slots=True)
class Trainer:
    """What a pruned network is trained again with.

    Attributes:
        params: all settings.
        training, validation: the splits.
        work: where trainings are kept, so that an interrupted one goes on.
    """

    params: Params
    training: Sequence[TrainingImage]
    validation: Sequence[TrainingImage]
    work: Path

    def again(self, name: str, first: Path, teachers: Sequence[Path] = ()) -> Arrays:
        """A short training from given weights, whose normalisation is kept."""
        short = self.params.optimisation
        settings = self.params.training.model_copy(
            update={
                "epochs": short.epochs,
                "learning_rate": short.learning_rate,
                "warmup_epochs": 0.0,
                "fixed_norm_from_epoch": 0,
            }
        )
        chosen = np.random.default_rng(settings.seed).permutation(len(self.training))[: short.images]
        part = [self.training[i] for i in sorted(chosen)]
        # Other pictures, settings or first weights begin another training, as in stage 1.
        identity = identity_of(settings, part, self.validation, first, teachers)
        folder = self.work / f"{name}-{identity[:12]}"
        left = train_stage1(settings, part, self.validation, folder, first, teachers=teachers)
        return read_arrays(left.weights)[0]


def optimise(weights: Path, trainer: Trainer, pictures: Pictures, out: Path) -> list[Row]:
    """Write every network to a folder, the table of what each is worth, and the chosen one as `street.onnx`.

    Args:
        weights: of the float network.
        trainer: trains the pruned ones.
        pictures: to calibrate with, and to measure on.
        out: the folder.
    """
    settings, share = trainer.params.training, trainer.params.optimisation.pruned_share
    whole = network_of(settings, read_arrays(weights)[0])
    out.mkdir(parents=True, exist_ok=True)
    cut = out / "pruned.npz"
    write_arrays(cut, arrays_of(pruned(whole, share).state_dict()), {"pruned_share": share})
    models = {
        "float": whole,
        f"pruned {share:.0%}": network_of(settings, trainer.again("pruned", cut)),
        f"pruned {share:.0%} and taught": network_of(settings, trainer.again("taught", cut, [weights])),
    }
    for name, model in models.items():
        write_arrays(out / f"{_stem(name)}.npz", arrays_of(model.state_dict()), {"classes": CLASS_NAMES})
    candidates = [candidate for name, model in models.items() for candidate in _made(name, model, pictures, out)]
    timed = np.stack([padded(_timed_picture(pictures))])
    rows = measure_candidates(candidates, pictures.validation, settings.choice, timed)
    size = f"{_TIMED_PX[1]}×{_TIMED_PX[0]} px"
    write_table(rows, out, f"One core, {size} for speed, {len(pictures.validation)} validation pictures for recall.")
    best = chosen(rows)
    file = next(candidate.file for candidate in candidates if candidate.name == best.name)
    assert file is not None
    shutil.copyfile(file, out / CHOSEN)
    (out / "chosen.json").write_text(json.dumps(asdict(best), indent=1) + "\n", encoding="utf-8")
    return rows


def chosen(rows: Sequence[Row]) -> Row:
    """The fastest of the accepted ones that are shipped as a file; of those nearly as fast, the smallest.

    What TensorRT makes is none of them: its speed is that of a GPU, and the file must be fast where there is none.
    """
    able = [row for row in rows if row.accepted and row.file_mb is not None and row.images_per_s]
    able = [row for row in able if not row.name.endswith(_TENSORRT)]
    fastest = max(row.images_per_s or 0 for row in able)
    return min(
        (row for row in able if (row.images_per_s or 0) >= _NEARLY * fastest),
        key=lambda row: (row.file_mb, -(row.images_per_s or 0)),
    )


def _stem(name: str) -> str:
    return "_".join(name.replace("%", "").split())


def network_of(settings: Training, weights: Arrays) -> RecallDetectionModel:
    """The network of the settings with the widths that its weights have.

    Raises:
        StreetveilError: the weights are of another architecture.
    """
    network = narrowed_like(build_model(settings), weights)
    try:
        network.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in weights.items()})
    except RuntimeError as error:
        message = str(error).splitlines()[0]
        raise StreetveilError(f"these weights do not fit {settings.architecture}: {message}") from error
    return network


def _made(name: str, model: RecallDetectionModel, pictures: Pictures, out: Path) -> Iterator[Candidate]:
    """Every form in which a network can be run."""
    stem = _stem(name)
    whole, small = out / f"{stem}.onnx", out / f"{stem}_int8.onnx"
    export_onnx(model, whole)
    quantise_onnx(whole, small, (padded(picture) for picture in pictures.calibration))
    size = (
        f"{multiplications(model) / 1e9:.2f} G multiplications at 640 px, {parameter_count(model) / 1e6:.2f} M numbers"
    )
    yield Candidate(f"{name}, ONNX Runtime", whole, partial(_onnx_runtime, whole), note=size)
    yield Candidate(f"{name}, torch", None, partial(TorchRuntime, model))
    yield Candidate(f"{name}, OpenVINO", whole, partial(_openvino, whole), _NO_OPENVINO)
    yield Candidate(f"{name}, 8 bits, ONNX Runtime", small, partial(_onnx_runtime, small))
    yield Candidate(f"{name}, 8 bits, OpenVINO", small, partial(_openvino, small), _NO_OPENVINO)
    yield Candidate(f"{name}, {_TENSORRT}", whole, partial(_gpu, whole), _NO_GPU)


def _onnx_runtime(file: Path) -> Runtime:
    return Session(file.name, file.read_bytes())


def _openvino(file: Path) -> Runtime | None:
    return OpenVinoSession(file.name, file.read_bytes()) if is_installed() else None


def _gpu(file: Path) -> Runtime | None:
    return gpu_runtime(file.read_bytes())


def _timed_picture(pictures: Pictures) -> Pixels:
    height, width = _TIMED_PX
    return np.asarray(cv2.resize(pictures.validation[0][1], (width, height)), np.uint8)


def read_pictures(training: Sequence[TrainingImage], validation: Sequence[TrainingImage], params: Params) -> Pictures:
    """A sample of both parts, the same in every run; pictures larger than needed are reduced, with their labels."""
    rng = np.random.default_rng(params.training.seed)
    counts = params.optimisation.calibration_images, params.optimisation.validation_images
    calibration, measured = (
        [_read(part[i], params) for i in rng.permutation(len(part))[:count]]
        for part, count in zip((training, validation), counts, strict=True)
    )
    return Pictures([pixels for _, pixels in calibration], measured)


def _read(image: TrainingImage, params: Params) -> tuple[LabelledImage, Pixels]:
    pixels = decode(image.path.read_bytes(), params.reading).pixels
    scale = min(1.0, _MOST_PX / max(pixels.shape[:2]))
    truth = image.truth(scale)
    if scale == 1:
        return truth, pixels
    return truth, np.asarray(cv2.resize(pixels, (truth.width, truth.height), interpolation=cv2.INTER_AREA), np.uint8)


def main() -> None:
    """Optimise what stage 1 has trained."""
    parser = arguments(__doc__)
    parser.add_argument("--weights", type=Path, required=True)
    given = parser.parse_args()
    params = load_params().of_profile(given.profile)
    torch.set_num_threads(1)
    parts = training_parts(given.prepared, given.taught, params)
    trainer = Trainer(params, *parts, given.out.with_name(f"{given.out.name}.work"))
    pictures = read_pictures(*parts, params)
    optimise(given.weights, trainer, pictures, given.out)
    print((given.out / "candidates.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
