"""Which labelled pictures there are, and how they are split."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, model_validator

from components.settings.base import Frozen, Share


class Shares(Frozen):
    """Of a set's videos and single pictures, those that test, and those that choose."""

    test: Share
    val: Share

    @model_validator(mode="after")
    def _something_is_left_to_train_on(self) -> Shares:
        if self.test + self.val >= 1:
            raise ValueError("test + val must be below 1, or nothing is left to train on")
        return self


class LabelledSet(Frozen):
    """A set of labelled pictures, and what its labels do not say of themselves. Paths start at the project's folder."""

    name: Annotated[str, Field(min_length=1)]
    format: Literal["ccpd", "coco", "labels_json", "open_images", "voc", "wider_face", "yolo"]
    pictures: str
    labels: str | None = None
    classes: dict[str, Literal["face", "license_plate"] | None] = Field(default_factory=dict)
    exhaustive: tuple[Literal["face", "license_plate"], ...] = ()
    mostly_is_exhaustive: bool = False
    region: str | None = None
    part: Literal["test"] | None = None
    shares: Shares | None = None
    video_pattern: str | None = None
    compare_looks: bool = True
    demographics: str | None = None

    @model_validator(mode="after")
    def _demographics_are_of_wider_face(self) -> LabelledSet:
        if self.demographics is not None and self.format != "wider_face":
            raise ValueError("demographics: are known of format wider_face only")
        return self

    @model_validator(mode="after")
    def _video_pattern_names_a_video(self) -> LabelledSet:
        if self.video_pattern is not None:
            try:
                names = re.compile(self.video_pattern).groupindex
            except re.error as error:
                raise ValueError(f"video_pattern: {error}") from error
            if "video" not in names:
                raise ValueError("video_pattern: needs a group (?P<video>…)")
        return self


class Dataset(Frozen):
    """Which labelled pictures there are, and how they are split."""

    folder: str | None
    sets: tuple[LabelledSet, ...]
    stand_in_sets: tuple[LabelledSet, ...]
    own_sets: tuple[LabelledSet, ...] = ()
    test_share: Share
    val_share: Share
    duplicate_bits: Annotated[int, Field(ge=0, le=31)]
    dark_luma: Annotated[float, Field(ge=0, le=255)]

    @model_validator(mode="after")
    def _something_is_left_to_train_on(self) -> Dataset:
        if self.test_share + self.val_share >= 1:
            raise ValueError("test_share and val_share must leave something to train on")
        return self
