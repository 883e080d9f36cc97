"""What an ONNX file says: whether all of it is in the verified bytes, and the same network in other forms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.errors import ModelError


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


def float_form(model_bytes: bytes) -> Any:
    """The network without 8-bit steps between its operations; its weights are what those have rounded them to.

    Args:
        model_bytes: an ONNX file with all of its weights.

    Returns:
        The model as ONNX's own object, with every constant stored as weights are.
    """
    import onnx

    model = onnx.load_model_from_string(model_bytes)
    _drop_default_inputs(model.graph)
    _drop_steps(model.graph)
    _store_constants(model.graph)
    return model


def pixel_form(model_bytes: bytes, divisor: float) -> bytes:
    """The network as one that takes pixels, uint8 [n, h, w, 3], and makes its planes [n, 3, h, w] of them by itself.

    Args:
        model_bytes: an ONNX file whose first input is such planes.
        divisor: of the pixels' values.
    """
    import onnx
    from onnx.helper import make_node, make_tensor_value_info

    model = onnx.load_model_from_string(model_bytes)
    graph = model.graph
    stored = {tensor.name for tensor in graph.initializer}
    (planes,) = (value for value in graph.input if value.name not in stored)
    n, channels, height, width = (side.dim_param or side.dim_value for side in planes.type.tensor_type.shape.dim)
    shape = [n, height, width, channels]
    graph.initializer.append(onnx.numpy_helper.from_array(np.array(divisor, np.float32), "pixels_divisor"))
    nodes = [
        make_node("Transpose", ["pixels_rgb"], ["pixels_planes"], perm=[0, 3, 1, 2]),
        make_node("Cast", ["pixels_planes"], ["pixels_float"], to=onnx.TensorProto.FLOAT),
        make_node("Div", ["pixels_float", "pixels_divisor"], ["pixels_scaled"]),
        make_node("Cast", ["pixels_scaled"], [planes.name], to=planes.type.tensor_type.elem_type),
    ]
    graph.input.remove(planes)
    graph.input.insert(0, make_tensor_value_info("pixels_rgb", onnx.TensorProto.UINT8, shape))
    kept = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *kept])
    return model.SerializeToString()


def is_half(model: Any) -> bool:
    """Whether a model of ONNX has weights in half precision."""
    import onnx

    return any(tensor.data_type == onnx.TensorProto.FLOAT16 for tensor in _tensors(model.graph))


def _drop_default_inputs(graph: Any) -> None:
    """Older exports list their weights as inputs too; as such they would be converted anew at each run."""
    stored = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in stored]
    del graph.input[:]
    graph.input.extend(inputs)


def _drop_steps(graph: Any) -> None:
    """Take QuantizeLinear and DequantizeLinear out of a graph; stored weights become what they stand for."""
    import onnx

    stored = {tensor.name: tensor for tensor in graph.initializer}
    before = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "QuantizeLinear"}
    stands_for: dict[str, str] = {}
    kept, gone = [], set(before)
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in before:
            stands_for[node.output[0]] = before[node.input[0]]
            gone.add(node.output[0])
        elif node.op_type == "DequantizeLinear" and node.input[0] in stored:
            weights = onnx.numpy_helper.from_array(_dequantised(node, stored), node.output[0])
            graph.initializer.append(weights)
            gone.add(node.output[0])
    for node in graph.node:
        if not gone.intersection(node.output):
            node.input[:] = [_followed(name, stands_for) for name in node.input]
            kept.append(node)
    used = {name for node in kept for name in node.input}
    kept_weights = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(kept)
    graph.initializer.extend(kept_weights)


def _store_constants(graph: Any) -> None:
    """Constants become stored tensors; as nodes, those that must stay float32 (Resize's scales) would be converted."""
    for node in [node for node in graph.node if node.op_type == "Constant" and node.attribute[0].name == "value"]:
        tensor = node.attribute[0].t
        tensor.name = node.output[0]
        graph.initializer.append(tensor)
        graph.node.remove(node)


def _followed(name: str, stands_for: Mapping[str, str]) -> str:
    while name in stands_for:
        name = stands_for[name]
    return name


def _dequantised(node: Any, stored: Mapping[str, Any]) -> NDArray[np.float32]:
    from onnx.numpy_helper import to_array

    steps, scale, *zero = (to_array(stored[name]) for name in node.input if name)
    axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 1)
    shape = [-1 if i == axis else 1 for i in range(steps.ndim)] if scale.ndim else []
    centred = steps.astype(np.float32) - (zero[0].astype(np.float32).reshape(shape) if zero else 0)
    return (centred * scale.astype(np.float32).reshape(shape)).astype(np.float32)


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
