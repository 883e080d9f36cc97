"""What people label comes back whole: every fault is named, and no label is lost on the way."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from components.dataset.formats.label_studio import result_of
from components.dataset.labelling import desk as desk_module
from components.dataset.labelling import labelled as labelled_module
from components.dataset.labelling.desk import desks, erase, erase_due, standings, state
from components.dataset.labelling.exports import export
from components.dataset.labelling.import_ import ImportReport, import_labels
from components.dataset.labelling.interface import answers_of, label_config, tasks
from components.dataset.labelling.labelled import labelled_by_us
from components.dataset.labelling.sample import PreAnnotation, Sample, SampledImage
from components.dataset.labels import LabelledImage, read_labels
from components.dataset.prepare import chosen_sets
from components.dataset.splits import own_part
from components.errors import StreetveilError
from components.settings import Labelling, Params
from tests.dataset.labelling.night import DRAWN_AT, NEAR, drawn, night, settings

Laid = tuple[Sample, Path, Labelling]


@pytest.fixture
def laid(tmp_path: Path, params: Params) -> Laid:
    """A sample of six pictures at its desk."""
    return drawn(tmp_path, params)


def labelled_tasks(sample: Sample) -> list[dict[str, Any]]:
    """An export in which a person has accepted every prediction."""
    told = tasks(sample, "/")
    for i, task in enumerate(told):
        task |= {"id": i, "annotations": [{"id": i, "completed_by": 1, "result": task["predictions"][0]["result"]}]}
    return told


def imported(laid: Laid, exported: object, **more: Any) -> ImportReport:
    """Import an export of Label Studio."""
    _, desk, own = laid
    file = desk.parent / "export.json"
    file.write_text(json.dumps(exported))
    return import_labels(desk, file, settings=own, project=desk.parents[2], **more)


def landed(laid: Laid) -> dict[str, LabelledImage]:
    """What stands in the labelled set, by the picture's id."""
    return {Path(image.path).stem: image for image in labelled_by_us(laid[2], laid[1].parents[2])}


@pytest.mark.parametrize("form", ["label_studio", "coco", "yolo"])
def test_every_form_comes_back_as_it_went(laid: Laid, form: Any) -> None:
    """Boxes, classes and pictures survive each round trip, and the labelled set reads as a set of the chain."""
    sample, desk, own = laid
    file = export(desk, form)
    if form == "label_studio":
        ElementTree.fromstring(label_config())
        told = json.loads(file.read_text())
        file.write_text(json.dumps([{**task, "annotations": task["predictions"]} for task in told]))
    assert state(desk) == "waiting"
    report = import_labels(desk, file, settings=own, project=desk.parents[2])
    assert (report.landed, report.complete, report.boxes, report.open) == (True, True, {"face": 6}, ())
    assert state(desk) == "imported"
    for image in sample.images:
        there = landed(laid)[image.id]
        ours = [[box.x1, box.y1, box.x2, box.y2] for box in image.boxes]
        np.testing.assert_allclose(there.objects.xyxy, ours, atol=1e-3)
        assert there.exhaustive == {"face", "license_plate"}
        picture = desk.parents[2] / own.labelled / "random" / there.path
        assert picture.read_bytes() == (desk / image.file).read_bytes()


@st.composite
def pictured(draw: st.DrawFn) -> SampledImage:
    """A picture with any boxes."""
    width, height = draw(st.integers(4, 20000)), draw(st.integers(4, 20000))
    boxes = []
    for _ in range(draw(st.integers(0, 4))):
        x1, y1 = draw(st.integers(0, width - 2)), draw(st.integers(0, height - 2))
        x2, y2 = draw(st.integers(x1 + 1, width)), draw(st.integers(y1 + 1, height))
        boxes.append(PreAnnotation(draw(st.sampled_from(["face", "license_plate"])), x1, y1, x2, y2, 0.5))
    name = "0" * 16
    return SampledImage(
        name, f"originals/{name}.jpg", "p", "/p", "0" * 64, width, height, "eu", "m 1", 90, "random", 1, tuple(boxes)
    )


