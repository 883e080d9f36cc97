"""The adapters read a network's output as it is meant, and trust none that looks wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from components.dataset.demo_day import garage_scene
from components.detection.centerface import CenterFace
from components.detection.detector import Detector, checked
from components.detection.onnx_runtime import Session, resolve_device
from components.detection.shipped import peer_files
from components.detection.yolov8 import YoloV8, YoloV8Levels
from components.detections import FACE, LICENSE_PLATE, iou
from components.errors import ModelError, StreetveilError
from tests.toy_model import MAGENTA, toy_onnx

CENTERFACE_INPUT, YOLO_INPUT = "input.1", "images"
BLACK = np.zeros((40, 50, 3), np.uint8)  # CenterFace pads it to 64 × 64: its outputs are 16 × 16


def onnx_of(
    nodes: list,
    outputs: dict[str, int],
    constants: dict[str, NDArray],
    inputs: dict[str, tuple[int, list[int]]],
) -> bytes:
    """A network from its nodes."""
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()],
        [helper.make_tensor_value_info(name, kind, None) for name, kind in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString()


def answering(outputs: dict[str, NDArray], input_name: str, side_px: int, input_type: int = TensorProto.FLOAT) -> bytes:
    """A network that gives the same answer to every picture, of which it reads that nothing is darker than black."""
    kinds = {name: helper.np_dtype_to_tensor_dtype(value.dtype) for name, value in outputs.items()}
    constants = {f"{name}_value": value for name, value in outputs.items()} | {"black": np.zeros((), np.float32)}
    nodes = [
        helper.make_node("Cast", [input_name], ["picture"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMin", ["picture"], ["darkest"], keepdims=0),
        helper.make_node("Min", ["darkest", "black"], ["nothing"]),
    ]
    for name, kind in kinds.items():
        nodes.append(helper.make_node("Cast", ["nothing"], [f"{name}_nothing"], to=kind))
        if kind == TensorProto.BOOL:
            nodes.append(helper.make_node("Or", [f"{name}_value", f"{name}_nothing"], [name]))
        else:
            nodes.append(helper.make_node("Add", [f"{name}_value", f"{name}_nothing"], [name]))
    return onnx_of(nodes, kinds, constants, {input_name: (input_type, [1, 3, side_px, side_px])})


def centerface(**changes: NDArray) -> CenterFace:
    """CenterFace's adapter around a network that answers as told; without changes it finds nothing."""
    outputs = {
        "537": np.zeros((1, 1, 16, 16), np.float32),
        "538": np.zeros((1, 2, 16, 16), np.float32),
        "539": np.zeros((1, 2, 16, 16), np.float32),
    }
    outputs.update({f"53{name[-1]}": value for name, value in changes.items()})
    return CenterFace(answering(outputs, CENTERFACE_INPUT, 32), FACE)


def yolo(output: NDArray, name: str = "output0") -> YoloV8:
    """YOLOv8's adapter around a network that answers as told."""
    return YoloV8(answering({name: output}, YOLO_INPUT, 640), LICENSE_PLATE)


