"""YOLO as ultralytics reads it: `images/…`, `labels/….txt` with `class cx cy w h` as shares, names in `data.yaml`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

import yaml

from components.dataset.annotation import Classes, Size, class_of, numbers, picture_size, text_of, whole_box
from components.dataset.labels import LabelledBox, LabelledImage, labelled_image, write_labels
from components.detections import CLASS_NAMES
from components.errors import StreetveilError

_PICTURE_ENDINGS = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"}


def read_yolo(
    labels: Path,
    pictures: Path,
    source: str = "yolo",
    classes: Classes | None = None,
    exhaustive: Iterable[str] = (),
) -> Iterator[LabelledImage]:
    """Read all pictures of a folder, sorted by path.

    A picture's labels stand where ultralytics looks for them: in the same place below `labels` instead of `images`.
    Outlines (`class x1 y1 x2 y2 x3 y3 …`) become the boxes around them. Unlike there, a picture without a label file
    is an error, since a lost file would make background of its objects.

    Args:
        labels: the `data.yaml` with the `names` of the classes.
        pictures: the folder of pictures, with all below it.
        source: the name of the set.
        classes: names for our classes.
        exhaustive: the classes of which every object is labelled.

    Raises:
        StreetveilError: a label file is missing, broken or left over, or no class is a face or a plate.
    """
    names = _names(labels, classes or {})
    files = sorted(path for path in pictures.rglob("*") if path.suffix.lower() in _PICTURE_ENDINGS)
    if not files:
        raise StreetveilError(f"{pictures}: no picture in it; give the folder of the pictures")
    expected = {path: _label_file(path) for path in files}
    found = {path for folder in {_label_file(pictures / "x").parent} for path in folder.rglob("*.txt")}
    left_over = sorted(found - set(expected.values()))
    if left_over:
        raise StreetveilError(f"{left_over[0]}: labels without a picture; restore the picture or delete them")
    for path, label_file in expected.items():
        if not label_file.is_file():
            raise StreetveilError(f"{label_file}: is missing; write an empty one if the picture shows nothing")
        size = picture_size(path, str(label_file))
        boxes = [
            box
            for number, line in enumerate(text_of(label_file).splitlines(), 1)
            if line.strip() and (box := _box(line.split(), names, size, f"{label_file}:{number}"))
        ]
        name = path.relative_to(pictures).as_posix()
        yield labelled_image(name, size, source, boxes, exhaustive=frozenset(exhaustive))


def write_yolo(folder: Path, parts: Mapping[str, Iterable[LabelledImage]], pictures: Path) -> Path:
    """Write what ultralytics trains on. Pictures are links to the originals, under names that no two share.

    `labels.json` in the folder says of the same pictures what this format cannot: ignored boxes, and which classes
    are labelled exhaustively.

    Args:
        folder: a new or empty folder.
        parts: the pictures of each part, usually `train`, `val` and `test`.
        pictures: what the images' paths are relative to.

    Returns:
        The `data.yaml`.

    Raises:
        StreetveilError: the folder is not empty, or a picture is missing.
    """
    if folder.exists() and any(folder.iterdir()):
        raise StreetveilError(f"{folder}: is not empty; remove it, or name a new folder")
    written = []
    for part, images in parts.items():
        for kind in ("images", "labels"):
            (folder / kind / part).mkdir(parents=True, exist_ok=True)
        for image in images:
            original = (pictures / image.path).resolve()
            if not original.is_file():
                raise StreetveilError(f"{original}: the picture is not there; restore it or remove its labels")
            name = PurePosixPath("images", part, _own_name(image.path))
            (folder / name).symlink_to(original)
            _label_file(folder / name).write_text("".join(_lines(image)), encoding="utf-8", newline="\n")
            written.append(replace(image, path=name.as_posix()))
    write_labels(folder / "labels.json", written)
    data = folder / "data.yaml"
    content = {"path": str(folder.resolve()), **{part: f"images/{part}" for part in parts}}
    data.write_text(yaml.safe_dump({**content, "names": dict(enumerate(CLASS_NAMES))}, sort_keys=False), "utf-8")
    return data


def _names(data: Path, classes: Classes) -> dict[int, str | None]:
    try:
        content = yaml.safe_load(text_of(data))
    except yaml.YAMLError as error:
        raise StreetveilError(f"{data}: not YAML ({' '.join(str(error).split())}); correct it") from error
    listed = content.get("names") if isinstance(content, dict) else None
    pairs = dict(enumerate(listed)) if isinstance(listed, list) else listed
    if not isinstance(pairs, dict) or not pairs or not all(isinstance(key, int) for key in pairs):
        raise StreetveilError(f"{data}: no `names` of the classes; add them as a list, or by their numbers")
    names = {number: class_of(name, classes, f"{data}: names") for number, name in pairs.items()}
    if not any(names.values()):
        heard = ", ".join(map(str, list(pairs.values())[:8]))
        raise StreetveilError(f"{data}: no name is a face or a plate ({heard}); name them in the set's `classes`")
    return names


def _label_file(picture: Path) -> Path:
    """Where ultralytics looks: the last `images` of the path is `labels`; without one, beside the picture."""
    parts = list(picture.parts)
    if "images" in parts[:-1]:
        last = len(parts) - 2 - parts[-2::-1].index("images")
        parts[last] = "labels"
    return Path(*parts).with_suffix(".txt")


def _box(fields: list[str], names: Mapping[int, str | None], size: Size, where: str) -> LabelledBox | None:
    class_id, *shares = numbers(fields, where)
    if class_id not in names:
        raise StreetveilError(f"{where}: data.yaml has no class {fields[0]}; add its name or delete the line")
    if any(not -1 <= share <= 2 for share in shares):
        raise StreetveilError(
            f"{where}: values are shares of the picture, and these are pixels; divide them by its size"
        )
    if len(shares) == 4:
        cx, cy, w, h = shares
        edges = [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2]
    elif len(shares) >= 6 and len(shares) % 2 == 0:
        edges = [min(shares[::2]), min(shares[1::2]), max(shares[::2]), max(shares[1::2])]
    else:
        raise StreetveilError(f"{where}: a line has a class and 4 numbers, or an outline of points; correct it")
    class_name = names[int(class_id)]
    if class_name is None:
        return None
    sides = [edge * length for edge, length in zip(edges, (*size, *size), strict=True)]
    return LabelledBox(whole_box(sides, size, where), class_name)


def _lines(image: LabelledImage) -> Iterator[str]:
    for class_id, (x1, y1, x2, y2) in zip(image.objects.class_id, image.objects.xyxy.astype(float), strict=True):
        w, h = image.width, image.height
        shares = ((x1 + x2) / 2 / w, (y1 + y2) / 2 / h, (x2 - x1) / w, (y2 - y1) / h)
        yield f"{class_id} {' '.join(f'{share:.8f}' for share in shares)}\n"


def _own_name(path: str) -> str:
    """The picture's name with a hash of its whole path: pictures of two folders often have the same name."""
    inside = PurePosixPath(path)
    return f"{inside.stem}-{hashlib.sha256(path.encode()).hexdigest()[:12]}{inside.suffix.lower()}"
