"""The shipped networks, shared by threads: batches say what single inputs say, in every form and on either runtime."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

import components.detection.runtime as runtime
import components.detection.sanity as sanity
from components.detection.batching import Batched
from components.detection.bundle import Bundle, load_cascade
from components.detection.gpus import gpu_count, told
from components.detection.onnx_runtime import Session, in_precision, providers, run_error
from components.detection.runtime import Sharing, runtime_for, session_for
from components.detection.shipped import shipped_files
from components.detection.yolov8 import _LEVELS
from components.detections import iou
from components.errors import DeviceError, ModelError, OutOfMemoryError
from components.imaging.reading import decode
from components.settings import Params
from tests.small_street import noise

SHAPES = {
    "street": (3, 96, 64),
    "verifier": (13865,),
    "centerface": (3, 64, 96),
    "platedet": (3, 64, 64),
}


@pytest.fixture
def sharing(params: Params) -> Sharing:
    """How threads share, with some patience."""
    return Sharing(params.gpu.model_copy(update={"batch_max": 4, "batch_wait_ms": 2000}))


def opened(name: str, model_bytes: bytes, sharing: Sharing | None) -> tuple[runtime.Runtime, tuple[str, ...]]:
    """A shipped network as its detector opens it, and what is asked of it."""
    if name == "street":
        return runtime_for(name, model_bytes, sharing=sharing), ("found",)
    if name == "verifier":
        return session_for(name, model_bytes, sharing=sharing), ("probability",)
    if name == "centerface":
        free = {"input.1": ("n", 3, "h", "w")}
        return runtime_for(name, model_bytes, "cpu", free, sharing), ("537", "538", "539")
    free = {"images": ("n", 3, "h", "w")}
    return session_for(name, model_bytes, "cpu", free, tuple(_LEVELS), sharing), tuple(_LEVELS)


@pytest.mark.parametrize("file", shipped_files(), ids=lambda file: file.detector)
@pytest.mark.parametrize("on_openvino", [True, False])
def test_batches_of_shipped_networks_are_equal_to_singles(
    file: object, on_openvino: bool, sharing: Sharing, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every number of every output, for four inputs at a time as for one: no detection depends on its neighbours."""
    monkeypatch.setattr(runtime, "is_installed", lambda: on_openvino)
    name, model_bytes = file.detector, file.read()  # type: ignore[attr-defined]
    alone, outputs = opened(name, model_bytes, None)
    shared, _ = opened(name, model_bytes, sharing)
    assert isinstance(shared, Batched)
    assert shared.limit == 4
    top = 255 if name in ("street", "centerface") else 1
    rows = 1 if name != "verifier" else 5
    blobs = [rng.uniform(0, top, (rows, *SHAPES[name])).astype(np.float32) for _ in range(4)]
    together = in_threads(lambda blob: shared.run(blob, outputs), blobs)
    for blob, answer in zip(blobs, together, strict=True):
        for got, want in zip(answer, alone.run(blob, outputs), strict=True):
            np.testing.assert_array_equal(got, want)


def in_threads(ask: Callable, inputs: list[NDArray]) -> list:
    """The answers of as many threads that ask at the same time."""
    gate = threading.Barrier(len(inputs))

    def at_once(given: NDArray) -> object:
        gate.wait(60)
        return ask(given)

    with ThreadPoolExecutor(len(inputs)) as threads:
        return list(threads.map(at_once, inputs, timeout=120))


def test_a_shared_cascade_finds_what_one_of_a_single_thread_finds(params: Params, sharing: Sharing) -> None:
    """Whole pictures of several sizes, through all networks, with the secondary check on the whole picture."""
    bundle = Bundle("shipped", "1", shipped_files())
    region = params.regions["strict"].model_copy(update={"safety_check": "whole"})
    alone = load_cascade(bundle, params.detection)
    shared = load_cascade(bundle, params.detection, "cpu", sharing)
    pictures = [noise(200, 150), noise(200, 150)[::-1].copy(), noise(96, 260)]
    answers = in_threads(lambda pixels: shared.propose(pixels, region), pictures)
    assert sum(map(len, answers)) > 0
    for pixels, answer in zip(pictures, answers, strict=True):
        want = alone.propose(pixels, region)
        np.testing.assert_array_equal(answer.xyxy, want.xyxy)
        np.testing.assert_array_equal(answer.confidence, want.confidence)


