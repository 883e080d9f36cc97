"""A project in which the monthly loop runs in seconds: real DVC, labels and registry, a training of colours."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from components.dataset import versions
from components.dataset.formats.coco import coco_text
from components.dataset.labelling import desk
from components.dataset.labelling.import_ import import_labels
from components.dataset.labelling.sample import SampledImage, read_sample
from components.dataset.labels import LabelledBox, labelled_image, write_labels
from components.detection.bundle import ModelFile
from components.detection.shipped import TRAINABLE
from components.detections import CLASS_NAMES
from components.loop_journal import LoopJournal
from components.registry.models import CHAMPION, Registry
from components.settings import Gate, Metric, Params
from flows.monthly_loop import Loop
from tests.archives import publish_day, write_scenes
from tests.toy_model import model_file, toy_onnx
from tests.toy_training import NETWORKS

GATES = (
    Gate(metric=Metric.FACE_OBJECT_RECALL, at_least=0.9, max_regression=0.02),
    Gate(metric=Metric.PLATE_OBJECT_RECALL, at_least=0.9, max_regression=0.02),
    Gate(metric=Metric.PIXEL_FPR, at_most=0.3),  # the toy model hides generously
)
Boxes = dict[str, list[LabelledBox]]


@dataclass
class Project:
    """A project with a published day, a frozen test set, a chain of one stage, and a registry."""

    folder: Path
    params: Params
    registry: Registry
    shown: Boxes

    def loop(self, journal: LoopJournal) -> Loop:
        """A loop in it."""
        return Loop(journal, self.folder, self.params, self.registry, trained, lambda line: None)

    def publish(self, day: str, seed: int) -> None:
        """Another day of 36 pictures, published by the champion."""
        source = self.folder / "data" / "incoming" / day
        self.shown |= {f"{day}/{name}": boxes for name, boxes in write_scenes(source, [(1, 1)] * 12, seed).items()}
        publish_day(source, self.folder / "data" / "published" / day, self.registry.bundle(CHAMPION), self.params)


def trained(chain: Path) -> tuple[ModelFile, ...]:
    """The networks that the toy training has left."""
    return tuple(
        model_file(chain / "networks" / file, (chain / "networks" / file).read_bytes(), name)
        for name, file in NETWORKS.items()
    )


def make_project(folder: Path, params: Params) -> Project:
    """A project with one published day, whose champion sees faces only.

    The environment must say where keys are, and PYTHONPATH where this project is.
    """
    settings = params.model_copy(
        update={
            "gate": GATES,
            "registry": params.registry.model_copy(update={"model_name": "toy-detector"}),
            "retraining": params.retraining.model_copy(update={"profile": "toy", "target": "train"}),
            "labelling": params.labelling.model_copy(update={"random_share": 1.0}),
        }
    )
    registry = Registry("toy-detector", f"sqlite:///{folder}/mlflow.db", str(folder / "mlruns"))
    registry.register([model_file(folder / "first" / "faces.onnx", toy_onnx((0.5, -1.0, 0.5)))], alias=CHAMPION)
    made = Project(folder, settings, registry, {})
    _frozen_test(folder)
    _chain(folder)
    made.publish("2026-11-30", seed=1)
    return made


def _frozen_test(folder: Path) -> None:
    shown = write_scenes(folder / "test", [(2, 2)] * 32, seed=9)
    images = [
        labelled_image(str(folder / "test" / name), (200, 150), "toy", boxes, exhaustive=frozenset(CLASS_NAMES))
        for name, boxes in shown.items()
    ]
    prepared = folder / "data" / "chain" / "toy" / "prepared"
    prepared.mkdir(parents=True)
    write_labels(prepared / "test.json", images)


def _chain(folder: Path) -> None:
    command = f"{sys.executable} -m tests.toy_training data/labelled_by_us data/chain/toy"
    outs = [f"data/chain/toy/{name}" for name in ("networks", *(place.parent for place in TRAINABLE.values()))]
    (folder / "dvc.yaml").write_text(
        f"stages:\n  train:\n    cmd: {command}\n    deps: [data/labelled_by_us]\n    outs: [{', '.join(outs)}]\n"
    )
    versions.begin(folder)


def label(project: Project, loop: Loop, box_of: Callable[[LabelledBox], LabelledBox]) -> None:
    """The scripted labeller: every picture of the sample gets its boxes, as he sees them, in a COCO file."""
    sample = str((loop.journal.result("sample") or {})["sample"])
    place = desk.desk_of(sample, project.params.labelling, project.folder)

    def answered(image: SampledImage) -> list[LabelledBox]:
        return [box_of(box) for box in project.shown[f"{Path(image.published).name}/{image.path}"]]

    images = [
        labelled_image(image.file, (image.width, image.height), "people", answered(image))
        for image in read_sample(place).images
    ]
    file = project.folder / "answers.json"
    file.write_text(coco_text(images))
    told = import_labels(place, file, settings=project.params.labelling, project=project.folder)
    assert (told.landed, told.faults) == (True, ())


def moved(box: LabelledBox) -> LabelledBox:
    """A label that has slipped to another place."""
    x1, y1, x2, y2 = box.sides
    aside = 60 if x1 < 100 else -60
    return replace(box, sides=(x1 + aside, y1, x2 + aside, y2))
