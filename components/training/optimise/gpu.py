"""TensorRT, where ONNX Runtime has it; elsewhere this module only says that it has not."""

from __future__ import annotations

from collections.abc import Sequence

from numpy.typing import NDArray

from components.detection.onnx_runtime import Session
from components.detection.runtime import Runtime

_TENSORRT, _CUDA = "TensorrtExecutionProvider", "CUDAExecutionProvider"


class TensorRtSession:
    """One network on TensorRT in half precision; what TensorRT cannot run falls back to CUDA.

    Args:
        model_bytes: the verified file, in float or with 8-bit nodes.
    """

    def __init__(self, model_bytes: bytes) -> None:
        import onnxruntime

        providers = [(_TENSORRT, {"trt_fp16_enable": True, "trt_int8_enable": True}), _CUDA]
        self._session = onnxruntime.InferenceSession(model_bytes, providers=providers)
        self._input = self._session.get_inputs()[0].name

    def run(self, blob: NDArray, outputs: Sequence[str]) -> list[NDArray]:
        """The named outputs for one batch [n, c, h, w]."""
        return self._session.run(list(outputs), {self._input: blob})


def gpu_runtime(model_bytes: bytes) -> Runtime | None:
    """The fastest runtime on a GPU: TensorRT, else CUDA; None where ONNX Runtime has neither."""
    import onnxruntime

    offered = onnxruntime.get_available_providers()
    if _TENSORRT in offered:
        return TensorRtSession(model_bytes)
    return Session("street", model_bytes, "cuda") if _CUDA in offered else None
