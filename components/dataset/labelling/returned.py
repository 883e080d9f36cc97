"""What comes back of a sample: answers that can be used, and what is wrong with the rest. Nothing is passed over."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from components.dataset.formats.coco import read_coco
from components.dataset.formats.yolo import read_yolo
from components.dataset.labelling.labelled import Answer
from components.dataset.labelling.sample import Sample
from components.dataset.labels import LabelledBox, LabelledImage
from components.detections import CLASS_NAMES
from components.errors import StreetveilError


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that was returned and cannot be used.

    Attributes:
        where: the picture's id, a task or a file.
        what: cause and remedy.
    """

    where: str
    what: str


@dataclass(frozen=True, slots=True)
class Returned:
    """What people have said. Pictures that are in neither are open: nobody has looked at them."""

    answers: tuple[Answer, ...]
    faults: tuple[Fault, ...]


def answers_of_coco(sample: Sample, file: Path, empty_ok: bool) -> Returned:
    """What a COCO file says of a sample; pictures that it does not list are open.

    Args:
        sample: the pictures.
        file: the JSON.
        empty_ok: a picture without a box shows nothing to hide. COCO has no other way to say so, nor to say that nobody
            has looked.
    """
    try:
        images = list(read_coco(file))
        turned = _turned(file)
    except StreetveilError as error:
        return Returned((), (Fault(file.name, str(error)),))
    return _judged(sample, images, empty_ok, turned)


def answers_of_yolo(sample: Sample, file: Path, empty_ok: bool) -> Returned:
    """What a YOLO folder says of a sample; as `answers_of_coco`.

    Args:
        sample: the pictures.
        file: the `data.yaml`, with `images` and `labels` beside it as they were exported.
        empty_ok: an empty label file says that the picture shows nothing to hide.
    """
    try:
        images = list(read_yolo(file, file.parent / "images"))
    except StreetveilError as error:
        return Returned((), (Fault(file.name, str(error)),))
    return _judged(sample, images, empty_ok, frozenset())


def _judged(sample: Sample, images: Iterable[LabelledImage], empty_ok: bool, turned: frozenset[str]) -> Returned:
    known = {image.id: image for image in sample.images}
    images = list(images)
    times = Counter(_id(image) for image in images)
    answers, faults = [], []
    for image in images:
        name = _id(image)
        own = known.get(name)
        if own is None:
            faults.append(Fault(image.path, "is not of this sample: take it out, or import it into its own"))
        elif times[name] > 1:
            faults.append(Fault(name, f"is labelled {times[name]} times: keep one of them"))
        elif (image.width, image.height) != (own.width, own.height):
            seen = f"{image.width}×{image.height}"
            faults.append(Fault(name, f"was labelled at {seen} px, and is {own.width}×{own.height} px upright"))
        elif image.path in turned:
            faults.append(Fault(name, "has a turned box: draw it upright"))
        elif not (len(image.objects) or len(image.ignored) or empty_ok):
            faults.append(Fault(name, "has no box: label it, or say with --empty-ok that such pictures show nothing"))
        else:
            answers.append(Answer(own, _boxes(image)))
    return Returned(tuple(answers), tuple(faults))


def _id(image: LabelledImage) -> str:
    """Exports name every file after the picture's id; what tools append to it is passed over."""
    return Path(image.path).name[:16]


def _boxes(image: LabelledImage) -> tuple[LabelledBox, ...]:
    objects = zip(image.objects.class_id, image.objects.xyxy.tolist(), strict=True)
    return (
        *(LabelledBox(tuple(sides), CLASS_NAMES[class_id]) for class_id, sides in objects),
        *(LabelledBox(tuple(sides), CLASS_NAMES[0], ignored=True) for sides in image.ignored.tolist()),
    )


def _turned(file: Path) -> frozenset[str]:
    """Files with a box that was turned: CVAT writes so beside it, and the box of before it was turned."""
    content = json.loads(file.read_text(encoding="utf-8-sig"))
    turned = {
        annotation["image_id"]
        for annotation in content["annotations"]
        if isinstance(annotation.get("attributes"), dict) and annotation["attributes"].get("rotation")
    }
    return frozenset(str(image["file_name"]) for image in content["images"] if image["id"] in turned)
