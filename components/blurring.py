"""`blur_image`: what happens to one picture, the same for a nightly run, a folder, a service and a video frame."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from components.detection.cascade import Cascade
from components.detection.region_rules import Outcome, areas_to_hide, decide
from components.detections import Detections
from components.errors import ImageFault, ModelError, Reason
from components.imaging.publication import Recipe, publish
from components.imaging.reading import Picture, decode
from components.imaging.verification import verify_output
from components.settings import Region

STAGES = ("decode", "detect", "publish", "verify")


@dataclass(frozen=True, slots=True)
class Blurring:
    """Everything that decides how pictures are blurred, for as long as the run lasts."""

    cascade: Cascade
    region: Region
    recipe: Recipe


@dataclass(frozen=True, slots=True)
class BlurredImage:
    """A verified output, and what was found on the way.

    Attributes:
        output: the bytes that may be published.
        picture: the decoded source.
        proposals: everything that could be a face or a plate, strongest first.
        outcomes: what became of each proposal.
        blurring_id: as the output carries it.
        stage_ms: wall time of each of `STAGES`.
    """

    output: bytes
    picture: Picture
    proposals: Detections
    outcomes: list[Outcome]
    blurring_id: str
    stage_ms: dict[str, float] = field(default_factory=dict)


def blur_image(source_bytes: bytes, blurring: Blurring) -> BlurredImage:
    """Decode, detect, decide, publish, verify.

    Raises:
        ImageFault: the picture cannot be blurred safely; it belongs in quarantine.
    """
    stage_ms: dict[str, float] = {}
    recipe = blurring.recipe
    with _timed(stage_ms, "decode"):
        picture = decode(source_bytes, recipe.reading)
    with _timed(stage_ms, "detect"):
        try:
            proposals = blurring.cascade.propose(picture.pixels, blurring.region)
        except ModelError as error:
            raise ImageFault(Reason.MODEL_OUTPUT, str(error)) from error
        outcomes = decide(proposals, blurring.region)
    with _timed(stage_ms, "publish"):
        chosen = proposals.select([outcome is Outcome.BLURRED for outcome in outcomes])
        areas = areas_to_hide(chosen, blurring.region, picture.width, picture.height)
        output = publish(source_bytes, areas, recipe, picture)
    with _timed(stage_ms, "verify"):
        verify_output(picture, source_bytes, output, areas, recipe.reading)
    return BlurredImage(output, picture, proposals, outcomes, recipe.noise(picture).blurring_id(), stage_ms)


@contextmanager
def _timed(stage_ms: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    stage_ms[stage] = (time.perf_counter() - start) * 1000
