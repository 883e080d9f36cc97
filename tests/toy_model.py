"""A real ONNX model that finds magenta squares as faces and cyan ones as plates, in milliseconds.

It speaks CenterFace's output format, so everything from the hash check to the decoding of the output is the product's
own code; only the weights are simple.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from components.detection.bundle import Bundle, ModelFile

SQUARE_PX = 24
MAGENTA, CYAN = (255, 0, 255), (0, 255, 255)
_WINDOW_PX, _STRIDE_PX = 16, 4


def toy_onnx(weights: tuple[float, float, float]) -> bytes:
    """A network whose heatmap is the mean of a colour over a window of 16 px; every box is that window.

    Args:
        weights: of red, green and blue (0 to 1 each) in the colour's score.
    """
    size = float(np.log(_WINDOW_PX / _STRIDE_PX))
    constants = {
        "colour": np.array(weights, np.float32).reshape(1, 3, 1, 1) / 255,
        "zero2": np.zeros((2, 1, 1, 1), np.float32),
        "size": np.full((2,), size, np.float32),
        "none": np.zeros((2,), np.float32),
    }
    pad = (_WINDOW_PX - _STRIDE_PX) // 2
    nodes = [
        helper.make_node("Conv", ["input.1", "colour"], ["score"]),
        helper.make_node("Relu", ["score"], ["positive"]),
        helper.make_node(
            "AveragePool",
            ["positive"],
            ["537"],
            kernel_shape=[_WINDOW_PX] * 2,
            strides=[_STRIDE_PX] * 2,
            pads=[pad] * 4,
            count_include_pad=1,
        ),
        helper.make_node("Conv", ["537", "zero2", "size"], ["538"]),
        helper.make_node("Conv", ["537", "zero2", "none"], ["539"]),
    ]
    graph = helper.make_graph(
        nodes,
        "toy",
        [helper.make_tensor_value_info("input.1", TensorProto.FLOAT, [1, 3, 32, 32])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("537", "538", "539")],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return model.SerializeToString()


def model_file(path: Path, model_bytes: bytes, class_name: str = "face", detector: str = "centerface") -> ModelFile:
    """Write a network and pin its hash."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model_bytes)
    digest = hashlib.sha256(model_bytes).hexdigest()
    return ModelFile(detector, "centerface", class_name, path, digest, "made by the tests", "AGPL-3.0-or-later")


def toy_bundle(folder: Path) -> Bundle:
    """A bundle of two toy networks: magenta faces and cyan plates."""
    face = model_file(folder / "magenta.onnx", toy_onnx((0.5, -1.0, 0.5)))
    plate = model_file(folder / "cyan.onnx", toy_onnx((-1.0, 0.5, 0.5)), "license_plate")
    return Bundle("toy-detector", "1", (face, plate))


def scene(
    rng: np.random.Generator, width: int = 160, height: int = 120, faces: int = 1, plates: int = 1
) -> tuple[NDArray[np.uint8], list[tuple[int, int, int, int]]]:
    """A grey picture with texture, and striped squares on it that the toy model finds.

    Returns:
        uint8 [h, w, 3], and the squares' boxes.
    """
    pixels = np.repeat(rng.integers(60, 180, (height, width, 1), np.uint8), 3, axis=2)
    boxes = []
    for colour in [MAGENTA] * faces + [CYAN] * plates:
        x, y = int(rng.integers(0, width - SQUARE_PX)), int(rng.integers(0, height - SQUARE_PX))
        stripes = np.where(np.arange(SQUARE_PX)[:, None, None] % 6 < 3, 1.0, 0.75)
        pixels[y : y + SQUARE_PX, x : x + SQUARE_PX] = np.broadcast_to(colour * stripes, (SQUARE_PX, SQUARE_PX, 3))
        boxes.append((x, y, x + SQUARE_PX, y + SQUARE_PX))
    return pixels, boxes
