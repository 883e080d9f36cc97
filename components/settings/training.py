"""How stage 1 is trained."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field, model_validator

from components.settings.base import Count, Frozen, NotNegative, Positive, Share


class PositiveWeight(Frozen):
    """How many times more a missed object of each class costs than a false one."""

    face: Positive
    license_plate: Positive


class Light(Frozen):
    """How often training pictures are seen in another light, and how far colours stray."""

    brightness_share: Share
    saturation_share: Share
    cast_share: Share
    night_share: Share
    glare_share: Share
    veil_share: Share
    blur_share: Share
    noise_share: Share
    compression_share: Share
    disguise_share: Share


class Views(Frozen):
    """Which pieces of pictures are trained on, and at which scales."""

    cells_shares: tuple[Share, Share, Share]
    object_px: tuple[Positive, Positive]
    min_object_px: Positive
    max_enlargement: Positive
    min_view_share: Share
    background_share: Share
    complete_background_share: Share
    rotation_deg: Annotated[float, Field(ge=0, le=45)]
    shear_deg: Annotated[float, Field(ge=0, le=45)]
    stretch_share: Share
    perspective: Annotated[float, Field(ge=0, le=0.5)]
    mirrored_share: Share
    rendered_plate_share: Share
    light: Light

    @model_validator(mode="after")
    def _bounds_are_in_order(self) -> Views:
        if not math.isclose(sum(self.cells_shares), 1):
            raise ValueError("cells_shares: the shares of canvases with 1, 4 and 9 views must sum to 1")
        if self.object_px[0] >= self.object_px[1]:
            raise ValueError("object_px: the first bound must be below the second one")
        return self


class Teachers(Frozen):
    """What the shipped detectors may say where people have not labelled a class."""

    fill: bool
    sure_from: Share
    doubt_from: Share
    box_weight: NotNegative


class CheckpointChoice(Frozen):
    """Which epoch's weights are kept."""

    lowest_threshold: Share
    max_pixel_fpr: Share


class Training(Frozen):
    """How stage 1 is trained. Numbers of the network's own kind are in the training library's units."""

    architecture: str
    canvas_px: Annotated[int, Field(ge=64, multiple_of=32)]
    image_px: Annotated[int, Field(ge=64)]
    epochs: Annotated[int, Field(ge=0)]
    batch_size: Count
    seed: Annotated[int, Field(ge=0)]
    learning_rate: Positive
    last_learning_rate_share: Annotated[float, Field(gt=0, le=1)]
    average_decay: Annotated[float, Field(ge=0, lt=1)]
    weight_decay: NotNegative
    warmup_epochs: NotNegative
    fixed_norm_from_epoch: Annotated[int, Field(ge=0)]
    positive_weight: PositiveWeight
    focal_gamma: NotNegative
    focal_floor: Share
    ignore_unlabelled: bool
    complete_share: Share
    views: Views
    teachers: Teachers
    choice: CheckpointChoice


class Sweep(Frozen):
    """Short trainings that differ in nothing but the weight of a missed object."""

    positive_weights: Annotated[tuple[Positive, ...], Field(min_length=2)]
    epochs: Count
    images: Count
    learning_rate: Positive


class Optimisation(Frozen):
    """How smaller and faster forms of the trained network are made, and what they are measured on."""

    calibration_images: Count
    validation_images: Count
    pruned_share: Annotated[float, Field(gt=0, lt=1)]
    epochs: Count
    images: Count
    learning_rate: Positive


class Profile(Frozen):
    """One way through the whole chain."""

    stand_in: bool
    epochs: Annotated[int, Field(ge=0)]
    canvas_px: Annotated[int, Field(ge=64, multiple_of=32)]
    short_images: Count
