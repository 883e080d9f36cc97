"""Files of weights hold numbers only, and are whole or not there."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from components.errors import StreetveilError
from components.training.checkpoint import (
    arrays_of,
    optimiser_arrays,
    optimiser_state,
    read_arrays,
    tensors_of,
    write_arrays,
)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Arrays of every kind and shape, and facts, come back bit for bit."""
    arrays = {
        "a.weight": np.arange(6, dtype=np.float32).reshape(2, 3) / 7,
        "b.count": np.array(3, np.int64),
        "empty": np.zeros((0, 2), np.float16),
    }
    facts = {"epoch": 3, "names": ["a", "b"], "none": None}
    write_arrays(tmp_path / "new" / "w.npz", arrays, facts)
    read, told = read_arrays(tmp_path / "new" / "w.npz")
    assert told == facts
    assert read.keys() == arrays.keys()
    for name, array in arrays.items():
        assert read[name].dtype == array.dtype
        np.testing.assert_array_equal(read[name], array)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["w.npz"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    """If writing fails half-way, the earlier file is still whole."""
    path = tmp_path / "w.npz"
    write_arrays(path, {"a": np.ones(3)}, {"epoch": 1})
    with pytest.raises(ValueError, match="pickle"):
        write_arrays(path, {"a": np.zeros(1000), "b": np.array([object()])}, {"epoch": 2})
    arrays, facts = read_arrays(path)
    assert facts == {"epoch": 1}
    assert arrays["a"].tolist() == [1, 1, 1]


@pytest.mark.parametrize("damage", ["missing", "text", "torn", "flipped", "foreign", "pickled"])
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, damage: str) -> None:
    """A file that is missing, torn, altered, of another kind, or holds pickled objects is an error that names it."""
    path = tmp_path / "w.npz"
    write_arrays(path, {"a": np.ones(1000)}, {"epoch": 1})
    content = bytearray(path.read_bytes())
    if damage == "missing":
        path.unlink()
    elif damage == "text":
        path.write_text("no weights")
    elif damage == "torn":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        content[4000] ^= 1
        path.write_bytes(content)
    elif damage == "foreign":
        np.savez(path, a=np.ones(3))
    else:
        np.savez(path, allow_pickle=True, a=np.array([{"code": "runs"}], dtype=object))
    with pytest.raises(StreetveilError, match=r"w\.npz"):
        read_arrays(path)


def test_nothing_in_the_file_is_pickled(tmp_path: Path) -> None:
    """Every entry of the file is a plain array."""
    write_arrays(tmp_path / "w.npz", {"a": np.ones(3)}, {})
    with zipfile.ZipFile(tmp_path / "w.npz") as file:
        assert sorted(file.namelist()) == ["a.npy", "facts.json.npy"]
        assert all(
            file.read(name).startswith(b"\x93NUMPY") and b"'O'" not in file.read(name) for name in file.namelist()
        )


def test_tensors_come_back_by_their_prefix() -> None:
    """Tensors under two prefixes do not mix, and are copies."""
    tensor = torch.ones(2)
    arrays = {**arrays_of({"x": tensor}, "model:"), **arrays_of({"x": torch.zeros(2)}, "ema:")}
    tensor += 1
    assert tensors_of(arrays, "model:")["x"].tolist() == [1, 1]
    assert tensors_of(arrays, "ema:")["x"].tolist() == [0, 0]


@pytest.mark.parametrize("kind", ["AdamW", "SGD"])
def test_an_optimiser_goes_on_as_if_nothing_had_happened(kind: str, tmp_path: Path) -> None:
    """After a detour over a file, the next steps change the weights exactly as without."""
    torch.manual_seed(1)
    options = {"lr": 0.1} if kind == "AdamW" else {"lr": 0.1, "momentum": 0.9}

    def stepped(weight: torch.Tensor, optimiser: torch.optim.Optimizer) -> None:
        for _ in range(3):
            optimiser.zero_grad()
            (weight**2).sum().backward()
            optimiser.step()

    weight = torch.randn(5, requires_grad=True)
    optimiser = getattr(torch.optim, kind)([weight], **options)
    stepped(weight, optimiser)
    arrays, groups = optimiser_arrays(optimiser.state_dict(), "o:")
    write_arrays(tmp_path / "o.npz", arrays, {"groups": groups})
    read, facts = read_arrays(tmp_path / "o.npz")
    twin = weight.detach().clone().requires_grad_()
    other = getattr(torch.optim, kind)([twin], **options)
    other.load_state_dict(optimiser_state(read, "o:", facts["groups"]))
    stepped(weight, optimiser)
    stepped(twin, other)
    assert torch.equal(weight, twin)
