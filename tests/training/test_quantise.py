"""An 8-bit network is one smaller file that says nearly what the float one says, on both runtimes."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from components.detection.onnx_runtime import Session
from components.detection.openvino_runtime import OpenVinoSession
from components.detection.street import Street, padded
from components.detections import iou
from components.errors import ModelError, StreetveilError
from components.training.optimise.quantise import quantise_onnx
from components.training.yolo.export import export_onnx
from tests.small_street import noise, small_street

CALIBRATION = [padded(noise(96, 64, seed)) for seed in range(100, 106)]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The float file and the 8-bit one."""
    folder = tmp_path_factory.mktemp("quantise")
    export_onnx(small_street(width=0.125), folder / "float.onnx")
    quantise_onnx(folder / "float.onnx", folder / "int8.onnx", CALIBRATION)
    return folder / "float.onnx", folder / "int8.onnx"


@cache
def answers(file: Path, runtime: type[Session] | type[OpenVinoSession] = Session) -> NDArray[np.float32]:
    """What a file says of a picture that it was not calibrated on [6, anchors]."""
    return runtime("street", file.read_bytes()).run(padded(noise(128, 96, 1))[None], ("found",))[0][0]


@pytest.mark.parametrize("runtime", [Session, OpenVinoSession])
def test_it_says_nearly_what_the_float_network_says(
    files: tuple[Path, Path], runtime: type[Session] | type[OpenVinoSession]
) -> None:
    """Confidences differ by a few hundredths, and confident boxes lie on each other; but something was rounded."""
    whole, small = answers(files[0]), answers(files[1], runtime)
    apart = np.abs(whole[4:] - small[4:])
    assert 0 < apart.mean() < 0.03
    assert whole[4:].std() > 4 * apart.mean()
    sure = whole[4:].max(axis=0) > 0.5
    assert sure.sum() > 20
    overlap = np.diag(iou(np.ascontiguousarray(whole[:4, sure].T), np.ascontiguousarray(small[:4, sure].T)))
    assert overlap.mean() > 0.85


def test_both_runtimes_round_alike(files: tuple[Path, Path]) -> None:
    """ONNX Runtime and OpenVINO read the same 8-bit file to nearly the same numbers."""
    left, right = answers(files[1], Session), answers(files[1], OpenVinoSession)
    assert np.abs(left[4:] - right[4:]).mean() < 0.02
    assert np.abs(left[:4] - right[:4]).mean() < 1


def test_convolutions_are_8_bits_and_the_last_ones_are_not(files: tuple[Path, Path]) -> None:
    """Every convolution reads numbers that were rounded, but those that decide confidences and boxes."""
    nodes = onnx.load(files[1]).graph.node
    rounded = {output for node in nodes if node.op_type == "DequantizeLinear" for output in node.output}
    convolutions = [node for node in nodes if node.op_type == "Conv"]
    whole = {node.name for node in convolutions if node.input[1] not in rounded}
    assert len(convolutions) - len(whole) > 30
    last = {node.name for node in convolutions if "/dfl/" in node.name or node.name.endswith(".2/Conv")}
    assert whole == last
    assert len(last) == 2 * 4 + 1
    assert files[1].stat().st_size < files[0].stat().st_size
    assert not list(files[1].parent.glob(".*"))


@pytest.mark.slow
def test_the_same_pictures_give_the_same_file(files: tuple[Path, Path], tmp_path: Path) -> None:
    """Quantising is repeatable, byte for byte."""
    quantise_onnx(files[0], tmp_path / "again.onnx", CALIBRATION)
    assert (tmp_path / "again.onnx").read_bytes() == files[1].read_bytes()


def test_the_detector_takes_any_size(files: tuple[Path, Path]) -> None:
    """Height and width stay free, and boxes lie in the picture."""
    for width, height in ((33, 200), (160, 64)):
        runtime = Session("street", files[1].read_bytes())
        found = Street(b"", runtime=runtime).detect(noise(width, height), 0.1)
        assert len(found) > 0
        assert (found.xyxy[:, 2:] <= [width, height]).all()


def test_a_corrupted_8_bit_file_is_refused(files: tuple[Path, Path]) -> None:
    """Half of it is a model fault on either runtime."""
    content = files[1].read_bytes()
    for load in (Session, OpenVinoSession):
        with pytest.raises(ModelError, match="not a usable ONNX file"):
            load("street", content[: len(content) // 2])


def test_without_pictures_or_a_network_nothing_is_written(files: tuple[Path, Path], tmp_path: Path) -> None:
    """There is no file rather than one with ranges from nowhere."""
    with pytest.raises(StreetveilError, match="there are none"):
        quantise_onnx(files[0], tmp_path / "int8.onnx", [])
    (tmp_path / "torn.onnx").write_bytes(files[0].read_bytes()[:1000])
    with pytest.raises(StreetveilError, match="cannot be quantised"):
        quantise_onnx(tmp_path / "torn.onnx", tmp_path / "int8.onnx", CALIBRATION)
    assert [file.name for file in tmp_path.iterdir()] == ["torn.onnx"]
