"""How pictures are shown to the detectors."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from components.settings.base import Count, Frozen, Share


class Panorama(Frozen):
    """How a picture of 360° is continued over its seam, and how it is looked at towards the poles."""

    seam_overlap_share: Share
    views_per_pole: Annotated[int, Field(ge=3)]
    pitch_deg: Annotated[float, Field(gt=0, lt=90)]
    fov_deg: Annotated[float, Field(gt=0, le=120)]

    @model_validator(mode="after")
    def _views_leave_no_gap(self) -> Panorama:
        if self.pitch_deg + self.fov_deg / 2 < 90:
            raise ValueError("pitch_deg plus half of fov_deg must reach the pole, 90")
        # Half of the longitude that a view's side next to the horizon spans; see components/detection/panorama.py.
        pitch, half_side = math.radians(self.pitch_deg), math.tan(math.radians(self.fov_deg / 2))
        half_deg = math.degrees(math.atan2(half_side, math.cos(pitch) + half_side * math.sin(pitch)))
        if self.views_per_pole * half_deg < 180:
            raise ValueError("views_per_pole must be more, or fov_deg larger: neighbouring views leave a gap")
        return self


class Scales(Frozen):
    """At which scales stage 1 looks at a picture."""

    min_long_px: Count
    max_scale: Annotated[float, Field(ge=1)]
    max_side_px: Annotated[int, Field(ge=64)]
    overlap_px: Annotated[int, Field(ge=0)]
    overview_above_px: Annotated[int, Field(ge=64)]

    @model_validator(mode="after")
    def _pieces_move_on(self) -> Scales:
        if self.overlap_px * 2 > self.max_side_px:
            raise ValueError("overlap_px must be at most half of max_side_px")
        return self


class PerClass(Frozen):
    """A confidence for each class."""

    face: Share
    license_plate: Share


class PixelsPerClass(Frozen):
    """A size for each class."""

    face: Annotated[int, Field(ge=0)]
    license_plate: Annotated[int, Field(ge=0)]


class SafetyCheck(Frozen):
    """When the detectors of the secondary check are asked, and from when on they are believed."""

    asked_from: Share
    trusted_from: PerClass
    dismissed_from_px: PixelsPerClass
    steep_plate_aspect: Annotated[float, Field(ge=0)]
    always_asked: tuple[Literal["face", "license_plate"], ...]
    asked_twice: tuple[Literal["face", "license_plate"], ...]
    confirmed_odds: Annotated[float, Field(ge=1)]
    doubt_from: Share
    sure_from: PerClass
    window_px: Literal[128, 160, 320]
    sample_share: Share

    @model_validator(mode="after")
    def _what_is_sure_is_seen(self) -> SafetyCheck:
        if self.doubt_from > min(self.sure_from.face, self.sure_from.license_plate):
            raise ValueError("doubt_from must not be above sure_from")
        return self


class Detection(Frozen):
    """How pictures are shown to the detectors."""

    proposal_threshold: Share
    merge_iou: Annotated[float, Field(gt=0, le=1)]
    gpu_precision: Literal["file", "float32", "float16"]
    scales: Scales
    safety_check: SafetyCheck
    tile_px: dict[str, Annotated[int, Field(ge=64)]]
    tile_overlap_px: Annotated[int, Field(ge=0)]
    panorama: Panorama

    @model_validator(mode="after")
    def _tiles_move_on(self) -> Detection:
        if any(self.tile_overlap_px * 2 > px for px in self.tile_px.values()):
            raise ValueError("tile_overlap_px must be at most half of every tile_px")
        return self
