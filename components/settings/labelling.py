"""Which pictures people label, and for how long their originals are kept."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Annotated

from pydantic import Field

from components.settings.base import Count, Frozen, Positive, Share

Budget = Annotated[int, Field(ge=0)]


class Budgets(Frozen):
    """How many pictures a sample takes for each reason, at most."""

    random: Budget
    user_report: Budget
    challenger_disagreement: Budget
    secondary_disagreement: Budget
    stage2_disagreement: Budget
    near_threshold: Budget
    few_labels: Budget


class Labelling(Frozen):
    """How samples are drawn and kept. Folders start at the project's.

    Attributes:
        folder: of the desks, where originals wait for labels.
        labelled: where labels land, with their pictures.
        random_share: of all published pictures, those that may be drawn blindly.
        budgets: of a sample.
        near_threshold_width: how far from its threshold a confidence may lie to be near it.
        few_labels: slices with fewer labelled objects have too few.
        retention_days: after so long an original is erased.
        region_retention_days: the same for samples with a picture of a region that wants it sooner.
    """

    folder: Annotated[str, Field(min_length=1)]
    labelled: Annotated[str, Field(min_length=1)]
    random_share: Share
    budgets: Budgets
    near_threshold_width: Annotated[float, Field(gt=0, le=1)]
    few_labels: Count
    retention_days: Positive
    region_retention_days: dict[str, Positive] = Field(default_factory=dict)

    def kept_days(self, regions: Iterable[str] | None = None) -> float:
        """How long the originals of a sample are kept: as long as the strictest of its regions allows.

        Args:
            regions: of its pictures; None where nobody can say, which may be any.
        """
        of_regions = self.region_retention_days
        return min(self.retention_days, *(of_regions.get(name, math.inf) for name in regions or of_regions), math.inf)
