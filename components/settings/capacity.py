"""What `streetveil capacity` assumes where neither a measurement nor an option says better."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from components.settings.base import Count, Frozen, Positive


class Machine(Frozen):
    """One machine of the fleet that is planned."""

    cores: Count
    gpus: Count


class Stated(Frozen):
    """Costs of one image where no measurement is at hand."""

    memory_per_worker_mib: Positive
    input_mb_per_megapixel: Positive
    output_mb_per_megapixel: Positive
    manifest_bytes: Positive
    host_ms_per_megapixel: Positive


class Capacity(Frozen):
    """Reserve, retention, machines and stated costs."""

    utilisation: Annotated[float, Field(gt=0, le=1)]
    spare: Annotated[int, Field(ge=0)]
    originals_days: Annotated[float, Field(ge=0)]
    published_days: Annotated[float, Field(ge=0)]
    camera_mbit_per_s: Positive
    machine: Machine
    stated: Stated
