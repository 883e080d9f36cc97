"""What runs a network: the faster of the two runtimes that is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from numpy.typing import NDArray

from components.detection.onnx_runtime import Device, Session, resolve_device
from components.detection.openvino_runtime import OpenVinoSession, is_installed


class Runtime(Protocol):
    """A loaded network."""

    def run(self, blob: NDArray, outputs: Sequence[str]) -> list[NDArray]:
        """The named outputs for one batch [n, c, h, w]."""
        ...


def runtime_for(
    name: str,
    model_bytes: bytes,
    device: Device = "cpu",
    free_inputs: Mapping[str, Sequence[str | int]] | None = None,
) -> Runtime:
    """OpenVINO on a CPU if it is installed, else ONNX Runtime.

    Args:
        name: for error messages.
        model_bytes: the verified file.
        device: where it runs.
        free_inputs: input name to dimension names, for exports whose fixed dimensions are to be freed.

    Raises:
        ModelError: the bytes are no usable network.
        StreetveilError: there is no such device.
    """
    if resolve_device(device) == "cpu" and is_installed():
        return OpenVinoSession(name, model_bytes, free_inputs)
    return Session(name, model_bytes, device, free_inputs)
