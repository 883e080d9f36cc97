"""A worker's second look at one published file: what an older model has missed is hidden in it."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np

from components.batch.journal import Journal
from components.batch.manifest import QUARANTINED, ImageRow, Proposal
from components.batch.proposal_rows import listed
from components.batch.storage import STATE_FOLDER
from components.batch.work_order import WorkOrder
from components.batch.worker import held
from components.blurring import Blurring, falls_into, find, redetect
from components.detection.region_rules import Outcome, areas_to_hide
from components.detections import CLASS_IDS, Detections, Mask, iou
from components.errors import ImageFault, Reason
from components.imaging.publication import publish
from components.imaging.reading import Picture, decode
from components.imaging.verification import verify_output

HELD_BACK = f"{STATE_FOLDER}/held_back"
JOURNAL = "backfill"
# What is hidden already is found again now and then, as a box that lies within what is hidden.
_SAME_PLACE_IOU = 0.7
_COVERED_SHARE = 0.8


def look_again(row: ImageRow) -> ImageRow | None:
    """Look at a published file in a started worker; hide what was missed.

    Returns:
        Its new row; None if nothing was missed.

    Raises:
        ImageFault: it cannot be looked at, or is not what its manifest says; it stays as it is.
    """
    order, blurring = held()
    try:
        file_bytes = order.destination.read(row.path)
    except OSError as error:
        raise ImageFault(Reason.UNREADABLE, f"the output cannot be read ({error.strerror})") from error
    if hashlib.sha256(file_bytes).hexdigest() != row.output_sha256:
        raise ImageFault(Reason.VERIFICATION_FAILED, "is not the file that was published; see `streetveil verify`")
    picture = decode(file_bytes, order.params.reading)
    proposals, outcomes, _ = find(picture, blurring, order.exemptions_for(row.path, row.input_sha256 or ""))
    chosen = np.flatnonzero([outcome is Outcome.BLURRED for outcome in outcomes])
    chosen = chosen[_is_open(proposals.found.select(chosen), row, picture, blurring)]
    if not len(chosen):
        return None
    new = listed(proposals.select(chosen), [Outcome.BLURRED] * len(chosen))
    try:
        output, way = _hide(blurring, picture, file_bytes, proposals.found.select(chosen))
    except ImageFault as fault:
        return _hold_back(order, row, file_bytes, new, fault)
    return _replace(order, blurring, row, picture, output, way, new)


def _is_open(found: Detections, row: ImageRow, picture: Picture, blurring: Blurring) -> Mask:
    """Which objects are not hidden yet; bool [n]."""
    before = [proposal for proposal in row.proposals if proposal.outcome == Outcome.BLURRED]
    boxes = [(p.x1, p.y1, p.x2, p.y2) for p in before]
    hidden = Detections.of(np.array(boxes, np.float32), 1.0, [CLASS_IDS[p.class_name] for p in before])
    areas = areas_to_hide(hidden, blurring.region, picture.width, picture.height, picture.is_panorama)
    covered = np.zeros((picture.height, picture.width), bool)
    for x1, y1, x2, y2 in areas:
        covered[y1:y2, x1:x2] = True
    again = (iou(found.xyxy, hidden.xyxy) >= _SAME_PLACE_IOU).any(axis=1)
    is_covered = [_covered_share(found, i, covered) >= _COVERED_SHARE for i in range(len(found))]
    return np.logical_not(np.logical_or(again, is_covered))


def _covered_share(found: Detections, index: int, covered: Mask) -> float:
    height, width = covered.shape
    x1, y1, x2, y2 = np.rint(found.xyxy[index]).astype(int)
    window = covered[max(y1, 0) : min(y2, height), max(x1, 0) : min(x2, width)]
    return float(window.mean()) if window.size else 0.0


def _hide(blurring: Blurring, picture: Picture, file_bytes: bytes, chosen: Detections) -> tuple[bytes, str]:
    """The published file with more hidden, verified like every output."""
    recipe = blurring.recipe
    areas = areas_to_hide(chosen, blurring.region, picture.width, picture.height, picture.is_panorama)
    output = publish(file_bytes, areas, recipe, picture)
    verify_output(picture, file_bytes, output, areas, recipe)
    if falls_into(picture.sha256, blurring.redetect_share):
        redetect(blurring, picture, output.file_bytes, chosen)
    return output.file_bytes, str(output.way)


def _replace(
    order: WorkOrder, blurring: Blurring, row: ImageRow, picture: Picture, output: bytes, way: str,
    new: tuple[Proposal, ...],
) -> ImageRow:  # fmt: skip
    changed = _by_this_model(
        order,
        row,
        new,
        output_sha256=hashlib.sha256(output).hexdigest(),
        output_size_bytes=len(output),
        blurring_id=blurring.recipe.noise(picture).blurring_id(),
        written=way,
    )
    Journal(order.destination, JOURNAL).end(changed, durable=True)
    order.destination.write(row.path, output)
    return changed


def _hold_back(
    order: WorkOrder, row: ImageRow, file_bytes: bytes, new: tuple[Proposal, ...], fault: ImageFault
) -> ImageRow:
    detail = f"{fault.detail}; the published file is held back in {HELD_BACK}, blur it again from its original"
    changed = _by_this_model(order, row, new, state=QUARANTINED, reason=str(fault.reason), detail=detail)
    order.destination.write(f"{HELD_BACK}/{row.path}", file_bytes)
    Journal(order.destination, JOURNAL).end(changed, durable=True)
    order.destination.delete(row.path)
    return changed


def _by_this_model(order: WorkOrder, row: ImageRow, new: tuple[Proposal, ...], **changes: object) -> ImageRow:
    return replace(
        row,
        region=order.region_name or row.region,
        model_name=order.bundle.name,
        model_version=order.bundle.version,
        params_sha256=order.params.sha256(),
        code_revision=order.code_revision,
        proposals=(*row.proposals, *new),
        **changes,  # type: ignore[arg-type]
    )
