"""Put what the chain has made into the package: networks, weights to go on training from, hashes, and a card.

python -m components.training.ship CHAIN [WEIGHTS]
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np

from components.detection.shipped import PINS, STAGE_1, TRAINABLE, VERIFIER, WEIGHTS
from components.evaluation.model_card import with_figures
from components.training.checkpoint import Arrays, read_arrays, write_arrays

CARD = "MODEL_CARD.md"
METRICS = "metrics.json"


def ship(chain: Path, weights: Path) -> None:
    """Copy a model out of the chain's folder, pin it, and write its figures into its card.

    The weights to go on from are kept with half precision: training starts from them, nothing is detected with them.

    Args:
        chain: what `dvc repro` has filled.
        weights: the folder in the package; it has a card already.

    Raises:
        StreetveilError: the weights are damaged, or the card has no place for figures.
        OSError: a stage has not been run yet.
    """
    # Everything is read before anything is written: half a model would not be loaded, but nobody would know why.
    networks = {
        STAGE_1: (chain / "optimised" / "street.onnx").read_bytes(),
        VERIFIER: (chain / "stage2" / "verifier.onnx").read_bytes(),
    }
    trainable = {name: read_arrays(chain / place) for name, place in TRAINABLE.items()}
    metrics = (chain / "evaluation" / METRICS).read_text(encoding="utf-8")
    card = with_figures((weights / CARD).read_text(encoding="utf-8"), json.loads(metrics))
    for name, content in networks.items():
        (weights / name).write_bytes(content)
    for name, (arrays, facts) in trainable.items():
        write_arrays(weights / name, halved(arrays), facts)
    pins = {name: hashlib.sha256((weights / name).read_bytes()).hexdigest() for name in (*networks, *trainable)}
    (weights / PINS).write_text(json.dumps(pins, indent=1) + "\n", encoding="utf-8")
    (weights / METRICS).write_text(metrics, encoding="utf-8")
    (weights / CARD).write_text(card, encoding="utf-8")


def halved(arrays: Arrays) -> Arrays:
    """Arrays whose fractions have 16 bits; counters keep theirs."""
    return {
        name: array.astype(np.float16) if np.issubdtype(array.dtype, np.floating) else array
        for name, array in arrays.items()
    }


if __name__ == "__main__":
    ship(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else WEIGHTS)
