"""What a person has drawn is hidden in an image that is published already; its original is not needed."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import replace

from components.batch.journal import Journal
from components.batch.lookup import valid_row
from components.batch.manifest import PUBLISHED, ImageRow, Proposal, commit_manifest
from components.batch.places import locked
from components.batch.proposal_rows import listed_drawn
from components.batch.run import code_revision
from components.batch.storage import LocalStorage
from components.detection.region_rules import areas_to_hide
from components.detections import Detections, pixel_boxes
from components.errors import StreetveilError
from components.imaging.publication import Recipe, publish
from components.imaging.reading import decode
from components.imaging.verification import verify_output
from components.settings import Params

_KEY_BYTES = 32


def hide_drawn(
    storage: LocalStorage,
    path: str,
    drawn: Detections,
    params: Params,
    name: str,
    on_wait: Callable[[], None] = lambda: None,
) -> ImageRow:
    """Hide regions in a published image, and say so in a manifest of their own; the older row stays in its own.

    The new row is written down before the file is replaced, so a run that dies in between goes on where it was: call
    it again. Where the regions are hidden already, nothing is done.

    Args:
        storage: the destination.
        path: of the image.
        drawn: what to hide, px of the upright picture.
        params: all settings; the rules are those of the region that the image was blurred for.
        name: what the manifest's name begins with; the same for the same regions.
        on_wait: called once if a run holds the destination; then its end is waited for.

    Returns:
        The image's valid row.

    Raises:
        StreetveilError: the image is not published, is not what its manifest says, or a region is outside of it.
        ImageFault: the new picture could not be proved to be safe; the old one stays.
    """
    with locked(storage.root, on_wait):
        row = valid_row(storage, path)
        if row is None or row.state != PUBLISHED:
            raise StreetveilError(f"{path} is not published in {storage.root}: there is nothing to hide")
        if not _added(row, drawn):
            return row
        shard_id = f"{name}-{(row.output_sha256 or '')[:12]}"  # the same until it is committed, then never again
        journal = Journal(storage, shard_id)
        published = _read(storage, path)
        row_begun = journal.rows().get(path)
        if row_begun is not None and row_begun.output_sha256 == hashlib.sha256(published).hexdigest():
            row = row_begun  # it died after the file was replaced
        else:
            row = _replace(storage, row, published, drawn, params, journal)
        commit_manifest(storage, shard_id, [row])
        journal.clear()
        return row


def _replace(
    storage: LocalStorage, row: ImageRow, published: bytes, drawn: Detections, params: Params, journal: Journal
) -> ImageRow:
    if hashlib.sha256(published).hexdigest() != row.output_sha256:
        raise StreetveilError(f"{row.path} is not the file that was published: see `streetveil verify {storage.root}`")
    output, changed = _hide(row, published, drawn, params)
    journal.end(changed, durable=True)
    storage.write(row.path, output)
    return changed


def _hide(row: ImageRow, published: bytes, drawn: Detections, params: Params) -> tuple[bytes, ImageRow]:
    region = params.regions.get(row.region) or params.region(None)[1]
    recipe = Recipe(region.obfuscation, params.encoding, params.reading, secrets.token_bytes(_KEY_BYTES))
    picture = decode(published, recipe.reading)
    if len(pixel_boxes(drawn.xyxy, picture.width, picture.height)) < len(drawn):
        raise StreetveilError(
            f"a region lies outside of {row.path}, which is {picture.width}×{picture.height} px: reject the report"
        )
    areas = areas_to_hide(drawn, region, picture.width, picture.height, picture.is_panorama)
    output = publish(published, areas, recipe, picture)
    verify_output(picture, published, output, areas, recipe)
    return output.file_bytes, replace(
        row,
        output_sha256=hashlib.sha256(output.file_bytes).hexdigest(),
        output_size_bytes=len(output.file_bytes),
        blurring_id=recipe.noise(picture).blurring_id(),
        written=str(output.way),
        code_revision=code_revision(),
        proposals=(*row.proposals, *_added(row, drawn)),
    )


def _added(row: ImageRow, drawn: Detections) -> tuple[Proposal, ...]:
    """The drawn regions as a manifest lists them, without those that stand in the row."""
    return tuple(proposal for proposal in listed_drawn(drawn) if proposal not in row.proposals)


def _read(storage: LocalStorage, path: str) -> bytes:
    try:
        return storage.read(path)
    except OSError as error:
        raise StreetveilError(
            f"{path} cannot be read ({error.strerror}): see `streetveil verify {storage.root}`"
        ) from error
