"""How a GPU, and the machine around it, is kept busy."""

from __future__ import annotations

from typing import Literal

from components.settings.base import Count, Frozen, NotNegative


class Gpu(Frozen):
    """What a process with a GPU may use; none of it decides what becomes of a picture.

    Attributes:
        host_threads: pictures that one process has in hand at a time; None for one a core, shared among processes.
        batch_max: inputs that a network takes at a time, at most.
        batch_wait_ms: how long an input waits for company while the GPU is idle.
        network_memory_mib: of the GPU, for each network.
        provider: what runs networks there.
    """

    host_threads: Count | None = None
    batch_max: Count
    batch_wait_ms: NotNegative
    network_memory_mib: Count
    provider: Literal["cuda", "tensorrt"]
