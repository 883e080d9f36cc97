"""`blur_image`: what happens to one picture, the same for a nightly run, a folder, a service and a video frame."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace

from components.detection.cascade import Cascade, Proposals
from components.detection.exemptions import Exemption, spare
from components.detection.region_rules import Outcome, areas_to_hide, decide, reaches_threshold
from components.detections import Detections, iou
from components.errors import ImageFault, ModelError, OutOfMemoryError, Reason
from components.imaging.publication import Recipe, Way, publish
from components.imaging.reading import Picture, decode
from components.imaging.verification import verify_output
from components.settings import Region

# Detectors take a hidden plate on a car for a plate now and then; what was not hidden is found at the very same place,
# and as surely as before (ADR 0011).
_SAME_PLACE_IOU = 0.7
_SAME_CONFIDENCE_SHARE = 0.8
STAGES = ("decode", "detect", "publish", "verify")
_clock: ContextVar[Callable[[], float]] = ContextVar("clock", default=time.perf_counter)


@dataclass(frozen=True, slots=True)
class Blurring:
    """Everything that decides how pictures are blurred, for as long as the run lasts.

    Attributes:
        cascade: the detectors.
        region: whose rules apply.
        recipe: how outputs are made.
        redetect_share: of how many outputs the detectors must find nothing that they found before.
        safety_sample_share: of how many pictures the secondary check sees the whole.
    """

    cascade: Cascade
    region: Region
    recipe: Recipe
    redetect_share: float = 0.0
    safety_sample_share: float = 0.0

    def of_region(self, region: Region) -> Blurring:
        """The same by another region's rules."""
        return replace(self, region=region, recipe=replace(self.recipe, obfuscation=region.obfuscation))


@dataclass(frozen=True, slots=True)
class BlurredImage:
    """A verified output, and what was found on the way.

    Attributes:
        output: the bytes that may be published.
        way: how they were written.
        redetected: the detectors have looked at the output, and found nothing that they had found before.
        picture: the decoded source.
        proposals: everything that could be a face or a plate, strongest first.
        outcomes: what became of each proposal.
        exemptions: for each proposal, the id of the exemption that left it visible.
        blurring_id: as the output carries it.
        stage_ms: wall time of each of `STAGES`.
    """

    output: bytes
    way: Way
    redetected: bool
    picture: Picture
    proposals: Proposals
    outcomes: list[Outcome]
    exemptions: list[str | None]
    blurring_id: str
    stage_ms: dict[str, float] = field(default_factory=dict)


@contextmanager
def timed_with(clock: Callable[[], float]) -> Iterator[None]:
    """Within the block, stages are timed with another clock than wall time, for a benchmark on a busy machine.

    Args:
        clock: seconds, as `time.process_time`.
    """
    token = _clock.set(clock)
    try:
        yield
    finally:
        _clock.reset(token)


def blur_image(
    source_bytes: bytes,
    blurring: Blurring,
    drawn: Detections | None = None,
    exemptions: Sequence[Exemption] = (),
) -> BlurredImage:
    """Decode, detect, decide, publish, verify.

    Args:
        source_bytes: the file.
        blurring: how.
        drawn: what a person has drawn; it is hidden whatever the region asks for.
        exemptions: what may stay visible of what is found in this picture.

    Raises:
        ImageFault: the picture cannot be blurred safely; it belongs in quarantine.
    """
    stage_ms: dict[str, float] = {}
    recipe = blurring.recipe
    with _timed(stage_ms, "decode"):
        picture = decode(source_bytes, recipe.reading)
    with _timed(stage_ms, "detect"):
        proposals, outcomes, exempted = find(picture, blurring, exemptions)
    with _timed(stage_ms, "publish"):
        chosen = proposals.found.select([outcome is Outcome.BLURRED for outcome in outcomes])
        hidden = chosen if drawn is None else Detections.concatenate([chosen, drawn])
        areas = areas_to_hide(hidden, blurring.region, picture.width, picture.height, picture.is_panorama)
        output = publish(source_bytes, areas, recipe, picture)
    with _timed(stage_ms, "verify"):
        verify_output(picture, source_bytes, output, areas, recipe)
        redetected = falls_into(picture.sha256, blurring.redetect_share)
        if redetected:
            redetect(blurring, picture, output.file_bytes, chosen)
    blurring_id = recipe.noise(picture).blurring_id()
    return BlurredImage(
        output.file_bytes, output.way, redetected, picture, proposals, outcomes, exempted, blurring_id, stage_ms
    )


def find(
    picture: Picture, blurring: Blurring, exemptions: Sequence[Exemption] = ()
) -> tuple[Proposals, list[Outcome], list[str | None]]:
    """Everything in a picture that could be a face or a plate, strongest first, and what becomes of each.

    Returns:
        The proposals; the outcome of each, by the region's rules; and the id of the exemption that left it visible.

    Raises:
        ImageFault: a network's output cannot be trusted.
    """
    proposals = _examine(blurring, picture, falls_into(picture.sha256, blurring.safety_sample_share))
    outcomes = decide(proposals.found, blurring.region)
    size = picture.width, picture.height
    return proposals, *spare(proposals.found, outcomes, exemptions, *size)


def _examine(blurring: Blurring, picture: Picture, sampled: bool) -> Proposals:
    try:
        return blurring.cascade.examine(picture.pixels, blurring.region, picture.is_panorama, sampled)
    except OutOfMemoryError as error:
        raise ImageFault(Reason.OUT_OF_MEMORY, str(error)) from error
    except ModelError as error:
        raise ImageFault(Reason.MODEL_OUTPUT, str(error)) from error


def falls_into(sha256: str, share: float) -> bool:
    """Whether a file belongs to a share of all files: the same ones in every run."""
    return int(sha256[:8], 16) < share * 2**32


def redetect(blurring: Blurring, picture: Picture, output_bytes: bytes, hidden: Detections) -> None:
    """Look for what was hidden once more, as it was looked for before.

    Args:
        blurring: the detectors.
        picture: what the output was made from.
        output_bytes: the output.
        hidden: what is hidden in it.

    Raises:
        ImageFault: something that was hidden is still found where it was.
    """
    published = decode(output_bytes, blurring.recipe.reading)
    sampled = falls_into(picture.sha256, blurring.safety_sample_share)
    found = _examine(blurring, published, sampled).found
    found = found.select(reaches_threshold(found, blurring.region))
    same_class = found.class_id[:, None] == hidden.class_id[None]
    as_sure = found.confidence[:, None] >= _SAME_CONFIDENCE_SHARE * hidden.confidence[None]
    again = (same_class & as_sure & (iou(found.xyxy, hidden.xyxy) >= _SAME_PLACE_IOU)).any(axis=0)
    if again.any():
        what = f"{int(again.sum())} of {len(hidden)} hidden objects are still detected; nothing was published"
        raise ImageFault(Reason.STILL_DETECTED, f"{what}, look at the picture")


@contextmanager
def _timed(stage_ms: dict[str, float], stage: str) -> Iterator[None]:
    clock = _clock.get()
    start = clock()
    yield
    stage_ms[stage] = (clock() - start) * 1000
