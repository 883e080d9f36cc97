"""The two files behind each sampled picture: read, proved to be the ones that were drawn, and fit for a browser."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

import cv2

from components.errors import StreetveilError
from components.evaluation.hand_count.sample import Sample, SampledImage
from components.imaging.reading import decode
from components.settings import Reading

Side = Literal["original", "published"]
_MEDIA_TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}


def read_picture(sample: Sample, image: SampledImage, side: Side) -> bytes:
    """The bytes of one side of a sampled picture.

    Raises:
        StreetveilError: the file lies outside its folder, is gone, or is not the one that was drawn.
    """
    root = Path(sample.originals if side == "original" else sample.published)
    wanted = image.original_sha256 if side == "original" else image.published_sha256
    file = (root / image.path).resolve()
    if not file.is_relative_to(root.resolve()):
        raise StreetveilError(f"{image.path} lies outside of {root}: draw a new sample")
    try:
        content = file.read_bytes()
    except OSError as error:
        raise StreetveilError(
            f"the {side} of {image.path} cannot be read ({error.strerror}): restore it below {root}"
        ) from error
    if hashlib.sha256(content).hexdigest() != wanted:
        raise StreetveilError(
            f"the {side} of {image.path} has changed since the blur (sha256 differs): restore it below {root}, or "
            "blur again and draw a new sample"
        )
    return content


def for_browser(content: bytes, image: SampledImage, limits: Reading) -> tuple[bytes, str]:
    """A picture as every browser shows it upright, and its media type.

    JPEG files pass as they are. TIFF is unknown to browsers, and not all of them turn PNG and WebP files by their
    orientation: those become PNG in memory, without loss.

    Raises:
        ImageFault: it cannot be decoded; it was when it was blurred, so the limits have changed since.
    """
    if image.image_format == "JPEG" or (image.image_format in _MEDIA_TYPES and image.orientation == 1):
        return content, _MEDIA_TYPES[image.image_format]
    pixels = decode(content, limits).pixels
    return cv2.imencode(".png", pixels[:, :, ::-1])[1].tobytes(), _MEDIA_TYPES["PNG"]