def with_value(value: float, *shape: int) -> NDArray[np.float32]:
    """Zeros with one other value."""
    values = np.zeros(shape, np.float32)
    values.flat[values.size // 2] = value
    return values


def test_centerface_boxes_by_hand() -> None:
    """A peak in row 5, column 6 with a size of 8 × 16 px and an offset is the box that the paper's formula gives."""
    heatmap, scale, offset = np.zeros((1, 1, 16, 16)), np.zeros((1, 2, 16, 16)), np.zeros((1, 2, 16, 16))
    heatmap[0, 0, 5, 6] = 0.8
    scale[0, :, 5, 6] = np.log(16 / 4), np.log(8 / 4)  # height, width
    offset[0, :, 5, 6] = 0.25, -0.5  # y, x
    outputs = {f"output{7 + i}": v.astype(np.float32) for i, v in enumerate((heatmap, scale, offset))}
    found = centerface(**outputs).detect(BLACK, 0.5)
    centre_x, centre_y = (6 - 0.5 + 0.5) * 4, (5 + 0.25 + 0.5) * 4
    assert found.xyxy[0].tolist() == pytest.approx([centre_x - 4, centre_y - 8, centre_x + 4, centre_y + 8], abs=1e-4)
    assert found.confidence.tolist() == pytest.approx([0.8])
    assert found.class_id.tolist() == [FACE]


def test_centerface_leaves_out_what_is_below_the_threshold() -> None:
    """The threshold itself is enough, and anything less is not returned."""
    heatmap = np.zeros((1, 1, 16, 16), np.float32)
    heatmap[0, 0, 1, 1:4] = 0.49, 0.5, 0.51
    assert centerface(output7=heatmap).detect(BLACK, 0.5).confidence.tolist() == pytest.approx([0.5, 0.51])


def test_centerface_boxes_end_at_the_border_of_the_picture() -> None:
    """Neither a huge box nor one in the padding reaches beyond the picture, however large the network's numbers are."""
    scale = np.full((1, 2, 16, 16), 3e38, np.float32)
    heatmap = np.ones((1, 1, 16, 16), np.float32)
    found = centerface(output7=heatmap, output8=scale).detect(BLACK, 0.5)
    assert len(found) == 256
    assert (found.xyxy == [0, 0, 50, 40]).all()
    small = centerface(output7=heatmap).detect(BLACK, 0.5).xyxy
    assert small.min() >= 0
    assert small[:, [0, 2]].max() <= 50
    assert small[:, [1, 3]].max() <= 40


@pytest.mark.parametrize(("width", "height"), [(160, 120), (97, 61), (24, 24), (33, 200)])
def test_centerface_takes_pictures_of_any_size(width: int, height: int) -> None:
    """The toy network, exported for 32 × 32, finds a magenta square in its place in pictures of other sizes."""
    detector = CenterFace(toy_onnx((0.5, -1.0, 0.5)), FACE)
    pixels = np.full((height, width, 3), 90, np.uint8)
    x, y = width - 24, height - 24
    pixels[y:, x:] = MAGENTA
    found = detector.detect(pixels, 0.9)
    assert len(found)
    assert iou(found.xyxy, np.array([[x, y, x + 24, y + 24]], np.float32)).max() > 0.4
    assert len(detector.detect(np.full((height, width, 3), 90, np.uint8), 0.1)) == 0


def yolo_rows(*rows: tuple[float, ...], more: int = 0, columns: int = 40) -> NDArray[np.float32]:
    """An output [1, 5 + more, columns] with the given boxes in its first columns."""
    output = np.zeros((1, 5 + more, columns), np.float32)
    for i, row in enumerate(rows):
        output[0, :5, i] = row
    output[0, 5:] = 9.0
    return output


@pytest.mark.parametrize("more", [0, 32])
@pytest.mark.parametrize(("width", "height"), [(320, 160), (160, 320)])
def test_yolo_boxes_by_hand(more: int, width: int, height: int) -> None:
    """A box of the 640 px square comes back at half its size in a picture of 320 px, with or without a mask head."""
    output = yolo_rows((200, 100, 80, 40, 0.7), (50, 60, 10, 20, 0.2), more=more)
    found = yolo(output).detect(np.zeros((height, width, 3), np.uint8), 0.5)
    assert found.xyxy.tolist() == [[80, 40, 120, 60]]
    assert found.confidence.tolist() == pytest.approx([0.7])
    assert found.class_id.tolist() == [LICENSE_PLATE]


def test_yolo_leaves_out_what_is_below_the_threshold() -> None:
    """The threshold itself is enough, and anything less is not returned."""
    output = yolo_rows((9, 9, 2, 2, 0.49), (9, 9, 2, 2, 0.5), (9, 9, 2, 2, 0.51))
    assert yolo(output).detect(BLACK, 0.5).confidence.tolist() == pytest.approx([0.5, 0.51])


def test_yolo_boxes_end_at_the_border_of_the_picture() -> None:
    """A box that reaches into the padding is cut where the picture ends."""
    found = yolo(yolo_rows((600, 500, 400, 400, 0.9))).detect(np.zeros((320, 640, 3), np.uint8), 0.5)
    assert found.xyxy.tolist() == [[400, 300, 640, 320]]


def seen_by_yolo(pixels: NDArray[np.uint8], reduce: str) -> float:
    """The largest or smallest number in what the network is shown, as it would answer with it."""
    nodes = [
        helper.make_node(reduce, [YOLO_INPUT], ["extreme"], keepdims=0),
        helper.make_node("Expand", ["extreme", "shape"], ["output0"]),
    ]
    shape = np.array([1, 5, 1], np.int64)
    network = onnx_of(
        nodes, {"output0": TensorProto.FLOAT}, {"shape": shape}, {YOLO_INPUT: (TensorProto.FLOAT, [1, 3, 640, 640])}
    )
    return float(YoloV8(network, LICENSE_PLATE).detect(pixels, -1.0).confidence[0])


def test_yolo_sees_numbers_from_0_to_1_with_a_grey_frame() -> None:
    """White is 1, black is 0, and around a picture that is not square there is the grey of the training."""
    square, wide = np.full((20, 20, 3), 255, np.uint8), np.full((10, 20, 3), 255, np.uint8)
    assert seen_by_yolo(square, "ReduceMax") == seen_by_yolo(square, "ReduceMin") == 1
    assert seen_by_yolo(square * 0, "ReduceMax") == 0
    assert seen_by_yolo(wide, "ReduceMin") == pytest.approx(114 / 255)


@pytest.mark.parametrize("size", [(1, 1), (1, 2000), (2000, 1)])
def test_yolo_takes_pictures_like_a_line(size: tuple[int, int]) -> None:
    """The fitted picture has at least one pixel on each side."""
    assert len(yolo(yolo_rows()).detect(np.zeros((*size, 3), np.uint8), 0.5)) == 0


@pytest.fixture(scope="module")
def platedet() -> bytes:
    """The network as its package delivers it."""
    return next(file for file in peer_files() if file.detector == "platedet").read()


def test_without_its_end_the_plate_network_finds_the_same(platedet: bytes, rng: np.random.Generator) -> None:
    """On the one size that the delivered network takes, every anchor has the same box and confidence in both forms."""
    pixels = rng.integers(0, 256, (640, 640, 3)).astype(np.uint8)
    pixels[300:330, 200:300] = 255
    whole, levels = (kind(platedet, LICENSE_PLATE).detect(pixels, 0.0) for kind in (YoloV8, YoloV8Levels))
    assert len(whole) == len(levels) == 8400
    assert levels.confidence == pytest.approx(whole.confidence, abs=2e-3)
    assert levels.xyxy == pytest.approx(whole.xyxy, abs=1)


@pytest.mark.parametrize("size", [(432, 640), (300, 350), (256, 256)])
def test_a_plate_is_found_on_a_canvas_of_any_size(platedet: bytes, size: tuple[int, int]) -> None:
    """A plate in a piece of a scene is found where it is, and no box leaves the piece."""
    scene, plate = garage_scene("fr", np.random.default_rng(7))
    height, width = size
    left, top = (int(np.clip(plate[i] - size[1 - i] / 3, 0, scene.shape[1 - i] - size[1 - i])) for i in range(2))
    piece = scene[top : top + height, left : left + width]
    found = YoloV8Levels(platedet, LICENSE_PLATE).detect(piece, 0.25)
    assert iou(found.xyxy, plate[None] - np.array([left, top] * 2, np.float32)).max() > 0.7
    assert (found.xyxy >= 0).all()
    assert (found.xyxy <= [width, height] * 2).all()


def test_a_network_with_other_ends_is_refused() -> None:
    """What has no such levels is no network of this kind, and says so at once."""
    with pytest.raises(ModelError, match="not a usable ONNX file"):
        YoloV8Levels(answering({"output0": yolo_rows()}, YOLO_INPUT, 640), LICENSE_PLATE)


def test_half_precision_is_served_and_read() -> None:
    """A network in float16 gets float16 and its answer is read as float32."""
    output = yolo_rows((200, 100, 80, 40, 0.75)).astype(np.float16)
    network = answering({"output0": output}, YOLO_INPUT, 640, TensorProto.FLOAT16)
    found = YoloV8(network, LICENSE_PLATE).detect(np.zeros((640, 640, 3), np.uint8), 0.5)
    assert found.xyxy.tolist() == [[160, 80, 240, 120]]
    assert found.confidence.dtype == np.float32


UNTRUSTWORTHY: dict[str, Callable[[], Detector]] = {
    "centerface: NaN in the heatmap": lambda: centerface(output7=with_value(np.nan, 1, 1, 16, 16)),
    "centerface: NaN in the sizes": lambda: centerface(output8=with_value(np.nan, 1, 2, 16, 16)),
    "centerface: infinity in the offsets": lambda: centerface(output9=with_value(-np.inf, 1, 2, 16, 16)),
    "centerface: a smaller heatmap": lambda: centerface(output7=np.zeros((1, 1, 8, 8), np.float32)),
    "centerface: two heatmaps": lambda: centerface(output7=np.zeros((1, 2, 16, 16), np.float32)),
    "centerface: one size only": lambda: centerface(output8=np.zeros((1, 1, 16, 16), np.float32)),
    "centerface: offsets without a batch": lambda: centerface(output9=np.zeros((2, 16, 16), np.float32)),
    "centerface: another network": lambda: CenterFace(answering({"output0": yolo_rows()}, CENTERFACE_INPUT, 32), FACE),
    "centerface: no offsets": lambda: CenterFace(
        answering({name: np.zeros((1, 1, 16, 16), np.float32) for name in ("537", "538")}, CENTERFACE_INPUT, 32), FACE
    ),
    "centerface: a fixed input of another name": lambda: CenterFace(
        onnx_of(
            [helper.make_node("Relu", ["picture"], [name]) for name in ("537", "538", "539")],
            dict.fromkeys(("537", "538", "539"), TensorProto.FLOAT),
            {},
            {"picture": (TensorProto.FLOAT, [1, 3, 32, 32])},
        ),
        FACE,
    ),
    "yolo: NaN in a box": lambda: yolo(yolo_rows((np.nan, 1, 1, 1, 0.9))),
    "yolo: NaN as confidence": lambda: yolo(yolo_rows((1, 1, 1, 1, np.nan))),
    "yolo: infinity": lambda: yolo(yolo_rows((1, 1, np.inf, 1, 0.9))),
    "yolo: four rows": lambda: yolo(np.zeros((1, 4, 40), np.float32)),
    "yolo: no batch": lambda: yolo(np.zeros((5, 40), np.float32)),
    "yolo: a batch of two": lambda: yolo(np.zeros((2, 5, 40), np.float32)),
    "yolo: a single number": lambda: yolo(np.zeros((), np.float32)),
    "yolo: no such output": lambda: yolo(yolo_rows(), name="output1"),
    "yolo: pictures as bytes": lambda: YoloV8(
        answering({"output0": yolo_rows()}, YOLO_INPUT, 640, TensorProto.UINT8), LICENSE_PLATE
    ),
}


@pytest.mark.parametrize("name", UNTRUSTWORTHY)
def test_an_output_that_cannot_be_trusted_is_refused(name: str) -> None:
    """NaN, infinity, a wrong shape, a missing output and a wrong input end in an error that names the detector."""
    with pytest.raises(ModelError) as raised:
        UNTRUSTWORTHY[name]().detect(BLACK, 0.5)
    assert str(raised.value).startswith("centerface: " if name.startswith("centerface") else "platedet: ")
    assert "\n" not in str(raised.value)


NO_NETWORKS: dict[str, bytes] = {
    "nothing": b"",
    "words": b"this is not a network",
    "zeros": bytes(1000),
    "half a network": toy_onnx((1, 1, 1))[:200],
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(100),
    "no input": onnx_of(
        [helper.make_node("Identity", ["value"], ["output0"])],
        {"output0": TensorProto.FLOAT},
        {"value": yolo_rows()},
        {},
    ),
    "an unknown operator": onnx_of(
        [helper.make_node("FindFaces", [YOLO_INPUT], ["output0"])],
        {"output0": TensorProto.FLOAT},
        {},
        {YOLO_INPUT: (TensorProto.FLOAT, [1, 3, 640, 640])},
    ),
}


@pytest.mark.parametrize("name", NO_NETWORKS)
@pytest.mark.parametrize("adapter", [CenterFace, YoloV8])
def test_bytes_that_are_no_network_are_refused(name: str, adapter: type[CenterFace] | type[YoloV8]) -> None:
    """Garbage, half a file and a network without an input are errors in one line, not crashes."""
    with pytest.raises(ModelError) as raised:
        adapter(NO_NETWORKS[name], FACE)
    assert "\n" not in str(raised.value)


def test_weights_outside_of_the_hashed_file_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that points to another file for its weights is refused, although the file is there."""
    monkeypatch.chdir(tmp_path)
    weights = yolo_rows((200, 100, 80, 40, 0.7))
    weights.tofile("weights.bin")
    tensor = TensorProto(name="value", data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    tensor.dims.extend(weights.shape)
    for key, value in (("location", "weights.bin"), ("offset", "0"), ("length", str(weights.nbytes))):
        tensor.external_data.add(key=key, value=value)
    graph = helper.make_graph(
        [helper.make_node("Identity", ["value"], ["output0"])],
        "test",
        [helper.make_tensor_value_info(YOLO_INPUT, TensorProto.FLOAT, [1, 3, 640, 640])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, None)],
        [tensor],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    with pytest.raises(ModelError):
        YoloV8(model.SerializeToString(), LICENSE_PLATE)


def test_a_checked_output_is_float32_and_unchanged() -> None:
    """What has the expected shape is handed on, None fits any size."""
    output = np.arange(6, dtype=np.float64).reshape(1, 2, 3)
    found = checked("x", output, (1, None, 3))
    assert found.dtype == np.float32
    assert found.tolist() == output.tolist()
    with pytest.raises(ModelError, match=r"^x: output shape \(1, 2, 3\), expected \(1, 2, 4\)"):
        checked("x", output, (1, 2, 4))


@pytest.mark.parametrize(
    ("offered", "wish", "got"),
    [
        (["CPUExecutionProvider"], "auto", "cpu"),
        (["CPUExecutionProvider"], "cpu", "cpu"),
        (["CUDAExecutionProvider", "CPUExecutionProvider"], "auto", "cuda"),
        (["CUDAExecutionProvider", "CPUExecutionProvider"], "cuda", "cuda"),
        (["CUDAExecutionProvider", "CPUExecutionProvider"], "cpu", "cpu"),
    ],
)
def test_the_device_is_the_one_asked_for(
    monkeypatch: pytest.MonkeyPatch, offered: list[str], wish: str, got: str
) -> None:
    """Auto takes a GPU where there is one, and a wish is granted as it stands."""
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: offered)
    assert resolve_device(wish) == got  # type: ignore[arg-type]


def test_a_device_that_is_not_there_is_an_error_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody who asks for a GPU gets a slow night on the CPU in silence."""
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    for use in (lambda: resolve_device("cuda"), lambda: Session("x", toy_onnx((1, 1, 1)), "cuda")):
        with pytest.raises(StreetveilError, match="onnxruntime-gpu"):
            use()


def test_an_output_that_is_no_number_is_refused() -> None:
    """A network that answers in words is a model fault, not an internal error."""
    with pytest.raises(ModelError, match="expected numbers"):
        checked("net", np.array([["word"]]), (1, 1))
