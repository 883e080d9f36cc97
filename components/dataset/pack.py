"""What training needs, small enough to be carried to a machine with a GPU in one go.

python -m components.dataset.pack PREPARED TAUGHT.jsonl OUT [MAX_MIB]

Pictures of the training and validation parts are written anew as JPEG, as large as the limit allows; labels, and what
teachers have seen, are scaled with them. OUT is then a prepared folder of its own: `components.training.stage1` takes
it as it takes the original one. The test part stays where it is: what was tuned on a test proves nothing.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from components.dataset.labels import LabelledImage, read_labels, write_labels
from components.errors import StreetveilError
from components.settings import PROJECT_ROOT

PARTS = ("train", "val")
# From the best to the smallest: the longer side, px, and the quality of JPEG. Training shrinks and compresses pictures
# anyway, so neither costs much.
_WAYS = ((4096, 90), (1280, 85), (1280, 80), (1024, 75), (800, 75), (640, 75), (480, 70))


@dataclass(frozen=True, slots=True)
class Packed:
    """What was packed.

    Attributes:
        pictures: their number.
        size_mib: of all files together.
        long_side_px: to which longer sides were reduced.
        quality: of JPEG.
    """

    pictures: int
    size_mib: float
    long_side_px: int
    quality: int


def pack(prepared: Path, taught: Path, out: Path, max_mib: float = 50, project: Path = PROJECT_ROOT) -> Packed:
    """Write a prepared folder that is no larger than a limit.

    Args:
        prepared: what the prepare stage has written.
        taught: what teachers have seen.
        out: the new folder, inside the project's.
        max_mib: the limit; as it counts files, an archive of them is about as large.
        project: what all paths start from.

    Raises:
        StreetveilError: the pictures do not fit at any size.
    """
    parts = {part: list(read_labels(prepared / f"{part}.json", folder="")) for part in PARTS}
    lessons = dict(_lines(taught))
    for way in _WAYS:
        size = _write(parts, lessons, out, way, project) / 2**20
        if size <= max_mib:
            return Packed(sum(map(len, parts.values())), size, *way)
    raise StreetveilError(f"{prepared} does not fit into {max_mib} MiB at {_WAYS[-1][0]} px: allow more")


def _write(
    parts: dict[str, list[LabelledImage]], lessons: dict[str, list], out: Path, way: tuple[int, int], project: Path
) -> int:
    """Write everything in one way; the number of bytes."""
    pictures = out / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    for old in pictures.glob("*.jpg"):
        old.unlink()
    taught: list[str] = []
    size = number = 0
    for part, images in parts.items():
        packed = []
        for image in images:
            file = pictures / f"{number:05}.jpg"
            number += 1
            scale = _write_picture(project / image.path, file, way)
            size += file.stat().st_size
            path = file.relative_to(project).as_posix()
            packed.append(_scaled(image, path, scale))
            if image.path in lessons:  # that no teacher has looked must not become that one has seen nothing
                found = [[*np.multiply(row[:4], scale * 2).tolist(), *row[4:]] for row in lessons[image.path]]
                taught.append(json.dumps({"file": path, "found": found}))
        write_labels(out / f"{part}.json", packed)
        size += (out / f"{part}.json").stat().st_size
    (out / "taught.jsonl").write_text("\n".join(taught) + "\n", encoding="utf-8")
    return size + (out / "taught.jsonl").stat().st_size


def _write_picture(source: Path, target: Path, way: tuple[int, int]) -> tuple[float, float]:
    """Write a picture upright and no larger than asked; the factors by which its width and height were reduced."""
    long_side_px, quality = way
    pixels = cv2.imread(str(source), cv2.IMREAD_COLOR)
    if pixels is None:
        raise StreetveilError(f"{source} cannot be read: fetch the labelled pictures again")
    height, width = pixels.shape[:2]
    scale = min(1.0, long_side_px / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    if scale < 1:
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    cv2.imwrite(str(target), pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    # Whole px differ a little from the factor asked for; with that, a box at the border could lie outside.
    return size[0] / width, size[1] / height


def _scaled(image: LabelledImage, path: str, scale: tuple[float, float]) -> LabelledImage:
    factor = np.array(scale * 2, np.float32)
    return replace(
        image,
        path=path,
        width=round(image.width * scale[0]),
        height=round(image.height * scale[1]),
        objects=image.objects.with_boxes(image.objects.xyxy * factor),
        ignored=image.ignored * factor,
    )


def _lines(taught: Path) -> Iterator[tuple[str, list]]:
    for line in taught.read_text(encoding="utf-8").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:  # empty, or cut off by an interruption
            continue
        yield entry["file"], entry["found"]


if __name__ == "__main__":
    limit = float(sys.argv[4]) if len(sys.argv) > 4 else 50
    print(pack(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]).resolve(), limit))
