"""Looking at an output with other eyes than those that made it, before anybody else may see it."""

from __future__ import annotations

import cv2
import numpy as np

from components.errors import ImageFault, Reason
from components.imaging.noise import Area
from components.imaging.reading import Picture, Pixels, blurring_id_of, decode
from components.settings import Reading

# An untouched area correlates at 0.9 and more with its original even after a strong JPEG compression; a hidden one at
# chance. Areas with fewer pixels, or with less detail in the original than noise, prove nothing either way.
_MAX_CORRELATION = 0.8
_MIN_SIDE_PX = 12
_MIN_DETAIL_STD = 4.0


def verify_output(picture: Picture, source_bytes: bytes, output_bytes: bytes, areas: Area, limits: Reading) -> None:
    """Decode an output again and prove that it is what may be published.

    Raises:
        ImageFault: `verification_failed`, with what is wrong.
    """
    if output_bytes == source_bytes:
        raise _failure("the output equals its source byte for byte")
    try:
        published = decode(output_bytes, limits)
    except ImageFault as fault:
        raise _failure(f"the output cannot be decoded ({fault.detail})") from fault
    if published.pixels.shape != picture.pixels.shape or published.format != picture.format:
        raise _failure(
            f"the output is a {published.format} of {published.width}×{published.height} px, not like its source"
        )
    if blurring_id_of(output_bytes) is None:
        raise _failure("the output carries no blurring id")
    for area in areas:
        if _shows_the_original(picture.pixels, published.pixels, area):
            raise _failure(f"the area {area.tolist()} still shows the original")


def _failure(what: str) -> ImageFault:
    return ImageFault(Reason.VERIFICATION_FAILED, f"{what}; nothing was published, please report this")


def _shows_the_original(original: Pixels, published: Pixels, area: Area) -> bool:
    """Whether the fine detail of an area is still that of the original (Pearson correlation of the residuals)."""
    x1, y1, x2, y2 = area
    if min(x2 - x1, y2 - y1) < _MIN_SIDE_PX:
        return bool(
            np.array_equal(original[y1:y2, x1:x2], published[y1:y2, x1:x2]) and np.ptp(original[y1:y2, x1:x2]) > 0
        )
    before, after = _detail(original[y1:y2, x1:x2]), _detail(published[y1:y2, x1:x2])
    if before.std() < _MIN_DETAIL_STD or after.std() == 0:
        return False
    return float(np.corrcoef(before, after)[0, 1]) > _MAX_CORRELATION


def _detail(patch: Pixels) -> np.ndarray:
    luma = cv2.cvtColor(np.ascontiguousarray(patch), cv2.COLOR_RGB2GRAY).astype(np.float32)
    return (luma - cv2.GaussianBlur(luma, (0, 0), min(luma.shape) / 8)).ravel()
