"""Which published pictures people look at: a random sample, with all that is needed to know it again."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from components.errors import StreetveilError

ClassName = Literal["face", "license_plate"]
Stratum = Callable[["SampledImage"], str]
_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True, slots=True)
class Area:
    """One object that was hidden, as the manifest has it: px of the upright picture, before dilation.

    On a panorama `x2` may exceed the width: the object goes on at the left border.
    """

    __pydantic_config__ = _STRICT
    class_name: ClassName
    x1: float
    y1: float
    x2: float
    y2: float


@dataclass(frozen=True, slots=True)
class SampledImage:
    """One picture of a sample; paths are relative to the sample's two folders and the same in both."""

    __pydantic_config__ = _STRICT
    path: str
    original_sha256: str
    published_sha256: str
    image_format: Literal["JPEG", "PNG", "WEBP", "TIFF"]
    width: Annotated[int, Field(gt=0)]
    height: Annotated[int, Field(gt=0)]
    orientation: Annotated[int, Field(ge=1, le=8)]
    model: str
    region: str
    areas: tuple[Area, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """A drawn sample.

    Attributes:
        schema_version: of the file.
        sample_id: hash of everything else; every answer carries it.
        seed: of the draw.
        population: how many published pictures it was drawn from.
        stratified_by: `nothing`, or what the pictures were divided by.
        originals: folder of the originals, absolute.
        published: folder of the published pictures, absolute.
        images: in the random order in which they are to be looked at.
    """

    __pydantic_config__ = _STRICT
    schema_version: Literal[1]
    sample_id: str
    seed: int
    population: int
    stratified_by: str
    originals: str
    published: str
    images: tuple[SampledImage, ...]


_IMAGE = TypeAdapter(SampledImage)
_SAMPLE = TypeAdapter(Sample)


def folder_of(image: SampledImage) -> str:
    """The first folder of a picture's path, often a camera or a day; empty if there is none."""
    return image.path.split("/")[0] if "/" in image.path else ""


def hides_something(image: SampledImage) -> str:
    """Whether anything was hidden in a picture."""
    return "hidden" if image.areas else "nothing hidden"


STRATA: dict[str, Stratum] = {"nothing": lambda _: "", "folder": folder_of, "areas": hides_something}


def draw(
    candidates: Sequence[SampledImage], count: int, seed: int, stratum: Stratum = STRATA["nothing"]
) -> list[SampledImage]:
    """Draw pictures without replacement; all have the same chance, and their order is random.

    With strata each gets its proportional share, rounded by largest remainders, ties by chance (Cochran 1977,
    section 5.5). The sample then weighs itself, so figures need no weights. As the order is random too, the pictures
    that were counted when somebody stops half-way are a random sample themselves.

    Args:
        candidates: the published pictures, in any order.
        count: how many to draw.
        seed: the same seed and pictures give the same sample.
        stratum: names the part that a picture belongs to.

    Raises:
        StreetveilError: there are not that many.
    """
    if not 1 <= count <= len(candidates):
        raise StreetveilError(f"cannot draw {count} of {len(candidates)} published images: ask for fewer with --count")
    rng = np.random.default_rng(seed)
    strata: dict[str, list[SampledImage]] = {}
    for image in sorted(candidates, key=lambda image: image.path):
        strata.setdefault(stratum(image), []).append(image)
    parts = [strata[name] for name in sorted(strata)]
    shares = np.array([len(part) for part in parts]) * count / len(candidates)
    sizes = np.floor(shares).astype(int)
    remainders = np.lexsort((rng.random(len(parts)), sizes - shares))
    sizes[remainders[: count - sizes.sum()]] += 1
    drawn = [
        part[i]
        for part, size in zip(parts, sizes, strict=True)
        for i in rng.choice(len(part), int(size), replace=False)
    ]
    return [drawn[i] for i in rng.permutation(len(drawn))]


def image_of(row: Mapping[str, Any]) -> SampledImage:
    """A published picture from its row in the manifest, as plain values.

    Raises:
        StreetveilError: the row lacks something.
    """
    areas = [
        {name: proposal[name] for name in ("class_name", "x1", "y1", "x2", "y2")}
        for proposal in row["proposals"]
        if proposal["outcome"] == "blurred"
    ]
    same = {name: row[name] for name in ("path", "image_format", "width", "height", "region")}
    values = {
        **same,
        "original_sha256": row["input_sha256"],
        "published_sha256": row["output_sha256"],
        "orientation": row["orientation"] or 1,
        "model": f"{row['model_name']} {row['model_version']}",
        "areas": areas,
    }
    try:
        return _IMAGE.validate_python(values)
    except ValidationError as error:
        raise StreetveilError(f"the manifest's row of {row['path']} is incomplete: blur it again") from error


def make_sample(
    images: Sequence[SampledImage], population: int, seed: int, stratified_by: str, originals: Path, published: Path
) -> Sample:
    """Put a drawn sample together and give it its id; nothing is read or written."""
    folders = str(originals.resolve()), str(published.resolve())
    given = Sample(1, "", seed, population, stratified_by, *folders, tuple(images))
    sample = _SAMPLE.validate_python(asdict(given))  # 3 and 3.0 are one number with two hashes
    content = json.dumps(asdict(sample), sort_keys=True).encode()
    return replace(sample, sample_id=hashlib.sha256(content).hexdigest()[:32])


def write_sample(sample: Sample, path: Path) -> None:
    """Write a sample, readable by its owner alone: it tells where faces are.

    Raises:
        StreetveilError: the file exists (answers may refer to it), or it cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(asdict(sample), file, indent=1, ensure_ascii=False)
            file.write("\n")
    except FileExistsError as error:
        raise StreetveilError(
            f"{path} exists, and answers may belong to it: choose another --out, or delete it"
        ) from error
    except OSError as error:
        raise StreetveilError(f"cannot write {path}: {error.strerror}; choose another --out") from error


def read_sample(path: Path) -> Sample:
    """Read a sample.

    Raises:
        StreetveilError: it is not there, or not a sample as `write_sample` wrote it.
    """
    try:
        sample = _SAMPLE.validate_json(path.read_bytes())
    except OSError as error:
        raise StreetveilError(
            f"no sample in {path} ({error.strerror}): draw one with `streetveil handcount sample`"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the whole file"
        raise StreetveilError(f"{path} is no sample ({where}: {first['msg']}): draw one anew") from error
    made = make_sample(
        sample.images, sample.population, sample.seed, sample.stratified_by, Path(sample.originals),
        Path(sample.published),
    )  # fmt: skip
    if made.sample_id != sample.sample_id:
        raise StreetveilError(f"{path} was changed after it was drawn: restore it, or draw a new sample")
    return sample
