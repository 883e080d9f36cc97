"""What is read, hidden, written and looked at again."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from components.settings.base import Count, Frozen, NotNegative, Positive, Share


class ClassRule(Frozen):
    """When an object of one class is blurred, and how far beyond its box.

    Attributes:
        threshold: confidence from which it is blurred.
        min_px: objects whose shorter side is smaller stay.
        dilation: by which share of its size its box grows on every side.
        depicted_from_px: objects whose shorter side is at least so large are taken for depicted, as on a billboard,
            and stay; without it, what is depicted is blurred like everything else.
    """

    threshold: Share
    min_px: NotNegative
    dilation: Share
    depicted_from_px: Positive | None = None

    def is_as_strict_as(self, other: ClassRule) -> bool:
        """Whether it hides every object that another rule hides, and as much around it."""
        depicted_from_px, theirs = (rule.depicted_from_px or math.inf for rule in (self, other))
        return (
            self.threshold <= other.threshold
            and self.min_px <= other.min_px
            and self.dilation >= other.dilation
            and depicted_from_px >= theirs
        )

    @model_validator(mode="after")
    def _something_is_blurred(self) -> ClassRule:
        if self.depicted_from_px is not None and self.depicted_from_px <= self.min_px:
            raise ValueError("depicted_from_px: must be above min_px, or nothing is blurred")
        return self


class Obfuscation(Frozen):
    """How an area is hidden. The bounds are the safety floor; `docs/privacy.md` has what was measured for them."""

    method: Literal["gaussian", "mosaic", "solid"]
    base: Literal["neutral", "surroundings"]
    cells: Annotated[int, Field(ge=1, le=5)]
    cell_contrast: Share = 0
    accept_reidentification: bool = False
    cell_noise_std: Annotated[float, Field(ge=25, le=128)]
    blur_sigma_px: NotNegative
    blur_sigma_at_px: Count
    blur_sigma_share: Annotated[float, Field(ge=0.1, le=1)]
    pixel_noise_std: Annotated[float, Field(ge=0, le=32)]
    ramp_share: Annotated[float, Field(ge=0, le=0.5)]

    @model_validator(mode="after")
    def _nothing_is_left_by_accident(self) -> Obfuscation:
        if self.cell_contrast and not self.accept_reidentification:
            raise ValueError(
                f"cell_contrast: {self.cell_contrast} leaves enough of an object to tell it from 200 others; set it "
                "to 0, or set accept_reidentification: true"
            )
        return self


class Region(Frozen):
    """The rules of one jurisdiction: which objects are blurred, from which confidence, how strongly."""

    classes: Annotated[tuple[Literal["face", "license_plate"], ...], Field(min_length=1)]
    face: ClassRule
    license_plate: ClassRule
    safety_check: Literal["off", "rejected", "doubtful", "whole"] = "doubtful"
    obfuscation: Obfuscation

    def rule(self, class_name: str) -> ClassRule:
        """The rule for a class by its name."""
        rules = {"face": self.face, "license_plate": self.license_plate}
        return rules[class_name]

    def is_as_strict_as(self, other: Region) -> bool:
        """Whether whatever another region hides is hidden by this one, too, and at least as irreversibly.

        Two regions can both not be: one hides smaller faces, the other one surer plates.
        """
        check, theirs = self.safety_check, other.safety_check
        return (
            set(self.classes) >= set(other.classes)
            and all(self.rule(name).is_as_strict_as(other.rule(name)) for name in other.classes)
            # "doubtful" is the only check that dismisses anything.
            and (check in (theirs, "whole") or (check == "rejected" and theirs != "whole"))
            and self.obfuscation.cell_contrast <= other.obfuscation.cell_contrast  # all that can be left of an object
        )


class Reading(Frozen):
    """Bounds on what is decoded at all."""

    max_file_mib: Positive
    max_megapixels: Positive
    max_side_px: Count
    treat_2_to_1_as_panorama: bool


class Verification(Frozen):
    """How outputs are looked at again before they are published."""

    redetect_share: Share


class Encoding(Frozen):
    """How outputs are written. A TIFF gets no thumbnail."""

    thumbnail_px: Annotated[int, Field(ge=0, le=512)]
