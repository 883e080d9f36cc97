"""PASCAL VOC: one XML file a picture."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from defusedxml import DefusedXmlException, ElementTree  # type: ignore[import-untyped]

from components.dataset.annotation import Classes, Size, class_of, numbers, whole_box, whole_size
from components.dataset.labels import LabelledBox, LabelledImage, labelled_image
from components.errors import StreetveilError


def read_voc(
    labels: Path,
    source: str = "voc",
    classes: Classes | None = None,
    exhaustive: Iterable[str] = (),
    first_pixel: int = 1,
) -> Iterator[LabelledImage]:
    """Read a folder of XML files, sorted by name. Objects marked as `difficult` become ignored boxes.

    Args:
        labels: the folder of XML files.
        source: the name of the set.
        classes: names of objects for our classes.
        exhaustive: the classes of which every object is labelled.
        first_pixel: the number of the first pixel. VOC counts from 1, and its boxes include their last pixel; with 0,
            boxes count as ours do.

    Raises:
        StreetveilError: there is no XML file, one is not of this form, or no object of all is a face or a plate.
    """
    files = sorted(labels.glob("*.xml"))
    if not files:
        raise StreetveilError(f"{labels}: no XML file in it; give the folder of the annotations")
    seen: set[str] = set()
    is_ours = False
    for file in files:
        root = _root(file)
        names = [_text(found, "name", f"{file}: object {i}") for i, found in enumerate(root.iter("object"), 1)]
        size = whole_size(_text(root, "size/width", str(file)), _text(root, "size/height", str(file)), str(file))
        boxes = []
        for i, (name, found) in enumerate(zip(names, root.iter("object"), strict=True), 1):
            where = f"{file}: object {i}"
            class_name = class_of(name, classes or {}, where)
            if class_name is not None:
                boxes.append(_box(found, name, class_name, size, first_pixel, where))
        seen.update(names)
        is_ours = is_ours or bool(boxes)
        yield labelled_image(_text(root, "filename", str(file)), size, source, boxes, exhaustive=frozenset(exhaustive))
    if seen and not is_ours:
        heard = ", ".join(sorted(seen)[:8])
        raise StreetveilError(f"{labels}: no object is a face or a plate ({heard}); name them in the set's `classes`")


def _root(file: Path) -> Any:
    try:
        root = ElementTree.parse(file).getroot()
    except (OSError, ElementTree.ParseError, DefusedXmlException, ValueError) as error:
        raise StreetveilError(f"{file}: not an XML file that can be trusted ({error}); correct it") from error
    if root.tag != "annotation":
        raise StreetveilError(f"{file}: <{root.tag}> instead of <annotation>; is it a VOC file?")
    return root


def _text(element: Any, path: str, where: str) -> str:
    text = (element.findtext(path) or "").strip()
    if not text:
        raise StreetveilError(f"{where}: no <{path}>; add it")
    return text


def _box(found: Any, name: str, class_name: str, size: Size, first_pixel: int, where: str) -> LabelledBox:
    x1, y1, x2, y2 = numbers(
        [_text(found, f"bndbox/{side}", where) for side in ("xmin", "ymin", "xmax", "ymax")], where
    )
    # Counted from 1 and with the last pixel: the left edge is one less, the right edge is where we say it is.
    sides = whole_box((x1 - first_pixel, y1 - first_pixel, x2, y2), size, where)
    marks: dict[str, object] = {"truncated": True} if found.findtext("truncated") == "1" else {}
    if name != class_name:
        marks["label"] = name
    return LabelledBox(sides, class_name, (found.findtext("difficult") or "").strip() == "1", marks)