def test_a_network_whose_export_fixes_the_batch_takes_one_at_a_time(sharing: Sharing) -> None:
    """Platedet as it is delivered cannot take two; threads share it all the same."""
    (file,) = (file for file in shipped_files() if file.detector == "platedet")
    shared = session_for("platedet", file.read(), sharing=sharing)
    assert isinstance(shared, Batched)
    assert shared.limit == 1


def test_on_a_gpu_the_batch_is_found_and_put_together_in_its_place(
    sharing: Sharing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The largest input that the settings allow is tried out, with room for two of four; on a CPU nothing is tried."""
    tried = []

    class OnGpu(Session):
        def run(self, blob: NDArray, outputs: list[str]) -> list[NDArray]:  # type: ignore[override]
            tried.append(blob.shape)
            if len(blob) > 2:
                raise OutOfMemoryError("street: not enough memory")
            return super().run(blob, outputs)

    (file,) = (file for file in shipped_files() if file.detector == "street")
    made = OnGpu("street", file.read())
    monkeypatch.setattr(runtime, "resolve_device", lambda device: "cuda")
    monkeypatch.setattr(runtime, "Session", lambda *_, **__: made)
    shared = runtime_for("street", file.read(), "cuda", sharing=sharing.of(side_px=96))
    assert isinstance(shared, Batched)
    assert shared.limit == 2
    assert tried == [(1, 3, 96, 96), (2, 3, 96, 96), (4, 3, 96, 96)]


def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on networks are loaded as for a GPU, and run on ONNX Runtime's CPU kernels."""

    def session(name: str, model_bytes: bytes, device: str, *rest: object, **more: object) -> Session:
        return Session(name, model_bytes, "cpu", *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(runtime, "resolve_device", lambda device: "cuda")
    monkeypatch.setattr(runtime, "Session", session)


@pytest.mark.parametrize("divisor", [1.0, 255.0])
def test_a_network_that_is_shown_pixels_says_what_it_says_of_their_planes(divisor: float) -> None:
    """The same bits, in one batch of two; of platedet, whose input has half the bits, nearly."""
    for file in shipped_files():
        if file.detector == "verifier":
            continue
        free = {"centerface": {"input.1": ("n", 3, "h", "w")}, "platedet": {"images": ("n", 3, "h", "w")}}
        ends = tuple(_LEVELS) if file.detector == "platedet" else ()
        given = file.detector, file.read(), "cpu", free.get(file.detector), ends
        planes, pixels = Session(*given), Session(*given, divisor=divisor)  # type: ignore[arg-type]
        shown = np.stack([noise(96, 64), noise(96, 64)[::-1]])
        told = planes.run(shown.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(divisor), planes.output_names)
        for got, want in zip(pixels.run(shown, planes.output_names), told, strict=True):
            np.testing.assert_allclose(got, want, rtol=0, atol=0.02 if file.detector == "platedet" else 0)


def test_a_cascade_loaded_as_for_a_gpu_finds_what_one_on_a_cpu_finds(
    params: Params, sharing: Sharing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pixels instead of planes, wider grey frames and batches filled up: the same objects, with room for rounding.

    Noise has proposals without end, whose order and suppression hang on the last digits; so the surest are compared.
    """
    bundle = Bundle("shipped", "1", shipped_files())
    region = params.regions["strict"]
    with monkeypatch.context() as patched:
        patched.setattr(runtime, "is_installed", lambda: False)
        alone = load_cascade(bundle, params.detection)
    as_on_a_gpu(monkeypatch)
    shared = load_cascade(bundle, params.detection, "cuda", sharing.of(side_px=64))
    folder = Path(sanity.__file__).parent / "sanity_pictures"
    pictures = [decode(file.read_bytes(), params.reading).pixels for file in sorted(folder.glob("*.jpg"))]
    for pixels, answer in zip(pictures, in_threads(lambda one: shared.propose(one, region), pictures), strict=True):
        want = alone.propose(pixels, region)
        sure = want.confidence >= 0.3
        assert sure.any()
        nearest = iou(want.xyxy[sure], answer.xyxy) * (want.class_id[sure, None] == answer.class_id)
        assert nearest.max(axis=1).min() > 0.8
        told = answer.confidence[nearest.argmax(axis=1)]
        np.testing.assert_allclose(told, want.confidence[sure], atol=0.1)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (
            "BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer of size 939524096",
            OutOfMemoryError,
        ),
        ("Available memory of 10 is smaller than requested bytes of 99", OutOfMemoryError),
        ("CUDA failure 2: out of memory ; GPU=0", OutOfMemoryError),
        ("CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED", OutOfMemoryError),
        ("std::bad_alloc", OutOfMemoryError),
        ("CUDA failure 700: an illegal memory access was encountered ; GPU=0", DeviceError),
        ("CUDNN failure 5003: CUDNN_STATUS_EXECUTION_FAILED_CUDART", DeviceError),
        ("Got invalid dimensions for input: pixels", ModelError),
    ],
)
def test_what_a_runtime_says_is_told_apart(said: str, kind: type) -> None:
    """Want of memory asks for a smaller batch, a lost GPU for another process, and the rest is the network's."""
    assert type(run_error("street", RuntimeError(said))) is kind
    assert type(run_error("street", MemoryError())) is OutOfMemoryError


def test_a_gpu_is_asked_for_with_the_settings_limits(params: Params) -> None:
    """Memory, the GPU's number and the precision reach the provider; without settings there are its own defaults."""
    assert providers("cuda", None) == ["CUDAExecutionProvider"]
    assert providers("cpu", params.gpu) == ["CPUExecutionProvider"]
    ((name, cuda),) = providers("cuda", params.gpu, 3)
    assert (name, cuda["device_id"], cuda["gpu_mem_limit"]) == ("CUDAExecutionProvider", 3, 4096 * 2**20)
    tensorrt = params.gpu.model_copy(update={"provider": "tensorrt"})
    for precision, flags in (("file", (True, False)), ("float32", (False, False)), ("float16", (False, True))):
        (name, options), _ = providers("cuda", tensorrt, 0, precision)  # type: ignore[arg-type]
        assert name == "TensorrtExecutionProvider"
        assert (options["trt_int8_enable"], options["trt_fp16_enable"]) == flags


@pytest.mark.parametrize("file", shipped_files(), ids=lambda file: file.detector)
def test_every_shipped_network_has_its_other_forms(file: object, rng: np.random.Generator) -> None:
    """Without 8-bit steps and in half precision they load, keep their names and types, and say nearly the same."""
    name, model_bytes = file.detector, file.read()  # type: ignore[attr-defined]
    assert in_precision(model_bytes, "file") is model_bytes
    blob = rng.uniform(0, 255 if name != "verifier" else 1, (1, *SHAPES[name])).astype(np.float32)
    if name == "platedet":
        blob = rng.uniform(0, 1, (1, 3, 640, 640)).astype(np.float32)
    free = {"input.1": ("n", 3, "h", "w")} if name == "centerface" else None
    found = {}
    for precision in ("file", "float32", "float16"):
        form = in_precision(model_bytes, precision)  # type: ignore[arg-type]
        graph = onnx.load_model_from_string(form).graph
        assert precision == "file" or not any("Quantize" in node.op_type for node in graph.node)
        session = Session(name, form, "cpu", free)
        assert session.input_dtype is (np.float16 if name == "platedet" else np.float32)
        found[precision] = session.run(blob, session.output_names[:1])[0].astype(np.float64)
    spread = np.abs(found["file"]).max()
    np.testing.assert_allclose(found["float16"], found["float32"], atol=0.01 * spread)
    np.testing.assert_allclose(found["float32"], found["file"], atol=0.1 * spread)


def test_the_gpus_are_counted_as_their_tool_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as nvidia-smi lists, or as this process may see; one where nobody can tell."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (gpu_count(), told("name")) == (1, [])
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA A'\necho 'NVIDIA B'\n")
    tool.chmod(0o755)
    assert (gpu_count(), told("name")) == (2, ["NVIDIA A", "NVIDIA B"])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    assert gpu_count() == 1
    tool.write_text("#!/bin/sh\nexit 9\n")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert gpu_count() == 1
