"""Train the high-recall detector: any number of calls, each as long as there is time, end in the same weights.

python -m components.training.stage1 --prepared FOLDER --taught FILE --out FOLDER [--profile NAME] [--weights FILE.npz]
    [--device cpu|0] [--max-seconds N]

What is needed to go on stands beside the output, in a folder named after everything that decides what is learnt; other
settings or pictures begin another one. Exit status 75: stopped by --max-seconds, call it again. With no epoch at all,
the first weights are kept.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from components.detections import CLASS_NAMES
from components.errors import StreetveilError
from components.settings import Training, load_params
from components.training.checkpoint import Arrays, parts, read_arrays, write_arrays
from components.training.images import TrainingImage, images_sha256
from components.training.operating_point import OperatingPoint, best_index
from components.training.parts import arguments, training_parts
from components.training.yolo.loop import RecallTraining

BEST = "best.npz"
STATE = "state.npz"
HISTORY = "history.json"
UNFINISHED = 75  # as sendmail's EX_TEMPFAIL: the same command gets further


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
    teachers: Sequence[Path] = (),
    threads: int = 1,
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
        teachers: files of weights of trained networks, whose answers are learnt from beside the labels.
        threads: for torch on a CPU.
        max_seconds: after the epoch in which these have passed, it stops; the next call goes on.

    Raises:
        StreetveilError: there are no pictures, the folder holds another training, or the loss is no number.
    """
    if not training or not validation:
        raise StreetveilError("there is nothing to train on, or to validate with: run the prepare stage first")
    history: list[Epoch] = []
    identity = identity_of(settings, training, validation, first_weights, teachers)
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
                settings,
                training,
                validation,
                first,
                state,
                device,
                workers,
                Path(scratch),
                after_epoch=keep,
                teachers=[read_arrays(file)[0] for file in teachers],
                threads=threads,
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


def identity_of(
    settings: Training,
    training: Sequence[TrainingImage],
    validation: Sequence[TrainingImage],
    first_weights: Path | None,
    teachers: Sequence[Path] = (),
) -> str:
    """Hash of everything that decides what is learnt."""
    digest = hashlib.sha256(settings.model_dump_json().encode())
    for split in (training, validation):
        digest.update(images_sha256(split).encode())
    for weights in (first_weights, *teachers):
        digest.update(weights.read_bytes() if weights else b"")
    return digest.hexdigest()


def keep_first(weights: Path | None, out: Path) -> None:
    """Leave the first weights as if they had been trained, for where another training would make them no better.

    Raises:
        StreetveilError: there are none.
    """
    if weights is None:
        raise StreetveilError("without an epoch and without first weights there is no network: raise training.epochs")
    arrays, facts = read_arrays(weights)
    out.mkdir(parents=True, exist_ok=True)
    write_arrays(out / BEST, arrays, facts)
    (out / HISTORY).write_text("[]\n", encoding="utf-8")


def main() -> None:
    """Train on what the prepare stage has written."""
    parser = arguments(__doc__)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--max-seconds", type=float)
    given = parser.parse_args()
    params = load_params().of_profile(given.profile)
    training, validation = training_parts(given.prepared, given.taught, params)
    if not params.training.epochs:
        keep_first(given.weights, given.out)
        return
    identity = identity_of(params.training, training, validation, given.weights)
    work = given.out.with_name(f"{given.out.name}.work") / identity[:12]
    trained = train_stage1(
        params.training,
        training,
        validation,
        work,
        given.weights,
        given.device,
        given.workers,
        max_seconds=given.max_seconds,
        threads=given.threads,
    )
    print(f"{len(trained.history)} of {params.training.epochs} epochs; kept {trained.chosen}")
    if not trained.finished:
        raise SystemExit(UNFINISHED)
    given.out.mkdir(parents=True, exist_ok=True)
    for name in (BEST, HISTORY):
        shutil.copyfile(work / name, given.out / name)


if __name__ == "__main__":
    main()
