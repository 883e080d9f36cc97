"""COCO: one JSON with `images`, `annotations` and `categories`; boxes are `[x, y, width, height]` in px."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from components.dataset.annotation import Classes, Size, class_of, numbers, text_of, whole_box, whole_size
from components.dataset.labels import LabelledBox, LabelledImage, labelled_image
from components.detections import CLASS_NAMES
from components.errors import StreetveilError


def read_coco(
    labels: Path, source: str = "coco", classes: Classes | None = None, exhaustive: Iterable[str] = ()
) -> Iterator[LabelledImage]:
    """Read all pictures, in the order of `images`. Crowds (`iscrowd`) become ignored boxes.

    Args:
        labels: the JSON.
        source: the name of the set.
        classes: names of categories for our classes.
        exhaustive: the classes of which every object is labelled.

    Raises:
        StreetveilError: the file is not of this form, none of its categories is a face or a plate, or an annotation
            is broken or belongs to no picture.
    """
    content = _content(labels)
    names = _categories(content["categories"], classes or {}, labels)
    images: dict[object, tuple[str, Size]] = {}
    for image in content["images"]:
        where = f"{labels}: image {image.get('id')!r}"
        images[_field(image, "id", where)] = (
            str(_field(image, "file_name", where)),
            whole_size(_field(image, "width", where), _field(image, "height", where), where),
        )
    if len(images) != len(content["images"]):
        raise StreetveilError(f"{labels}: two images have the same id; number them anew")
    boxes: dict[object, list[LabelledBox]] = {image_id: [] for image_id in images}
    for annotation in content["annotations"]:
        where = f"{labels}: annotation {annotation.get('id')!r}"
        image_id = _field(annotation, "image_id", where)
        if image_id not in images:
            raise StreetveilError(f"{where}: there is no image {image_id!r}; restore it or delete the annotation")
        category = _field(annotation, "category_id", where)
        if category not in names:
            raise StreetveilError(f"{where}: there is no category {category!r}; add it or delete the annotation")
        if class_name := names[category]:
            boxes[image_id].append(_box(annotation, class_name, images[image_id][1], where))
    for image_id, (name, size) in images.items():
        yield labelled_image(name, size, source, boxes[image_id], exhaustive=frozenset(exhaustive))


def coco_text(images: Iterable[LabelledImage]) -> str:
    """The text of a COCO file that `read_coco` reads again to the same boxes; ignored ones are crowds of faces."""
    listed: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id, image in enumerate(images, 1):
        size = {"width": image.width, "height": image.height}
        listed.append({"id": image_id, "file_name": image.path, **size})
        boxes = [
            (int(class_id), box, 0) for class_id, box in zip(image.objects.class_id, image.objects.xyxy, strict=True)
        ]
        boxes += [(0, box, 1) for box in image.ignored]
        for class_id, box, crowd in boxes:
            x1, y1, x2, y2 = (float(str(side)) for side in box)  # the shortest decimals of a float32
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": class_id + 1,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": (x2 - x1) * (y2 - y1),
                    "iscrowd": crowd,
                }
            )
    categories = [{"id": number, "name": name} for number, name in enumerate(CLASS_NAMES, 1)]
    content = {"images": listed, "annotations": annotations, "categories": categories}
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _content(labels: Path) -> Mapping[str, list[dict[str, Any]]]:
    try:
        content = json.loads(text_of(labels))
    except ValueError as error:
        raise StreetveilError(f"{labels}: not JSON ({error}); correct it") from error
    for part in ("images", "annotations", "categories"):
        entries = content.get(part) if isinstance(content, dict) else None
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise StreetveilError(f"{labels}: no list {part!r} of objects; is it a COCO file of boxes?")
    return content


def _categories(categories: list[dict[str, Any]], classes: Classes, labels: Path) -> dict[object, str | None]:
    names = {}
    for category in categories:
        where = f"{labels}: category {category.get('id')!r}"
        names[_field(category, "id", where)] = class_of(category.get("name"), classes, where)
    if not any(names.values()):
        heard = ", ".join(str(category.get("name")) for category in categories[:8])
        raise StreetveilError(f"{labels}: no category is a face or a plate ({heard}); name them in the set's `classes`")
    return names


def _field(entry: Mapping[str, Any], name: str, where: str) -> Any:
    value = entry.get(name)
    if value is None or isinstance(value, list | dict):
        raise StreetveilError(f"{where}: no {name!r}; add it")
    return value


def _box(annotation: Mapping[str, Any], class_name: str, size: Size, where: str) -> LabelledBox:
    sides = annotation.get("bbox")
    if not isinstance(sides, list) or len(sides) != 4:
        raise StreetveilError(f"{where}: 'bbox' must be [x, y, width, height], not {sides!r}; correct it")
    x, y, width, height = numbers(sides, where)
    box = whole_box((x, y, x + width, y + height), size, where)
    return LabelledBox(box, class_name, ignored=bool(annotation.get("iscrowd")))
