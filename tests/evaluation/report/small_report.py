"""A small evaluation on pictures whose objects have colours that nothing else in them has."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from components.dataset.labels import LabelledImage
from components.detections import CLASS_NAMES, FACE, LICENSE_PLATE, Detections
from components.evaluation.report.report import About, Report, Subject, build_report
from components.settings import Params

WIDTH, HEIGHT = 320, 240
MAGENTA = (255, 0, 255)
FACE_BOX, PLATE_BOX, FALSE_BOX = [40, 40, 80, 90], [180, 150, 260, 175], [250, 20, 300, 60]
BOTH = frozenset(CLASS_NAMES)
_GROUPS = ("with", "without")


def write_picture(file: Path, seed: int, boxes: list[list[int]]) -> None:
    """A grey picture with texture, in which each object is magenta."""
    pixels = np.random.default_rng(seed).integers(60, 180, (HEIGHT, WIDTH, 1), np.uint8).repeat(3, axis=2)
    for x1, y1, x2, y2 in boxes:
        pixels[y1:y2, x1:x2] = MAGENTA
    Image.fromarray(pixels).save(file)


def pictures(folder: Path, count: int = 6, complete: bool = True) -> list[LabelledImage]:
    """Pictures with a face and a plate each; each second face has another mark."""
    images = []
    for i in range(count):
        file = folder / f"{i}.png"
        write_picture(file, i, [FACE_BOX, PLATE_BOX])
        objects = Detections.of([FACE_BOX, PLATE_BOX], 1.0, [FACE, LICENSE_PLATE])
        marks: tuple[dict[str, object], ...] = ({"mask": _GROUPS[i % 2]}, {})
        images.append(
            LabelledImage(
                str(file), WIDTH, HEIGHT, f"source-{i % 2}", objects, np.zeros((0, 4), np.float32),
                BOTH if complete else frozenset(), marks=marks,
            )
        )  # fmt: skip
    return images


def sightings(images: list[LabelledImage], missed_faces: int, false: bool = True) -> dict[str, Detections]:
    """A model that misses the first faces, which it is a little sure of, and hides a poster in each picture."""
    seen = {}
    for i, image in enumerate(images):
        sure = [0.05 if i < missed_faces else 0.9, 0.8, *([0.6] if false else [])]
        boxes = [FACE_BOX, PLATE_BOX, *([FALSE_BOX] if false else [])]
        seen[image.path] = Detections.of(boxes, sure, [FACE, LICENSE_PLATE, FACE][: len(boxes)])
    return seen


def small_report(folder: Path, params: Params, count: int = 6, complete: bool = True) -> Report:
    """A report on two models, of which the first one misses three faces."""
    images = pictures(folder, count, complete)
    subjects = [
        Subject("own", "Own <model> & co", sightings(images, 3), (("street.onnx", "sha256 0123"),)),
        Subject("peers", "Peers", sightings(images, 1, false=False)),
    ]
    return build_report(subjects, images, params, About("pictures", "test", "strict", "f" * 64))


def jpegs_of(html: str) -> list[NDArray[np.uint8]]:
    """Every picture of a page, decoded."""
    found = re.findall(r"data:image/jpeg;base64,([A-Za-z0-9+/=]+)", html)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB")) for text in found]


def magenta_pixels(pixels: NDArray[np.uint8]) -> int:
    """How many pixels have nearly the colour of the objects."""
    return int((np.abs(pixels.astype(int) - MAGENTA).max(axis=2) < 90).sum())
