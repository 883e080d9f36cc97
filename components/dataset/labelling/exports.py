"""Take a sample to a labelling tool, with what the model saw to begin with: Label Studio, COCO or YOLO."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from components.dataset.formats.coco import coco_text
from components.dataset.formats.yolo import write_yolo
from components.dataset.labelling.desk import is_erased
from components.dataset.labelling.files import make_private, write_whole
from components.dataset.labelling.interface import label_config, tasks
from components.dataset.labelling.sample import Sample, read_sample
from components.dataset.labels import LabelledBox, LabelledImage, labelled_image
from components.errors import StreetveilError

Form = Literal["label_studio", "coco", "yolo"]


def export(desk: Path, form: Form, out: Path | None = None, url: str | None = None) -> Path:
    """Write a sample for a labelling tool. Pictures stay at the desk: files refer to them, and are erased with them.

    Args:
        desk: the sample's folder.
        form: of the files.
        out: where to; `exports/<form>` at the desk by default.
        url: for Label Studio, what stands before a picture's file; by default that of local files below the folder of
            all samples.

    Returns:
        The file to open.

    Raises:
        StreetveilError: the originals are erased, or nothing can be written there.
    """
    sample = read_sample(desk)
    if is_erased(desk):
        raise StreetveilError(
            f"the originals of {sample.sample_id} are erased: draw another sample with `label sample`"
        )
    folder = out or desk / "exports" / form
    try:
        make_private(folder)
        match form:
            case "label_studio":
                prefix = f"/data/local-files/?d={desk.name}/" if url is None else url
                write_whole(folder / "label_config.xml", label_config())
                write_whole(folder / "tasks.json", json.dumps(tasks(sample, prefix), indent=1) + "\n")
                return folder / "tasks.json"
            case "coco":
                write_whole(folder / "annotations.json", coco_text(_pre_annotated(sample)))
                return folder / "annotations.json"
            case "yolo":
                return write_yolo(folder, {"train": _pre_annotated(sample)}, desk)
    except OSError as error:
        raise StreetveilError(f"cannot write to {folder}: {error.strerror}; choose another --out") from error


def _pre_annotated(sample: Sample) -> Iterator[LabelledImage]:
    for image in sample.images:
        boxes = [LabelledBox((box.x1, box.y1, box.x2, box.y2), box.class_name) for box in image.boxes]
        yield labelled_image(image.file, (image.width, image.height), image.model, boxes)
