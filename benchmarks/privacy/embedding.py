"""The recogniser that attacks: dlib's ResNet, whose distances tell people apart."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import cv2
import dlib
import numpy as np
from numpy.typing import NDArray

from components.imaging.reading import Pixels
from components.packages import package_folder

Embeddings = NDArray[np.float64]  # [n, 128]

_CHIP_PX = 150  # the input that the network was trained on


def embed(faces: Sequence[Pixels]) -> Embeddings:
    """One vector a face. Where the face is, the attacker knows: it is where something was hidden."""
    chips = [cv2.resize(face, (_CHIP_PX, _CHIP_PX), interpolation=cv2.INTER_AREA) for face in faces]
    return np.array([_network().compute_face_descriptor(chip) for chip in chips])


def embedding_scores(probes: Sequence[Pixels], gallery: Embeddings) -> NDArray[np.float64]:
    """Likeness [probe, gallery] of hidden faces and known ones: the negative distance of their embeddings."""
    seen = embed(probes)
    return -np.linalg.norm(seen[:, None] - gallery[None], axis=2)


@lru_cache(maxsize=1)
def _network() -> Any:
    weights = package_folder("face_recognition_models") / "models" / "dlib_face_recognition_resnet_model_v1.dat"
    return dlib.face_recognition_model_v1(str(weights))
