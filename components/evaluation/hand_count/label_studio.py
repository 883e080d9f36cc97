"""The same count in Label Studio: tasks out, annotations back in as answers of a counter.

Label Studio gives boxes new names when a person starts from a prediction, so an annotated box is told by where it lies.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

import numpy as np
from scipy.optimize import linear_sum_assignment

from components.dataset.annotation import Sides, Size
from components.dataset.formats.label_studio import from_value, result_of
from components.detections import iou
from components.errors import StreetveilError
from components.evaluation.hand_count.answers import Answer, AreaFault, AreaMark, Mark, Missed
from components.evaluation.hand_count.sample import Area, ClassName, Sample, SampledImage

RIGHT: dict[ClassName, str] = {"face": "blurred face", "license_plate": "blurred plate"}
ON_AREA: dict[AreaFault, str] = {"wrong_blur": "wrong blur", "recognisable": "covered but recognisable"}
MISSED: dict[ClassName, str] = {"face": "missed face", "license_plate": "missed plate"}
_COLOURS = dict(
    zip(
        (*MISSED.values(), *ON_AREA.values(), *RIGHT.values()),
        ("#e5002b", "#ff6f59", "#8e4ec6", "#ffa62b", "#2f7fd1", "#38b2ac"),
        strict=True,
    )
)
_SHOWN = "original"
_TIE = 1e-6
_SAME_BOX_IOU = 0.5  # a person may have nudged it


def label_config() -> str:
    """The labelling interface, to be pasted into the project's settings."""
    labels = "\n".join(f'    <Label value="{name}" background="{colour}"/>' for name, colour in _COLOURS.items())
    return f"""<View>
  <Header value="Mark every missed face and plate. Where a blur is wrong, change its label; never delete it."/>
  <RectangleLabels name="mark" toName="original" showInline="true">
{labels}
  </RectangleLabels>
  <View style="display: grid; grid-template-columns: 1fr 1fr; gap: 8px">
    <Image name="original" value="$original" zoom="true" zoomControl="true"/>
    <Image name="published" value="$published" zoom="true" zoomControl="true"/>
  </View>
</View>
"""


def tasks(
    sample: Sample, originals_url: str, published_url: str, answers: Mapping[str, Answer] | None = None
) -> list[dict[str, Any]]:
    """One task a picture; what was blurred stands in it as a prediction.

    Args:
        sample: the pictures.
        originals_url: what stands before the path of an original, as Label Studio reaches it.
        published_url: the same for the published pictures.
        answers: a counter's answers, which become annotations.
    """
    return [
        {
            "data": {
                "original": originals_url + quote(image.path),
                "published": published_url + quote(image.path),
                "path": image.path,
                "sample_id": sample.sample_id,
            },
            "predictions": [{"model_version": image.model, "result": _results(image, {})}],
            **_annotations(image, (answers or {}).get(image.path)),
        }
        for image in sample.images
    ]


def _annotations(image: SampledImage, answer: Answer | None) -> dict[str, Any]:
    if answer is None or not answer.counted:
        return {}
    missed = [
        result_of(f"missed-{i}", MISSED[mark.class_name], (mark.x1, mark.y1, mark.x2, mark.y2), _size(image), _SHOWN)
        for i, mark in enumerate(answer.missed())
    ]
    result = [*_results(image, answer.area_marks()), *missed]
    return {"annotations": [{"was_cancelled": False, "lead_time": answer.seconds, "result": result}]}


def _results(image: SampledImage, marks: Mapping[int, AreaFault]) -> list[dict[str, Any]]:
    labels = [ON_AREA[marks[i]] if i in marks else RIGHT[area.class_name] for i, area in enumerate(image.areas)]
    return [
        result_of(f"area-{i}", label, shown(area, image), _size(image), _SHOWN)
        for i, (label, area) in enumerate(zip(labels, image.areas, strict=True))
    ]


def shown(area: Area, image: SampledImage) -> Sides:
    """The part of an area that lies within the picture; on a panorama the rest, at the left border, is left out."""
    x1, y1 = min(max(area.x1, 0.0), image.width - 1.0), min(max(area.y1, 0.0), image.height - 1.0)
    return x1, y1, max(min(area.x2, image.width), x1 + 1), max(min(area.y2, image.height), y1 + 1)


