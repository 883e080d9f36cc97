"""Which pictures are treated by which region's rules, and what may stay visible by way of exception."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from components.settings.base import Frozen, NotNegative

# Longitudes may go on beyond ±180°, so that an area can lie across that meridian.
Longitude = Annotated[float, Field(ge=-360, le=360)]
Latitude = Annotated[float, Field(ge=-90, le=90)]
Corner = tuple[Longitude, Latitude]


class Box(Frozen):
    """An area between two meridians and two parallels, degrees; west > east lies across ±180°."""

    west: Annotated[float, Field(ge=-180, le=180)]
    south: Latitude
    east: Annotated[float, Field(ge=-180, le=180)]
    north: Latitude

    @model_validator(mode="after")
    def _has_an_area(self) -> Box:
        if self.south >= self.north or self.west == self.east:
            raise ValueError("south must be below north, and west differ from east, or no picture lies in it")
        return self


class PolicyRule(Frozen):
    """One rule: where it applies, by exactly one of three ways to say so, and the region that it chooses.

    Attributes:
        region: a key of `regions`.
        folder: the first parts of a picture's path, each a pattern such as `camera-*`; `/` between them.
        box: an area on the map.
        polygon: an area by its corners, (longitude, latitude) in degrees; the last one is joined to the first.
    """

    region: str
    folder: Annotated[str, Field(min_length=1)] | None = None
    box: Box | None = None
    polygon: Annotated[tuple[Corner, ...], Field(min_length=3)] | None = None

    @model_validator(mode="after")
    def _says_where_once(self) -> PolicyRule:
        told = [name for name in ("folder", "box", "polygon") if getattr(self, name) is not None]
        if len(told) != 1:
            raise ValueError(f"says {' and '.join(told) or 'no place'}: name one of folder, box or polygon")
        if self.folder is not None and any(part in ("", ".", "..", "**") for part in self.folder.split("/")):
            raise ValueError("folder: names folders below the source, as a/b; everything below them is meant anyway")
        return self

    @property
    def corners(self) -> tuple[Corner, ...]:
        """The corners of its area; none of a folder's rule."""
        if self.box is None:
            return self.polygon or ()
        west, east = self.box.west, self.box.east + (360 if self.box.east < self.box.west else 0)
        south, north = self.box.south, self.box.north
        return ((west, south), (east, south), (east, north), (west, north))


class Policies(Frozen):
    """How each picture finds its region where a run was not told one.

    Attributes:
        border_km: so near to an area's border nobody can say on which side a picture was taken.
        rules: in order; the first that applies decides.
    """

    border_km: NotNegative
    rules: tuple[PolicyRule, ...]

    @property
    def ask_for_places(self) -> bool:
        """Whether any rule needs to know where a picture was taken."""
        return any(rule.corners for rule in self.rules)


class ExemptionLimits(Frozen):
    """What may be left visible at most by way of exception.

    Attributes:
        max_area_share: of a picture, by all exemptions for it together.
        max_days: from the day on which somebody has granted one.
    """

    max_area_share: Annotated[float, Field(gt=0, le=0.25)]
    max_days: Annotated[int, Field(ge=1, le=3660)]
