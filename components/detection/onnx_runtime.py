"""The adapter to ONNX Runtime: from verified bytes to a session that runs on one device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from components.detection.onnx_graph import float_form, is_half, pixel_form, self_contained
from components.detection.planned import Planned
from components.errors import DeviceError, ModelError, OutOfMemoryError, StreetveilError
from components.settings import Gpu

Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["file", "float32", "float16"]
_PROVIDERS: dict[Literal["cpu", "cuda"], str] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
}
_TENSORRT = "TensorrtExecutionProvider"
_MIB = 2**20
_SHAPES = 48  # of input for which a GPU keeps its plans

# ONNX Runtime has one class for all that goes wrong in a run: its words say what. Its own allocator's come first, also
# where the limit for a network is reached, then those of CUDA and its libraries, and of C++.
_NO_MEMORY = (
    "failed to allocate memory",
    "is smaller than requested bytes",
    "out of memory",
    "alloc_failed",
    "allocation_failed",
    "bad_alloc",
    "bad allocation",
)
_DEVICE_GONE = ("cuda failure", "cuda error", "cudnn failure", "cublas failure", "illegal memory access")


class Session:
    """One loaded network.

    Args:
        name: for error messages.
        model_bytes: the ONNX file's bytes; nothing else is read, nothing is unpickled.
        device: "auto" takes CUDA where ONNX Runtime offers it.
        free_inputs: input name to dimension names, for exports whose fixed dimensions are to be freed.
        outputs: inner values at which the network is to end instead, for exports whose end cannot be freed.
        gpu: what may be used of a GPU; without, ONNX Runtime's own defaults.
        gpu_index: which one.
        precision: in which it computes.
        divisor: if there is one, it is shown pixels, uint8 [n, h, w, 3], and divides them by this.
    """

    def __init__(
        self,
        name: str,
        model_bytes: bytes,
        device: Device = "cpu",
        free_inputs: Mapping[str, Sequence[str | int]] | None = None,
        outputs: Sequence[str] = (),
        gpu: Gpu | None = None,
        gpu_index: int = 0,
        precision: Precision = "file",
        divisor: float | None = None,
    ) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # one process per core is faster than threads
        options.log_severity_level = 3
        self.name = name
        try:
            network = self_contained(name, model_bytes, free_inputs or {}, outputs)
            kind = resolve_device(device)
            if kind == "cuda":
                onnxruntime.preload_dlls()  # of the wheels beside it; without any, those of the system are found
            network = in_precision(network, precision)
            if divisor is not None:
                network = pixel_form(network, divisor)
            offered = providers(kind, gpu, gpu_index, precision)
            load = partial(onnxruntime.InferenceSession, network, options, providers=offered)
            first = load()
            first_input = first.get_inputs()[0]
        except StreetveilError:
            raise
        except Exception as error:  # ONNX Runtime's own hierarchy is private
            raise ModelError(f"{name}: not a usable ONNX file ({_said(error)})") from error
        self.input_name: str = first_input.name
        self.input_shape: list[int | str | None] = first_input.shape
        of_floats = np.float16 if "float16" in first_input.type else np.float32
        self.input_dtype: type[np.generic] = of_floats if divisor is None else np.uint8
        self.output_names = [output.name for output in first.get_outputs()]
        self._planned = Planned(first, load, _SHAPES if kind == "cuda" else 0)

    def run(self, blob: NDArray, outputs: Sequence[str]) -> list[NDArray]:
        """Run the network on one batch [n, ...].

        Raises:
            OutOfMemoryError: a smaller batch may fit.
            DeviceError: the GPU has failed.
            ModelError: it has no such output, or the batch does not fit the network.
        """
        missing = set(outputs) - set(self.output_names)
        if missing:
            raise ModelError(
                f"{self.name}: has no output {', '.join(sorted(missing))}; the file is not the registered model"
            )
        shown = blob.astype(self.input_dtype, copy=False)
        try:
            return self._run(shown, outputs)
        except OutOfMemoryError:
            if not self._planned.forget_others(shown.shape):
                raise
            return self._run(shown, outputs)

    def _run(self, shown: NDArray, outputs: Sequence[str]) -> list[NDArray]:
        try:
            return self._planned.of(shown.shape).run(list(outputs), {self.input_name: shown})
        except Exception as error:
            raise run_error(self.name, error) from error


def in_precision(model_bytes: bytes, precision: Precision) -> bytes:
    """The network as it is to be computed.

    Args:
        model_bytes: an ONNX file with all of its weights.
        precision: `file` leaves it as it is, `float32` takes the 8-bit steps between its operations out, and `float16`
            is that with half of the bits, but for what must not have less, and for inputs and outputs.
    """
    if precision == "file":
        return model_bytes
    model = float_form(model_bytes)
    if precision == "float16" and not is_half(model):
        from onnxruntime.transformers.float16 import convert_float_to_float16

        model = convert_float_to_float16(model, keep_io_types=True, disable_shape_infer=True)
    return model.SerializeToString()


def providers(
    kind: Literal["cpu", "cuda"], gpu: Gpu | None, index: int = 0, precision: Precision = "file"
) -> list[Any]:
    """What ONNX Runtime is to run a network on, with options; the first that can, does.

    Args:
        kind: of device.
        gpu: what may be used of it; None for ONNX Runtime's own defaults.
        index: which GPU.
        precision: in which it computes; TensorRT asks for leave to use 8 bits, or half.
    """
    if kind == "cpu" or gpu is None:
        return [_PROVIDERS[kind]]
    limit = gpu.network_memory_mib * _MIB
    cuda = {
        "device_id": index,
        "gpu_mem_limit": limit,
        "arena_extend_strategy": "kSameAsRequested",  # twice as much as before would miss the limit by far
        "cudnn_conv_algo_search": "HEURISTIC",  # the default tries all of them out at every new size of input
    }
    tensorrt = {
        "device_id": index,
        "trt_max_workspace_size": limit,
        "trt_int8_enable": precision == "file",
        "trt_fp16_enable": precision == "float16",
    }
    first = [(_TENSORRT, tensorrt)] if gpu.provider == "tensorrt" else []
    return [*first, (_PROVIDERS["cuda"], cuda)]


def run_error(name: str, error: Exception) -> ModelError:
    """What has gone wrong in a run, from what a runtime says: want of memory, a lost device, or the network."""
    said = str(error).lower()
    if isinstance(error, MemoryError) or any(words in said for words in _NO_MEMORY):
        return OutOfMemoryError(f"{name}: not enough memory ({_said(error)})")
    if any(words in said for words in _DEVICE_GONE):
        return DeviceError(f"{name}: the GPU has failed ({_said(error)}); look at nvidia-smi and the kernel's log")
    return ModelError(f"{name}: inference failed ({_said(error)})")


def resolve_device(device: Device) -> Literal["cpu", "cuda"]:
    """The device that will really be used.

    Raises:
        StreetveilError: the wish cannot be met.
    """
    import onnxruntime

    available = [kind for kind, provider in _PROVIDERS.items() if provider in onnxruntime.get_available_providers()]
    if device == "auto":
        return "cuda" if "cuda" in available else "cpu"
    if device not in available:
        raise StreetveilError(f"no {device} in this ONNX Runtime: install onnxruntime-gpu, or use --device cpu")
    return device


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:160]
