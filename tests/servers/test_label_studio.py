"""Samples and counts go to a real Label Studio and come back: its API takes what we export, and we take its export."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from components.dataset.labelling.exports import export
from components.dataset.labelling.import_ import import_labels
from components.dataset.labelling.labelled import labelled_by_us
from components.evaluation.hand_count.answers import AreaMark, Missed, read_books
from components.evaluation.hand_count.sample import make_sample, write_sample
from components.settings import Params
from flows.cli import app
from tests.conftest import encoded
from tests.dataset.labelling.night import drawn
from tests.evaluation.hand_count.conftest import image_at
from tests.servers.label_studio import LabelStudio

pytestmark = [pytest.mark.servers, pytest.mark.timeout(900)]


def box_of(task: dict[str, Any], label: str, **place: float) -> dict[str, Any]:
    """A box that a person draws: Label Studio names it, and fills in the picture's size."""
    first = task["predictions"][0]["result"][0]
    value = {"x": 50.0, "y": 50.0, "width": 25.0, "height": 25.0, "rotation": 0, **place, "rectanglelabels": [label]}
    return {**first, "id": "Dx_1y2Z3aB", "value": value}


def test_a_sample_is_labelled_there_and_lands(label_studio: LabelStudio, params: Params) -> None:
    """Tasks with pre-annotations and pictures go in; accepted, drawn, emptied, skipped and open ones come back so."""
    project = label_studio.served.parents[1]
    sample, desk, own = drawn(project, params)
    tasks = export(desk, "label_studio")
    number = label_studio.project(tasks.with_name("label_config.xml"), tasks, desk / "originals")
    there = label_studio.tasks(number)
    for task, image in zip(there, sample.images, strict=True):
        shown = label_studio.ask("GET", task["data"]["image"])
        assert (shown.status_code, shown.content) == (200, (desk / image.file).read_bytes())
    predicted = [task["predictions"][0]["result"] for task in there]
    label_studio.annotate(there[0], predicted[0])
    label_studio.annotate(there[1], [*predicted[1], box_of(there[1], "license_plate")])
    label_studio.annotate(there[2], [])
    label_studio.annotate(there[3], predicted[3], was_cancelled=True)
    label_studio.annotate(there[4], [box_of(there[4], "ignored")])

    file = label_studio.export(number, desk.parent / "export.json")
    refused = import_labels(desk, file, settings=own, project=project)
    assert not refused.landed
    assert [(fault.where, "skipped" in fault.what) for fault in refused.faults] == [(sample.images[3].id, True)]
    told = import_labels(desk, file, rest="keep_open", settings=own, project=project)
    assert (told.landed, told.complete, told.labelled, told.empty) == (True, False, 4, 1)
    assert set(told.open) == {sample.images[3].id, sample.images[5].id}
    landed = {Path(image.path).stem: image for image in labelled_by_us(own, project)}
    for image in sample.images[:2]:
        ours = [[box.x1, box.y1, box.x2, box.y2] for box in image.boxes]
        np.testing.assert_allclose(landed[image.id].objects.xyxy[: len(ours)], ours, atol=1e-3)
    np.testing.assert_allclose(landed[sample.images[1].id].objects.xyxy[1], [32, 24, 48, 36], atol=1e-3)
    assert landed[sample.images[2].id].objects.xyxy.shape == (0, 4)
    np.testing.assert_allclose(landed[sample.images[4].id].ignored, [[32, 24, 48, 36]], atol=1e-3)


def test_a_count_is_made_there_and_comes_back(label_studio: LabelStudio, tmp_path: Path) -> None:
    """Both pictures of each task are served; wrong blurs and missed objects that are marked there are its answers."""
    pictures = label_studio.served / "count"
    images = []
    for name, tint in (("a.png", 40), ("b.png", 90)):
        content = picture(tint)
        for side in ("originals", "published"):
            (pictures / side).mkdir(parents=True, exist_ok=True)
            (pictures / side / name).write_bytes(content)
        images.append(image_at(name, content=content))
    sample = make_sample(images, 30, 1, "nothing", pictures / "originals", pictures / "published")
    count = tmp_path / "count.json"
    write_sample(sample, count)
    urls = [f"/data/local-files/?d=count/{side}/" for side in ("originals", "published")]
    sent = run("export", count, "--out", tmp_path / "out", "--originals-url", urls[0], "--published-url", urls[1])
    assert sent.exit_code == 0, sent.output

    number = label_studio.project(tmp_path / "out" / "label_config.xml", tmp_path / "out" / "tasks.json", pictures)
    first, second = label_studio.tasks(number)
    for side in ("original", "published"):
        assert label_studio.ask("GET", first["data"][side]).content == picture(40)
    face, plate = first["predictions"][0]["result"]
    wrong = {**face, "value": {**face["value"], "rectanglelabels": ["wrong blur"]}}
    missed = box_of(first, "missed plate", x=75.0, y=10.0, width=12.5, height=10.0)
    label_studio.annotate(first, [wrong, plate, missed])
    label_studio.annotate(second, second["predictions"][0]["result"], was_cancelled=True)

    file = label_studio.export(number, tmp_path / "export.json")
    taken = run("import", count, file, "--counter", "team")
    assert taken.exit_code == 0, taken.output
    (answer,) = read_books(count, sample)["team"].values()
    assert (answer.path, answer.counted, answer.seconds) == ("a.png", True, 3.5)
    assert sorted(answer.marks, key=repr) == [AreaMark(0, "wrong_blur"), Missed("license_plate", 120, 12, 140, 24)]


def picture(grey: int) -> bytes:
    """A PNG of the counted size."""
    return encoded(np.full((120, 160, 3), grey, np.uint8))


def run(*arguments: object) -> Any:
    """A command of `streetveil handcount`."""
    return CliRunner().invoke(app, ["handcount", *map(str, arguments)])
