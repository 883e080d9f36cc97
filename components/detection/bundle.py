"""A model as files on disk: what each file is, its pinned hash, and how verified files become a cascade."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from components.detection.cascade import Cascade
from components.detection.centerface import CenterFace
from components.detection.detector import Detector
from components.detection.onnx_runtime import Device
from components.detection.yolov8 import YoloV8
from components.detections import CLASS_IDS
from components.errors import ModelError
from components.settings import Detection

_ARCHITECTURES: dict[str, Callable[[bytes, int, Device, str], Detector]] = {"centerface": CenterFace, "yolov8": YoloV8}


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One network of a bundle.

    Attributes:
        detector: its name in the settings, such as "platedet".
        architecture: how its output is read, a key of `_ARCHITECTURES`.
        class_name: what it finds.
        path: where the file lies.
        sha256: the pinned hash, hex.
        source, licence: where it comes from, and under which terms.
    """

    detector: str
    architecture: str
    class_name: str
    path: Path
    sha256: str
    source: str
    licence: str

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


def load_cascade(bundle: Bundle, settings: Detection, device: Device = "cpu") -> Cascade:
    """Verify every file of a bundle and load it.

    Raises:
        ModelError: a file is missing, changed, of an unknown kind, or not loadable.
    """
    return Cascade(tuple(_load(file, settings, device) for file in bundle.files), settings)


def _load(file: ModelFile, settings: Detection, device: Device) -> Detector:
    if file.architecture not in _ARCHITECTURES or file.class_name not in CLASS_IDS:
        raise ModelError(f"{file.path.name}: unknown architecture {file.architecture!r} or class {file.class_name!r}")
    if file.detector not in settings.tile_px:
        raise ModelError(f"{file.detector}: no detection.tile_px for it in params.yaml; add one")
    detector_of = _ARCHITECTURES[file.architecture]
    return detector_of(file.read(), CLASS_IDS[file.class_name], device, file.detector)
