"""Train the high-recall detector: any number of calls, each as long as there is time, end in the same weights.

python -m components.training.stage1 [--prepared FOLDER] [--out FOLDER] [--weights FILE.npz] [--max-seconds N]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from components.dataset.labels import read_labels
from components.detections import CLASS_NAMES
from components.errors import StreetveilError
from components.settings import PROJECT_ROOT, Params, Training, load_params
from components.training.checkpoint import Arrays, parts, read_arrays, write_arrays
from components.training.images import TrainingImage, images_sha256, training_image
from components.training.operating_point import OperatingPoint, best_index
from components.training.yolo.loop import RecallTraining

BEST = "best.npz"
STATE = "state.npz"
HISTORY = "history.json"


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch's figures.

    Attributes:
        epoch: counted from 1.
        loss: the means of the box, classification and distribution terms over the training batches.
        point: what the averaged weights do on the validation split.
        seconds: how long it took, validation included.
    """

    epoch: int
    loss: dict[str, float]
    point: OperatingPoint
    seconds: float


@dataclass(frozen=True, slots=True)
class Stage1:
    """What training left in its folder.

    Attributes:
        weights: the file with the chosen epoch's averaged weights.
        history: every epoch so far.
        chosen: the chosen epoch.
        finished: whether all epochs are done.
    """

    weights: Path
    history: tuple[Epoch, ...]
    chosen: Epoch
    finished: bool


def train_stage1(
    settings: Training,
    training: Sequence[TrainingImage],
    validation: Sequence[TrainingImage],
    folder: Path,
    first_weights: Path | None = None,
    device: str = "cpu",
    workers: int = 0,
    max_seconds: float | None = None,
) -> Stage1:
    """Train, or go on where an earlier call with the same settings, pictures and weights has stopped.

    Args:
        settings: how to train.
        training: what to learn from.
        validation: what chooses the epoch that is kept; nothing is learnt from it.
        folder: for the weights, the state after the last whole epoch, and the history.
        first_weights: a file of weights (.npz) to start from; drawn from the seed if left out.
        device: cpu, or the number of a CUDA device.
        workers: processes that read pictures, on CUDA.
        max_seconds: after the epoch in which these have passed, it stops; the next call goes on.

    Raises:
        StreetveilError: there are no pictures, the folder holds another training, or the loss is no number.
    """
    if not training or not validation:
        raise StreetveilError("there is nothing to train on, or to validate with: run the prepare stage first")
    history: list[Epoch] = []
    identity = _identity(settings, training, validation, first_weights)
    state = _state(folder, identity, history)
    started = last = time.monotonic()

    def keep(trainer: RecallTraining) -> bool:
        nonlocal last
        now = time.monotonic()
        loss = {name: float(value) for name, value in trainer.tloss.items()}
        history.append(Epoch(trainer.epoch + 1, loss, trainer.validator.point, round(now - last, 3)))
        last = now
        _write(folder, trainer, history, identity)
        return max_seconds is not None and now - started >= max_seconds

    if len(history) < settings.epochs:
        first = read_arrays(first_weights)[0] if first_weights and state is None else None
        with tempfile.TemporaryDirectory() as scratch:
            RecallTraining(
                settings, training, validation, first, state, device, workers, Path(scratch), after_epoch=keep
            ).train()
    return Stage1(folder / BEST, tuple(history), _chosen(history), len(history) >= settings.epochs)


def _write(folder: Path, trainer: RecallTraining, history: list[Epoch], identity: str) -> None:
    """Keep an epoch. The state comes last: if it is missing, the epoch is repeated, and the rest written again."""
    arrays, facts = trainer.state()
    newest, best = history[-1], _chosen(history)
    told = [asdict(epoch) for epoch in history]
    if newest is best:
        write_arrays(folder / BEST, parts(arrays, "ema:"), {"classes": CLASS_NAMES, **told[-1]})
    write_arrays(folder / STATE, arrays, {**facts, "identity": identity, "history": told})
    (folder / HISTORY).write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def _state(folder: Path, identity: str, history: list[Epoch]) -> tuple[Arrays, dict[str, Any]] | None:
    """The state after the last whole epoch, if there is one; its figures are put into the history."""
    path = folder / STATE
    if not path.exists():
        return None
    arrays, facts = read_arrays(path)
    if facts["identity"] != identity:
        raise StreetveilError(f"{folder} holds a training with other settings, pictures or weights: choose another one")
    history.extend(Epoch(**{**told, "point": OperatingPoint(**told["point"])}) for told in facts["history"])
    return arrays, facts


def _chosen(history: list[Epoch]) -> Epoch:
    return history[best_index([epoch.point for epoch in history])]


def _identity(
    settings: Training,
    training: Sequence[TrainingImage],
    validation: Sequence[TrainingImage],
    first_weights: Path | None,
) -> str:
    """Hash of everything that decides what is learnt."""
    digest = hashlib.sha256(settings.model_dump_json().encode())
    for split in (training, validation):
        digest.update(images_sha256(split).encode())
    digest.update(first_weights.read_bytes() if first_weights else b"")
    return digest.hexdigest()


def _part(prepared: Path, name: str, params: Params) -> list[TrainingImage]:
    """One part of the split, with the smallest objects that the default region hides."""
    region = params.region(None)[1]
    min_px = {class_name: region.rule(class_name).min_px for class_name in CLASS_NAMES}
    labels = read_labels(prepared / f"{name}.json", folder="")
    return [training_image(image, PROJECT_ROOT, min_px) for image in labels]


def main() -> None:
    """Train on what the prepare stage has written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prepared", type=Path, default=PROJECT_ROOT / "data" / "prepared")
    parser.add_argument("--out", type=Path, default=PROJECT_ROOT / "data" / "training" / "stage1")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--max-seconds", type=float)
    given = parser.parse_args()
    params = load_params()
    splits = {name: _part(given.prepared, name, params) for name in ("train", "val")}
    trained = train_stage1(
        params.training,
        splits["train"],
        splits["val"],
        given.out,
        given.weights,
        given.device,
        max_seconds=given.max_seconds,
    )
    print(f"{len(trained.history)} of {params.training.epochs} epochs; kept {trained.chosen}")


if __name__ == "__main__":
    main()