@examples(max_examples=40, deadline=None)
@given(pictured())
def test_percent_and_pixels_agree(image: SampledImage) -> None:
    """Any box of any picture comes back from Label Studio's percent within a hundredth of a pixel."""
    sample = Sample(1, "0" * 16, "s", DRAWN_AT, (), 1, 0, 0, 0, (image,))
    (answer,) = answers_of(sample, json.loads(json.dumps(labelled_tasks(sample)))).answers
    assert [box.class_name for box in answer.boxes] == [box.class_name for box in image.boxes]
    for box, given_box in zip(answer.boxes, image.boxes, strict=True):
        assert box.sides == pytest.approx((given_box.x1, given_box.y1, given_box.x2, given_box.y2), abs=0.01)


def _with(change: Callable[[dict[str, Any]], object]) -> Callable[[dict[str, Any]], object]:
    return lambda task: change(task["annotations"][0]["result"][0])


FAULTS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "rotated picture": (_with(lambda box: box.update(image_rotation=90)), "turned in Label Studio"),
    "other size": (_with(lambda box: box.update(original_width=48, original_height=64)), "labelled at 48×64 px"),
    "cancelled": (lambda task: task["annotations"][0].update(was_cancelled=True), r"cancelled \(skipped\)"),
    "unknown picture": (lambda task: task["data"].update(image_id="f" * 16), "not of this sample"),
    "other sample": (lambda task: task["data"].update(sample_id="f" * 16), "not of this sample"),
    "conflict": (
        lambda task: task["annotations"].append({"completed_by": 2, "result": []}),
        r"annotations conflict \(of 1 and 2\)",
    ),
    "two labels": (_with(lambda box: box["value"].update(rectanglelabels=["face", "license_plate"])), "labelled"),
    "brush": (_with(lambda box: box.update(type="brushlabels")), "'brushlabels', which is no labelled box"),
    "no side": (_with(lambda box: box["value"].pop("width")), "lacks x, y, width or height"),
    "empty box": (_with(lambda box: box["value"].update(width=0)), "empty or inside out"),
    "outside": (_with(lambda box: box["value"].update(x=200)), "lies outside"),
}


@pytest.mark.parametrize("name", list(FAULTS))
def test_each_fault_is_named_and_nothing_lands(laid: Laid, name: str) -> None:
    """One bad picture holds back all, unless asked otherwise: then the others land and it stays open."""
    change, message = FAULTS[name]
    told = labelled_tasks(laid[0])
    change(told[2])
    report = imported(laid, told)
    assert (report.landed, report.complete, len(report.faults)) == (False, False, 1)
    assert landed(laid) == {}
    with pytest.raises(StreetveilError, match=message):
        raise StreetveilError(report.faults[0].what)
    report = imported(laid, told, rest="keep_open")
    assert (report.landed, report.complete, report.open) == (True, False, (laid[0].images[2].id,))
    assert len(landed(laid)) == 5
    assert state(laid[1]) == "waiting"


def test_a_turned_box_becomes_the_upright_one_around_it_and_ignored_ones_stay_so(laid: Laid) -> None:
    """Rotation of a rectangle is a shape of its own and no fault; "ignored" counts as neither class."""
    told = labelled_tasks(laid[0])
    told[0]["annotations"][0]["result"][0]["value"] |= {"x": 50, "y": 25, "width": 25, "height": 25, "rotation": 90}
    told[1]["annotations"][0]["result"][0]["value"] |= {"rectanglelabels": ["ignored"]}
    report = imported(laid, told)
    assert report.boxes == {"face": 5, "ignored": 1}
    first, second = (landed(laid)[image.id] for image in laid[0].images[:2])
    assert first.objects.xyxy.tolist() == [pytest.approx([32 - 12, 12, 32, 12 + 16])]
    assert (len(second.objects), len(second.ignored)) == (0, 1)


