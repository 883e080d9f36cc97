"""What `streetveil status` shows, and from when on it asks for a person."""

from __future__ import annotations

from components.settings.base import Count, Frozen, Share


class Monitoring(Frozen):
    """How the installation is looked at.

    Attributes:
        shown_runs: the latest destinations that are told of.
        least_free_share: of a disk; with less, somebody has to make room.
    """

    shown_runs: Count
    least_free_share: Share
