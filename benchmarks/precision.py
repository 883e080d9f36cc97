"""Recall of the shipped model in the forms in which a GPU can compute it, on ONNX Runtime.

    python -m benchmarks.precision [--device cuda] [--prepared FOLDER] [--images N]

`file` is what the gate has measured: 8-bit steps between stage 1's operations. `float32` is without them, `float16`
with half of the bits, in which a CPU rounds after every operation. The pictures are the rendered plates of the shipped
metrics, and N of the test part of a prepared set. A GPU's own kernels round elsewhere: without one, this says what the
forms lose, and not what a GPU does.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import get_args
from unittest.mock import patch

import numpy as np

from components.dataset.labels import LabelledImage, read_labels
from components.dataset.rendered_set import write_rendered_set
from components.detection import runtime
from components.detection.bundle import Bundle, load_cascade
from components.detection.cascade import Cascade
from components.detection.onnx_runtime import Device, Precision
from components.detection.runtime import Sharing
from components.detection.shipped import shipped_files
from components.detections import CLASS_NAMES
from components.evaluation.shipped_metrics import measure
from components.settings import PROJECT_ROOT, Params, load_params

_SEED = 3


def cascade_in(precision: Precision, params: Params, device: Device) -> Cascade:
    """The shipped cascade in one form, on ONNX Runtime."""
    sharing = Sharing(params.gpu.model_copy(update={"batch_wait_ms": 0}), precision=precision)
    with patch.object(runtime, "is_installed", lambda: False):
        return load_cascade(Bundle("shipped", "1", shipped_files()), params.detection, device, sharing)


def table(name: str, cascades: dict[str, Cascade], params: Params, folder: Path, images: list[LabelledImage]) -> None:
    """A row for each form, and how far its numbers are from the first one's."""
    for precision, cascade in cascades.items():
        told = measure(cascade, params, folder, images)
        cells = [
            "–" if told[c][key] is None else f"{told[c][key]:.4f}"
            for c in CLASS_NAMES
            for key in ("object_recall", "pixel_recall")
        ]
        objects = " + ".join(str(told[c]["objects"]) for c in CLASS_NAMES)
        fpr = told[CLASS_NAMES[0]]["pixel_fpr"]
        spill = "–" if fpr is None else f"{fpr:.4f}"
        print(f"| {name} | {len(images)} | {objects} | {precision} | {' | '.join(cells)} | {spill} |", flush=True)


def _rendered(folder: Path) -> Iterable[LabelledImage]:
    labels = write_rendered_set(folder)
    return read_labels(labels, exhaustive=CLASS_NAMES)


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--forms", choices=get_args(Precision), nargs="+", default=get_args(Precision))
    parser.add_argument("--prepared", type=Path)
    parser.add_argument("--root", type=Path, default=PROJECT_ROOT, help="what its pictures' paths are relative to")
    parser.add_argument("--images", type=int, default=60)
    given = parser.parse_args()
    params = load_params()
    head = ("set", "pictures", "faces + plates", "form", "face object recall", "face pixel recall")
    head += ("plate object recall", "plate pixel recall", "pixel FPR")
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    with tempfile.TemporaryDirectory() as folder:
        cascades = {form: cascade_in(form, params, given.device) for form in given.forms}
        rendered = list(_rendered(Path(folder) / "rendered"))
        table("rendered plates", cascades, params, Path(folder), rendered)
        if given.prepared is not None:
            images = list(read_labels(given.prepared / "test.json", folder=""))
            chosen = np.random.default_rng(_SEED).permutation(len(images))[: given.images]
            table("test part", cascades, params, given.root, [images[i] for i in chosen])


if __name__ == "__main__":
    main()
