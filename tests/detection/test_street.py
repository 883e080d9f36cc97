"""Our own detector reads its network's output as it is meant, at every size, on either runtime."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from components.detection.onnx_runtime import Session
from components.detection.openvino_runtime import OpenVinoSession
from components.detection.street import Street, padded
from components.errors import ModelError
from components.training.yolo.export import export_onnx
from tests.small_street import noise, small_street


class Answering:
    """A runtime that gives one answer, and remembers what it was asked."""

    def __init__(self, rows: Sequence[Sequence[float]]) -> None:
        self.answer = np.array(rows, np.float32).T[None]
        self.blob: NDArray = np.zeros(0)

    def run(self, blob: NDArray, outputs: Sequence[str]) -> list[NDArray]:
        """The answer."""
        assert list(outputs) == ["found"]
        self.blob = blob
        return [self.answer]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A small network of ours that finds something in noise."""
    path = tmp_path_factory.mktemp("street") / "street.onnx"
    export_onnx(small_street(), path)
    return path.read_bytes()


def test_an_anchor_above_the_threshold_for_both_classes_stands_twice() -> None:
    """Boxes, confidences and classes are the rows at or over the threshold, one for each class, cut at the border."""
    runtime = Answering([[1, 2, 30, 40, 0.9, 0.5], [0, 0, 9, 9, 0.1, 0.2], [-5, 3, 70, 50, 0.0, 0.25]])
    found = Street(b"", runtime=runtime).detect(np.zeros((45, 50, 3), np.uint8), 0.25)
    assert found.xyxy.tolist() == [[1, 2, 30, 40], [1, 2, 30, 40], [0, 3, 50, 45]]
    assert found.class_id.tolist() == [0, 1, 1]
    assert found.confidence.tolist() == [np.float32(0.9), 0.5, 0.25]


def test_the_network_sees_the_picture_unscaled_in_a_grey_frame() -> None:
    """Pixels arrive as they are, channel by channel, and everything right of and below them is the training's grey."""
    runtime = Answering([[0, 0, 1, 1, 0, 0]])
    pixels = noise(50, 33)
    Street(b"", runtime=runtime).detect(pixels, 0.5)
    assert runtime.blob.shape == (1, 3, 64, 64)
    assert runtime.blob.dtype == np.float32
    assert (runtime.blob[0, :, :33, :50] == pixels.transpose(2, 0, 1)).all()
    assert (runtime.blob[0, :, 33:] == 114).all()
    assert (runtime.blob[0, :, :, 50:] == 114).all()


@pytest.mark.parametrize(("width", "height", "expected"), [(64, 96, (96, 64)), (1, 1, (32, 32)), (65, 32, (32, 96))])
def test_sides_are_padded_to_the_next_multiple_of_32(width: int, height: int, expected: tuple[int, int]) -> None:
    """A side that is a multiple already stays as it is."""
    assert padded(noise(width, height)).shape == (3, *expected)


def test_padding_never_moves_boxes(network: bytes) -> None:
    """A picture, and the same one with the padding drawn into it, have the same boxes and confidences."""
    detector = Street(network)
    pixels = noise(90, 70)
    drawn = np.full((96, 96, 3), 114, np.uint8)
    drawn[:70, :90] = pixels
    own, other = detector.detect(pixels, 0.1), detector.detect(drawn, 0.1)
    assert len(own) == len(other) > 20
    np.testing.assert_array_equal(own.confidence, other.confidence)
    inside = np.minimum(other.xyxy, [90, 70, 90, 70])
    np.testing.assert_array_equal(own.xyxy, inside)


def test_both_runtimes_find_the_same(network: bytes) -> None:
    """ONNX Runtime and OpenVINO agree on every box to a hundredth of a px and on every confidence to 1e-4."""
    runtimes = Session("street", network), OpenVinoSession("street", network)
    for width, height in ((64, 64), (90, 70), (200, 33)):
        left, right = (Street(b"", runtime=runtime).detect(noise(width, height), 0.0) for runtime in runtimes)
        assert len(left) == len(right) > 20
        np.testing.assert_allclose(left.xyxy, right.xyxy, atol=0.01)
        np.testing.assert_allclose(left.confidence, right.confidence, atol=1e-4)
        assert left.confidence.std() > 0.01


@pytest.mark.parametrize(
    "answer",
    [np.zeros((1, 7, 5)), np.zeros((2, 6, 5)), np.full((1, 6, 5), np.nan), np.full((1, 6, 5), np.inf)],
    ids=["three classes", "two pictures", "nan", "infinite"],
)
def test_an_output_that_cannot_be_trusted_is_refused(answer: NDArray) -> None:
    """Wrong shapes and numbers that are none never become detections."""
    runtime = Answering([[0.0]])
    runtime.answer = answer.astype(np.float32)
    with pytest.raises(ModelError, match="street"):
        Street(b"", runtime=runtime).detect(np.zeros((32, 32, 3), np.uint8), 0.5)


def test_a_corrupted_file_is_refused(network: bytes) -> None:
    """Half a file, and one that is none, are model faults on either runtime."""
    for content in (network[: len(network) // 2], b"not a network", b""):
        for load in (OpenVinoSession, Session):
            with pytest.raises(ModelError, match="not a usable ONNX file"):
                load("street", content)
