"""Fill the budgets from a shortlist: originals that are still there and show something else than the others."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from components.dataset.labelling.files import write_whole
from components.dataset.labelling.published import Proposed, PublishedImage
from components.dataset.labelling.reasons import RANDOM, REASONS, Reason, Rules, last_word, reports_of
from components.dataset.labelling.sample import PreAnnotation, SampledImage
from components.dataset.labelling.shortlist import Candidate, Shortlist
from components.dataset.perceptual_hash import perceptual_hash
from components.detections import CLASS_NAMES
from components.errors import ImageFault
from components.imaging.reading import Picture, decode
from components.settings import Params, Reading

_ENDINGS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp"}


@dataclass(frozen=True, slots=True)
class Taken:
    """What was taken, and how many pictures were passed over.

    Attributes:
        images: in the order of the reasons.
        unavailable: their original is gone, has changed or cannot be read.
        similar: they look like a picture that was taken before.
    """

    images: tuple[SampledImage, ...]
    unavailable: int
    similar: int


@dataclass(frozen=True, slots=True)
class _Original:
    content: bytes
    picture: Picture
    look: int


def take(
    listed: Shortlist,
    rules: Rules,
    params: Params,
    originals: Mapping[Path, Path],
    before: Mapping[str, bool],
    folder: Path,
) -> Taken:
    """Write the originals of a sample into a folder.

    Args:
        listed: the candidates.
        rules: with the users' reports.
        params: budgets, limits for reading, and how alike near-duplicates are.
        originals: the folder of originals of each published folder.
        before: the originals of earlier samples, and whether they were drawn blindly.
        folder: with a folder `originals`.
    """
    images: dict[str, SampledImage] = {}
    looks: list[int] = []
    unavailable = similar = 0
    for reason in REASONS:
        left = getattr(params.labelling.budgets, reason)
        for candidate in listed.candidates[reason]:
            image = candidate.image
            if not left:
                break
            if image.sha256 in images or _is_old(image, reason, before):
                continue
            original = _original(image, originals[image.folder], params.reading)
            if original is None:
                unavailable += 1
            elif reason != RANDOM and _is_similar(original.look, looks, params.dataset.duplicate_bits):
                similar += 1
            else:
                images[image.sha256] = _laid_out(candidate, reason, original, rules, folder)
                looks.append(original.look)
                left -= 1
    return Taken(tuple(images.values()), unavailable, similar)


def _is_old(image: PublishedImage, reason: Reason, before: Mapping[str, bool]) -> bool:
    """It stood in an earlier sample; chance may draw what was only chosen then, or the estimate would be biased."""
    return image.sha256 in before and (reason != RANDOM or before[image.sha256])


def _is_similar(look: int, looks: list[int], max_bits: int) -> bool:
    return any((look ^ other).bit_count() <= max_bits for other in looks)


def _original(image: PublishedImage, folder: Path, limits: Reading) -> _Original | None:
    """The original that was published, or nothing if it is gone, has changed or cannot be read any more."""
    file = (folder / image.path).resolve()
    try:
        content = file.read_bytes() if file.is_relative_to(folder.resolve()) else b""
        if hashlib.sha256(content).hexdigest() != image.sha256:
            return None
        picture = decode(content, limits)
    except (OSError, ImageFault):
        return None
    grey = np.asarray(cv2.cvtColor(picture.pixels, cv2.COLOR_RGB2GRAY), np.uint8)
    return _Original(content, picture, perceptual_hash(grey))


def _laid_out(
    candidate: Candidate, reason: Reason, original: _Original, rules: Rules, folder: Path
) -> SampledImage:  # fmt: skip
    image, picture = candidate.image, original.picture
    name = image.sha256[:16]
    file = f"originals/{name}.{_ending(picture)}"
    write_whole(folder / file, _for_tools(original))
    return SampledImage(
        id=name,
        file=file,
        path=image.path,
        published=str(image.folder),
        sha256=image.sha256,
        width=picture.width,
        height=picture.height,
        region=image.region,
        model=image.model,
        brightness=image.brightness,
        reason=reason,
        score=round(candidate.score, 6),
        boxes=tuple(_boxes(image, rules)),
    )


def _ending(picture: Picture) -> str:
    upright = picture.format == "JPEG" or picture.orientation == 1
    return _ENDINGS.get(picture.format, "png") if upright else "png"


def _for_tools(original: _Original) -> bytes:
    """JPEG as it is. No tool shows TIFF, and few turn PNG and WebP upright: those become PNG, without loss."""
    picture = original.picture
    if picture.format == "JPEG" or (picture.format in _ENDINGS and picture.orientation == 1):
        return original.content
    return bytes(cv2.imencode(".png", picture.pixels[:, :, ::-1])[1])


def _boxes(image: PublishedImage, rules: Rules) -> Iterator[PreAnnotation]:
    for proposal in image.proposals:
        if proposal.is_blurred:
            yield from _pre_annotation(proposal, image)
    for report in reports_of(image, rules):
        if report.sides is not None:  # of an unnamed class, the commoner guess
            yield from _cut(report.class_name or CLASS_NAMES[0], report.sides, None, image)


def _pre_annotation(proposal: Proposed, image: PublishedImage) -> Iterator[PreAnnotation]:
    sides = (proposal.x1, proposal.y1, proposal.x2, proposal.y2)
    yield from _cut(proposal.class_name, sides, last_word(proposal), image)
    if proposal.x2 > image.width:  # on a panorama it goes on at the left border
        on_the_left = (proposal.x1 - image.width, proposal.y1, proposal.x2 - image.width, proposal.y2)
        yield from _cut(proposal.class_name, on_the_left, last_word(proposal), image)


def _cut(
    class_name: str, sides: tuple[float, float, float, float], confidence: float | None, image: PublishedImage
) -> Iterator[PreAnnotation]:
    """What of a box lies within the picture."""
    x1, y1, x2, y2 = sides
    x1, y1, x2, y2 = max(x1, 0.0), max(y1, 0.0), min(x2, float(image.width)), min(y2, float(image.height))
    if x2 > x1 and y2 > y1:
        told = None if confidence is None else round(float(confidence), 4)
        left, top, right, bottom = (round(float(side), 2) for side in (x1, y1, x2, y2))
        yield PreAnnotation(class_name, left, top, right, bottom, told)  # type: ignore[arg-type]
