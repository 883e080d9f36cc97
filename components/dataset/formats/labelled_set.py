"""A set of labelled pictures as the settings name it, read by the reader of its format."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from components.dataset.formats.ccpd import read_ccpd
from components.dataset.formats.coco import read_coco
from components.dataset.formats.open_images import read_open_images
from components.dataset.formats.voc import read_voc
from components.dataset.formats.wider_demographics import read_perceived, with_perceived
from components.dataset.formats.wider_face import read_wider_face
from components.dataset.formats.yolo import read_yolo
from components.dataset.labels import LabelledImage, read_labels
from components.errors import StreetveilError
from components.settings import LabelledSet

# Where labels lie within the folder of pictures, for formats that have a place for them.
_USUAL_LABELS = {"labels_json": "labels.json", "yolo": "data.yaml", "ccpd": "", "voc": ""}


def read_set(labelled_set: LabelledSet, project: Path, folder: str | None) -> Iterator[LabelledImage]:
    """Read a set; what it says of its region and videos is filled in where the labels say nothing.

    Args:
        labelled_set: the set, from `params.yaml`.
        project: the folder that its paths start from.
        folder: what stands for `{folder}` in its paths.

    Yields:
        Pictures with paths relative to `project`.

    Raises:
        StreetveilError: a folder or file is missing, or a label is broken.
    """
    place = _placed(labelled_set.pictures, labelled_set, folder)
    pictures = project / place
    if not pictures.is_dir():
        raise StreetveilError(
            f"dataset set {labelled_set.name!r}: the folder {pictures} is not there; make it, or change params.yaml"
        )
    for image in _read(labelled_set, pictures, project, folder):
        video = image.video
        if video is None and labelled_set.video_pattern:
            found = re.search(labelled_set.video_pattern, image.path)
            video = found["video"] if found else None
        path = (Path(place) / image.path).as_posix()
        yield replace(image, path=path, video=video, region=image.region or labelled_set.region)


def _placed(path: str, labelled_set: LabelledSet, folder: str | None) -> str:
    if "{folder}" in path and folder is None:
        raise StreetveilError(f"dataset set {labelled_set.name!r}: {path} needs dataset.folder; set it in params.yaml")
    return path.replace("{folder}", folder or "")


def _read(labelled_set: LabelledSet, pictures: Path, project: Path, folder: str | None) -> Iterator[LabelledImage]:
    kind, name, classes = labelled_set.format, labelled_set.name, labelled_set.classes
    if labelled_set.labels is not None:
        labels = project / _placed(labelled_set.labels, labelled_set, folder)
    elif kind in _USUAL_LABELS:
        labels = pictures / _USUAL_LABELS[kind]
    else:
        raise StreetveilError(f"dataset set {name!r}: say where its `labels` are, in params.yaml")
    match kind:
        case "ccpd":
            return read_ccpd(pictures, name)
        case "coco":
            return read_coco(labels, name, classes, labelled_set.exhaustive)
        case "labels_json":
            return read_labels(labels, labelled_set.exhaustive, "", labelled_set.mostly_is_exhaustive, classes)
        case "open_images":
            return read_open_images(labels, pictures, name, classes)
        case "voc":
            return read_voc(labels, name, classes, labelled_set.exhaustive)
        case "wider_face":
            faces = read_wider_face(labels, pictures, name)
            if labelled_set.demographics is None:
                return faces
            perceived = project / _placed(labelled_set.demographics, labelled_set, folder)
            return with_perceived(faces, read_perceived(perceived))
        case "yolo":
            return read_yolo(labels, pictures, name, classes, labelled_set.exhaustive)
