"""A training in a second: a network that looks for the colour that the labelled objects have and the rest has not.

python -m tests.toy_training LABELLED CHAIN: what people labelled wrongly, it learns wrongly.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from components.dataset.labels import read_labels
from components.detection.shipped import TRAINABLE
from components.detections import CLASS_NAMES
from tests.toy_model import toy_onnx

NETWORKS = {"face": "faces.onnx", "license_plate": "plates.onnx"}
_LEAST_CONTRAST = 0.1  # of colours from 0 to 1; objects that look like the rest teach nothing


def train(labelled: Path, chain: Path) -> None:
    """Write a network for each class, and their colours for weights that a training goes on from."""
    (chain / "networks").mkdir(parents=True, exist_ok=True)
    inside: dict[int, list[NDArray]] = {0: [], 1: []}
    rest = []
    for file in sorted(labelled.glob("*/labels.json")):
        for image in read_labels(file, folder=""):
            pixels = np.asarray(Image.open(file.parent / image.path).convert("RGB")) / 255
            rest.append(pixels.reshape(-1, 3).mean(axis=0))
            for (x1, y1, x2, y2), class_id in zip(image.objects.xyxy.astype(int), image.objects.class_id, strict=True):
                inside[int(class_id)].append(pixels[y1:y2, x1:x2].reshape(-1, 3).mean(axis=0))
    for class_id, name in enumerate(CLASS_NAMES):
        weights = _apart(np.mean(inside[class_id], axis=0), np.mean(rest, axis=0))
        (chain / "networks" / NETWORKS[name]).write_bytes(toy_onnx(tuple(weights)))
    for place in TRAINABLE.values():
        (chain / place).parent.mkdir(exist_ok=True)
        (chain / place).write_text(f"{place} of {inside[0][0]}")


def _apart(colour: NDArray, rest: NDArray) -> list[float]:
    """Weights that make 1 of a colour and nothing of the rest."""
    contrast = colour - (colour @ rest) / (rest @ rest) * rest
    scale = contrast @ colour if np.linalg.norm(contrast) >= _LEAST_CONTRAST else np.inf
    return (contrast / scale).tolist()


if __name__ == "__main__":
    train(Path(sys.argv[1]), Path(sys.argv[2]))
