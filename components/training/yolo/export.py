"""From a trained network to the one file that both runtimes read."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from ultralytics.nn.tasks import DetectionModel

from components.errors import StreetveilError

INPUT = "pixels"
OUTPUT = "found"

_OPSET = 17
_WHITE = 255.0


class _Deployed(nn.Module):
    """A network as it is shipped: from pixels to boxes and confidences. Torch exports modules only.

    Args:
        network: fused, in evaluation mode, its own copy.
    """

    def __init__(self, network: DetectionModel) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        """From [n, 3, h, w] RGB 0 to 255 to [n, 4 + classes, anchors]: xyxy in px, then confidences."""
        return self.network(pixels)


def deployed(model: DetectionModel) -> nn.Module:
    """The network that `export_onnx` writes, as a module: its own copy, frozen, on the CPU in float32.

    Batch norms are folded into their convolutions, and the division by 255 into the first one. So the input is pixels
    as they are, which is exact in 8 bits too, and nobody can forget or repeat the division.

    Raises:
        StreetveilError: the network has a second branch, whose output is of another form.
    """
    network: Any = copy.deepcopy(model).cpu().float().eval()
    head = network.model[-1]
    if getattr(head, "one2one_cv2", None) is not None:
        raise StreetveilError("only networks with one output branch are exported: choose another architecture")
    network.fuse(verbose=False)
    head.xyxy = head.export = head.dynamic = True
    network.model[0].conv.weight.data /= _WHITE
    return _Deployed(network.requires_grad_(False)).eval()


class TorchRuntime:
    """A network on torch, with the face of the runtimes that production uses.

    Args:
        model: the network; it stays as it is.
    """

    def __init__(self, model: DetectionModel) -> None:
        self._module = deployed(model)

    @torch.inference_mode()
    def run(self, blob: NDArray, outputs: Sequence[str]) -> list[NDArray]:
        """The output for one batch float32 [n, 3, h, w]; there is no other one."""
        assert list(outputs) == [OUTPUT]
        return [self._module(torch.from_numpy(blob)).numpy()]


def export_onnx(model: DetectionModel, path: Path) -> None:
    """Write a network as ONNX, all or nothing: any batch, height and width in multiples of 32, weights inside.

    The same weights give the same bytes under the same versions of the libraries.

    Args:
        model: the network; it stays as it is.
        path: the file. Its input `pixels` is float32 [n, 3, h, w] RGB 0 to 255, its output `found` float32
            [n, 4 + classes, anchors]: xyxy in px of the input, then each class's confidence, not suppressed.

    Raises:
        StreetveilError: the network has a second branch.
    """
    module = deployed(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.part")
    with warnings.catch_warnings():
        # Shapes are traced as they are needed here: height and width stay free.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            module,
            (torch.zeros(1, 3, 64, 96),),
            str(unfinished),
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_axes={INPUT: {0: "n", 2: "height", 3: "width"}, OUTPUT: {0: "n", 2: "anchors"}},
            opset_version=_OPSET,
            external_data=False,
            dynamo=False,
        )
    unfinished.replace(path)