def test_an_empty_answer_is_one_where_the_tool_can_say_so(laid: Laid) -> None:
    """A submitted empty annotation is a label; in COCO an empty picture is a fault until somebody answers for it."""
    _, desk, own = laid
    file = export(desk, "coco")
    content = json.loads(file.read_text())
    content["annotations"] = content["annotations"][1:]
    file.write_text(json.dumps(content))
    report = import_labels(desk, file, settings=own, project=desk.parents[2])
    assert [fault.what[:10] for fault in report.faults] == ["has no box"]
    assert import_labels(desk, file, empty_ok=True, settings=own, project=desk.parents[2]).empty == 1
    told = labelled_tasks(laid[0])
    told[3]["annotations"][0]["result"] = []
    assert imported(laid, told).empty == 1
    assert len(landed(laid)[laid[0].images[3].id].objects) == 0


def test_coco_names_what_is_foreign_twice_or_turned(laid: Laid) -> None:
    """Unknown files, pictures that are listed twice and turned boxes are faults of their own."""
    _, desk, own = laid
    file = export(desk, "coco")
    content = json.loads(file.read_text())
    content["images"] += [{**content["images"][0], "id": 98}, {**content["images"][0], "id": 99, "file_name": "x.jpg"}]
    content["annotations"][1]["attributes"] = {"rotation": 12.0}
    file.write_text(json.dumps(content))
    report = import_labels(desk, file, settings=own, project=desk.parents[2])
    assert {fault.what.split(":")[0] for fault in report.faults} == {
        "is labelled 2 times", "is not of this sample", "has a turned box",
    }  # fmt: skip


def test_labels_come_in_parts_and_are_corrected(laid: Laid) -> None:
    """What an earlier import landed stays, a later one replaces it, and the rest can be given up."""
    told = labelled_tasks(laid[0])
    imported(laid, told[:2], rest="keep_open")
    told[1]["annotations"][0]["result"] = []
    imported(laid, told[1:3], rest="keep_open")
    boxes = {name: len(image.objects) for name, image in landed(laid).items()}
    assert boxes == {image.id: n for image, n in zip(laid[0].images[:3], (1, 0, 1), strict=True)}
    report = imported(laid, told[3:4], rest="give_up")
    assert (report.complete, len(report.open), state(laid[1])) == (True, 2, "imported")
    assert len(landed(laid)) == 4


