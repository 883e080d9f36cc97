"""What a person has drawn on a picture in quarantine and not decided yet: one small file a picture.

It lies beside the manifests and goes when the picture is published or discarded, or when its time is over: it tells
where faces are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from components.batch.manifest import ImageRow
from components.batch.storage import STATE_FOLDER, Storage
from components.detections import CLASS_IDS, STAGE_PERSON, Detections
from components.errors import StreetveilError

DRAFTS = f"{STATE_FOLDER}/desk"
_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
_MOST_REGIONS = 10_000
Side = Annotated[int, Field(ge=0, le=1_000_000)]


@dataclass(frozen=True, slots=True)
class Region:
    """A box of one class, whole px of the upright picture, `x2` and `y2` exclusive."""

    __pydantic_config__ = _STRICT
    class_name: Literal["face", "license_plate"]
    x1: Side
    y1: Side
    x2: Side
    y2: Side


@dataclass(frozen=True, slots=True)
class Draft:
    """All that a person has said of one picture.

    Attributes:
        path: of the picture.
        input_sha256: of the file that they have looked at.
        revision: grows with every change, from 1.
        drawn: what shall be hidden besides what was found.
        removed: what was found and shall stay visible.
    """

    __pydantic_config__ = _STRICT
    path: str
    input_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    revision: Annotated[int, Field(ge=1)]
    drawn: Annotated[tuple[Region, ...], Field(max_length=_MOST_REGIONS)]
    removed: Annotated[tuple[Region, ...], Field(max_length=_MOST_REGIONS)]


DRAFT = TypeAdapter(Draft)


class Conflict(StreetveilError):  # noqa: N818 - not a fault: somebody else was faster
    """The picture has a newer draft already; the page joins the two."""

    def __init__(self, stands: Draft) -> None:
        super().__init__(f"{stands.path} was changed in another window: reload the page")
        self.stands = stands


def as_detections(regions: Iterable[Region]) -> Detections:
    """Regions in the type that everything speaks, as drawn by a person."""
    listed = list(regions)
    boxes = np.array([(one.x1, one.y1, one.x2, one.y2) for one in listed], np.float32)
    return Detections.of(boxes, 1.0, [CLASS_IDS[one.class_name] for one in listed], STAGE_PERSON)


def read_draft(storage: Storage, path: str) -> Draft | None:
    """What stands drawn on a picture; None if nothing does, or if the file is damaged."""
    try:
        return DRAFT.validate_json(storage.read(_file(path)))
    except (FileNotFoundError, ValidationError):
        return None


def keep_draft(storage: Storage, draft: Draft) -> None:
    """Put a draft on the disk; when this returns, it survives a power cut.

    Raises:
        Conflict: the picture has another draft of this or a later revision.
        StreetveilError: it cannot be written.
    """
    try:
        stands = read_draft(storage, draft.path)
        if stands == draft:
            return
        if stands and stands.input_sha256 == draft.input_sha256 and stands.revision >= draft.revision:
            raise Conflict(stands)
        storage.write(_file(draft.path), DRAFT.dump_json(draft))
    except OSError as error:
        raise StreetveilError(f"the draft of {draft.path} cannot be kept: {error.strerror}; make room") from error


def drafts_of(storage: Storage, rows: Iterable[ImageRow]) -> dict[str, Draft]:
    """The drafts of pictures, by path; those without one are left out."""
    found = {row.path: read_draft(storage, row.path) for row in rows}
    return {path: draft for path, draft in found.items() if draft}


def erase_draft(storage: Storage, path: str) -> None:
    """Forget what was drawn on a picture."""
    storage.delete(_file(path))


def _file(path: str) -> str:
    return f"{DRAFTS}/{hashlib.sha256(path.encode()).hexdigest()[:24]}.json"
