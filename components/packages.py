"""Where installed packages keep the files they carry: weights, photographs, fonts."""

from __future__ import annotations

import importlib.util
from pathlib import Path


def package_folder(name: str) -> Path:
    """Where an installed package keeps its files; the package itself is not imported."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"the package {name} is missing: run make env")
    return Path(spec.submodule_search_locations[0])
