"""Labelled pictures: what people have drawn, and what they have not looked for."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from components.dataset.annotation import Classes, Sides, Size, class_of, whole_box, whole_size
from components.detections import CLASS_IDS, CLASS_NAMES, Boxes, Detections
from components.errors import StreetveilError

_ANY = "any"  # stands in files for the class of an ignored box, which is ignored whatever it is
_OWN_KEYS = {"file", "w", "h", "source", "boxes", "region", "video", "t", "night", "mean_luma"}


@dataclass(frozen=True, slots=True, eq=False)
class LabelledImage:
    """The truth about one picture. What nobody has said is None.

    Attributes:
        path: relative to the data set's folder.
        width, height: px of the upright picture.
        source: where the picture comes from.
        objects: the labelled objects; their confidence is 1.
        ignored: boxes [n, 4] that count neither as objects nor as background (depicted, or too unclear to tell).
        exhaustive: classes of which every object in the picture is labelled; only these have a background.
        attributes: whatever else the labels say of the picture.
        marks: what else the labels say of each object (`mask`, `tilt_deg`, …), in the order of the objects; or nothing.
        region: the country or region that it was taken in, as the source names it.
        video: the name of the video that it was taken from.
        t: its place in the video, in the source's own unit.
        night: taken at night.
        mean_luma: mean brightness, 0 to 255.
    """

    path: str
    width: int
    height: int
    source: str
    objects: Detections
    ignored: Boxes
    exhaustive: frozenset[str] = frozenset()
    attributes: dict[str, object] = field(default_factory=dict)
    marks: tuple[Mapping[str, object], ...] = ()
    region: str | None = None
    video: str | None = None
    t: float | None = None
    night: bool | None = None
    mean_luma: float | None = None

    def __post_init__(self) -> None:
        if self.marks and len(self.marks) != len(self.objects):
            raise ValueError(f"{self.path}: {len(self.marks)} marks for {len(self.objects)} objects")


@dataclass(frozen=True, slots=True)
class LabelledBox:
    """One drawn box.

    Attributes:
        sides: xyxy, px of the upright picture.
        class_name: one of `CLASS_NAMES`.
        ignored: it counts neither as an object nor as background.
        marks: what else the labels say of the object.
    """

    sides: Sides
    class_name: str
    ignored: bool = False
    marks: Mapping[str, object] = field(default_factory=dict)


def labelled_image(path: str, size: Size, source: str, boxes: Iterable[LabelledBox], **more: Any) -> LabelledImage:
    """A labelled picture from its boxes; `more` are further attributes of `LabelledImage`."""
    boxes = list(boxes)
    objects = [box for box in boxes if not box.ignored]
    sides = _boxes(box.sides for box in objects)
    return LabelledImage(
        path=path,
        width=size[0],
        height=size[1],
        source=source,
        objects=Detections.of(sides, 1.0, [CLASS_IDS[box.class_name] for box in objects]),
        ignored=_boxes(box.sides for box in boxes if box.ignored),
        marks=tuple(box.marks for box in objects),
        **more,
    )


def read_labels(
    file: Path,
    exhaustive: Iterable[str] = (),
    folder: str | None = None,
    mostly_is_exhaustive: bool = False,
    classes: Classes | None = None,
) -> Iterator[LabelledImage]:
    """Read a `labels.json`: a list of `{file, w, h, source, boxes: [{cls, box: [x1, y1, x2, y2], ignore?}], …}`.

    Boxes of other classes (vehicles, people) are passed over. An entry's own `exhaustive` is a list of classes, or
    `true` or "mostly" for the classes of its boxes.

    Args:
        file: the JSON file.
        exhaustive: the classes of which every object is labelled, whatever the entries say.
        folder: what stands before the pictures' paths ("" for nothing); the name of the file's own folder by default.
        mostly_is_exhaustive: take "mostly" for true.
        classes: other names of our classes.

    Raises:
        StreetveilError: the file cannot be read, or an entry is not of this form.
    """
    prefix = file.parent.name if folder is None else folder
    told = frozenset(exhaustive)
    entry: Any = None
    number = 0
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(entries, list):
            raise TypeError("a list of entries is needed")
        for number, entry in enumerate(entries, 1):  # noqa: B007 - the message below names it
            yield _labelled(entry, prefix, told, mostly_is_exhaustive, classes or {})
    except (OSError, ValueError, KeyError, TypeError, StreetveilError) as error:
        name = entry.get("file") if isinstance(entry, dict) else None
        where = f"entry {number}{f', {name}' if name else ''}: " if number else ""
        what = str(error) if isinstance(error, StreetveilError) else f"{type(error).__name__}: {error}"
        raise StreetveilError(f"{file}: not a labels.json ({where}{what}); correct or remove it") from error


def write_labels(file: Path, images: Iterable[LabelledImage]) -> None:
    """Write a `labels.json` that `read_labels` reads again with folder "" to the same pictures."""
    file.write_text(labels_text(images), encoding="utf-8", newline="\n")


def labels_text(images: Iterable[LabelledImage]) -> str:
    """The text of a `labels.json`, one entry a line."""
    lines = [json.dumps(_entry(image), ensure_ascii=False, allow_nan=False) for image in images]
    return "[\n" + ",\n".join(lines) + "\n]\n" if lines else "[]\n"


def _labelled(entry: Any, folder: str, told: frozenset[str], mostly: bool, classes: Classes) -> LabelledImage:
    size = whole_size(entry["w"], entry["h"], "size")
    boxes = [
        read for number, box in enumerate(entry["boxes"], 1) if (read := _box(box, size, classes, f"box {number}"))
    ]
    said = entry.get("exhaustive", False)
    if isinstance(said, list):
        own = frozenset(str(name) for name in said)
        if not own <= set(CLASS_NAMES):
            raise ValueError(f"exhaustive: {said} are not among {', '.join(CLASS_NAMES)}")
    else:
        own = frozenset(box.class_name for box in boxes if said is True or (said == "mostly" and mostly))
    rest = {key: value for key, value in entry.items() if key not in _OWN_KEYS}
    if isinstance(said, bool | list):
        rest.pop("exhaustive", None)
    return labelled_image(
        f"{folder}/{entry['file']}" if folder else str(entry["file"]),
        size,
        str(entry["source"]),
        boxes,
        exhaustive=told | own,
        attributes=rest,
        region=entry.get("region"),
        video=entry.get("video"),
        t=entry.get("t"),
        night=_night(entry),
        mean_luma=entry.get("mean_luma"),
    )


def _box(box: dict[str, Any], size: Size, classes: Classes, where: str) -> LabelledBox | None:
    name, ignored = box["cls"], bool(box.get("ignore"))
    if name == _ANY and not ignored:
        raise ValueError(f"{where}: only what is ignored can be of any class")
    class_name = CLASS_NAMES[0] if name == _ANY else class_of(name, classes, where)
    if class_name is None:
        return None
    marks = {key: value for key, value in box.items() if key not in {"cls", "box", "ignore"}}
    return LabelledBox(whole_box(box["box"], size, where), class_name, ignored, marks)


def _night(entry: Mapping[str, Any]) -> bool | None:
    lighting = str(entry.get("lighting", ""))
    if "night" in entry or not lighting:
        return entry.get("night")
    return True if "night" in lighting else False if "day" in lighting else None


def _entry(image: LabelledImage) -> dict[str, object]:
    marks = image.marks or ({},) * len(image.objects)
    boxes = [
        {**mark, "cls": CLASS_NAMES[class_id], "box": _sides(sides)}
        for mark, class_id, sides in zip(marks, image.objects.class_id, image.objects.xyxy, strict=True)
    ]
    boxes += [{"cls": _ANY, "box": _sides(sides), "ignore": True} for sides in image.ignored]
    known = {
        key: value
        for key in ("region", "video", "t", "night", "mean_luma")
        if (value := getattr(image, key)) is not None
    }
    size = {"w": image.width, "h": image.height}
    exhaustive = [name for name in CLASS_NAMES if name in image.exhaustive]
    head = {"file": image.path, **size, "source": image.source, **known}
    rest = {key: value for key, value in image.attributes.items() if key != "exhaustive"}
    return {**head, "exhaustive": exhaustive, **rest, "boxes": boxes}


def _sides(sides: Iterable[np.float32]) -> list[float]:
    """The shortest decimals that read back to the same float32."""
    return [float(str(side)) for side in sides]


def _boxes(boxes: Iterable[Sides]) -> Boxes:
    return np.asarray(list(boxes), np.float32).reshape(-1, 4)
