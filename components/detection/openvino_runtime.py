"""The adapter to OpenVINO: from verified bytes to a network that runs on the CPU, with the face of ONNX Runtime's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.detection.onnx_graph import pixel_form, refuse_nan, self_contained
from components.detection.onnx_runtime import run_error
from components.errors import ModelError, StreetveilError


def is_installed() -> bool:
    """Whether OpenVINO can be imported; it is not imported for this."""
    return find_spec("openvino") is not None


class OpenVinoSession:
    """One loaded network.

    Heights and widths stay free: one compiled network serves every size, and is as fast as one for a single size.

    Args:
        name: for error messages.
        model_bytes: the ONNX file's bytes, in float or with 8-bit nodes (QDQ); nothing else is read.
        free_inputs: input name to dimension names, for exports whose fixed dimensions are to be freed.
        threads: cores for one picture; one process per core is faster than threads.
        divisor: if there is one, it is shown pixels, uint8 [n, h, w, 3], and divides them by this.
    """

    def __init__(
        self,
        name: str,
        model_bytes: bytes,
        free_inputs: Mapping[str, Sequence[str | int]] | None = None,
        threads: int = 1,
        divisor: float | None = None,
    ) -> None:
        self.name = name
        self._input_dtype = np.float32 if divisor is None else np.uint8
        try:
            refuse_nan(name, model_bytes)
            whole = self_contained(name, model_bytes, free_inputs or {})
            network = _network(whole if divisor is None else pixel_form(whole, divisor))
            if not network.inputs:
                raise ModelError(f"{name}: not a usable ONNX file (it looks at nothing)")
            self.input_shape: list[int | str | None] = [
                None if side.is_dynamic else side.get_length() for side in network.inputs[0].partial_shape
            ]
            self.output_names: list[str] = [output.any_name for output in network.outputs]
            # On processors with large registers, OpenVINO gives the thread that loads it a signal stack on which
            # Python's handlers have no room, and a signal would be a crash. So it is loaded by a thread that ends.
            with ThreadPoolExecutor(1) as loader:
                self._compiled = loader.submit(_compiled, network, threads).result()
            self._request = self._compiled.create_infer_request()
        except StreetveilError:
            raise
        except Exception as error:  # protobuf's and OpenVINO's own
            raise ModelError(f"{name}: not a usable ONNX file ({' '.join(str(error).split())[:160]})") from error

    def run(self, blob: NDArray, outputs: Sequence[str]) -> list[NDArray]:
        """Run the network on one batch [n, ...]; the results are the caller's own.

        Raises:
            OutOfMemoryError: a smaller batch may fit.
            ModelError: it has no such output, or the batch does not fit.
        """
        missing = set(outputs) - set(self.output_names)
        if missing:
            raise ModelError(
                f"{self.name}: has no output {', '.join(sorted(missing))}; the file is not the registered model"
            )
        try:
            batch = np.ascontiguousarray(blob, self._input_dtype)
            results = self._request.infer({0: batch}, share_inputs=True, share_outputs=False)
            return [results[name] for name in outputs]
        except Exception as error:
            raise run_error(self.name, error) from error


def _network(model_bytes: bytes) -> Any:
    """The network in OpenVINO's own form.

    The common transformations join x · sigmoid(x) into one operation. Without them 8-bit networks compute every
    sigmoid apart, in float, and lose what 8 bits have won. OpenVINO's public converter runs them too, but reports its
    use to the maker.
    """
    import openvino
    from openvino._offline_transformations import apply_moc_transformations

    network = openvino.Core().read_model(model_bytes)
    apply_moc_transformations(network, cf=False)
    return network


def _compiled(network: Any, threads: int) -> Any:
    import openvino

    options = {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        # It would bind the thread that runs the network to the first core, in every process to the same one.
        "ENABLE_CPU_PINNING": False,
        # Where a processor has bfloat16 it would be the default; the same picture must be the same everywhere.
        "INFERENCE_PRECISION_HINT": "f32",
    }
    return openvino.Core().compile_model(network, "CPU", options)
