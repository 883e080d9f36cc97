"""Pictures for the readers' tests."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from components.dataset.labels import LabelledImage


def picture(path: Path, width: int = 200, height: int = 100, orientation: int = 1) -> Path:
    """A grey picture; with an orientation of 6 it is stored lying on its side."""
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (width, height), (90, 90, 90)).save(path, exif=exif)
    return path


def text(path: Path, content: str) -> Path:
    """A file with a text in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def objects(image: LabelledImage) -> list[tuple[int, list[float]]]:
    """Class and sides of each object."""
    return [(int(i), box) for i, box in zip(image.objects.class_id, image.objects.xyxy.tolist(), strict=True)]
