"""The GPUs of a machine as slots of Prefect: whatever puts a model on one holds a slot for as long as it is there.

The global limit is made by hand, with as many slots as there are GPUs (docs/operate.md). Where it is not, nothing is
limited, and Prefect says so in the log.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prefect.concurrency.sync import concurrency

from components.detection.gpus import gpu_count
from components.detection.onnx_runtime import Device, resolve_device

LIMIT = "streetveil-gpu"


@contextmanager
def gpu_slots(device: Device, processes: int = 1) -> Iterator[None]:
    """Wait for a slot for each GPU that will be used, and hold them as long as the block lasts; none on a CPU.

    Args:
        device: where the model runs.
        processes: that have the model; they share the GPUs if they are more.
    """
    if resolve_device(device) == "cpu":
        yield
        return
    # A server that does not answer for a moment is no reason to end a night.
    with concurrency(LIMIT, occupy=min(processes, gpu_count()), raise_on_lease_renewal_failure=False):
        yield
