"""The GPUs of this machine, as NVIDIA's own tool tells of them."""

from __future__ import annotations

import os
import subprocess


def gpu_count() -> int:
    """How many GPUs this process may use; 1 where nobody can tell."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible:
        return len(visible.split(","))
    return max(1, len(told("name")))


def told(what: str) -> list[str]:
    """What nvidia-smi says of each GPU under a name of its own, as `name` or `memory.used`; nothing where it is not."""
    command = ["nvidia-smi", f"--query-gpu={what}", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in answer.stdout.splitlines() if line.strip()]
