"""What runs a network: the faster of the two runtimes that is there, for one thread or for many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from components.detection.batching import Batched, Runtime, largest_batch
from components.detection.onnx_runtime import Device, Precision, Session, resolve_device
from components.detection.openvino_runtime import OpenVinoSession, is_installed
from components.detection.pinned import Staging
from components.detection.planes import Frame
from components.settings import Gpu

__all__ = ["Runtime", "Sharing", "frame_on", "runtime_for", "session_for"]


@dataclass(frozen=True, slots=True)
class Sharing:
    """How the threads of one process share its networks.

    Attributes:
        gpu: what may be used of the GPU.
        gpu_index: which one it is.
        precision: in which it computes.
        side_px: of the largest square that a network is shown.
        rows: of the largest input, for networks that take many at a time anyway.
    """

    gpu: Gpu
    gpu_index: int = 0
    precision: Precision = "file"
    side_px: int = 640
    rows: int = 1

    def of(self, **changes: int) -> Sharing:
        """The same for a network with other inputs."""
        return replace(self, **changes)  # type: ignore[arg-type]


def frame_on(device: Device, frame: Frame, multiple_px: int, by_openvino: bool = True) -> Frame:
    """How pictures are shown to a network on a device.

    OpenVINO lays pixels out faster than we do. So does a GPU, which fetches a quarter of the bytes, too; and since its
    libraries plan anew for every shape of input, for up to seconds, there it is shown few shapes.

    Args:
        device: where it runs.
        frame: for a CPU.
        multiple_px: of the sides on a GPU.
        by_openvino: whether that runs it on a CPU, where it is installed.
    """
    if resolve_device(device) == "cpu":
        return replace(frame, as_pixels=by_openvino and is_installed())
    return replace(frame, multiple_px=multiple_px, as_pixels=True)


def runtime_for(
    name: str,
    model_bytes: bytes,
    device: Device = "cpu",
    free_inputs: Mapping[str, Sequence[str | int]] | None = None,
    sharing: Sharing | None = None,
    frame: Frame | None = None,
) -> Runtime:
    """OpenVINO on a CPU if it is installed, else ONNX Runtime.

    Args:
        name: for error messages.
        model_bytes: the verified file.
        device: where it runs.
        free_inputs: input name to dimension names, for exports whose fixed dimensions are to be freed.
        sharing: with other threads; without it, one thread at a time may use it.
        frame: how pictures are shown to it, for networks of pictures.

    Raises:
        ModelError: the bytes are no usable network.
        OutOfMemoryError: the device has no room for a single input.
        StreetveilError: there is no such device.
    """
    if resolve_device(device) == "cpu" and is_installed():
        session = OpenVinoSession(name, model_bytes, free_inputs, divisor=_divisor(frame))
        return _shared(session, "cpu", sharing)
    return session_for(name, model_bytes, device, free_inputs, sharing=sharing, frame=frame)


def session_for(
    name: str,
    model_bytes: bytes,
    device: Device = "cpu",
    free_inputs: Mapping[str, Sequence[str | int]] | None = None,
    outputs: Sequence[str] = (),
    sharing: Sharing | None = None,
    frame: Frame | None = None,
) -> Runtime:
    """ONNX Runtime on any device; see `runtime_for`.

    Args:
        name, model_bytes, device, free_inputs, sharing, frame: as there.
        outputs: inner values at which the network is to end instead.
    """
    divisor = _divisor(frame)
    if sharing is None:
        return Session(name, model_bytes, device, free_inputs, outputs, divisor=divisor)
    session = Session(
        name, model_bytes, device, free_inputs, outputs, sharing.gpu, sharing.gpu_index, sharing.precision, divisor
    )
    return _shared(session, device, sharing)


def _divisor(frame: Frame | None) -> float | None:
    return frame.divisor if frame is not None and frame.as_pixels else None


def _shared(network: Session | OpenVinoSession, device: Device, sharing: Sharing | None) -> Runtime:
    """A network for many threads; its batches are as large as its device has room for."""
    if sharing is None:
        return network
    free, *sides = network.input_shape
    most = 1 if isinstance(free, int) else sharing.gpu.batch_max
    wait_s = sharing.gpu.batch_wait_ms / 1000
    if resolve_device(device) == "cpu":
        return Batched(network, most, wait_s)
    shape = [sharing.rows, *(side if isinstance(side, int) else sharing.side_px for side in sides)]
    staging = Staging(sharing.gpu_index)
    limit = largest_batch(network, shape, network.output_names, most)
    return Batched(network, limit, wait_s, staging.joined)
