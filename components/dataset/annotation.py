"""What every reader of labels checks: names, boxes, sizes. A broken annotation is an error, and never a lost box."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from components.errors import StreetveilError

Sides = tuple[float, float, float, float]  # xyxy px, see components/detections.py
Size = tuple[int, int]  # width and height of the upright picture, px
Classes = Mapping[str, str | None]  # a data set's names for our classes; None for what is looked for by nobody

_OUR_CLASS = {
    "face": "face",
    "human_face": "face",
    "license_plate": "license_plate",
    "licence_plate": "license_plate",
    "number_plate": "license_plate",
    "vehicle_registration_plate": "license_plate",
}
# Names with these in them may mean a face or a plate. Passing over them could lose every box of a set.
_DOUBTFUL = ("face", "plate", "licen", "mask", "head")
_EXIF_ORIENTATION = 0x0112


def class_of(name: object, classes: Classes, where: str) -> str | None:
    """Our class for a data set's name, or None for other things (vehicles, people).

    Args:
        name: what the data set calls the object.
        classes: what the settings say of names; asked first.
        where: file and line, for the message.

    Raises:
        StreetveilError: the name could mean a face or a plate, and nobody has said whether it does.
    """
    if not isinstance(name, str) or not name.strip():
        raise StreetveilError(f"{where}: an object without a class name ({name!r}); give it one")
    if name in classes:
        return classes[name]
    plain = name.strip().lower().replace(" ", "_").replace("-", "_")
    if plain not in _OUR_CLASS and any(word in plain for word in _DOUBTFUL):
        raise StreetveilError(
            f"{where}: class {name!r} may be a face or a plate; say so in the set's `classes` (null passes it over)"
        )
    return _OUR_CLASS.get(plain)


def numbers(fields: Sequence[object], where: str) -> list[float]:
    """Finite numbers from a file's fields.

    Raises:
        StreetveilError: a field is no number, or it is infinite.
    """
    try:
        values = [float(field) for field in fields]  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise StreetveilError(f"{where}: not a number in {list(fields)!r}; correct it") from error
    if not all(map(math.isfinite, values)):
        raise StreetveilError(f"{where}: {list(fields)!r} is not finite; correct it")
    return values


def whole_box(sides: Sequence[object], size: Size, where: str) -> Sides:
    """A box as it lies in the picture: what hangs over the border is cut off.

    Args:
        sides: xyxy, px of the upright picture.
        size: of the upright picture.
        where: file and line, for the message.

    Raises:
        StreetveilError: the box has not four finite sides, is empty or inside out, or lies outside of the picture.
    """
    if len(sides) != 4:
        raise StreetveilError(f"{where}: a box needs four sides, not {len(sides)}; correct it")
    x1, y1, x2, y2 = numbers(sides, where)
    shown = f"[{x1:g}, {y1:g}, {x2:g}, {y2:g}]"
    if x2 <= x1 or y2 <= y1:
        raise StreetveilError(f"{where}: the box {shown} is empty or inside out; correct or delete it")
    width, height = size
    cut = max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height))
    if cut[2] <= cut[0] or cut[3] <= cut[1]:
        raise StreetveilError(
            f"{where}: the box {shown} lies outside of the picture ({width}×{height} px); "
            "were the labels made for another size?"
        )
    return cut


def whole_size(width: object, height: object, where: str) -> Size:
    """Width and height of a picture.

    Raises:
        StreetveilError: one of them is not a whole number of at least 1 px.
    """
    values = numbers((width, height), where)
    if any(value < 1 or not value.is_integer() for value in values):
        raise StreetveilError(f"{where}: {width!r} × {height!r} is no size of a picture; correct it")
    return int(values[0]), int(values[1])


def picture_size(path: Path, where: str) -> Size:
    """Width and height of a picture as it is seen, upright; only its header is read.

    Raises:
        StreetveilError: there is no such picture, or it cannot be read.
    """
    try:
        with Image.open(path) as image:
            lies_on_its_side = image.getexif().get(_EXIF_ORIENTATION, 1) >= 5
            return (image.height, image.width) if lies_on_its_side else (image.width, image.height)
    except (OSError, Image.DecompressionBombError) as error:
        reason = "is not there" if isinstance(error, FileNotFoundError) else "cannot be read"
        raise StreetveilError(f"{where}: the picture {path} {reason}; restore it or remove its labels") from error


def text_of(path: Path) -> str:
    """The text of a label file, with a leading byte order mark removed.

    Raises:
        StreetveilError: the file is not there, or it is no UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise StreetveilError(f"{path}: cannot be read ({reason}); give the path of a label file") from error
