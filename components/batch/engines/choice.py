"""The engines by name."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Literal

from components.batch.engines.crews import crew_engine, threads_of
from components.batch.engines.engine import Engine
from components.batch.engines.local import local_engine
from components.batch.work_order import WorkOrder
from components.detection.onnx_runtime import Device, resolve_device
from components.errors import StreetveilError
from components.settings import Params

EngineName = Literal["local", "ray"]


def check_engine(name: EngineName) -> None:
    """Say at once if an engine cannot be used here.

    Raises:
        StreetveilError: what it needs is not installed.
    """
    if name == "ray":
        try:
            import components.batch.engines.ray  # noqa: F401
        except ImportError as error:
            raise StreetveilError(
                f"the engine ray cannot be used here ({error}): see docs/operate.md, or take --engine local"
            ) from error


def open_engine(
    name: EngineName, order: WorkOrder, workers: int, images: int, host_threads: int | None = None
) -> AbstractContextManager[Engine]:
    """An engine for as long as the block lasts.

    Args:
        name: which one.
        order: what every worker is told.
        workers: processes; no more are started than there are images.
        images: that are left.
        host_threads: pictures that each process of this machine has in hand at a time; None for as many as a GPU
            wants, and for one where there is no GPU.

    Raises:
        StreetveilError: what it needs is not installed, or no worker can start.
    """
    check_engine(name)
    if name == "local" and _is_crew(order.device, host_threads):
        return crew_engine(order, min(workers, images), host_threads)
    if name == "local":
        return local_engine(order, min(workers, images))
    if host_threads is not None:
        raise StreetveilError("--host-threads is for the engine local: an actor of Ray has one picture in hand")
    from components.batch.engines.ray import ray_engine

    return ray_engine(order, min(workers, images))


def in_hand(params: Params, device: Device, workers: int, host_threads: int | None = None) -> int:
    """How many pictures the engine local has in hand at a time, in all of its processes."""
    if not _is_crew(device, host_threads):
        return workers
    return workers * threads_of(host_threads or params.gpu.host_threads, workers)


def _is_crew(device: Device, host_threads: int | None) -> bool:
    return host_threads is not None or resolve_device(device) == "cuda"
