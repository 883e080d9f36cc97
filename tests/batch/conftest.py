"""What the batch tests share: a run over a folder with the toy model."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from components.batch import backfill, shadow, worker
from components.batch.manifest import ImageRow
from components.batch.storage import LocalStorage, open_destination
from components.batch.work_order import WorkOrder
from components.detection.bundle import Bundle
from components.errors import ImageFault
from components.settings import Params
from tests.archives import publish_day, write_scenes
from tests.toy_model import model_file, toy_onnx


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


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shadow and backfill look in this process: a pool costs seconds, and has tests of its own."""

    class Inline:
        def each(self, look: Callable, rows: list[ImageRow]) -> Iterator[tuple[ImageRow, object]]:
            for row in rows:
                try:
                    yield row, look(row)
                except ImageFault as fault:
                    yield row, fault

    @contextmanager
    def engine(order: WorkOrder, workers: int) -> Iterator[Inline]:
        monkeypatch.setattr(worker, "_held", (order, worker.load_blurring(order)))
        yield Inline()

    for module in (shadow, backfill):
        monkeypatch.setattr(module, "local_engine", engine)


@pytest.fixture(scope="session")
def archive_made(tmp_path_factory: pytest.TempPathFactory, params: Params) -> tuple[Path, dict[str, int]]:
    """A day that a model has published which sees no plates: originals, outputs, and the plates of each picture."""
    folder = tmp_path_factory.mktemp("archive")
    shown = write_scenes(folder / "in", [(i % 2, i % 3) for i in range(6)], seed=5)
    (folder / "in" / "broken.jpg").write_bytes(b"no picture")
    magenta = model_file(folder / "models" / "magenta.onnx", toy_onnx((0.5, -1.0, 0.5)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STREETVEIL_KEYS_DIR", str(folder / "keys"))
        publish_day(folder / "in", folder / "out", Bundle("toy-detector", "1", (magenta,)), params)
    plates = {path: sum(box.class_name == "license_plate" for box in boxes) for path, boxes in shown.items()}
    return folder, plates


@pytest.fixture
def archive(archive_made: tuple[Path, dict[str, int]], tmp_path: Path) -> tuple[Path, dict[str, int]]:
    """A copy of that day."""
    made, plates = archive_made
    shutil.copytree(made, tmp_path / "archive")
    return tmp_path / "archive", plates


@pytest.fixture
def newer(toy: Bundle) -> Bundle:
    """The next version of the archive's model, which sees plates too."""
    return replace(toy, version="2")