def answers_from(sample: Sample, exported: Iterable[Mapping[str, Any]]) -> list[Answer]:
    """The answers in an export of Label Studio's JSON format; skipped and untouched tasks give none.

    Where a task was annotated more than once, the annotation that was changed last counts.

    Raises:
        StreetveilError: a task is of another sample, or an annotation cannot be understood; it names the picture.
    """
    images = {image.path: image for image in sample.images}
    found = []
    for task in exported:
        data = task.get("data", {})
        image = images.get(data.get("path", ""))
        if image is None or data.get("sample_id") != sample.sample_id:
            raise StreetveilError(
                f"task {task.get('id', '?')} is not of this sample: import what `streetveil handcount export` began"
            )
        done = [given for given in task.get("annotations") or () if not given.get("was_cancelled")]
        if done:
            last = max(done, key=lambda given: str(given.get("updated_at") or ""))
            marks = _marks(image, last.get("result") or ())
            seconds = max(0.0, float(last.get("lead_time") or 0))
            found.append(Answer(sample.sample_id, image.path, 1, True, marks, seconds))
    return found


def _marks(image: SampledImage, results: Iterable[Mapping[str, Any]]) -> tuple[Mark, ...]:
    missed: list[Missed] = []
    on_areas: list[tuple[str, Sides]] = []
    names = {label: name for name, label in MISSED.items()}
    for label, box in _labelled_boxes(image, results):
        if label in names:
            x1, y1, x2, y2 = _whole(box, image)
            missed.append(Missed(names[label], x1, y1, x2, y2))
        else:
            on_areas.append((label, box))
    return (*_area_marks(image, on_areas), *missed)


def _labelled_boxes(image: SampledImage, results: Iterable[Mapping[str, Any]]) -> list[tuple[str, Sides]]:
    told = []
    for result in results:
        if result.get("type") != "rectanglelabels":
            continue
        labels = result["value"].get("rectanglelabels") or []
        if len(labels) != 1 or labels[0] not in _COLOURS:
            raise StreetveilError(f"{image.path}: a box is labelled {labels}; give it one label of the configuration")
        if result.get("image_rotation"):
            raise StreetveilError(f"{image.path} was turned in Label Studio: turn it back and mark it again")
        told.append((labels[0], from_value(result["value"], _size(image), image.path)))
    return told


def _area_marks(image: SampledImage, given: list[tuple[str, Sides]]) -> list[AreaMark]:
    """Each area's box by its place; none may be missing, as nobody can tell a wrong blur from a slip of the hand."""
    ours = np.array([shown(area, image) for area in image.areas], np.float32).reshape(-1, 4)
    theirs = np.array([box for _, box in given], np.float32).reshape(-1, 4)
    # Of equal boxes, those in the same place of the list.
    shared = iou(ours, theirs).astype(float) + _TIE * np.eye(len(ours), len(theirs))
    rows, columns = linear_sum_assignment(shared, maximize=True)
    sure = shared[rows, columns] >= _SAME_BOX_IOU
    if len(given) != len(ours) or not sure.all() or len(rows) != len(ours):
        raise StreetveilError(
            f"{image.path}: {len(ours)} areas are blurred, {int(sure.sum())} of the annotation's {len(given)} boxes "
            "are theirs; change the label of a wrong blur instead of deleting or adding it"
        )
    names = {label: name for name, label in ON_AREA.items()}
    labels = [(int(row), given[column][0]) for row, column in zip(rows, columns, strict=True)]
    return [AreaMark(row, names[label]) for row, label in labels if label in names]


def _size(image: SampledImage) -> Size:
    return image.width, image.height


def _whole(box: Sides, image: SampledImage) -> tuple[int, int, int, int]:
    x1, y1 = (min(max(round(low), 0), side - 1) for low, side in zip(box[:2], (image.width, image.height), strict=True))
    return x1, y1, max(x1 + 1, min(round(box[2]), image.width)), max(y1 + 1, min(round(box[3]), image.height))
