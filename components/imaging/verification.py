"""Looking at an output with other eyes than those that made it, before anybody else may see it."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from components.errors import ImageFault, Reason
from components.imaging import jpeg, orientation
from components.imaging.metadata.inspection import find_forbidden
from components.imaging.noise import Area
from components.imaging.obfuscation import Areas, ramp_windows
from components.imaging.publication import Output, Recipe, Way
from components.imaging.reading import Picture, Pixels, blurring_id_of, decode

# An untouched area correlates at 0.9 and more with its original even after a strong JPEG compression; a hidden one at
# chance. Where there is too little detail for that, the levels themselves tell: noise leaves hardly one as it was.
_MAX_CORRELATION = 0.8
_MIN_SIDE_PX = 12
_MIN_DETAIL_STD = 4.0
_MAX_SAME_SHARE = 0.5
_SAME_LEVELS = 1
_MIN_RANGE_LEVELS = 8  # an area with less shows nothing
_LEAST_SIGMA_PX = 8.0  # of the Gaussian that a smaller copy is made for
_MIN_PIXELS = 9  # what a single pixel shows is no object, and JPEG may round it back
# Encoding a JPEG anew with its own tables moves a pixel by a level or two on average; another picture by dozens.
_MAX_REENCODING_LEVELS = 8.0


def verify_output(picture: Picture, source_bytes: bytes, output: Output, areas: Areas, recipe: Recipe) -> None:
    """Decode an output again and prove that it is what may be published.

    Every area is hidden; nothing else has changed (of a JPEG edited in place no coefficient, of a lossless file no
    pixel); and nothing stands in the file that is not on the allow-list.

    Args:
        picture: the decoded source.
        source_bytes: the source.
        output: what shall be published.
        areas: int32 [n, 4] xyxy px of the upright picture, which must be hidden.
        recipe: how the output was made.

    Raises:
        ImageFault: `verification_failed`, with what is wrong.
    """
    if output.file_bytes == source_bytes:
        raise _failure("the output equals its source byte for byte")
    try:
        published = decode(output.file_bytes, recipe.reading)
    except ImageFault as fault:
        raise _failure(f"the output cannot be decoded ({fault.detail})") from fault
    if (published.format, published.pixels.shape, published.orientation) != (
        picture.format,
        picture.pixels.shape,
        picture.orientation,
    ):
        raise _failure(
            f"the output is a {published.format} of {published.width}×{published.height} px, not like its source"
        )
    if blurring_id_of(output.file_bytes) is None:
        raise _failure("the output carries no blurring id")
    forbidden = find_forbidden(output.file_bytes, published.format, allow_thumbnail=recipe.encoding.thumbnail_px > 0)
    if forbidden:
        raise _failure(f"the output still has {'; '.join(forbidden)[:300]}")
    for area in areas:
        if _shows_the_original(picture.pixels, published.pixels, area):
            raise _failure(f"the area {area.tolist()} still shows the original")
    changed = ramp_windows(areas, recipe.obfuscation, picture.width, picture.height)
    damage = _damage(picture, source_bytes, published, output, changed)
    if damage:
        raise _failure(damage)


def _failure(what: str) -> ImageFault:
    return ImageFault(Reason.VERIFICATION_FAILED, f"{what}; nothing was published, please report this")


def _shows_the_original(original: Pixels, published: Pixels, area: Area) -> bool:
    """Whether an area still has the levels of the original, or its fine detail (correlation of the residuals)."""
    x1, y1, x2, y2 = area
    before, after = original[y1:y2, x1:x2], published[y1:y2, x1:x2]
    if before.shape[0] * before.shape[1] < _MIN_PIXELS or np.ptp(before) < _MIN_RANGE_LEVELS:
        return False
    same = cv2.inRange(cv2.absdiff(before, after), (0, 0, 0), (_SAME_LEVELS,) * 3)
    if cv2.countNonZero(same) > _MAX_SAME_SHARE * same.size:
        return True
    detail_before, detail_after = _detail(before), _detail(after)
    if min(x2 - x1, y2 - y1) < _MIN_SIDE_PX or detail_before.std() < _MIN_DETAIL_STD or detail_after.std() == 0:
        return False
    return float(np.corrcoef(detail_before, detail_after)[0, 1]) > _MAX_CORRELATION


def _detail(patch: Pixels) -> np.ndarray:
    luma = cv2.cvtColor(np.ascontiguousarray(patch), cv2.COLOR_RGB2GRAY).astype(np.float32)
    return (luma - _smoothed(luma, min(luma.shape) / 8)).ravel()


def _smoothed(luma: NDArray[np.float32], sigma_px: float) -> NDArray[np.float32]:
    """Under a Gaussian; a wide one leaves no detail, so it is taken of a smaller copy, in a hundredth of the time."""
    factor = int(sigma_px / _LEAST_SIGMA_PX)
    if factor < 2:
        return np.asarray(cv2.GaussianBlur(luma, (0, 0), sigma_px), np.float32)
    height, width = luma.shape
    small = cv2.resize(luma, (math.ceil(width / factor), math.ceil(height / factor)), interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(
        small, (0, 0), sigma_px * small.shape[1] / width, sigmaY=sigma_px * small.shape[0] / height
    )
    return np.asarray(cv2.resize(blurred, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def _damage(picture: Picture, source_bytes: bytes, published: Picture, output: Output, changed: Areas) -> str:
    """What has changed outside of the windows that may change, in words; empty if nothing has."""
    if output.way is Way.IN_PLACE:
        stored = orientation.stored_areas(changed, picture.orientation, picture.width, picture.height)
        blocks = _changed_blocks(source_bytes, output.file_bytes, stored)
        return f"{blocks} blocks outside of the areas have changed" if blocks else ""
    untouched = np.ones(picture.pixels.shape[:2], bool)
    for x1, y1, x2, y2 in changed:
        untouched[y1:y2, x1:x2] = False
    if output.way is Way.LOSSLESS:
        differs = (picture.pixels != published.pixels).any(axis=2)
        if picture.alpha is not None and published.alpha is not None:
            differs |= picture.alpha != published.alpha
        count = int(np.count_nonzero(differs & untouched))
        return f"{count} pixels outside of the areas have changed" if count else ""
    levels = cv2.absdiff(picture.pixels, published.pixels)[untouched]
    moved = float(levels.mean()) if levels.size else 0.0
    return f"pixels outside of the areas have moved by {moved:.0f} levels" if moved > _MAX_REENCODING_LEVELS else ""


def _changed_blocks(source_bytes: bytes, output_bytes: bytes, areas: NDArray[np.int32]) -> int:
    """Blocks of a JPEG, in all planes, that no area reaches and that have other coefficients than in the source."""
    layout = jpeg.read_layout(source_bytes)
    changed = jpeg.changed_blocks(source_bytes, output_bytes, layout)
    return sum(
        int(np.count_nonzero(blocks & ~layout.touched(component, areas)))
        for component, blocks in zip(layout.components, changed, strict=True)
    )
