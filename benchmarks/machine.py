"""On what a benchmark ran, in one line: a figure without its machine says nothing."""

from __future__ import annotations

import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version

from components.batch.benchmark import processor

_SHOWN = ("streetveil", "openvino", "onnxruntime", "opencv-python", "simplejpeg", "numpy")


def machine(*others: str) -> str:
    """Processor, cores this process may use, load, day, and versions.

    Args:
        others: packages that take part besides the usual ones.
    """
    versions = ", ".join(f"{name} {_version(name)}" for name in (*_SHOWN, *others))
    cores = f"{len(os.sched_getaffinity(0))} of {os.cpu_count()} cores"
    busy = f"load {os.getloadavg()[0]:.1f}"
    return (
        f"{processor()}, {cores}, {busy}, {time.strftime('%Y-%m-%d')}; Python {platform.python_version()}, {versions}\n"
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "–"
