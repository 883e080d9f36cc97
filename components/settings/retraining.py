"""What goes on around a model's renewal: the challenger's shadow, and the second look at what is published."""

from __future__ import annotations

from components.settings.base import Count, Frozen, Positive, Share


class Shadow(Frozen):
    """The challenger's look at the nightly run; see `params.yaml`."""

    share: Share
    max_images: Count


class Backfill(Frozen):
    """The second look at published archives; see `params.yaml`."""

    folders: str
    max_images: Count
    max_hours: Positive
