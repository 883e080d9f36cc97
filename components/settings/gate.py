"""What a model must reach before it may be promoted: one row for every requirement."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field, model_validator

from components.settings.base import Frozen, NotNegative

Slice = Literal[
    "mask", "occlusion", "gender", "age", "skin_type", "skin_tone_proxy",  # of people
    "size", "source", "region", "light", "tilt", "square",  # of pictures
]  # fmt: skip
SLICES: tuple[str, ...] = get_args(Slice)


class Metric(StrEnum):
    """What a requirement may be about; all are shares, 0 to 1, but for the last three.

    `*.gap`: how much lower the object recall of a slice is than that of all others together.
    `reidentification_ratio`: rank-1 of the attack on hidden faces ÷ that of guessing.
    `export_recall_loss`: pixel recall of the trained network less that of the file that is shipped.
    `images_per_s`: on one core, by processor time.
    """

    FACE_OBJECT_RECALL = "face.object_recall"
    FACE_PIXEL_RECALL = "face.pixel_recall"
    FACE_GAP = "face.gap"
    PLATE_OBJECT_RECALL = "license_plate.object_recall"
    PLATE_PIXEL_RECALL = "license_plate.pixel_recall"
    PLATE_GAP = "license_plate.gap"
    PIXEL_FPR = "pixel_fpr"
    FALSE_BLUR_SHARE = "false_blur_share"
    REIDENTIFICATION_RATIO = "reidentification_ratio"
    EXPORT_RECALL_LOSS = "export_recall_loss"
    IMAGES_PER_S = "images_per_s"

    @property
    def higher_is_better(self) -> bool:
        """Whether more of it is better."""
        return self.value.endswith("_recall") or self is Metric.IMAGES_PER_S

    @property
    def is_gap(self) -> bool:
        """Whether it compares a slice with all others."""
        return self.value.endswith(".gap")

    @property
    def is_sliced(self) -> bool:
        """Whether it is known of slices."""
        return self.is_gap or self.value.endswith("_recall")


class Gate(Frozen):
    """One requirement.

    Attributes:
        metric: what is held against the bound.
        slice: of recalls: an attribute, whose worst value is held against the bound, or one value of it, such as
            "size=8–16 px". Of gaps, which need one: the attribute by which objects are told apart.
        at_least, at_most: the bound, in the metric's unit; which of the two, the metric says.
        max_regression: so much worse than the champion's it may be, in the metric's unit.
    """

    metric: Metric
    slice: str | None = None
    at_least: NotNegative | None = None
    at_most: NotNegative | None = None
    max_regression: NotNegative | None = None

    @property
    def bound(self) -> float | None:
        """The least or greatest value; None if only the champion counts."""
        return self.at_most if self.at_least is None else self.at_least

    @property
    def key(self) -> str:
        """The figure's name, such as "face.object_recall", "face.gap.mask" or "face.object_recall.size=8–16 px"."""
        return self.metric.value if self.slice is None else f"{self.metric.value}.{self.slice}"

    @model_validator(mode="after")
    def _can_be_judged(self) -> Gate:
        wrong, right = ("at_most", "at_least") if self.metric.higher_is_better else ("at_least", "at_most")
        if getattr(self, wrong) is not None:
            raise ValueError(f"{self.key}: {wrong} would pass what is worse; write {right}")
        if self.bound is None and self.max_regression is None:
            raise ValueError(f"{self.key}: asks for nothing; write {right}, max_regression, or both")
        if self.slice is not None and not self.metric.is_sliced:
            raise ValueError(f"{self.key}: {self.metric.value} is not known of slices; leave slice out")
        if self.slice is not None and self.slice.partition("=")[0] not in SLICES:
            raise ValueError(f"{self.key}: no slice {self.slice!r}; there are {', '.join(SLICES)}")
        if self.metric.is_gap and (self.slice is None or "=" in self.slice):
            raise ValueError(f"{self.key}: a gap is between the values of a slice; name one of {', '.join(SLICES)}")
        return self


def _each_once(gates: tuple[Gate, ...]) -> tuple[Gate, ...]:
    keys = [gate.key for gate in gates]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise ValueError(f"{', '.join(twice)}: asked for twice; put both bounds into one row")
    return gates


Gates = Annotated[tuple[Gate, ...], Field(min_length=1), AfterValidator(_each_once)]


def bound_of(gates: Sequence[Gate], metric: Metric) -> float | None:
    """The bound of a metric as a whole; None if nothing is asked of it."""
    return next((gate.bound for gate in gates if gate.metric is metric and gate.slice is None), None)
