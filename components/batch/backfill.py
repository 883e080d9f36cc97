"""A second look at what is published: what an older model has missed is hidden in the published files themselves.

No original is needed. A file is replaced whole or not at all; its new row stands in a journal before the file does, so
that an interruption at any moment leaves a file that either its manifest or the journal knows. Older manifests stay as
the history. What is found but cannot be hidden is taken out of the published folder and held back beside the manifests.
"""

from __future__ import annotations

import hashlib
import io
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby, islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from components.batch.engines.local import local_engine
from components.batch.exemption_book import ExemptionBook
from components.batch.journal import Journal
from components.batch.manifest import PUBLISHED, QUARANTINED, ImageRow, commit_manifest, read_rows
from components.batch.places import locked
from components.batch.run import code_revision
from components.batch.run_key import acquire_run_key
from components.batch.second_look import JOURNAL, look_again
from components.batch.storage import STATE_FOLDER, LocalStorage, Storage, written_destination
from components.batch.work_order import WorkOrder
from components.detection.bundle import Bundle
from components.detection.onnx_runtime import Device
from components.detections import CLASS_NAMES
from components.errors import ImageFault, StreetveilError
from components.settings import Environment, Params

_SEEN = f"{STATE_FOLDER}/backfill"
_PART_SIZE = 500  # images; what is begun when the time is over is brought to its end


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one run does: images at most, and a time (of `time.monotonic`) after which nothing new is begun."""

    max_images: int
    until_s: float = float("inf")


@dataclass(frozen=True, slots=True)
class Backfill:
    """What a second look at one archive came to.

    Attributes:
        images: looked at in this run.
        left: for later runs.
        reblurred: files with something that the older model had missed.
        objects: newly hidden, by class.
        held_back: paths of files that were taken out, with the reason.
        faults: paths of files that could not be looked at and stay as they are, with the reason.
    """

    images: int = 0
    left: int = 0
    reblurred: int = 0
    objects: dict[str, int] = field(default_factory=dict)
    held_back: dict[str, str] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)


def backfill_archive(
    published: Path, bundle: Bundle, params: Params, limits: Limits, *, workers: int, device: Device = "cpu"
) -> Backfill:
    """Look at every image of a destination that this model has not looked at yet, and hide what was missed.

    Args:
        published: a folder that a run has written.
        bundle: the champion.
        params: all settings; each image is looked at by the rules of the region that it was published for.
        limits: of this run.
        workers: processes.
        device: where the model runs.

    Raises:
        StreetveilError: it is no such folder, another run holds it, or it cannot be written to.
    """
    exemptions = ExemptionBook(Environment().exemptions).granted()
    with _opened(published) as (storage, run_key):
        finish_interrupted(storage)
        wanted = _unseen(storage, bundle)
        told = Backfill(left=len(wanted))
        for region_name, rows in groupby(wanted[: limits.max_images], key=lambda row: _region_of(row, params)):
            order = WorkOrder(
                storage.root, storage, region_name, params, bundle, run_key, code_revision(), device, exemptions
            )  # fmt: skip
            told = _backfill_region(order, list(rows), told, limits.until_s, workers)
        return told


@contextmanager
def _opened(published: Path) -> Iterator[tuple[LocalStorage, bytes]]:
    """Hold an archive, with a key for the noise of this look alone."""

    def refuse() -> None:
        raise StreetveilError(f"another run holds {published}: look at it again when that has ended")

    storage = written_destination(published)
    with locked(storage.root, refuse):
        storage.remove_leftovers()
        key = acquire_run_key(Environment().keys_dir, published / STATE_FOLDER)
        yield storage, key.secret
        key.destroy()


def finish_interrupted(storage: Storage) -> None:
    """Bring to its end what an interrupted look has begun: rows whose file is in place count, others never were."""
    journal = Journal(storage, JOURNAL)
    rows = journal.rows().values()
    _commit(storage, [row for row in rows if _is_in_place(storage, row)])
    journal.clear()


def _backfill_region(
    order: WorkOrder, rows: Sequence[ImageRow], told: Backfill, until_s: float, workers: int
) -> Backfill:
    if not rows or time.monotonic() >= until_s:
        return told
    with local_engine(order, min(workers, len(rows))) as engine:
        left = iter(rows)
        while time.monotonic() < until_s and (part := list(islice(left, _PART_SIZE))):
            words = list(engine.each(look_again, part))
            changed = [word for _, word in words if isinstance(word, ImageRow)]
            _commit(order.destination, changed)
            after = {row.path: row.output_sha256 for row, word in words if not isinstance(word, ImageFault)}
            after |= {row.path: row.output_sha256 for row in changed}
            _note_seen(order.destination, order.bundle, after)
            Journal(order.destination, JOURNAL).clear()
            told = _added(told, words)
    return told


def _added(told: Backfill, words: Sequence[tuple[ImageRow, ImageRow | ImageFault | None]]) -> Backfill:
    changed = [(row, word) for row, word in words if isinstance(word, ImageRow)]
    hidden = [(row, word) for row, word in changed if word.state == PUBLISHED]
    objects = Counter(told.objects)
    for row, word in hidden:
        objects.update({name: word.blurred(name) - row.blurred(name) for name in CLASS_NAMES})
    return Backfill(
        told.images + len(words),
        told.left - len(words),
        told.reblurred + len(hidden),
        dict(objects),
        told.held_back | {word.path: word.detail or "" for _, word in changed if word.state == QUARANTINED},
        told.faults | {row.path: str(word) for row, word in words if isinstance(word, ImageFault)},
    )


def _is_in_place(storage: Storage, row: ImageRow) -> bool:
    if row.state != PUBLISHED:
        storage.delete(row.path)  # it is held back already; only the removal may be lacking
        return True
    try:
        return hashlib.sha256(storage.read(row.path)).hexdigest() == row.output_sha256
    except OSError:
        return False


def _commit(storage: Storage, rows: Sequence[ImageRow]) -> None:
    if rows:
        names = "\n".join(f"{row.path}\0{row.output_sha256}" for row in rows)
        commit_manifest(storage, f"{JOURNAL}-{hashlib.sha256(names.encode()).hexdigest()[:16]}", rows)


def _unseen(storage: Storage, bundle: Bundle) -> list[ImageRow]:
    """Published images that a model has neither published nor looked at, those of one region together."""
    seen = set(_seen(storage, bundle))
    rows = (row for row in read_rows(storage).values() if row.state == PUBLISHED)
    left = [
        row
        for row in rows
        if (row.model_name, row.model_version) != (bundle.name, bundle.version)
        and (row.path, row.output_sha256) not in seen
    ]
    return sorted(left, key=lambda row: (row.region, row.path))


def _region_of(row: ImageRow, params: Params) -> str:
    """The region of a row; the default one if its rules are gone."""
    return row.region if row.region in params.regions else params.default_region


def _seen(storage: Storage, bundle: Bundle) -> Iterable[tuple[str, str]]:
    for file in storage.list(f"{_SEEN}/{bundle.name}-{bundle.version}"):
        table = pq.read_table(pa.BufferReader(storage.read(file)))
        yield from zip(table["path"].to_pylist(), table["output_sha256"].to_pylist(), strict=True)


def _note_seen(storage: Storage, bundle: Bundle, outputs: dict[str, str | None]) -> None:
    out = io.BytesIO()
    pq.write_table(pa.table({"path": list(outputs), "output_sha256": list(outputs.values())}), out, compression="zstd")
    storage.write(f"{_SEEN}/{bundle.name}-{bundle.version}/{time.time_ns()}.parquet", out.getvalue())
