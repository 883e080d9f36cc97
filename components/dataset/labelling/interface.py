"""Label Studio's side of a sample: its labelling interface, tasks with what the model saw, and people's answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import numpy as np

from components.dataset.annotation import whole_box
from components.dataset.formats.label_studio import from_value, result_of
from components.dataset.labelling.labelled import Answer
from components.dataset.labelling.returned import Fault, Returned
from components.dataset.labelling.sample import Sample, SampledImage
from components.dataset.labels import LabelledBox
from components.detections import CLASS_NAMES, iou
from components.errors import StreetveilError

_IGNORED = "ignored"  # depicted, or too unclear to tell
_COLOURS = {"face": "#e5002b", "license_plate": "#2f7fd1", _IGNORED: "#9a9a9a"}
_SHOWN = "image"
_SAME_BOX_IOU = 0.5


def label_config() -> str:
    """The labelling interface, to be pasted into the project's settings."""
    labels = "\n".join(f'    <Label value="{name}" background="{colour}"/>' for name, colour in _COLOURS.items())
    return f"""<View>
  <Header value="Mark every face and every licence plate, however small. Correct, add and delete boxes."/>
  <RectangleLabels name="mark" toName="{_SHOWN}" showInline="true">
{labels}
  </RectangleLabels>
  <Image name="{_SHOWN}" value="$image" zoom="true" zoomControl="true" rotateControl="false"/>
</View>
"""


def tasks(sample: Sample, url: str) -> list[dict[str, Any]]:
    """One task a picture; what the model hid and what users report stands in it as a prediction.

    Args:
        sample: the pictures.
        url: what stands before a picture's file, as Label Studio reaches it.
    """
    return [
        {
            "data": {
                "image": url + quote(image.file),
                "image_id": image.id,
                "sample_id": sample.sample_id,
                "reason": image.reason,
            },
            "predictions": [{"model_version": image.model, "result": _predicted(image)}],
        }
        for image in sample.images
    ]


def _predicted(image: SampledImage) -> list[dict[str, Any]]:
    return [
        {
            **result_of(
                f"box-{i}", box.class_name, (box.x1, box.y1, box.x2, box.y2), (image.width, image.height), _SHOWN
            ),
            **({} if box.confidence is None else {"score": box.confidence}),
        }
        for i, box in enumerate(image.boxes)
    ]


def answers_of(sample: Sample, exported: Iterable[Mapping[str, Any]]) -> Returned:
    """What people have said in an export of Label Studio's JSON format.

    A submitted annotation without a box says that the picture shows nothing to hide. Tasks that nobody has touched stay
    open. Where several people have labelled a picture, they must agree, and what was changed last counts.
    """
    images = {image.id: image for image in sample.images}
    given: dict[str, list[Mapping[str, Any]]] = {}
    faults = []
    for task in exported:
        image = images.get(str(task["data"].get("image_id")))
        if image is None or task["data"].get("sample_id") != sample.sample_id:
            name = task["data"].get("image_id") or task["data"].get("image")
            faults.append(
                Fault(f"task {task.get('id', '?')}", f"{name!r} is not of this sample: import it into its own")
            )
        else:
            given.setdefault(image.id, []).extend(task.get("annotations") or ())
    answers = []
    for name, told in given.items():
        try:
            if told:
                answers.append(Answer(images[name], _agreed(images[name], told)))
        except StreetveilError as error:
            faults.append(Fault(name, str(error)))
    return Returned(tuple(answers), tuple(faults))


def _agreed(image: SampledImage, told: Sequence[Mapping[str, Any]]) -> tuple[LabelledBox, ...]:
    """What all annotations that were not cancelled say."""
    done = [annotation for annotation in told if not annotation.get("was_cancelled")]
    if not done:
        raise StreetveilError("its annotation was cancelled (skipped): label it, or give it up")
    done.sort(key=lambda annotation: str(annotation.get("updated_at") or ""))
    read = [_boxes(image, annotation.get("result") or ()) for annotation in done]
    for boxes, annotation in zip(read[:-1], done[:-1], strict=True):
        if not _is_same(boxes, read[-1]):
            people = " and ".join(
                str(one.get("completed_by") or one.get("id") or "?") for one in (annotation, done[-1])
            )
            raise StreetveilError(f"annotations conflict (of {people}): delete the wrong one, or cancel it")
    return read[-1]


def _boxes(image: SampledImage, results: Iterable[Mapping[str, Any]]) -> tuple[LabelledBox, ...]:
    size, boxes = (image.width, image.height), []
    for result in results:
        value = result.get("value")
        if result.get("type") == "relation":
            continue
        if result.get("type") != "rectanglelabels" or not isinstance(value, Mapping):
            raise StreetveilError(f"holds {result.get('type')!r}, which is no labelled box: mark it with a box")
        labels = value.get("rectanglelabels") or []
        if len(labels) != 1 or labels[0] not in _COLOURS:
            raise StreetveilError(f"a box is labelled {labels}: give it one of {', '.join(_COLOURS)}")
        if result.get("image_rotation"):
            raise StreetveilError("was turned in Label Studio, and its boxes with it: turn it back and mark it again")
        seen = result.get("original_width", size[0]), result.get("original_height", size[1])
        if seen != size:
            raise StreetveilError(f"was labelled at {seen[0]}×{seen[1]} px, and is {size[0]}×{size[1]} px upright")
        sides = whole_box(from_value(value, size, "it"), size, "it")
        is_ignored = labels[0] == _IGNORED
        boxes.append(LabelledBox(sides, CLASS_NAMES[0] if is_ignored else labels[0], is_ignored))
    return tuple(boxes)


def _is_same(ours: Sequence[LabelledBox], theirs: Sequence[LabelledBox]) -> bool:
    """Both have the same boxes, but for a nudge."""
    kinds = {(box.class_name, box.ignored) for box in (*ours, *theirs)}
    for kind in kinds:
        a, b = (
            np.array([box.sides for box in boxes if (box.class_name, box.ignored) == kind], np.float32).reshape(-1, 4)
            for boxes in (ours, theirs)
        )
        same = iou(a, b) >= _SAME_BOX_IOU
        if len(a) != len(b) or not (same.any(axis=1).all() and same.any(axis=0).all()):
            return False
    return True
