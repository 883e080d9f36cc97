"""OpenVINO has the face of ONNX Runtime's adapter, and the same distrust."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from components.detection.onnx_runtime import Session
from components.detection.openvino_runtime import OpenVinoSession, _network, is_installed
from components.detection.shipped import shipped_files
from components.errors import ModelError
from components.settings import PROJECT_ROOT


def silu_network() -> onnx.ModelProto:
    """Each picture's pixels times their sigmoid, doubled by a stored weight."""
    nodes = [
        helper.make_node("Conv", ["pixels", "two"], ["doubled"]),
        helper.make_node("Sigmoid", ["doubled"], ["gate"]),
        helper.make_node("Mul", ["doubled", "gate"], ["found"]),
        helper.make_node("Neg", ["found"], ["negative"]),
    ]
    free = ["n", 1, "h", "w"]
    graph = helper.make_graph(
        nodes,
        "silu",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, free)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, free) for name in ("found", "negative")],
        [numpy_helper.from_array(np.full((1, 1, 1, 1), 2, np.float32), "two")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@pytest.fixture
def session() -> OpenVinoSession:
    """The network, loaded."""
    return OpenVinoSession("silu", silu_network().SerializeToString())


def test_it_is_there() -> None:
    """The environment of the tests has OpenVINO: none of them passes because it is missing."""
    assert is_installed()


@pytest.mark.parametrize("shape", [(1, 1, 4, 6), (3, 1, 32, 8), (1, 1, 1, 1)])
def test_outputs_are_those_of_onnx_runtime(session: OpenVinoSession, shape: tuple[int, ...]) -> None:
    """The asked outputs come in the asked order for any batch and size, as from the other runtime."""
    blob = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    found = session.run(blob, ("negative", "found"))
    other = Session("silu", silu_network().SerializeToString()).run(blob, ("negative", "found"))
    for left, right in zip(found, other, strict=True):
        assert left.shape == right.shape == shape
        np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-6)
    assert (found[0] == -found[1]).all()


def test_a_result_outlives_the_next_picture(session: OpenVinoSession) -> None:
    """What was returned is the caller's: the next run does not write over it, and leaves the input alone."""
    blob = np.ones((1, 1, 2, 2), np.float32)
    (first,) = session.run(blob, ("found",))
    kept = first.copy()
    session.run(blob * 5, ("found",))
    assert (first == kept).all()
    assert (blob == 1).all()


def test_views_and_other_numbers_are_taken(session: OpenVinoSession) -> None:
    """A batch that is a view with gaps, or of whole numbers, gives the same as a plain one."""
    plain = np.arange(12, dtype=np.float32).reshape(1, 1, 3, 4)
    (want,) = session.run(plain, ("found",))
    for blob in (plain.repeat(2, axis=3)[..., ::2], plain.astype(np.uint8)):
        assert (session.run(blob, ("found",))[0] == want).all()


def test_a_swish_is_one_operation() -> None:
    """X · sigmoid(x) is joined, without which 8 bits are no faster than float."""
    kinds = [node.get_type_name() for node in _network(silu_network().SerializeToString()).get_ops()]
    assert "Swish" in kinds
    assert "Sigmoid" not in kinds


def test_one_core_is_used(session: OpenVinoSession) -> None:
    """Workers are one per core: a network that takes more slows the others down."""
    assert session._compiled.get_property("INFERENCE_NUM_THREADS") == 1
    assert session._compiled.get_property("NUM_STREAMS") == 1


@pytest.mark.parametrize("content", [b"", b"not a network", silu_network().SerializeToString()[:-9]])
def test_bytes_that_are_no_network_are_refused(content: bytes) -> None:
    """Corrupted bytes are a model fault with the model's name."""
    with pytest.raises(ModelError, match="silu: not a usable ONNX file"):
        OpenVinoSession("silu", content)


def test_weights_outside_of_the_hashed_file_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that asks for a second file is refused, even if that lies there."""
    network = silu_network()
    tensor = network.graph.initializer[0]
    (tmp_path / "weights.bin").write_bytes(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "weights.bin"), ("offset", "0"), ("length", "4")):
        tensor.external_data.add(key=key, value=value)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="other files"):
        OpenVinoSession("silu", network.SerializeToString())


def test_an_unknown_output_and_a_wrong_batch_are_refused(session: OpenVinoSession) -> None:
    """A file that is not the registered model, and a batch of another form, are model faults."""
    with pytest.raises(ModelError, match="no output boxes"):
        session.run(np.zeros((1, 1, 2, 2), np.float32), ("boxes",))
    with pytest.raises(ModelError, match="inference failed"):
        session.run(np.zeros((1, 3, 2, 2), np.float32), ("found",))


def test_only_one_module_imports_openvino() -> None:
    """Whatever else wants OpenVINO asks this adapter."""
    own = PROJECT_ROOT / "components"
    importing = [file for file in own.rglob("*.py") if "import openvino\n" in file.read_text(encoding="utf-8")]
    assert [file.name for file in importing] == ["openvino_runtime.py"]


def test_the_stack_for_signals_stays_as_it_was(tmp_path: Path) -> None:
    """Loading a network leaves the thread's stack for signal handlers alone, so that a signal is no crash later."""
    (tmp_path / "silu.onnx").write_bytes(silu_network().SerializeToString())
    script = """
import ctypes, faulthandler, sys
from pathlib import Path
from components.detection.openvino_runtime import OpenVinoSession

def stack():
    told = (ctypes.c_size_t * 3)()
    ctypes.CDLL(None).sigaltstack(None, ctypes.byref(told))
    return list(told)

faulthandler.enable()
before = stack()
session = OpenVinoSession("silu", Path(sys.argv[1]).read_bytes())
assert before[0] and stack() == before
"""
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "silu.onnx")], cwd=PROJECT_ROOT, check=True)


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="on one core nothing can be seen of being bound to one")
def test_no_network_binds_its_thread_to_a_core() -> None:
    """In the middle of a run its thread may be on every core of the process: or all processes would share the first."""
    (file,) = (file for file in shipped_files() if file.detector == "street")
    session = OpenVinoSession("street", file.read())
    runner, is_over, seen = threading.get_native_id(), threading.Event(), set()

    def look() -> None:
        while not is_over.wait(0.002):
            seen.add(frozenset(os.sched_getaffinity(runner)))

    watcher = threading.Thread(target=look)
    watcher.start()
    for _ in range(3):
        session.run(np.zeros((1, 3, 480, 480), np.float32), ("found",))
    is_over.set()
    watcher.join()
    assert seen == {frozenset(os.sched_getaffinity(0))}
