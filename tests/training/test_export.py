"""The file that is shipped says what the trained network says."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx.external_data_helper import uses_external_data
from torch import Tensor
from ultralytics.nn.tasks import DetectionModel

from components.detection.onnx_runtime import Session
from components.errors import StreetveilError
from components.training.yolo.export import TorchRuntime, export_onnx
from components.training.yolo.network import RecallDetectionModel
from tests.small_street import noise, small_street


@pytest.fixture(scope="module")
def model() -> RecallDetectionModel:
    """A small network whose answers differ from place to place."""
    return small_street()


@pytest.fixture(scope="module")
def exported(model: RecallDetectionModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its file."""
    path = tmp_path_factory.mktemp("export") / "deep" / "street.onnx"
    export_onnx(model, path)
    return path


def pictures(count: int, width: int, height: int) -> np.ndarray:
    """A batch as the file takes it."""
    return np.stack([noise(width, height, seed).transpose(2, 0, 1) for seed in range(count)]).astype(np.float32)


def corners(answer: Tensor) -> Tensor:
    """Ultralytics' own answer, whose boxes are centre and size, with corners."""
    middle, size = answer[:, :2], answer[:, 2:4]
    return torch.cat([middle - size / 2, middle + size / 2, answer[:, 4:]], 1)


@pytest.mark.parametrize(("count", "width", "height"), [(1, 64, 96), (3, 96, 32), (1, 256, 160)])
def test_onnx_is_the_trained_network(
    model: RecallDetectionModel, exported: Path, count: int, width: int, height: int
) -> None:
    """For any batch and size, boxes in px and confidences are the network's own on pixels divided by 255."""
    blob = pictures(count, width, height)
    with torch.no_grad():
        want = corners(model(torch.from_numpy(blob) / 255)[0]).numpy()
    (found,) = Session("street", exported.read_bytes()).run(blob, ("found",))
    assert found.shape == want.shape == (count, 6, sum((width // s) * (height // s) for s in (4, 8, 16, 32)))
    np.testing.assert_allclose(found[:, :4], want[:, :4], atol=0.01)
    np.testing.assert_allclose(found[:, 4:], want[:, 4:], atol=1e-4)
    assert found[:, 4:].std() > 0.05
    (other,) = TorchRuntime(model).run(blob, ("found",))
    np.testing.assert_allclose(other, want, atol=0.01)


def test_one_file_holds_everything_under_opset_17(exported: Path) -> None:
    """No weight lies elsewhere, height, width and batch are free, and nothing but the file is left in its folder."""
    network = onnx.load(exported)
    onnx.checker.check_model(network)
    assert [version.version for version in network.opset_import] == [17]
    assert not any(uses_external_data(tensor) for tensor in network.graph.initializer)
    dimensions = network.graph.input[0].type.tensor_type.shape.dim
    assert [dimension.dim_param for dimension in dimensions] == ["n", "", "height", "width"]
    assert [file.name for file in exported.parent.iterdir()] == ["street.onnx"]
    assert not any(node.op_type == "BatchNormalization" for node in network.graph.node)
    assert str(Path.home()).encode() not in exported.read_bytes()


def test_the_same_weights_give_the_same_bytes(model: RecallDetectionModel, exported: Path, tmp_path: Path) -> None:
    """A second export has the same hash, one of other weights has not."""
    export_onnx(copy.deepcopy(model), tmp_path / "again.onnx")
    export_onnx(small_street(seed=12), tmp_path / "other.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == exported.read_bytes()
    assert (tmp_path / "other.onnx").read_bytes() != exported.read_bytes()


def test_the_network_stays_trainable(tmp_path: Path) -> None:
    """An export changes neither a weight, nor the mode, nor what can be learnt."""
    model = small_street().train()
    before = copy.deepcopy(model.state_dict())
    export_onnx(model, tmp_path / "street.onnx")
    assert model.training
    assert before.keys() == model.state_dict().keys()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert isinstance(model(torch.zeros(1, 3, 64, 64)), dict)
    assert any(parameter.requires_grad for parameter in model.parameters())


def test_a_network_with_two_branches_is_refused(tmp_path: Path) -> None:
    """Its output has another form, and no file is left."""
    with pytest.raises(StreetveilError, match="one output branch"):
        export_onnx(DetectionModel("yolo26n.yaml", nc=2, verbose=False), tmp_path / "street.onnx")
    assert not list(tmp_path.iterdir())
