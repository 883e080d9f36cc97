"""How stage 2 is trained."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from components.settings.base import Count, Frozen, NotNegative, Positive, Share
from components.settings.detection import PerClass
from components.settings.training import PositiveWeight

Family = Literal["geometry", "colour", "cnn", "context"]
FAMILIES: tuple[Family, ...] = ("geometry", "colour", "cnn", "context")


class ExampleCanvases(Frozen):
    """Canvases of views, as stage 1 is trained on, from which examples are made beside those of the pictures.

    Attributes:
        train, val: their number in each part.
        side_px: of each.
        min_view_share: a picture may cover as little of its view, so that its objects may be small.
    """

    train: Annotated[int, Field(ge=0)]
    val: Annotated[int, Field(ge=0)]
    side_px: Annotated[int, Field(ge=64)]
    min_view_share: Share


class ProposalExamples(Frozen):
    """How labelled examples are made of stage 1's proposals.

    Attributes:
        proposal_threshold: the confidence from which stage 1's proposals become examples.
        min_covered_share, min_iou, small_min_iou: of a labelled object, from which a proposal counts as the object.
        small_px: objects whose shorter side is below this may be met by the small IoU.
        max_negatives: of stage 1's false proposals in a training picture, so many are kept.
        random_boxes: of each exhaustive class, so many boxes anywhere are added to a training picture.
        boxes_beside: so many boxes are added beside each of its first objects, of which max_objects_beside are taken.
        canvases: what else examples are made of.
    """

    proposal_threshold: Share
    min_covered_share: Share
    min_iou: Share
    small_min_iou: Share
    small_px: NotNegative
    max_negatives: Count
    random_boxes: Annotated[int, Field(ge=0)]
    boxes_beside: Annotated[int, Field(ge=0)]
    max_objects_beside: Annotated[int, Field(ge=0)]
    canvases: ExampleCanvases
    seed: Annotated[int, Field(ge=0)]


class CropVariation(Frozen):
    """How often crops are seen differently, and how far their boxes stray.

    Attributes:
        jitter_share: of the close-up's side, by which its box moves and grows at most.
        mirrored_share, light_share, blur_share, noise_share, compression_share: of the examples, so many are changed.
    """

    jitter_share: Annotated[float, Field(ge=0, le=0.15)]
    mirrored_share: Share
    light_share: Share
    blur_share: Share
    noise_share: Share
    compression_share: Share


class Continued(Frozen):
    """How a training goes on from weights that have learnt already.

    Attributes:
        epochs: how long.
        learning_rate: its highest.
    """

    epochs: Count
    learning_rate: Positive


class VerifierTraining(Frozen):
    """How stage 2 is trained and calibrated.

    Attributes:
        families: what the network is told of a proposal.
        continued: what takes the place of epochs and learning_rate where a training goes on from other weights.
        positive_weight: how many times more a missed object costs than a false one, after both have been balanced.
        max_balance: no example counts more than so many times the mean one for being of a rarer kind.
        threshold: of each class, the confidence at which it is calibrated, above the strictest region's threshold.
        calibrated_from: the confidence of stage 1 from which proposals calibrate: the cascade's proposal_threshold.
        keep_share: of stage 1's true objects in the validation pictures, those that stay at this threshold.
        area_share: how much false proposals count by their area when it is chosen which objects may fall; the rest
            counts each the same.
        min_objects: a class with fewer of them is not calibrated on its own.
    """

    families: Annotated[tuple[Family, ...], Field(min_length=1)]
    epochs: Count
    ablation_epochs: Count
    batch_size: Annotated[int, Field(ge=2)]
    seed: Annotated[int, Field(ge=0)]
    learning_rate: Positive
    continued: Continued
    weight_decay: NotNegative
    dropout: Annotated[float, Field(ge=0, lt=1)]
    positive_weight: PositiveWeight
    max_balance: Annotated[float, Field(ge=1)]
    threshold: PerClass
    calibrated_from: Share
    keep_share: Share
    area_share: Share
    min_objects: Count
    examples: ProposalExamples
    variation: CropVariation

    @field_validator("threshold")
    @classmethod
    def _has_a_logit(cls, threshold: PerClass) -> PerClass:
        if not all(0 < bound < 1 for bound in (threshold.face, threshold.license_plate)):
            raise ValueError("must be above 0 and below 1")
        return threshold

    @model_validator(mode="after")
    def _families_are_named_once(self) -> VerifierTraining:
        if len(set(self.families)) != len(self.families):
            raise ValueError("families: each is named once")
        return self
