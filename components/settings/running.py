"""What a run does, and when."""

from __future__ import annotations

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import field_validator

from components.settings.base import Count, Frozen, Positive, Share


class Batch(Frozen):
    """How a day is cut up, and how patient a run is with one image."""

    shard_size: Count
    max_attempts: Count
    image_timeout_s: Positive
    shard_timeout_s: Positive
    worker_memory_mib: Count
    min_published_share: Share


class Registration(Frozen):
    """The name under which models are registered."""

    model_name: str


class Daily(Frozen):
    """What the nightly run reads and writes when it is started without parameters.

    Attributes:
        source, destination: folders; `{day}` stands for the day.
        region: whose rules apply to every picture; None leaves that to the policies.
    """

    source: str
    destination: str
    region: str | None = None
    timezone: str

    @field_validator("timezone")
    @classmethod
    def _is_known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"{name!r} is no time zone; take one as Europe/Berlin") from error
        return name
