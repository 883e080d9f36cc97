"""The people an attacker chooses from: one photograph each, and where the face is in it."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.privacy.embedding import embed
from components.evaluation.reidentification.photograph import Photograph, cut_out
from components.imaging.reading import Pixels

_ALIKE = 0.9  # correlation from which two faces, or a face and a mirrored one, are taken for the same photograph
_SAME_PERSON = 0.45  # distance of two embeddings; the recogniser's own threshold is 0.6, on aligned faces
_SMALLEST_PX = 60
# How a set says that a face wears no mask; the first says it the wrong way round.
_BARE = {"macwinwin-mask": "with", "kaggle-fmd-via-maskon": "without", "coco-keiji-mlkit": None}
_SHARP = 40.0  # variance of the Laplacian at 128 px height


def read_faces(folder: Path, count: int) -> list[Photograph]:
    """The largest faces that are sharp and wear no mask, each person once.

    Args:
        folder: holds `labels.json` and the pictures.
        count: how many; fewer where there are fewer.
    """
    entries = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
    candidates = [(box[3] - box[1], entry["file"], box) for entry in entries for box in _bare_faces(entry)]
    chosen: list[Photograph] = []
    thumbnails: list[NDArray[np.float64]] = []
    embeddings: list[NDArray[np.float64]] = []
    for _, file, box in sorted(candidates, key=lambda candidate: (-candidate[0], *candidate[1:])):
        photograph = cut_out(read_rgb(folder / file), box)
        thumbnail = _thumbnail(photograph)
        if _sharpness(photograph) < _SHARP or _seen(thumbnail, thumbnails):
            continue
        embedding = embed([_face_only(photograph)])[0]
        if any(np.linalg.norm(embedding - other) < _SAME_PERSON for other in embeddings):
            continue
        chosen.append(photograph)
        thumbnails.append(thumbnail)
        embeddings.append(embedding)
        if len(chosen) == count:
            break
    return chosen


def _bare_faces(entry: dict) -> list[list[float]]:
    """Faces without a mask that are large enough and wholly within the picture."""
    return [
        box["box"]
        for box in entry["boxes"]
        if box["cls"] == "face"
        and box.get("mask") == _BARE.get(entry["source"], "leave out")
        and min(box["box"][2] - box["box"][0], box["box"][3] - box["box"][1]) >= _SMALLEST_PX
        and box["box"][0] > 0 < box["box"][1]
        and box["box"][2] < entry["w"]
        and box["box"][3] < entry["h"]
    ]


def read_rgb(file: Path) -> Pixels:
    """A picture as it is stored; the set's pictures are upright."""
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB"))


def _face_only(photograph: Photograph) -> Pixels:
    x1, y1, x2, y2 = photograph.box
    return photograph.pixels[y1:y2, x1:x2]


def _sharpness(photograph: Photograph) -> float:
    grey = cv2.cvtColor(_face_only(photograph), cv2.COLOR_RGB2GRAY)
    return float(cv2.Laplacian(cv2.resize(grey, (128, 128), interpolation=cv2.INTER_AREA), cv2.CV_64F).var())


def _thumbnail(photograph: Photograph) -> NDArray[np.float64]:
    grey = cv2.cvtColor(_face_only(photograph), cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (16, 16), interpolation=cv2.INTER_AREA).astype(np.float64)
    return (small - small.mean()) / (small.std() + 1e-9)


def _seen(thumbnail: NDArray[np.float64], others: list[NDArray[np.float64]]) -> bool:
    both = (thumbnail, thumbnail[:, ::-1])
    return any(float((one * other).mean()) > _ALIKE for other in others for one in both)
