"""Granting an exemption for pictures that a run has seen, and hiding again what one that is over had left visible."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime
from fnmatch import fnmatchcase

import numpy as np

from components.batch.drawn_regions import hide_drawn
from components.batch.exemption_book import ClassName, Granted
from components.batch.index import valid_rows
from components.batch.manifest import PUBLISHED, ImageRow
from components.batch.storage import LocalStorage, Storage
from components.detection.exemptions import Exemption, Sides
from components.detections import CLASS_IDS, STAGE_PERSON, Detections
from components.errors import StreetveilError
from components.settings import ExemptionLimits, Params


def rows_beside(storage: Storage, pattern: str) -> dict[str, ImageRow]:
    """The valid rows of the one folder that an exemption's pattern names, by path."""
    folder = pattern.rpartition("/")[0]
    return {row.path: row for row in valid_rows(storage) if row.path.rpartition("/")[0] == folder}


def granted_for(
    rows: Mapping[str, ImageRow], pattern: str, box: Sides, class_name: ClassName, by: str, why: str, until: date,
    others: Sequence[Exemption], limits: ExemptionLimits,
) -> Granted:  # fmt: skip
    """An exemption for pictures that a run has seen; nothing else can be exempt.

    Args:
        rows: of a destination, by path; those of the folder that is meant are enough.
        pattern: the path of one of them, or a camera's folder with a pattern for names.
        box: x1, y1, x2, y2, px of the upright picture.
        class_name: what is meant.
        by, why, until: who has decided it, for what reason, and the last day.
        others: exemptions that are in the book.
        limits: for one and for all of them together.

    Raises:
        StreetveilError: nothing is meant, or more than one place may be.
    """
    meant = _meant(rows, pattern)
    sizes = {(row.width, row.height) for row in meant}
    if len(sizes) > 1:
        raise StreetveilError(f"{pattern!r} means pictures of {len(sizes)} sizes, so of no one camera: name one")
    width, height = meant[0].width or 0, meant[0].height or 0
    pinned = meant[0].input_sha256 if pattern in rows else None
    new = Exemption(
        secrets.token_hex(6), pattern, pinned, width, height, box, class_name, by, why, datetime.now(UTC), until
    )
    fault = new.fault(limits)
    if fault is not None:
        raise StreetveilError(f"nothing is exempt: {fault}")
    for row in meant:
        beside = [one for one in others if one.is_for(row.path, row.input_sha256 or "") and one.holds(new.granted_at)]
        share = new.area_share + sum(one.area_share for one in beside)
        if share > limits.max_area_share:
            raise StreetveilError(
                f"nothing is exempt: with others for {row.path} it would be {share:.1%} of the picture; "
                f"exemptions.max_area_share allows {limits.max_area_share:.1%}: end one of them first"
            )
    return Granted(**asdict(new))


def _meant(rows: Mapping[str, ImageRow], pattern: str) -> list[ImageRow]:
    known = [row for row in rows.values() if row.width and row.height and row.input_sha256]
    if pattern in rows:
        meant = [row for row in known if row.path == pattern]
    else:
        folder, _, name = pattern.rpartition("/")
        meant = [
            row
            for row in known
            if row.path.rpartition("/")[0] == folder and fnmatchcase(row.path.rpartition("/")[2], name)
        ]
    if not meant:
        raise StreetveilError(f"no picture {pattern!r} was published there: name it as the manifest does")
    return meant


def hide_again(
    storage: LocalStorage, exemption_id: str, params: Params, on_wait: Callable[[], None] = lambda: None
) -> list[str]:
    """Hide in the published images of a destination what an exemption that is over had left visible.

    Returns:
        The images' paths.

    Raises:
        StreetveilError: an image is gone or is not what its manifest says.
    """
    hidden = []
    for row in valid_rows(storage):
        spared = [one for one in row.proposals if one.exemption == exemption_id]
        if spared and row.state == PUBLISHED:
            boxes = np.array([(one.x1, one.y1, one.x2, one.y2) for one in spared], np.float32)
            drawn = Detections.of(boxes, 1.0, [CLASS_IDS[one.class_name] for one in spared], STAGE_PERSON)
            hide_drawn(storage, row.path, drawn, params, f"exemption-{exemption_id}", on_wait)
            hidden.append(row.path)
    return hidden
