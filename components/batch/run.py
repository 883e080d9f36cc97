"""A run over one day, step by step. A flow or a command decides when each step is taken; this says what it is."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from components.batch.audit import output_fault
from components.batch.exemption_book import ExemptionBook
from components.batch.index import Index, Known, indexed
from components.batch.journal import Journal
from components.batch.manifest import PUBLISHED, ImageRow, commit_manifest
from components.batch.places import Place, held, is_foreign, opened
from components.batch.plan import Plan, plan_day
from components.batch.run_key import RunKey, acquire_run_key
from components.batch.shards import Shard
from components.batch.sources import ImageRef, list_images
from components.batch.storage import Storage
from components.batch.work_order import WorkOrder
from components.detection.bundle import Bundle
from components.detection.onnx_runtime import Device
from components.detection.policies import Choice, ChosenBy
from components.errors import ImageFault, Reason, StreetveilError
from components.settings import PROJECT_ROOT, Environment, Params


@dataclass(frozen=True, slots=True)
class Run:
    """An open run.

    Attributes:
        order: what every worker is told.
        storage: the destination.
        destination: as the user named it.
        key: the day's secret.
        check_held: raises a StreetveilError if the destination is held no longer.
    """

    order: WorkOrder
    storage: Storage
    destination: Place
    key: RunKey
    check_held: Callable[[], None] = lambda: None


@contextmanager
def open_run(
    source: Place,
    destination: Place,
    bundle: Bundle,
    params: Params,
    region_name: str | None,
    device: Device = "cpu",
    key_file: Path | None = None,
    on_wait: Callable[[], None] = lambda: None,
) -> Iterator[Run]:
    """Open a day for blurring; one run at a time holds a destination.

    Args:
        source: where the originals are.
        destination: the place for outputs and manifests.
        bundle: the run's one model.
        params: all settings.
        region_name: whose rules apply to every image; None leaves that to the policies.
        device: where the model runs.
        key_file: a key of the user's own instead of one for the day.
        on_wait: called once if another run holds the destination; then its end is waited for.

    Raises:
        StreetveilError: source, destination, key or exemptions cannot be used.
    """
    check_folders(source, destination)
    exemptions = ExemptionBook(Environment().exemptions).granted()
    storage = opened(destination)
    with held(storage, on_wait) as check_held:
        storage.remove_leftovers()
        # The key comes before the list of finished work: a run that finds the key of a closed day gone also finds
        # that day's manifests.
        key = acquire_run_key(Environment().keys_dir, destination, key_file)
        order = WorkOrder(
            source=source.resolve() if isinstance(source, Path) else source,
            destination=storage,
            region_name=region_name,
            params=params,
            bundle=bundle,
            run_key=key.secret,
            code_revision=code_revision(),
            device=device,
            exemptions=exemptions,
        )
        yield Run(order, storage, destination, key, check_held)


def check_folders(source: Place, destination: Place) -> None:
    """Say at once what is wrong with the folders of a run, before anything is loaded or written.

    Raises:
        StreetveilError: there is no source, the folders are entangled, or the destination holds files of others, which
            an output of the same name would replace.
    """
    next(iter(list_images(source, destination)), None)
    if is_foreign(destination):
        raise StreetveilError(f"{destination} has files that Streetveil did not write: choose an empty or new folder")


@dataclass(frozen=True, slots=True)
class _Finished:
    """What an index says is finished, except what is to be tried again."""

    index: Index
    retry: frozenset[str]

    def get(self, path: str) -> Known | None:
        known = None if path in self.retry else self.index.get(path)
        return known if known is not None and known.is_finished else None


def plan_run(run: Run, retry: frozenset[str] = frozenset()) -> Plan:
    """List the day, once, and cut what is left to do into shards.

    Args:
        run: the open run.
        retry: paths to do again although they are finished.
    """
    with indexed(run.storage) as index:
        if len(index):
            index.note_there(run.storage.list(""))
        _forget_finished_journals(run.storage, index)
        images = list_images(run.order.source, run.destination)
        return plan_day(images, _Finished(index, retry), run.order.params.batch.shard_size)


def _forget_finished_journals(storage: Storage, index: Index) -> None:
    """Clear journals whose shard has a manifest: the run died before it could, or a retry did not come to its end.

    What such a retry had published is taken back: the manifest says quarantined until another retry is committed.
    """
    committed = {Path(path).stem for path in index.manifests}
    for shard_id in Journal.shard_ids(storage) & committed:
        journal = Journal(storage, shard_id)
        for path in journal.rows():
            known = index.get(path)
            if known is not None and known.state != PUBLISHED:
                storage.delete(path)
        journal.clear()


def verify_shard(run: Run, rows: Sequence[ImageRow]) -> list[ImageRow]:
    """Read every output of a shard again; one that is not what its row says is taken back and quarantined."""
    checked = []
    for row in rows:
        fault = output_fault(run.storage, row)
        if fault is None:
            checked.append(row)
            continue
        image = ImageRef(row.path, row.input_size_bytes, row.input_modified_ns)
        failure = ImageFault(Reason.VERIFICATION_FAILED, f"{fault}; check the disk, then `streetveil quarantine retry`")
        # The file that knew where the picture was taken is not read again.
        choice = Choice(row.region, ChosenBy(row.region_by or ChosenBy.GIVEN))
        checked.append(run.order.quarantined(image, row.attempts, failure, row.input_sha256, choice))
    return checked


def commit_shard(run: Run, shard: Shard, rows: Sequence[ImageRow]) -> str:
    """Write the manifest, after which the shard counts, and forget its journal.

    Raises:
        StreetveilError: not every image has an end state, or the destination cannot be written to, or is another's.
    """
    run.check_held()
    missing = {image.path for image in shard.images} - {row.path for row in rows}
    if missing or len(rows) != len(shard.images):
        raise StreetveilError(f"shard {shard.id}: {len(missing)} images without an end state; run again")
    try:
        path = commit_manifest(run.storage, shard.id, rows)
        Journal(run.storage, shard.id).clear()
    except OSError as error:
        raise StreetveilError(
            f"cannot write the manifest of {shard.id}: {error.strerror}; make room, then run again"
        ) from error
    return path


def close_run(run: Run) -> None:
    """Every image has its end state: destroy the key and tidy up."""
    run.key.destroy()
    run.storage.remove_leftovers()


def code_revision() -> str:
    """The git revision of the code that runs, with `-dirty` if it was changed; the release where there is no git."""
    from importlib.metadata import version

    try:
        described = subprocess.run(  # noqa: S603 - nothing of it comes from outside
            ["git", "-C", str(PROJECT_ROOT), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],  # noqa: S607
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return f"v{version('streetveil')}"
    return described.stdout.strip()
