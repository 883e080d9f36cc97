"""The whole monthly loop on toy pictures: a real chain, real labels, a real registry; only the networks are small."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from components.dataset.formats.coco import coco_text
from components.dataset.labelling import desk
from components.dataset.labelling.import_ import import_labels
from components.dataset.labelling.labelled import labelled_by_us
from components.dataset.labelling.sample import SampledImage, read_sample
from components.dataset.labels import LabelledBox, labelled_image, write_labels
from components.detection.bundle import ModelFile
from components.detections import CLASS_NAMES
from components.loop_journal import LoopJournal, Result, open_loop
from components.registry import review
from components.registry.models import CHAMPION, PREVIOUS, Registry
from components.settings import PROJECT_ROOT, Gate, Metric, Params
from flows.monthly_steps import PROMOTED, STOPPED, Loop, begin_wait, is_over, run_loop
from tests.archives import publish_day, write_scenes
from tests.toy_model import model_file, toy_onnx
from tests.toy_training import NETWORKS

DAY = date(2026, 12, 1)
GATES = (
    Gate(metric=Metric.FACE_OBJECT_RECALL, at_least=0.9, max_regression=0.02),
    Gate(metric=Metric.PLATE_OBJECT_RECALL, at_least=0.9, max_regression=0.02),
    Gate(metric=Metric.PIXEL_FPR, at_most=0.3),  # the toy model hides generously
)
Boxes = dict[str, list[LabelledBox]]


class Killed(BaseException):
    """The process ends here."""


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


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, params: Params) -> Iterator[Project]:
    """One project for all loops of this file: they come one after another, as months do."""
    folder = tmp_path_factory.mktemp("monthly")
    settings = params.model_copy(
        update={
            "gate": GATES,
            "retraining": params.retraining.model_copy(update={"profile": "toy", "targets": ("train",)}),
            "labelling": params.labelling.model_copy(update={"random_share": 1.0}),
        }
    )
    registry = Registry("toy-detector", f"sqlite:///{folder}/mlflow.db", str(folder / "mlruns"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STREETVEIL_KEYS_DIR", str(folder / "keys"))
        patch.setenv("MLFLOW_TRACKING_URI", registry.tracking_uri)
        patch.setenv("STREETVEIL_MLFLOW_ARTIFACTS", registry.artifacts or "")
        patch.setenv("PYTHONPATH", str(PROJECT_ROOT))
        patch.setenv("DVC_NO_ANALYTICS", "true")
        registry.register([model_file(folder / "first" / "faces.onnx", toy_onnx((0.5, -1.0, 0.5)))], alias=CHAMPION)
        made = Project(folder, settings, registry, {})
        _frozen_test(folder)
        _chain(folder)
        made.publish("2026-11-30", seed=1)
        yield made


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
    command = f"{sys.executable} -m tests.toy_training data/labelled_by_us data/chain/toy/networks"
    (folder / "dvc.yaml").write_text(
        f"stages:\n  train:\n    cmd: {command}\n    deps: [data/labelled_by_us]\n    outs: [data/chain/toy/networks]\n"
    )
    subprocess.run([sys.executable, "-m", "dvc", "init", "--no-scm", "-q"], cwd=folder, check=True)


def drive(project: Project, people: Callable[[Loop, str], None], kills: bool = False) -> tuple[LoopJournal, str, int]:
    """Run a loop to its end; with kills it dies before and after each step, and each time the next run goes on."""
    died: set[str] = set()

    def die(moment: str) -> None:
        if kills and moment not in died:
            died.add(moment)
            raise Killed

    while True:
        with open_loop(project.folder / "loops", DAY) as journal:
            loop = project.loop(journal)

            def do(name: str, step: Callable[[Loop], Result], loop: Loop = loop) -> Result:
                die(f"before {name}")

                def work() -> Result:
                    result = step(loop)
                    die(f"after {name}, before it is noted")
                    return result

                return loop.journal.once(name, work)

            def wait(what: str, loop: Loop = loop) -> None:
                begin_wait(loop, what, datetime.now(UTC))
                if not is_over(loop, what, datetime.now(UTC)):
                    people(loop, what)

            try:
                return journal, run_loop(loop, do, wait), len(died)
            except Killed:
                continue


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


def versions(registry: Registry) -> set[str]:
    """All registered versions."""
    return {str(entry.version) for entry in registry._client().search_model_versions(f"name='{registry.name}'")}


def test_the_loop_ends_at_a_champion_wherever_it_dies(project: Project) -> None:
    """Killed before and after every step, the loop goes on: one registration, every label once, one new champion."""
    labelled_days = []

    def people(loop: Loop, what: str) -> None:
        if what == "labels":
            label(project, loop, lambda box: box)
            labelled_days.append(loop.journal.key)
        if what == "review":
            version = str((loop.journal.result("register") or {})["version"])
            review.approve(project.registry, version, "ada")

    journal, outcome, deaths = drive(project, people, kills=True)
    assert (outcome, deaths) == (PROMOTED, 2 * 11)
    assert versions(project.registry) == {"1", "2"}
    assert project.registry.bundle(CHAMPION).version == "2"
    assert project.registry.bundle(PREVIOUS).version == "1"
    assert labelled_days == [journal.key]
    assert len(list(labelled_by_us(project.params.labelling, project.folder))) == 12
    verdict = journal.result("gate") or {}
    assert verdict["passed"]
    assert journal.is_finished


def test_broken_labels_are_stopped_by_the_gate(project: Project) -> None:
    """A challenger that was trained on labels that have slipped never becomes champion, and the reasons name recall."""
    if CHAMPION not in project.registry.aliases() or project.registry.bundle(CHAMPION).version == "1":
        pytest.fail("the first loop has not promoted")
    shutil.rmtree(project.folder / "data" / "labelled_by_us")
    project.publish("2026-12-30", seed=2)

    def people(loop: Loop, what: str) -> None:
        assert what == "labels", "nobody is asked to review what the gate has stopped"
        label(project, loop, moved)

    journal, outcome, _ = drive(project, people)
    assert outcome == STOPPED
    assert project.registry.bundle(CHAMPION).version == "2"
    reasons = (journal.result("gate") or {})["reasons"]
    assert any("faces" in reason.lower() for reason in reasons)
    assert any("plates" in reason.lower() for reason in reasons)
