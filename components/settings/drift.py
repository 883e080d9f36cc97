"""What counts as drift, and what follows from it."""

from __future__ import annotations

from pydantic import model_validator

from components.settings.base import Count, Frozen, Positive, Share


class LeastDistance(Frozen):
    """How far from the reference a distribution must be at least, however surely it is apart.

    Attributes:
        psi: population stability index.
        wasserstein: standard deviations of the reference.
    """

    psi: Positive
    wasserstein: Positive


class Drift(Frozen):
    """How a day is compared with the champion's reference.

    Attributes:
        folder: where each day's profile and reports are kept, from the project's folder.
        reference_days: a reference is of so many days.
        least_reference_days: a distribution with fewer days in the reference is not judged.
        least_values: a day with fewer values of a distribution is not judged by it.
        alike_days: for so many days, days are alike: traffic and weather last. So much fewer days count as independent.
        error_rate: of all undisturbed days, so many may warn.
        warning, alarm: the least distances.
        alarm_days: an alarm must hold for so many days in a row.
        never_alarming: quantities that warn at most, since no training mends them.
        cooling_days: after an alarm has started a retraining, no other one is started for so long.
    """

    folder: str
    reference_days: Count
    least_reference_days: Count
    least_values: Count
    alike_days: Count
    error_rate: Share
    warning: LeastDistance
    alarm: LeastDistance
    alarm_days: Count
    never_alarming: tuple[str, ...]
    cooling_days: Positive

    @model_validator(mode="after")
    def _are_enough(self) -> Drift:
        if self.least_reference_days > self.reference_days:
            raise ValueError("least_reference_days: no reference could have so many, it has reference_days")
        if self.least_reference_days <= 2 * self.alike_days:
            raise ValueError("least_reference_days: must be more than twice alike_days, or nothing can be calibrated")
        return self
