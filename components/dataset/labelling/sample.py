"""A labelling sample: which pictures, why each, what the model saw. It shows nobody and outlives the originals."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, ConfigDict, Field, TypeAdapter, ValidationError

from components.dataset.labelling.reasons import RANDOM, Reason
from components.errors import StreetveilError

SAMPLE_FILE = "sample.json"
ClassName = Literal["face", "license_plate"]
_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
_Pixels = Annotated[int, Field(gt=0)]


@dataclass(frozen=True, slots=True)
class PreAnnotation:
    """A box to begin with: what was blurred, or what a user reports (without a confidence); px, within the picture."""

    __pydantic_config__ = _STRICT
    class_name: ClassName
    x1: float
    y1: float
    x2: float
    y2: float
    confidence: float | None


@dataclass(frozen=True, slots=True)
class SampledImage:
    """A picture of a sample.

    Attributes:
        id: the beginning of its original's hash; files are named after it, since paths can tell plate numbers.
        file: at the desk, relative to the sample's folder.
        path: in the folder that it was published to.
        published: that folder.
        sha256: of the original.
        width, height: px of the upright picture.
        region: whose rules applied.
        model: that looked at it.
        brightness: mean luma, 0 to 255.
        reason: why it was taken.
        score: how much so, 0 to 1; for what was drawn blindly its place in the draw.
        boxes: to begin with.
    """

    __pydantic_config__ = _STRICT
    id: Annotated[str, Field(pattern="^[0-9a-f]{16}$")]
    file: Annotated[str, Field(pattern=r"^originals/[0-9a-f]{16}\.[a-z]+$")]
    path: str
    published: str
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    width: _Pixels
    height: _Pixels
    region: str
    model: str
    brightness: float | None
    reason: Reason
    score: float
    boxes: tuple[PreAnnotation, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """A drawn sample.

    Attributes:
        schema_version: of the file.
        sample_id: follows from the seed and the folders.
        seed: of the draw.
        drawn_at: when; originals are erased so long after that.
        published: the folders that it was drawn from.
        population: how many published pictures those hold.
        unavailable: pictures that were wanted, and whose original is gone or has changed.
        similar: pictures that were passed over because they look like another one of the sample.
        unknown_reports: reports of pictures that none of the folders holds.
        images: the pictures, in the order of the reasons.
    """

    __pydantic_config__ = _STRICT
    schema_version: Literal[1]
    sample_id: Annotated[str, Field(pattern="^[0-9a-f]{16}$")]
    seed: str
    drawn_at: AwareDatetime
    published: tuple[str, ...]
    population: int
    unavailable: int
    similar: int
    unknown_reports: int
    images: tuple[SampledImage, ...]

    def by_reason(self) -> dict[Reason, int]:
        """How many pictures each reason has."""
        return dict(Counter(image.reason for image in self.images))


_SAMPLE = TypeAdapter(Sample)


def is_random(image: SampledImage) -> bool:
    """It was drawn blindly, so it may test a model; what was chosen may not."""
    return image.reason == RANDOM


def sample_json(sample: Sample) -> str:
    """The text of a sample's file."""

    def plain(value: object) -> str:
        if isinstance(value, datetime):
            return value.isoformat()
        raise TypeError(f"{type(value).__name__} has no place in a sample")

    return json.dumps(asdict(sample), indent=1, ensure_ascii=False, default=plain) + "\n"


def read_sample(path: Path) -> Sample:
    """Read a sample, from its folder or its file.

    Raises:
        StreetveilError: it is not there, or not a sample.
    """
    file = path / SAMPLE_FILE if path.is_dir() else path
    try:
        return _SAMPLE.validate_json(file.read_bytes())
    except OSError as error:
        raise StreetveilError(
            f"no sample in {path} ({error.strerror}): see `streetveil label status`, or draw one with `label sample`"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the whole file"
        raise StreetveilError(f"{file} is no sample ({where}: {first['msg']}): restore it (`dvc pull`)") from error
