"""A desk over a small day that nobody has published, with the toy model in this process in place of workers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.batch import worker
from components.batch.engines.engine import Engine
from components.batch.exemption_book import ExemptionBook
from components.batch.manifest import QUARANTINED, ImageRow, commit_manifest
from components.batch.quarantine_desk.publication import Desk
from components.batch.storage import open_destination
from components.batch.work_order import WorkOrder
from components.batch.worker import load_blurring
from components.detection.bundle import Bundle
from components.settings import Params
from tests.conftest import encoded
from tests.toy_model import scene


class OwnPool:
    """A `Pool` that calls in this process."""

    def answers(
        self,
        function: Callable[..., object],
        calls: Sequence[tuple[object, ...]],
        timeout_s: float,
        deadline_s: float,
        is_alone: bool = False,
    ) -> Iterator[tuple[int, object]]:
        """See `Pool.answers`."""
        for number, call in enumerate(calls):
            try:
                yield number, function(*call)
            except Exception as error:
                yield number, error


def quarantined(folder: Path, name: str, reason: str) -> ImageRow:
    """The row of a file that a night has not published."""
    status, digest = (folder / name).stat(), hashlib.sha256((folder / name).read_bytes()).hexdigest()
    return ImageRow(
        name, QUARANTINED, reason, "as the night has told", 1, "eu", "toy", "1", "", "", status.st_size,
        status.st_mtime_ns, digest,
    )  # fmt: skip


@pytest.fixture
def desk(
    tmp_path: Path, params: Params, toy: Bundle, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> Desk:
    """Two large pictures with two faces each and a damaged file, all in quarantine."""
    source = tmp_path / "in"
    source.mkdir()
    for name in ("a.jpg", "b.jpg"):
        small, _ = scene(rng, 200, 150, 2, 0)
        large = Image.fromarray(rng.integers(90, 110, (900, 1200, 3), np.uint8))
        large.paste(Image.fromarray(small), (0, 0))
        (source / name).write_bytes(encoded(np.asarray(large), "JPEG", quality=95))
    (source / "broken.jpg").write_bytes((source / "a.jpg").read_bytes()[:900])
    storage = open_destination(tmp_path / "out")
    rows = [quarantined(source, name, "timeout") for name in ("a.jpg", "b.jpg")]
    commit_manifest(storage, "night", [*rows, quarantined(source, "broken.jpg", "decode_refused")])
    order = WorkOrder(source, storage, "eu", params, toy, b"k" * 32, "test")
    monkeypatch.setattr(worker, "_held", (order, load_blurring(order)))
    return Desk(Engine(order, OwnPool()), storage.root, ExemptionBook(tmp_path / "exemptions.jsonl"), "ada")  # type: ignore[arg-type]
