"""A model's renewal: the monthly loop, the challenger's shadow, and the second look at what is published."""

from __future__ import annotations

from components.settings.base import Count, Frozen, NotNegative, Positive, Share


class Shadow(Frozen):
    """The challenger's look at the nightly run; see `params.yaml`."""

    share: Share
    max_images: Count


class Backfill(Frozen):
    """The second look at published archives; see `params.yaml`.

    Attributes:
        folders: which archives, as a pattern from the project's folder.
        max_images, max_hours: how much one run does.
        retention_days: after so long, files that it held back, and drafts of the quarantine desk, are erased.
    """

    folders: str
    max_images: Count
    max_hours: Positive
    retention_days: Positive


class Retraining(Frozen):
    """The monthly loop; see `params.yaml`."""

    folder: str
    profile: str
    target: str
    published: str
    originals: str
    sampled_days: Count
    labels_wait_days: NotNegative
    shadow_wait_days: NotNegative
    review_wait_days: NotNegative
    least_shadow_images: Count
    check_s: Positive
