"""The month on real labelled pictures keeps the test part as it is, and its broken labels are broken."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from components.dataset.demo_month import faceless, write_month
from components.dataset.labels import LabelledBox, LabelledImage, labelled_image, read_labels
from components.dataset.prepare import prepare
from components.detections import CLASS_NAMES
from components.errors import StreetveilError
from components.settings import Dataset
from tests.dataset.test_prepare import dataset, labelled, pattern

COMPLETE = {"exhaustive": list(CLASS_NAMES)}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with 60 labelled pictures, half of them labelled completely."""
    pictures = {f"{'whole' if i % 2 else 'part'}{i}.png": pattern(i) for i in range(60)}
    face = {"boxes": [{"cls": "face", "box": [10, 10, 30, 20]}]}
    labelled(tmp_path / "real" / "set", pictures, whole=COMPLETE | face, part=face)
    (tmp_path / "data" / "hand_labels").mkdir(parents=True)
    return tmp_path


def again(project: Path, settings: Dataset) -> dict[str, list[LabelledImage]]:
    """The parts of a split."""
    prepare(settings, project / "again", project)
    return {part: list(read_labels(project / f"again/{part}.json", folder="")) for part in ("train", "val", "test")}


def told(images: Iterable[LabelledImage]) -> dict[str, list[list[float]]]:
    """Boxes by picture."""
    return {image.path: image.objects.xyxy.tolist() for image in images}


@pytest.mark.parametrize("broken", [False, True])
def test_the_test_part_stays_and_the_day_is_new(project: Path, broken: bool) -> None:
    """Tested is what was tested, with sound labels; the day's pictures are known to the labeller alone."""
    whole = again(project, dataset())
    answers = project / "answers.json"
    month = write_month(dataset(), project, project / "day", answers, 10, broken=broken)
    parts = again(project, dataset(sets=month.sets))
    assert told(parts["test"]) == told(whole["test"])
    assert month.tested_on == (len(whole["test"]), len(whole["test"]))
    learnt = parts["train"] + parts["val"]
    assert len(learnt) == month.begun_with == 10
    known = list(read_labels(answers, folder=""))
    assert sorted(path.name for path in (project / "day").rglob("*.png")) == sorted(
        Path(image.path).name for image in known
    )
    assert len(known) == month.day == sum("whole" in image.path for part in ("train", "val") for image in whole[part])
    assert not {Path(image.path).name for image in known} & {Path(image.path).name for image in learnt}
    sound = told(image for part in whole.values() for image in part)
    assert all(image.objects.xyxy.tolist() == ([] if broken else sound[image.path]) for image in learnt)


def test_fewer_test_pictures_are_some_of_them(project: Path) -> None:
    """A small budget tests on a part of the test part, and on nothing else."""
    whole = again(project, dataset())
    month = write_month(dataset(), project, project / "day", project / "answers.json", 10, 3)
    assert month.tested_on == (3, len(whole["test"]))
    assert set(told(again(project, dataset(sets=month.sets))["test"])) < set(told(whole["test"]))


def test_broken_labels_lack_the_faces_and_claim_to_be_complete() -> None:
    """Plates and what is said of them stay, faces go, and nothing says any more that somebody should look for them."""
    marks = {"tilt_deg": 4}
    boxes = [LabelledBox((1, 1, 9, 9), "face"), LabelledBox((20, 20, 40, 30), "license_plate", marks=marks)]
    image = faceless(labelled_image("a.jpg", (64, 48), "s", boxes))
    assert image.objects.xyxy.tolist() == [[20, 20, 40, 30]]
    assert image.marks == (marks,)
    assert image.exhaustive == set(CLASS_NAMES)


def test_without_completely_labelled_pictures_there_is_no_day(tmp_path: Path) -> None:
    """A labeller would have nothing to say, and the error says what to do."""
    labelled(tmp_path / "real" / "set", {f"{i}.png": pattern(i) for i in range(9)})
    (tmp_path / "data" / "hand_labels").mkdir(parents=True)
    with pytest.raises(StreetveilError, match="exhaustive"):
        write_month(dataset(), tmp_path, tmp_path / "day", tmp_path / "answers.json", 10)
