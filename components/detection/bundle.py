"""A model as files on disk: what each file is, its pinned hash, and how verified files become a cascade."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from components.detection.cascade import Cascade
from components.detection.centerface import CenterFace
from components.detection.detector import Detector
from components.detection.onnx_runtime import Device
from components.detection.runtime import Sharing
from components.detection.safety_check import CANVAS_PX
from components.detection.street import Street
from components.detection.verifier import Verifier
from components.detection.yolov8 import YoloV8, YoloV8Levels
from components.detections import CLASS_IDS
from components.errors import ModelError
from components.settings import Detection

Role = Literal["stage1", "verifier", "safety"]

# Networks of others find one class; which one stands beside the file. Ours know by themselves.
_OF_ONE_CLASS: dict[str, Callable[[bytes, int, Device, str, Sharing | None], Detector]] = {
    "centerface": CenterFace,
    "yolov8": YoloV8,
}
# As secondary check they see canvases of all sizes.
_OF_ANY_SIZE = {**_OF_ONE_CLASS, "yolov8": YoloV8Levels}


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One network of a bundle.

    Attributes:
        detector: its name in the settings, such as "platedet".
        architecture: how its output is read, centerface, yolov8, street or verifier.
        classes: what it finds, names with commas between.
        role: what it is in the cascade: stage1, verifier, or safety, the secondary check.
        path: where the file lies.
        sha256: the pinned hash, hex.
        source, licence: where it comes from, and under which terms.
    """

    detector: str
    architecture: str
    classes: str
    path: Path
    sha256: str
    source: str
    licence: str
    role: Role = "stage1"

    def read(self) -> bytes:
        """The file's bytes, if they are the pinned ones; what was hashed is what will be run.

        Raises:
            ModelError: the file is missing or differs from its pinned hash.
        """
        try:
            model_bytes = self.path.read_bytes()
        except OSError as error:
            raise ModelError(
                f"model file {self.path} cannot be read ({error.strerror}); register the version again"
            ) from error
        found = hashlib.sha256(model_bytes).hexdigest()
        if found != self.sha256:
            raise ModelError(
                f"model file {self.path} has sha256 {found[:12]}…, pinned is {self.sha256[:12]}…; do not use it"
            )
        return model_bytes


@dataclass(frozen=True, slots=True)
class Bundle:
    """All files of one model version.

    Attributes:
        name: the registered model's name.
        version: its version.
        files: its networks.
    """

    name: str
    version: str
    files: tuple[ModelFile, ...]


def load_cascade(
    bundle: Bundle, settings: Detection, device: Device = "cpu", sharing: Sharing | None = None
) -> Cascade:
    """Verify every file of a bundle and load it.

    Args:
        bundle: the files.
        settings: how pictures will be shown to them.
        device: where they run.
        sharing: with other threads; without it the cascade belongs to one thread at a time.

    Raises:
        ModelError: a file is missing, changed, of an unknown kind, or not loadable, or the files make no cascade.
    """
    parts = {role: [file for file in bundle.files if file.role == role] for role in get_args(Role)}
    if not parts["stage1"] or len(parts["verifier"]) > 1 or sum(map(len, parts.values())) != len(bundle.files):
        roles = ", ".join(file.role for file in bundle.files) or "no file"
        raise ModelError(
            f"{bundle.name} {bundle.version} has {roles}; it needs stage1, may have one verifier and any number of "
            "safety, and nothing else: register it again"
        )
    if any(file.architecture != "verifier" for file in parts["verifier"]):
        raise ModelError(f"{parts['verifier'][0].path.name}: is no verifier; register the version again")
    verifiers = [Verifier(file.read(), device, file.detector, sharing) for file in parts["verifier"]]
    return Cascade(
        tuple(_detector(file, settings, device, sharing) for file in parts["stage1"]),
        settings,
        verifiers[0] if verifiers else None,
        tuple(_detector(file, settings, device, sharing) for file in parts["safety"]),
    )


def _detector(file: ModelFile, settings: Detection, device: Device, sharing: Sharing | None) -> Detector:
    if file.architecture == "street":
        shared = sharing and sharing.of(side_px=_on_grid(settings.scales.max_side_px))
        return Street(file.read(), device, file.detector, sharing=shared)
    if file.architecture not in _OF_ONE_CLASS or file.classes not in CLASS_IDS:
        raise ModelError(f"{file.path.name}: unknown architecture {file.architecture!r} or class {file.classes!r}")
    if file.detector not in settings.tile_px:
        raise ModelError(f"{file.detector}: no detection.tile_px for it in params.yaml; add one")
    detector_of = (_OF_ANY_SIZE if file.role == "safety" else _OF_ONE_CLASS)[file.architecture]
    side_px = CANVAS_PX if file.role == "safety" else settings.tile_px[file.detector]
    shared = sharing and sharing.of(side_px=_on_grid(side_px))
    return detector_of(file.read(), CLASS_IDS[file.classes], device, file.detector, shared)


def _on_grid(side_px: int) -> int:
    """The side to which networks that halve five times have a picture padded."""
    return -(-side_px // 32) * 32
