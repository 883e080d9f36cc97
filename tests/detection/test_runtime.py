"""Networks run on the faster runtime that is there, and find the same on either."""

from __future__ import annotations

import numpy as np
import pytest

import components.detection.runtime as runtime
from components.detection.centerface import CenterFace
from components.detection.onnx_runtime import Session
from components.detection.openvino_runtime import OpenVinoSession
from components.detection.shipped import peer_files
from components.training.yolo.export import export_onnx
from tests.small_street import noise, small_street


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A small network of ours."""
    path = tmp_path_factory.mktemp("street") / "street.onnx"
    export_onnx(small_street(), path)
    return path.read_bytes()


@pytest.mark.parametrize(("installed", "kind"), [(True, OpenVinoSession), (False, Session)])
def test_openvino_is_used_where_it_is_installed(
    installed: bool, kind: type, network: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a CPU the faster runtime is taken if it can be imported, else the one that is always there."""
    monkeypatch.setattr(runtime, "is_installed", lambda: installed)
    assert type(runtime.runtime_for("street", network)) is kind


def test_a_gpu_is_asked_for_by_onnx_runtime(network: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenVINO never takes over what was to run on a GPU."""
    asked = []
    monkeypatch.setattr(runtime, "resolve_device", lambda device: "cuda")
    monkeypatch.setattr(runtime, "Session", lambda *given, **_: asked.append(given))
    runtime.runtime_for("street", network, "auto")
    assert asked == [("street", network, "auto", None, ())]


def test_faces_are_seen_alike_on_either_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    """CenterFace with freed sides has the same boxes and confidences on both, at every size, in any order of sizes."""
    content = next(file for file in peer_files() if file.detector == "centerface").read()
    on_openvino = CenterFace(content, 0)
    monkeypatch.setattr(runtime, "is_installed", lambda: False)
    on_onnx = CenterFace(content, 0)
    for width, height in ((160, 160), (200, 70), (96, 64)):
        pixels = noise(width, height)
        own, other = (detector.detect(pixels, 0.01) for detector in (on_openvino, on_onnx))
        assert len(own) == len(other) > 0
        np.testing.assert_allclose(own.xyxy, other.xyxy, atol=0.05)
        np.testing.assert_allclose(own.confidence, other.confidence, atol=1e-4)
