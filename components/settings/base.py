"""What all settings are made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]


class Frozen(BaseModel):
    """A model that cannot be changed and knows no other keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
