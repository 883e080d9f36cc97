"""Weights and training states as files that hold numbers only: an .npz with a JSON entry, read without unpickling.

A zip file has a checksum for every array, so a torn file is refused; and it is written beside its place and renamed,
so a torn one is never seen there.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from components.errors import StreetveilError

Arrays = dict[str, NDArray[Any]]

_FACTS = "facts.json"


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> None:
    """Write arrays and whatever JSON can say of them, all or nothing."""
    entries = {**arrays, _FACTS: np.frombuffer(json.dumps(facts).encode(), np.uint8)}
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.part")
    with unfinished.open("wb") as file:
        np.savez(file, allow_pickle=False, **entries)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_arrays(path: Path) -> tuple[Arrays, dict[str, Any]]:
    """What `write_arrays` wrote.

    Raises:
        StreetveilError: the file is missing, damaged, or not one of ours.
    """
    try:
        with np.load(path, allow_pickle=False) as entries:
            arrays = {name: entries[name] for name in entries.files}
        facts = json.loads(arrays.pop(_FACTS).tobytes())
    except OSError as error:
        raise StreetveilError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise StreetveilError(f"{path} is no file of weights, or damaged ({error}): fetch or train it again") from error
    return arrays, facts


def parts(arrays: Arrays, prefix: str) -> Arrays:
    """The arrays whose names begin with a prefix, under the rest of their names."""
    return {name[len(prefix) :]: array for name, array in arrays.items() if name.startswith(prefix)}


def tensors_of(arrays: Arrays, prefix: str = "") -> dict[str, Tensor]:
    """`parts` as tensors."""
    return {name: torch.from_numpy(array.copy()) for name, array in parts(arrays, prefix).items()}


def arrays_of(tensors: Mapping[str, Tensor], prefix: str = "") -> Arrays:
    """Tensors as arrays; the prefix is put before their names."""
    return {prefix + name: tensor.detach().cpu().numpy().copy() for name, tensor in tensors.items()}


def optimiser_arrays(state: Mapping[str, Any], prefix: str) -> tuple[Arrays, list[dict[str, Any]]]:
    """An optimiser's `state_dict`, taken apart into tensors and what JSON can say."""
    tensors = {
        f"{index}.{name}": value
        for index, values in state["state"].items()
        for name, value in values.items()
        if isinstance(value, Tensor)
    }
    return arrays_of(tensors, prefix), state["param_groups"]


def optimiser_state(arrays: Arrays, prefix: str, groups: list[dict[str, Any]]) -> dict[str, Any]:
    """The `state_dict` that `optimiser_arrays` took apart."""
    state: dict[int, dict[str, Tensor]] = {}
    for place, tensor in tensors_of(arrays, prefix).items():
        index, name = place.split(".", 1)
        state.setdefault(int(index), {})[name] = tensor
    return {"state": state, "param_groups": groups}
