"""The body of a request for a blur: one picture and what a person has drawn, in memory and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from components.detections import CLASS_IDS, STAGE_PERSON, Detections
from components.service.problems import Refusal

_MAX_FIELDS = 8
_MAX_FIELD_BYTES = 64 * 1024
_FAR_PX = 1_000_000

ClassName = Literal["face", "license_plate"]
Side = Annotated[float, Field(ge=-_FAR_PX, le=_FAR_PX, allow_inf_nan=False)]
Box = tuple[Side, Side, Side, Side]


class DrawnRegion(BaseModel):
    """Something to hide that was drawn by a person: x1, y1, x2, y2 in px of the upright picture."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    class_name: ClassName = Field(alias="class")
    box: Box


_REGIONS = TypeAdapter(list[DrawnRegion])


@dataclass(frozen=True, slots=True)
class Upload:
    """A picture as it came, and what is to be hidden in any case."""

    picture: bytes = field(repr=False)
    drawn: Detections


async def read_upload(request: Request, max_bytes: int, max_regions: int) -> Upload:
    """Read a multipart body.

    Args:
        request: whose body is bounded already.
        max_bytes: above which a file would be moved to disk; no body is that long.
        max_regions: that may be drawn on one picture.

    Raises:
        Refusal: there is no picture, or the body is malformed.
    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise Refusal(422, "invalid", "send multipart/form-data with the picture in the field `picture`")
    parser = MultiPartParser(
        request.headers, request.stream(), max_files=1, max_fields=_MAX_FIELDS, max_part_size=_MAX_FIELD_BYTES
    )
    parser.spool_max_size = max_bytes
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise Refusal(422, "invalid", f"the body is no sound multipart/form-data: {error.message}") from error
    picture = form.get("picture")
    if not isinstance(picture, UploadFile):
        raise Refusal(422, "invalid", "there is no file in the field `picture`")
    drawn = _drawn(str(form.get("regions") or "[]"), max_regions)
    return Upload(await picture.read(), drawn)


def _drawn(told: str, max_regions: int) -> Detections:
    try:
        regions = _REGIONS.validate_json(told)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(step) for step in first["loc"])
        raise Refusal(422, "invalid", f"regions {where}: {first['msg']}".replace(" :", ":")) from error
    if len(regions) > max_regions:
        raise Refusal(422, "invalid", f"{len(regions)} regions; {max_regions} are allowed (service.max_regions)")
    if any(x1 >= x2 or y1 >= y2 for x1, y1, x2, y2 in (region.box for region in regions)):
        raise Refusal(422, "invalid", "regions: a box is x1, y1, x2, y2 with x1 < x2 and y1 < y2")
    boxes = [region.box for region in regions]
    return Detections.of(boxes, 1.0, [CLASS_IDS[region.class_name] for region in regions], STAGE_PERSON)
