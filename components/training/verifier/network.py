"""The verifier's network: two small towers of convolutions and a few layers over everything that is known."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from components.detection.proposal_features import COLOUR, CROP_PX, GEOMETRY, ROW_LENGTH
from components.detection.verifier import OUTPUT
from components.detections import CLASS_NAMES
from components.settings import Family
from components.training.verifier.calibration import SIZES_PX, STEEP_ASPECTS

INPUT = "proposals"
CALIBRATION = frozenset({"size_shift", "stage1_trust", "steep_shift"})  # of the numbers that a network keeps

_OPSET = 17
_LAYERS = ((3, 16, 2), (16, 24, 2), (24, 32, 1), (32, 48, 2), (48, 64, 1))  # channels in, channels out, stride
_POOLED = 3  # × 3 places, so that the network still knows what is above what
_TOWER, _HIDDEN = 64, 64
_PIXELS = CROP_PX * CROP_PX * 3
_WIDTHS: dict[Family, int] = {"geometry": len(GEOMETRY), "colour": len(COLOUR), "cnn": _PIXELS, "context": _PIXELS}
_CONFIDENT_RANGE = 5.0  # standard deviations beyond which a number tells nothing more


class VerifierNetwork(nn.Module):
    """From rows of `components.detection.proposal_features` to a logit for each class.

    Args:
        families: what it is told; the other columns are not read.
        dropout: the share of the hidden units that are silenced in training.
    """

    mean: Tensor
    deviation: Tensor
    size_shift: Tensor
    stage1_trust: Tensor
    steep_shift: Tensor

    def __init__(self, families: Sequence[Family], dropout: float = 0.0) -> None:
        super().__init__()
        self.families = frozenset(families)
        numbers = sum(_WIDTHS[family] for family in ("geometry", "colour") if family in self.families)
        towers = [family for family in ("cnn", "context") if family in self.families]
        self.towers = nn.ModuleDict({family: _tower() for family in towers})
        self.numbers = nn.Sequential(nn.Linear(numbers, 32), nn.ReLU()) if numbers else None
        self.register_buffer("mean", torch.zeros(numbers))
        self.register_buffer("deviation", torch.ones(numbers))
        self.register_buffer("size_shift", torch.zeros(len(SIZES_PX), len(CLASS_NAMES)))
        self.register_buffer("stage1_trust", torch.zeros(len(CLASS_NAMES)))
        self.register_buffer("steep_shift", torch.zeros(len(CLASS_NAMES)))
        known = (32 if numbers else 0) + _TOWER * len(towers)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(known, _HIDDEN), nn.ReLU())
        self.last = nn.Linear(_HIDDEN, len(CLASS_NAMES))

    def split(self, rows: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The numbers [n, k] and crops [n, 3, 48, 48] (0 to 255) of rows [n, ROW_LENGTH] that it reads."""
        parts = dict(zip(_WIDTHS, rows.split(list(_WIDTHS.values()), dim=1), strict=True))
        numbers = [parts[family] for family in ("geometry", "colour") if family in self.families]
        crops = {name: parts[name].reshape(-1, CROP_PX, CROP_PX, 3).permute(0, 3, 1, 2) for name in self.towers}
        return torch.cat(numbers, dim=1) if numbers else rows[:, :0], crops

    def measure(self, geometry: Tensor, colour: Tensor) -> None:
        """Take mean and deviation of the numbers from those of the training examples, [n, k] each."""
        told: dict[str, Tensor] = {"geometry": geometry, "colour": colour}
        known = [numbers for family, numbers in told.items() if family in self.families]
        numbers = torch.cat([geometry[:, :0], *known], dim=1)
        if numbers.shape[1]:
            self.mean.copy_(numbers.mean(dim=0))
            self.deviation.copy_(numbers.std(dim=0, correction=0).clamp(min=1e-2))

    def forward(self, rows: Tensor) -> Tensor:
        """Logits [n, classes] of rows [n, ROW_LENGTH]."""
        numbers, crops = self.split(rows)
        known = [tower(crops[name] / 127.5 - 1) for name, tower in self.towers.items()]
        if self.numbers is not None:
            scaled = (numbers - self.mean) / self.deviation
            known.append(self.numbers(scaled.clamp(-_CONFIDENT_RANGE, _CONFIDENT_RANGE)))
        return self.last(self.head(torch.cat(known, dim=1))) + self._shifts(rows)

    def _shifts(self, rows: Tensor) -> Tensor:
        """The calibration [n, classes]: stage 1's word, and straight lines over the logarithms of size and aspect."""
        shorter = torch.minimum(rows[:, GEOMETRY.index("log_width")], rows[:, GEOMETRY.index("log_height")])
        step = math.log(SIZES_PX[1] / SIZES_PX[0])
        place = ((shorter - math.log(SIZES_PX[0])) / step).clamp(0, len(SIZES_PX) - 1)
        nearness = (1 - (place[:, None] - torch.arange(len(SIZES_PX), dtype=rows.dtype)).abs()).clamp(min=0)
        stage1 = rows[:, GEOMETRY.index("confidence_logit"), None]
        flat, steep = (math.log(aspect) for aspect in STEEP_ASPECTS)
        steepness = ((rows[:, GEOMETRY.index("log_aspect"), None] - flat) / (steep - flat)).clamp(0, 1)
        return nearness @ self.size_shift + stage1 * self.stage1_trust + steepness * self.steep_shift


def _tower() -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs, stride in _LAYERS:
        layers += [nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
    places = _LAYERS[-1][1] * _POOLED**2
    return nn.Sequential(*layers, nn.AvgPool2d(2), nn.Flatten(), nn.Linear(places, _TOWER), nn.ReLU())


class _Deployed(nn.Module):
    """A network as it is shipped: from rows to probabilities. Torch exports modules only.

    Args:
        network: in evaluation mode.
    """

    def __init__(self, network: VerifierNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, rows: Tensor) -> Tensor:
        """Probabilities [n, classes] of rows [n, ROW_LENGTH]."""
        return self.network(rows).sigmoid()


def export_onnx(network: VerifierNetwork, path: Path) -> None:
    """Write a network as ONNX, all or nothing: any number of proposals, weights inside.

    Args:
        network: it is left in evaluation mode.
        path: the file. Its input `proposals` is float32 [n, ROW_LENGTH], its output `probability` float32
            [n, classes].
    """
    module = _Deployed(network).eval()
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.part")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            module,
            (torch.zeros(2, ROW_LENGTH),),
            str(unfinished),
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_axes={INPUT: {0: "n"}, OUTPUT: {0: "n"}},
            opset_version=_OPSET,
            external_data=False,
            dynamo=False,
        )
    unfinished.replace(path)
