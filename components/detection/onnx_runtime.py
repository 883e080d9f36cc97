"""The adapter to ONNX and ONNX Runtime: from verified bytes to a session that runs on one device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from components.errors import ModelError, StreetveilError

Device = Literal["auto", "cpu", "cuda"]
_PROVIDERS: dict[Literal["cpu", "cuda"], str] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
}


class Session:
    """One loaded network.

    Args:
        name: for error messages.
        model_bytes: the ONNX file's bytes; nothing else is read, nothing is unpickled.
        device: "auto" takes CUDA where ONNX Runtime offers it.
        free_inputs: input name to dimension names, for exports whose fixed dimensions are to be freed.
        outputs: inner values at which the network is to end instead, for exports whose end cannot be freed.
    """

    def __init__(
        self,
        name: str,
        model_bytes: bytes,
        device: Device = "cpu",
        free_inputs: Mapping[str, Sequence[str | int]] | None = None,
        outputs: Sequence[str] = (),
    ) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # one process per core is faster than threads
        options.log_severity_level = 3
        self.name = name
        try:
            network = self_contained(name, model_bytes, free_inputs or {}, outputs)
            self._session = onnxruntime.InferenceSession(
                network, options, providers=[_PROVIDERS[resolve_device(device)]]
            )
            first_input = self._session.get_inputs()[0]
        except StreetveilError:
            raise
        except Exception as error:  # ONNX Runtime's own hierarchy is private
            raise ModelError(f"{name}: not a usable ONNX file ({' '.join(str(error).split())[:160]})") from error
        self.input_name: str = first_input.name
        self.input_dtype: type[np.floating[Any]] = np.float16 if "float16" in first_input.type else np.float32
        self.output_names = [output.name for output in self._session.get_outputs()]

    def run(self, blob: NDArray, outputs: Sequence[str]) -> list[NDArray]:
        """Run the network on one batch [n, c, h, w]."""
        missing = set(outputs) - set(self.output_names)
        if missing:
            raise ModelError(
                f"{self.name}: has no output {', '.join(sorted(missing))}; the file is not the registered model"
            )
        try:
            return self._session.run(list(outputs), {self.input_name: blob.astype(self.input_dtype, copy=False)})
        except Exception as error:
            raise ModelError(f"{self.name}: inference failed ({' '.join(str(error).split())[:160]})") from error


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


def self_contained(
    name: str, model_bytes: bytes, free_inputs: Mapping[str, Sequence[str | int]], outputs: Sequence[str] = ()
) -> bytes:
    """The network, if all of it is in the verified bytes, with named instead of fixed dimensions where asked.

    Args:
        name: for error messages.
        model_bytes: the ONNX file's bytes.
        free_inputs: input name to dimension names.
        outputs: inner values at which it ends instead.

    Raises:
        ModelError: it would read weights from other files, which no hash has covered.
    """
    import onnx
    from onnx.external_data_helper import uses_external_data
    from onnx.utils import Extractor

    model = onnx.load_model_from_string(model_bytes)
    if any(uses_external_data(tensor) for tensor in _tensors(model.graph)):
        raise ModelError(f"{name}: keeps weights in other files, which no hash covers; export it as one file")
    if outputs:
        model = Extractor(model).extract_model([value.name for value in model.graph.input], list(outputs))
    if not free_inputs and not outputs:
        return model_bytes
    for value in model.graph.input:
        for dimension, freed in zip(value.type.tensor_type.shape.dim, free_inputs.get(value.name, ()), strict=False):
            if isinstance(freed, str):
                dimension.dim_param = freed
    for value in (*model.graph.output, *model.graph.value_info):
        value.type.tensor_type.ClearField("shape")  # follows from the inputs
    return model.SerializeToString()


def refuse_nan(name: str, model_bytes: bytes) -> None:
    """For runtimes to which the larger of 0 and NaN is 0: the output would look sound, and find nothing.

    Raises:
        ModelError: one of the network's numbers is none.
    """
    import onnx

    if any(np.isnan(_floats(tensor)).any() for tensor in _tensors(onnx.load_model_from_string(model_bytes).graph)):
        raise ModelError(f"{name}: has weights that are not finite (NaN); register a sound version")


def _floats(tensor: Any) -> NDArray:
    """A tensor's numbers; none if they are integers or words."""
    import onnx

    kinds = onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE
    return onnx.numpy_helper.to_array(tensor) if tensor.data_type in kinds else np.zeros(0)


def _tensors(graph: Any) -> Iterator[Any]:
    """All stored tensors of a graph and of the graphs inside it."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for inner in (attribute.g, *attribute.graphs):
                yield from _tensors(inner)
