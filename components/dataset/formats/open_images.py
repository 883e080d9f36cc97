"""Open Images: a CSV with one line a box, its sides as shares of the picture's width and height."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

from components.dataset.annotation import Classes, Size, class_of, numbers, picture_size, whole_box
from components.dataset.labels import LabelledBox, LabelledImage, labelled_image
from components.errors import StreetveilError

OPEN_IMAGES_CLASSES: Classes = {"/m/0dzct": "face", "/m/01jfm_": "license_plate"}
_NEEDED = ("ImageID", "LabelName", "XMin", "XMax", "YMin", "YMax", "IsGroupOf", "IsDepiction")


def read_open_images(
    labels: Path, pictures: Path, source: str = "open-images", classes: Classes | None = None
) -> Iterator[LabelledImage]:
    """Read the pictures that have a box of one of our classes, in the order in which they first appear.

    Groups (`IsGroupOf`) and pictures of pictures (`IsDepiction`) become ignored boxes. Where a class was looked for,
    all of its objects are labelled, so a picture is exhaustive for the classes that it has boxes of.

    Args:
        labels: `*-annotations-bbox.csv`.
        pictures: the folder of `<ImageID>.jpg`.
        source: the name of the set.
        classes: label names (`/m/…`, or words) for our classes, besides the published ones.

    Raises:
        StreetveilError: a column is missing, a line is broken, or a picture is missing.
    """
    known = {**OPEN_IMAGES_CLASSES, **(classes or {})}
    found: dict[str, list[tuple[str, str, Mapping[str, str]]]] = {}
    for where, row in _rows(labels):
        class_name = class_of(row["LabelName"], known, where)
        if class_name is not None:
            found.setdefault(row["ImageID"], []).append((where, class_name, row))
    if not found:
        raise StreetveilError(f"{labels}: no face and no plate in it; name the labels in the set's `classes`")
    for image_id, rows in found.items():
        name = f"{image_id}.jpg"
        size = picture_size(pictures / name, rows[0][0])
        boxes = [_box(row, class_name, size, where) for where, class_name, row in rows]
        yield labelled_image(name, size, source, boxes, exhaustive=frozenset(box.class_name for box in boxes))


def _rows(labels: Path) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Each line with where it stands; the published file is larger than what one wants in memory."""
    try:
        with labels.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in _NEEDED if name not in (reader.fieldnames or ())]
            if missing:
                raise StreetveilError(f"{labels}:1: no column {', '.join(missing)}; take the CSV as it was published")
            for row in reader:
                where = f"{labels}:{reader.line_num}"
                if None in row or None in row.values():
                    raise StreetveilError(f"{where}: not as many fields as the header; correct or delete the line")
                yield where, row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise StreetveilError(f"{labels}: cannot be read as a CSV ({error}); give the path of the boxes") from error


def _box(row: Mapping[str, str], class_name: str, size: Size, where: str) -> LabelledBox:
    x1, y1, x2, y2 = numbers([row[side] for side in ("XMin", "YMin", "XMax", "YMax")], where)
    if max(x1, y1, x2, y2) > 1 or min(x1, y1, x2, y2) < 0:
        raise StreetveilError(f"{where}: sides are shares from 0 to 1, and these are not; divide pixels by the size")
    sides = (x1 * size[0], y1 * size[1], x2 * size[0], y2 * size[1])
    marks = {
        key: row[column] == "1"
        for key, column in (("occluded", "IsOccluded"), ("truncated", "IsTruncated"))
        if row.get(column) in {"0", "1"}  # −1 is unknown
    }
    ignored = row["IsGroupOf"] == "1" or row["IsDepiction"] == "1"
    return LabelledBox(whole_box(sides, size, where), class_name, ignored, marks)
