"""The attacker with a face recogniser, whose distances tell people apart."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.privacy.recogniser import Recogniser, load_recogniser
from components.evaluation.reidentification.rates import Scores
from components.imaging.reading import Pixels
from components.packages import package_folder

Embeddings = NDArray[np.float32]  # [..., 128]

CHIP_PX = 150  # the input that the recogniser was trained on
_BATCH = 32


def embed(faces: Sequence[Pixels] | NDArray[np.float32]) -> Embeddings:
    """One vector a face. Where the face is, the attacker knows: it is where something was hidden."""
    parts = []
    for start in range(0, len(faces), _BATCH):
        chips = [cv2.resize(face, (CHIP_PX, CHIP_PX)) for face in faces[start : start + _BATCH]]
        with torch.inference_mode():
            parts.append(_network()(torch.from_numpy(np.array(chips, np.float32)).permute(0, 3, 1, 2)).numpy())
    return np.concatenate(parts)


def embedding_scores(probes: Embeddings, gallery: Embeddings) -> Scores:
    """Likeness of hidden faces [people, draws, 128] to known ones [people, 128]: the negative distance."""
    squares = (gallery**2).sum(axis=1)
    return 2 * probes @ gallery.T - squares - (probes**2).sum(axis=2)[:, :, None]


@lru_cache(maxsize=1)
def _network() -> Recogniser:
    folder = package_folder("face_recognition_models") / "models"
    return load_recogniser(folder / "dlib_face_recognition_resnet_model_v1.dat")
