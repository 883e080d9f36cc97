"""Publishing a picture out of quarantine by a person's word: the steps of a run, for this one picture."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from components.batch.audit import output_fault
from components.batch.engines.engine import Engine
from components.batch.exemption_book import ExemptionBook, Granted
from components.batch.exemption_desk import granted_for
from components.batch.journal import Journal
from components.batch.lookup import valid_row
from components.batch.manifest import PUBLISHED, QUARANTINED, ImageRow, commit_manifest
from components.batch.places import Place, held
from components.batch.quarantine_desk.drafts import Draft, Region, as_detections, erase_draft
from components.batch.quarantine_desk.looking import Found, Look
from components.batch.run import Run, commit_shard, verify_shard
from components.batch.run_key import RunKey
from components.batch.second_look import HELD_BACK
from components.batch.shards import Shard
from components.batch.sources import ImageRef, find_image
from components.batch.storage import Storage
from components.batch.work_order import ByHand
from components.batch.worker import held as in_hand
from components.batch.worker import process_image
from components.detection.exemptions import Exemption
from components.errors import ImageFault, Reason, StreetveilError

_SHARDS = "desk-"
_WHY = "no face and no plate: removed at the quarantine desk"


class Busy(StreetveilError):  # noqa: N818 - not a fault: a run is under way
    """A run holds the destination."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What a desk works with.

    Attributes:
        engine: worker processes that look and publish; its order names source, destination and settings.
        destination: as the user named it.
        book: of exemptions, where what was removed is written down.
        by: who decides.
    """

    engine: Engine
    destination: Place
    book: ExemptionBook
    by: str

    @property
    def storage(self) -> Storage:
        """The destination."""
        return self.engine.order.destination


def publish(desk: Desk, draft: Draft, look: Look) -> ImageRow:
    """Publish a picture with what a person has drawn; whatever a run does to a picture and proves of it is done here.

    What was found is hidden unless it was removed; each removal is an exemption for this one file, in the book.

    Args:
        desk: who, with what.
        draft: the decision.
        look: what the person has seen.

    Returns:
        The picture's new row: published, or still quarantined with the reason.

    Raises:
        StreetveilError: a run holds the destination, the picture no longer waits or is not the one that was looked at,
            or more would stay visible than exemptions allow. Nothing has changed then.
    """
    if draft.input_sha256 != look.input_sha256:
        raise StreetveilError(f"{draft.path} has changed since it was looked at: look at it again")
    with destination_held(desk.storage) as check_held:
        before = waiting_row(desk.storage, draft.path)
        removed, forced = _sorted_out(draft, look)
        spared = _granted(desk, before, look, removed)
        row = before
        try:
            shard_id = f"{_SHARDS}{secrets.token_hex(8)}"
            done = _work(desk, shard_id, before, _by_hand(desk, draft, before, forced), spared)
            row = _committed(desk, shard_id, done, check_held)
        finally:
            if row.state != PUBLISHED:
                for exemption in spared:
                    desk.book.end(exemption.id, desk.by, "the picture was not published")
    if row.state == PUBLISHED:
        forget(desk.storage, draft.path)
    return row


@contextmanager
def destination_held(storage: Storage) -> Iterator[Callable[[], None]]:
    """Hold the destination, or say at once that a run does.

    Yields:
        What raises a StreetveilError if it is held no longer.
    """
    with held(storage, refuse_to_wait) as check_held:
        yield check_held


def refuse_to_wait() -> None:
    """Say that a run holds the destination: a page that waits for hours looks dead.

    Raises:
        Busy: always.
    """
    raise Busy("a run works on this destination: decide again when it has ended")


def waiting_row(storage: Storage, path: str) -> ImageRow:
    """The valid row of a picture that waits.

    Raises:
        StreetveilError: it has been decided on meanwhile.
    """
    row = valid_row(storage, path)
    if row is None or row.state != QUARANTINED or row.reason == Reason.DISCARDED:
        raise StreetveilError(f"{path} no longer waits in quarantine: reload the page")
    return row


def forget(storage: Storage, path: str) -> None:
    """Remove what lay ready for a decision that has been taken: the draft, and a file that a backfill held back."""
    erase_draft(storage, path)
    storage.delete(f"{HELD_BACK}/{path}")


def finish_interrupted(storage: Storage) -> int:
    """Bring to its end what a desk that died has begun; the person had said publish.

    Returns:
        How many pictures that were.
    """
    done = 0
    for shard_id in Journal.shard_ids(storage):
        if not shard_id.startswith(_SHARDS):
            continue
        journal = Journal(storage, shard_id)
        for path in (*journal.rows(), *journal.attempts()):
            row, stands = journal.rows().get(path), valid_row(storage, path)
            if stands is not None and stands.state == PUBLISHED:
                continue  # it was committed, or a run has published it
            if row is not None and row.state == PUBLISHED and output_fault(storage, row) is None:
                commit_manifest(storage, shard_id, [row])
                done += 1
            else:
                storage.delete(path)
        journal.clear()
    return done


def _sorted_out(draft: Draft, look: Look) -> tuple[list[Found], list[Region]]:
    """What was removed, and what must be hidden although the detectors alone might leave it visible."""
    removed = [one for one in look.found if one.region in draft.removed]
    kept = [one for one in look.found if one.region not in draft.removed]
    # An exemption spares whatever lies in its box: what was not removed is drawn, so it is hidden all the same.
    forced = [
        one.region for one in kept if one.only_before or any(_lies_in(one.region, other.region) for other in removed)
    ]
    return [one for one in removed if not one.only_before], forced


def _lies_in(inner: Region, outer: Region) -> bool:
    is_within = outer.x1 <= inner.x1 and outer.y1 <= inner.y1 and inner.x2 <= outer.x2 and inner.y2 <= outer.y2
    return is_within and inner.class_name == outer.class_name


def _granted(desk: Desk, row: ImageRow, look: Look, removed: Sequence[Found]) -> list[Exemption]:
    limits = desk.engine.order.params.exemptions
    seen = {row.path: replace(row, width=look.width, height=look.height, input_sha256=look.input_sha256)}
    until = datetime.now(UTC).date() + timedelta(days=limits.max_days)
    lines: list[Granted] = []
    for one in removed:
        region, others = one.region, [*desk.book.granted(), *(line.exemption() for line in lines)]
        box = tuple(map(float, (region.x1, region.y1, region.x2, region.y2)))
        lines.append(
            granted_for(seen, row.path, box, region.class_name, desk.by, _WHY, until, others, limits)  # type: ignore[arg-type]
        )
    for line in lines:  # all of them or none
        desk.book.grant(line)
    return [line.exemption() for line in lines]


def _by_hand(desk: Desk, draft: Draft, before: ImageRow, forced: Sequence[Region]) -> ByHand:
    day = datetime.now(UTC).date().isoformat()
    counts = f"{len(draft.drawn)} drawn, {len(draft.removed)} removed"
    note = f"{desk.by}, {day}: published at the quarantine desk, {counts} (was {before.reason}: {before.detail})"
    return ByHand(draft.input_sha256, as_detections((*draft.drawn, *forced)), note)


def _work(desk: Desk, shard_id: str, before: ImageRow, by_hand: ByHand, spared: Sequence[Exemption]) -> ImageRow:
    """The picture's row from a worker; also where the worker dies of it."""
    call = partial(work_by_hand, shard_id=shard_id, by_hand=by_hand, spared=tuple(spared))
    try:
        ((_, answer),) = desk.engine.each(call, [before])
    except StreetveilError:
        Journal(desk.storage, shard_id).clear()
        raise
    if isinstance(answer, ImageFault):
        image = find_image(desk.engine.order.source, before.path)
        return desk.engine.order.quarantined(image, max(1, before.attempts), answer, before.input_sha256)
    return answer


def work_by_hand(row: ImageRow, shard_id: str, by_hand: ByHand, spared: tuple[Exemption, ...]) -> ImageRow:
    """Publish one picture in a started worker; what was granted for it stands beside all other exemptions."""
    order, blurring = in_hand()
    with_spared = replace(order, exemptions=(*order.exemptions, *spared))
    image = find_image(order.source, row.path)
    return process_image(with_spared, blurring, Journal(order.destination, shard_id), image, by_hand)


def _committed(desk: Desk, shard_id: str, row: ImageRow, check_held: Callable[[], None]) -> ImageRow:
    order = desk.engine.order
    run = Run(order, desk.storage, desk.destination, RunKey(order.run_key, Path(), kept=True), check_held)
    (checked,) = verify_shard(run, [row])
    image = ImageRef(row.path, row.input_size_bytes, row.input_modified_ns)
    commit_shard(run, Shard(shard_id, (image,)), [checked])
    return checked
