"""Bring people's labels back: all that is sound lands at once, and everything else is named."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from components.dataset.formats.label_studio import read_export
from components.dataset.labelling import desk
from components.dataset.labelling.interface import answers_of
from components.dataset.labelling.labelled import Answer, answered, is_within_reach, land
from components.dataset.labelling.returned import Fault, Returned, answers_of_coco, answers_of_yolo
from components.dataset.labelling.sample import Sample, read_sample
from components.errors import StreetveilError
from components.settings import PROJECT_ROOT, Labelling, load_params

Rest = Literal["refuse", "keep_open", "give_up"]


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import has done.

    Attributes:
        sample_id: of the sample.
        landed: whether labels were written; if not, all is as before.
        complete: the sample is done: every picture has its labels, or the rest was given up.
        labelled: pictures whose labels landed, or would have.
        empty: those of them that show nothing to hide.
        boxes: how many boxes of each class they have, ignored ones by themselves.
        faults: what cannot be used, each with its remedy.
        open: ids of pictures that have no labels yet.
    """

    sample_id: str
    landed: bool
    complete: bool
    labelled: int
    empty: int
    boxes: dict[str, int]
    faults: tuple[Fault, ...]
    open: tuple[str, ...]


def import_labels(
    sample_folder: Path,
    file: Path,
    *,
    rest: Rest = "refuse",
    empty_ok: bool = False,
    settings: Labelling | None = None,
    project: Path = PROJECT_ROOT,
) -> ImportReport:
    """Import what people have labelled of a sample. The file may hold all of it or a part, and may come again.

    Args:
        sample_folder: the sample's desk.
        file: Label Studio's JSON, a COCO JSON, or a YOLO `data.yaml`.
        rest: what becomes of pictures without sound labels: "refuse" lands nothing unless every picture has some;
            "keep_open" lands what is sound, and the sample goes on waiting; "give_up" lands it and closes the sample.
        empty_ok: in COCO and YOLO, a picture without a box shows nothing to hide.
        settings: the folders; `params.yaml` by default.
        project: the folder that they start from.

    Raises:
        StreetveilError: the sample or the file cannot be read, or nothing can be written; all labels are as before.
    """
    settings = settings or load_params().labelling
    sample = read_sample(sample_folder)
    returned = _reachable(_returned(sample, file, empty_ok), sample_folder, settings, project)
    landed_before = answered(sample, settings, project)
    have = landed_before | {answer.image.id for answer in returned.answers}
    still_open = tuple(image.id for image in sample.images if image.id not in have)
    sound = not returned.faults and not still_open
    lands = bool(sound or rest != "refuse")
    report = ImportReport(
        sample_id=sample.sample_id,
        landed=lands and bool(returned.answers),
        complete=lands and (not still_open or rest == "give_up"),
        labelled=len(returned.answers),
        empty=sum(not answer.boxes for answer in returned.answers),
        boxes=dict(
            Counter("ignored" if box.ignored else box.class_name for answer in returned.answers for box in answer.boxes)
        ),
        faults=returned.faults,
        open=still_open,
    )
    if report.landed:
        land(returned.answers, sample, sample_folder, settings, project)
    if report.complete:
        desk.mark_imported(sample_folder, {"labelled": len(have), "given_up": len(still_open)})
    return report


def _returned(sample: Sample, file: Path, empty_ok: bool) -> Returned:
    if not file.is_file():
        raise StreetveilError(f"{file} is not there: name Label Studio's JSON, a COCO JSON or a YOLO data.yaml")
    if file.suffix in {".yaml", ".yml"}:
        return answers_of_yolo(sample, file, empty_ok)
    try:
        is_coco = isinstance(json.loads(file.read_bytes()), dict)
    except ValueError as error:
        raise StreetveilError(f"{file} is not JSON ({error}): export it again") from error
    return answers_of_coco(sample, file, empty_ok) if is_coco else answers_of(sample, read_export(file))


def _reachable(returned: Returned, sample_folder: Path, settings: Labelling, project: Path) -> Returned:
    """Labels of pictures that are gone are worth nothing, and said to be."""
    here: list[Answer] = []
    gone: list[Answer] = []
    for answer in returned.answers:
        (here if is_within_reach(answer.image, sample_folder, settings, project) else gone).append(answer)
    why = "its original is erased, so its labels cannot be used: give it up"
    return Returned(tuple(here), (*returned.faults, *(Fault(answer.image.id, why) for answer in gone)))
