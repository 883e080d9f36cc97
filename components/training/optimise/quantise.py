"""8-bit networks: one ONNX file with the numbers' ranges written into it, which both runtimes read.

Ranges are those that real pictures cause: the mean over pictures of the largest and smallest number, so that one odd
picture cannot widen them for all. What rounding moves on average is put back into the biases. The last convolution of
each branch, and what turns its output into boxes and confidences, stays in float: that is almost free, and a rounded
confidence is a face that is missed.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.errors import StreetveilError

_LAST_CONVOLUTIONS = r".*/cv[23]\.\d+\.2/Conv"


def quantise_onnx(float_file: Path, path: Path, pictures: Iterable[NDArray[np.float32]]) -> None:
    """Write the 8-bit network of a float one, all or nothing. The same pictures give the same file.

    Args:
        float_file: what `export_onnx` wrote.
        path: the new file, with the same input and output.
        pictures: what the ranges are taken from, each float32 [3, h, w] as the network takes it; a hundred street
            pictures of all kinds are enough.

    Raises:
        StreetveilError: there are no pictures, or the file is not usable.
    """
    import onnx

    nncf = _silent_nncf()
    blobs = list(pictures)
    if not blobs:
        raise StreetveilError("8-bit ranges come from pictures, and there are none: run the prepare stage first")
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.part")
    try:
        network = onnx.load(float_file)
        quantised = nncf.quantize(
            network,
            nncf.Dataset([{network.graph.input[0].name: blob[None]} for blob in blobs]),
            subset_size=len(blobs),
            preset=nncf.QuantizationPreset.MIXED,
            ignored_scope=nncf.IgnoredScope(patterns=_stays_float(network)),
        )
        onnx.save(quantised, unfinished)
        unfinished.replace(path)
    except Exception as error:  # protobuf's, NNCF's and ONNX Runtime's own
        raise StreetveilError(f"{float_file} cannot be quantised ({' '.join(str(error).split())[:160]})") from error
    finally:
        unfinished.unlink(missing_ok=True)


def _stays_float(network: Any) -> list[str]:
    """Patterns of the nodes that stay in float; the detection head is the last of the numbered layers."""
    layers = (re.match(r"/network/model\.(\d+)/", node.name) for node in network.graph.node)
    head = max(int(layer[1]) for layer in layers if layer)
    return [_LAST_CONVOLUTIONS, rf".*/model\.{head}/(?!cv).*"]


def _silent_nncf() -> Any:
    """NNCF, without reports to its maker (which it sends if a package for that is installed) and to the terminal."""
    os.environ.setdefault("NNCF_CI", "1")  # read once, when it is imported
    import nncf

    nncf.set_log_level(logging.ERROR)
    return nncf
