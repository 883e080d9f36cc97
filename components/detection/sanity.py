"""The last question before a model may work: does it see what nobody could miss?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from components.detection.cascade import Cascade
from components.detections import CLASS_IDS, iou
from components.errors import ModelError
from components.imaging.reading import decode
from components.settings import Reading, Region

_FOLDER = Path(__file__).parent / "sanity_pictures"
_MIN_IOU = 0.4


@dataclass(frozen=True, slots=True)
class SanityPicture:
    """A picture with one object in plain sight: its class, and its box in px."""

    file: str
    class_name: str
    box: tuple[float, float, float, float]


SANITY_PICTURES = (
    SanityPicture("face.jpg", "face", (92, 37, 195, 183)),
    SanityPicture("plate.jpg", "license_plate", (445, 197, 522, 251)),
)


def check_sanity(
    cascade: Cascade, region: Region, limits: Reading, pictures: tuple[SanityPicture, ...] = SANITY_PICTURES
) -> None:
    """Run a cascade over the built-in pictures.

    Raises:
        ModelError: it misses an object in plain sight, or its output cannot be trusted.
    """
    for picture in pictures:
        pixels = decode((_FOLDER / picture.file).read_bytes(), limits).pixels
        found = cascade.propose(pixels, region).of_class(CLASS_IDS[picture.class_name])
        sure = found.select(found.confidence >= region.rule(picture.class_name).threshold)
        if not (iou(sure.xyxy, np.array([picture.box], np.float32)) >= _MIN_IOU).any():
            raise ModelError(f"the model does not find the {picture.class_name} of the sanity picture {picture.file}")
