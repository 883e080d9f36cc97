"""What the batch tests share: a run over a folder with the toy model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from components.batch.storage import LocalStorage, open_destination
from components.batch.worker import WorkOrder
from components.detection.bundle import Bundle
from components.settings import Params


@pytest.fixture
def order(tmp_path: Path, params: Params, toy: Bundle) -> Callable[..., WorkOrder]:
    """Make a work order from `source` to `destination` in the test's folder."""

    def make(**changes: object) -> WorkOrder:
        (tmp_path / "source").mkdir(exist_ok=True)
        values: dict[str, object] = {
            "source": tmp_path / "source",
            "destination": open_destination(tmp_path / "destination"),
            "region_name": "eu",
            "params": params,
            "bundle": toy,
            "run_key": b"k" * 32,
            "code_revision": "test",
        }
        return WorkOrder(**{**values, **changes})  # type: ignore[arg-type]

    return make


def tree(storage: LocalStorage) -> dict[str, bytes]:
    """Every published file with its bytes."""
    return {path: storage.read(path) for path in storage.list("") if not path.startswith(".streetveil/")}