@pytest.mark.parametrize("step", range(9))
def test_an_interrupted_import_loses_nothing(laid: Laid, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped before any write, labels are those of before or all of the new ones; a second call completes them."""
    told = labelled_tasks(laid[0])
    imported(laid, told[:2], rest="keep_open")
    before = set(landed(laid))
    real, calls = labelled_module.write_whole, iter(range(99))

    def stops(path: Path, content: bytes | str) -> None:
        if next(calls) == step:
            raise KeyboardInterrupt
        real(path, content)

    with monkeypatch.context() as patched:
        patched.setattr(labelled_module, "write_whole", stops)
        patched.setattr(desk_module, "write_whole", stops)
        if step < 6:  # 4 pictures, the labels, the mark
            with pytest.raises(KeyboardInterrupt):
                imported(laid, told)
        else:
            imported(laid, told)
    assert set(landed(laid)) in (before, {image.id for image in laid[0].images})
    assert (state(laid[1]) == "imported") == (step >= 6)
    imported(laid, told)
    assert len(landed(laid)) == 6
    assert state(laid[1]) == "imported"


def test_what_was_chosen_never_tests(tmp_path: Path, params: Params) -> None:
    """Labels of chance and of choice land in two sets, and the settings give choice no share of the test part."""
    own = settings(params, budgets={"random": 4, "few_labels": 0})
    published, originals = night(tmp_path, {f"{i}": (NEAR,) for i in range(20)})
    from components.dataset.labelling.sampling import draw_sample

    sample = draw_sample([published], originals, own, "s", params=params, project=tmp_path)
    laid = sample, tmp_path / own.folder / sample.sample_id, own
    imported(laid, labelled_tasks(sample))
    for name in ("random", "chosen"):
        told = {
            Path(image.path).stem for image in read_labels(tmp_path / own.labelled / name / "labels.json", folder="")
        }
        assert told == {image.id for image in sample.images if (image.reason == "random") == (name == "random")}
        assert told
    sets = {one.name: one for one in chosen_sets(params.dataset, tmp_path)[0]}
    chosen, blind = sets["chosen_by_us"], sets["random_by_us"]
    assert (chosen.pictures, blind.pictures) == (f"{own.labelled}/chosen", f"{own.labelled}/random")
    assert chosen.shares is not None
    assert "test" not in {own_part(f"file {i}", chosen.shares.test, chosen.shares.val) for i in range(300)}


def test_originals_go_as_soon_as_one_region_of_the_sample_asks_for_it(laid: Laid) -> None:
    """A region of the sample that wants them sooner decides for all of it; one that is not in it does not."""
    sample, desk, own = laid
    project = desk.parents[2]
    assert {image.region for image in sample.images} == {"eu"}
    for days, kept in (({"eu": 2}, 2), ({"us": 2}, own.retention_days), ({"eu": 9999}, own.retention_days)):
        (standing,) = standings(own.model_copy(update={"region_retention_days": days}), project)
        assert standing.erase_at == DRAWN_AT + timedelta(days=kept)
    sooner = own.model_copy(update={"region_retention_days": {"eu": 2, "us": 1}})
    (desk / "sample.json").write_text("{")  # of a damaged sample nobody knows the regions: the shortest time holds
    assert erase_due(sooner, project, datetime.now(UTC) + timedelta(days=0.9)) == {}
    assert erase_due(sooner, project, datetime.now(UTC) + timedelta(days=1.1)) == {desk.name: 6}


def test_originals_are_erased_on_time_and_labels_stay(laid: Laid) -> None:
    """Before the time nothing goes; after it all originals, exports too, while labels and the record stay."""
    sample, desk, own = laid
    project = desk.parents[2]
    export(desk, "yolo")
    imported(laid, labelled_tasks(sample)[:4], rest="keep_open")
    (standing,) = standings(own, project)
    assert (standing.originals, standing.erase_at) == (6, DRAWN_AT + timedelta(days=own.retention_days))
    assert erase_due(own, project, standing.erase_at - timedelta(seconds=1)) == {}
    assert erase_due(own, project, standing.erase_at) == {sample.sample_id: 6}
    assert {path.name for path in desk.iterdir()} == {"sample.json", "erased.json"}
    assert (state(desk), len(landed(laid))) == ("erased", 4)
    assert erase_due(own, project, standing.erase_at) == {}
    report = imported(laid, labelled_tasks(sample))  # corrections land; what is gone is said
    assert [fault.where for fault in report.faults] == [image.id for image in sample.images[4:]]
    assert "is erased" in report.faults[0].what
    with pytest.raises(StreetveilError, match="are erased"):
        export(desk, "coco")


def test_an_interrupted_erasure_goes_on(laid: Laid, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped half-way it says "erased", so nobody imports the rest, and the next call removes it, due or not."""
    _, desk, own = laid
    project = desk.parents[2]
    first = next((desk / "originals").iterdir())

    def stops(path: Path) -> None:
        first.unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", stops)
        with pytest.raises(KeyboardInterrupt):
            erase(desk)
    assert state(desk) == "erased"
    assert erase_due(own, project, DRAWN_AT) == {desk.name: 5}
    assert not (desk / "originals").exists()


def test_a_damaged_desk_does_not_keep_originals_for_good(laid: Laid) -> None:
    """Without a readable record, the folder's own age counts, and other desks are erased as well."""
    _, desk, own = laid
    (desk / "sample.json").write_text("{")
    os.utime(desk, (0, 0))
    assert erase_due(own, desk.parents[2], DRAWN_AT) == {desk.name: 6}
    assert desks(own, desk.parents[2]) == [desk]


def test_a_file_that_is_no_export_is_refused(laid: Laid) -> None:
    """Broken JSON, JSON-MIN and a missing file are one line each."""
    _, desk, own = laid
    for content, message in (("{", "is not JSON"), ("[1]", "no list of tasks"), (None, "is not there")):
        file = desk.parent / f"{message}.json"
        if content is not None:
            file.write_text(content)
        with pytest.raises(StreetveilError, match=message):
            import_labels(desk, file, settings=own, project=desk.parents[2])
    assert result_of("n", "face", (0, 0, 1, 1), (2, 2), "image")["value"]["width"] == 50
