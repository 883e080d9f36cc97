"""Train the verifier on stage 1's proposals, and calibrate it so that a region's thresholds keep their meaning.

python -m components.training.stage2 --proposals FOLDER --out FOLDER [--weights FILE.npz] [--ablate]
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from components.detections import CLASS_NAMES
from components.errors import StreetveilError
from components.settings import FAMILIES, Family, VerifierTraining, load_params
from components.training.checkpoint import arrays_of, read_arrays, tensors_of, write_arrays
from components.training.verifier.calibration import (
    Calibration,
    ClassFigures,
    calibrate,
    calibrated_at,
    crossed_logits,
    figures,
    shifts_of,
)
from components.training.verifier.examples import Examples, read_examples
from components.training.verifier.fitting import fit, logits_of
from components.training.verifier.network import VerifierNetwork, export_onnx

WEIGHTS = "verifier.npz"
NETWORK = "verifier.onnx"
REPORT = "report.json"
ABLATION = "ablation.json"


@dataclass(frozen=True, slots=True)
class Stage2:
    """What training left in its folder, and how good it is on the validation pictures.

    Attributes:
        weights: the file of calibrated weights.
        onnx: the file for `components.detection.verifier.Verifier`.
        calibration: how far the logits were moved.
        figures: by class, what the cascade proposes. The calibration keeps `keep_share` of these very objects.
        crossed: by class, with each half of the pictures calibrated on the other: what to expect elsewhere.
        confident: by class, only the proposals that stage 1 alone would hide.
        examples: the number of training examples that count.
        seconds: how long it took.
    """

    weights: Path
    onnx: Path
    calibration: Calibration
    figures: dict[str, ClassFigures]
    crossed: dict[str, ClassFigures]
    confident: dict[str, ClassFigures]
    examples: int
    seconds: float


@dataclass(frozen=True, slots=True)
class AblationRow:
    """What a network is worth that is told less; each is calibrated by itself.

    Attributes:
        families: what it was told.
        auc, removed_share: by class, on the validation pictures.
    """

    families: tuple[str, ...]
    auc: dict[str, float | None]
    removed_share: dict[str, float | None]


def train_stage2(
    settings: VerifierTraining,
    training: Examples,
    validation: Examples,
    folder: Path,
    first: VerifierNetwork | None = None,
) -> Stage2:
    """Train, calibrate, measure and export.

    Args:
        settings: how.
        training: what to learn from.
        validation: proposals of pictures that nothing is learnt from.
        folder: for the weights, the ONNX file and the report.
        first: a network that is trained on; its calibration is found anew.

    Raises:
        StreetveilError: there is nothing to tell apart, the loss is no number, or `first` is another kind of network.
    """
    started = time.monotonic()
    network = fit(training, settings, lambda line: print(line, flush=True), first)
    raw = logits_of(network, validation)
    calibration = calibrate(validation, raw, settings)
    put_into(network, calibration)
    logits = raw + shifts_of(calibration, validation)
    proposed = validation.confidence >= settings.calibrated_from
    at = [calibrated_at(settings, class_id) for class_id in range(len(CLASS_NAMES))]
    confident = validation.confidence >= np.array(at)[validation.class_id]
    by_class = dict(enumerate(CLASS_NAMES))
    crossed = crossed_logits(validation, raw, settings)
    trained = Stage2(
        weights=folder / WEIGHTS,
        onnx=folder / NETWORK,
        calibration=calibration,
        figures={name: figures(validation, logits, c, at[c], proposed) for c, name in by_class.items()},
        crossed={name: figures(validation, crossed, c, at[c], proposed) for c, name in by_class.items()},
        confident={name: figures(validation, logits, c, at[c], confident) for c, name in by_class.items()},
        examples=int((training.labels.weight > 0).sum()),
        seconds=round(time.monotonic() - started, 1),
    )
    facts = {"settings": settings.model_dump(mode="json"), "classes": CLASS_NAMES, **asdict(calibration)}
    write_arrays(trained.weights, arrays_of(network.state_dict()), facts)
    export_onnx(network, trained.onnx)
    (folder / REPORT).write_text(json.dumps(asdict(trained), indent=1, default=_name) + "\n", encoding="utf-8")
    return trained


def put_into(network: VerifierNetwork, calibration: Calibration) -> None:
    """Put a calibration into the network itself, so that nobody can forget it."""
    shifts = [calibration.shift[name] for name in CLASS_NAMES]
    network.size_shift.copy_(torch.tensor(shifts, dtype=torch.float32).T)
    network.stage1_trust.copy_(torch.tensor([calibration.trust[name] for name in CLASS_NAMES]))
    network.steep_shift.copy_(torch.tensor([calibration.steep[name] for name in CLASS_NAMES]))


def read_network(weights: Path) -> VerifierNetwork:
    """The calibrated network of a training, in evaluation mode.

    Raises:
        StreetveilError: the file is missing, damaged, or holds another network.
    """
    arrays, facts = read_arrays(weights)
    try:
        network = VerifierNetwork(facts["settings"]["families"])
        network.load_state_dict(tensors_of(arrays))
    except (KeyError, RuntimeError) as error:
        raise StreetveilError(f"{weights} holds another network: train stage 2 again") from error
    return network.eval()


def ablate(settings: VerifierTraining, training: Examples, validation: Examples) -> tuple[AblationRow, ...]:
    """Train with all families, without each one, and with each one alone, all for `ablation_epochs`."""
    told: list[tuple[Family, ...]] = [
        FAMILIES,
        *(tuple(other for other in FAMILIES if other != left_out) for left_out in FAMILIES),
        *((only,) for only in FAMILIES),
    ]
    return tuple(_ablated(settings, training, validation, families) for families in told)


def _ablated(
    settings: VerifierTraining, training: Examples, validation: Examples, families: tuple[Family, ...]
) -> AblationRow:
    less = settings.model_copy(update={"families": families, "epochs": settings.ablation_epochs})
    raw = logits_of(fit(training, less), validation)
    logits = raw + shifts_of(calibrate(validation, raw, less), validation)
    found = {name: figures(validation, logits, c, calibrated_at(settings, c)) for c, name in enumerate(CLASS_NAMES)}
    return AblationRow(
        families,
        {name: row.auc for name, row in found.items()},
        {name: row.removed_share for name, row in found.items()},
    )


def _told(name: str, row: ClassFigures) -> str:
    kept, removed = (f"{share:.1%}" if share is not None else "-" for share in (row.kept_share, row.removed_share))
    auc = f"{row.auc:.4f}" if row.auc is not None else "-"
    return f"{name}: {row.objects} objects, kept {kept}; {row.false} false proposals, removed {removed}; AUC {auc}"


def _name(path: object) -> str:
    return path.name if isinstance(path, Path) else str(path)


def main() -> None:
    """Train on what `components.training.proposals` has written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--proposals", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--weights", type=Path, help="of a verifier that is trained on")
    parser.add_argument("--ablate", action="store_true")
    given = parser.parse_args()
    settings = load_params().verifier
    training, validation = (read_examples(given.proposals, part) for part in ("train", "val"))
    first = read_network(given.weights) if given.weights else None
    trained = train_stage2(settings, training, validation, given.out, first)
    for title in ("figures", "crossed", "confident"):
        print(title, *(_told(name, row) for name, row in getattr(trained, title).items()), sep="\n  ")
    for name, source in trained.calibration.measured_on.items():
        if source != name:
            print(f"{name}: fewer than {settings.min_objects} objects, calibrated on {source or 'nothing'}")
    if given.ablate:
        rows = ablate(settings, training, validation)
        told = json.dumps([asdict(row) for row in rows], indent=1)
        (given.out / ABLATION).write_text(told + "\n", encoding="utf-8")
        print(told)


if __name__ == "__main__":
    main()
