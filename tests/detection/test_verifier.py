"""The verifier answers for each proposal, in order, or not at all."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from components.detection.proposal_features import GEOMETRY, ROW_LENGTH
from components.detection.verifier import OUTPUT, Verifier
from components.detections import Detections
from components.errors import ModelError
from tests.detection.test_detectors import answering

PIXELS = np.full((60, 80, 3), 120, np.uint8)


def linear(weights: NDArray[np.float32], bias: tuple[float, float], sigmoid: bool = True) -> bytes:
    """A network of one layer, with or without a sigmoid."""
    constants = {"weights": weights.astype(np.float32), "bias": np.array(bias, np.float32)}
    nodes = [helper.make_node("MatMul", ["proposals", "weights"], ["product"])]
    nodes.append(helper.make_node("Add", ["product", "bias"], ["sum"]))
    nodes.append(helper.make_node("Sigmoid" if sigmoid else "Identity", ["sum"], [OUTPUT]))
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("proposals", TensorProto.FLOAT, ["n", ROW_LENGTH])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString()


def constant(face: float, plate: float) -> bytes:
    """A network that answers the same to every proposal."""
    return linear(np.zeros((ROW_LENGTH, 2)), (face, plate), sigmoid=False)


def proposals(count: int, rng: np.random.Generator) -> Detections:
    """Any proposals."""
    low = rng.random((count, 2)) * 40
    return Detections.of(np.hstack([low, low + 15]), rng.uniform(0.01, 0.99, count), rng.integers(0, 2, count))


def test_each_proposal_is_judged_as_its_own_class(rng: np.random.Generator) -> None:
    """A network that says 0.25 of faces and 0.75 of plates says so of each."""
    found = proposals(9, rng)
    sure = Verifier(constant(0.25, 0.75)).verify(PIXELS, found)
    assert sure.dtype == np.float32
    assert sure.tolist() == [0.75 if class_id else 0.25 for class_id in found.class_id]


def test_many_proposals_keep_their_order(rng: np.random.Generator) -> None:
    """A network that repeats stage 1's confidence repeats each one's, over several batches."""
    weights = np.zeros((ROW_LENGTH, 2))
    weights[GEOMETRY.index("confidence_logit")] = 1
    found = proposals(150, rng)
    assert Verifier(linear(weights, (0, 0))).verify(PIXELS, found) == pytest.approx(found.confidence, abs=1e-5)


def test_nothing_is_asked_of_the_network_without_proposals() -> None:
    """An empty list is answered by an empty one, even by a network that always fails."""
    broken = Verifier(constant(np.nan, np.nan))
    sure = broken.verify(PIXELS, Detections.empty())
    assert (sure.shape, sure.dtype) == ((0,), np.float32)


@pytest.mark.parametrize("answer", [(np.nan, 0.5), (np.inf, 0.5), (-0.01, 0.5), (0.5, 1.01)])
def test_a_wrong_answer_is_refused(answer: tuple[float, float], rng: np.random.Generator) -> None:
    """What is not finite, or no probability, stops everything; even in the other class's column."""
    with pytest.raises(ModelError):
        Verifier(constant(*answer)).verify(PIXELS, proposals(3, rng))


@pytest.mark.parametrize(
    "network",
    [
        linear(np.zeros((ROW_LENGTH, 1)), (0.5, 0.5), sigmoid=False)[:100],
        linear(np.zeros((ROW_LENGTH + 1, 2)), (0, 0)),
        answering({OUTPUT: np.zeros((1, 2), np.float32)}, "proposals", 8),
        answering({"other": np.zeros((1, 2), np.float32)}, "proposals", 8),
    ],
    ids=["torn", "reads other rows", "answers for one only", "has another output"],
)
def test_another_network_is_refused(network: bytes, rng: np.random.Generator) -> None:
    """A file that is no verifier is an error of the model, when it is loaded or when it is asked."""
    with pytest.raises(ModelError):
        Verifier(network).verify(PIXELS, proposals(3, rng))
