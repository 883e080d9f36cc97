"""The prepare stage reads, checks, splits and counts, and gives the same bytes each time."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from components.dataset import prepare as module
from components.dataset import rendered_set
from components.dataset.labels import LabelledImage, read_labels
from components.dataset.prepare import chosen_sets, prepare
from components.errors import StreetveilError
from components.settings import Dataset, Params

PARTS = ("train", "val", "test", "withheld")
BOX = {"cls": "license_plate", "box": [10, 10, 30, 20]}


def pattern(seed: int) -> Image.Image:
    """A picture that looks like no other."""
    coarse = np.random.default_rng(seed).integers(0, 255, (8, 8), np.uint8)
    return Image.fromarray(coarse).resize((64, 64), Image.Resampling.BICUBIC)


def labelled(folder: Path, pictures: dict[str, Image.Image], **more: dict[str, Any]) -> None:
    """A set of pictures with a plate in each; `more` by the first letters of the name."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    entries = []
    for name, image in pictures.items():
        image.save(folder / "images" / name)
        extra = next((value for key, value in more.items() if name.startswith(key)), {})
        size = {"w": image.width, "h": image.height}
        entries.append({"file": f"images/{name}", **size, "source": "s", "boxes": [BOX], **extra})
    (folder / "labels.json").write_text(json.dumps(entries), encoding="utf-8")


def dataset(**changes: object) -> Dataset:
    """Settings with one set."""
    one = {"name": "one", "format": "labels_json", "pictures": "{folder}/set"}
    values: dict[str, object] = {"folder": "real", "sets": [one], "stand_in_sets": [], "test_share": 0.3}
    return Dataset.model_validate({**values, "val_share": 0.2, "duplicate_bits": 8, "dark_luma": 60, **changes})


def read(out: Path) -> dict[str, list[LabelledImage]]:
    """What stands in each part."""
    return {part: list(read_labels(out / f"{part}.json", folder="")) for part in PARTS}


def test_every_picture_has_one_part(tmp_path: Path) -> None:
    """Nothing is lost and nothing doubled, paths start at the project, and groups and hashes stand with the labels."""
    labelled(tmp_path / "real" / "set", {f"{i}.png": pattern(i) for i in range(30)})
    counts = prepare(dataset(), tmp_path / "out", tmp_path)
    parts = read(tmp_path / "out")
    assert counts == {part: len(images) for part, images in parts.items()}
    images = [image for part in PARTS for image in parts[part]]
    assert sorted(image.path for image in images) == sorted(f"real/set/images/{i}.png" for i in range(30))
    assert all(counts[part] for part in ("train", "val", "test"))
    assert all(len(str(image.attributes["sha256"])) == 64 and image.attributes["group"] for image in images)
    assert all(image.mean_luma for image in images)
    card = json.loads((tmp_path / "out" / "data_card.json").read_text())
    assert sum(part["license_plate"] for part in card["all"]["all"].values()) == 30
    assert "# Data card: one" in (tmp_path / "out" / "data_card.md").read_text()


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    """A second run writes equal files, even if the labels stand in another order."""
    folder = tmp_path / "real" / "set"
    labelled(folder, {f"{i}.png": pattern(i) for i in range(12)})
    prepare(dataset(), tmp_path / "a", tmp_path)
    entries = json.loads((folder / "labels.json").read_text())
    (folder / "labels.json").write_text(json.dumps(entries[::-1]))
    prepare(dataset(), tmp_path / "b", tmp_path)
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes(), file.name


def test_renamed_pictures_keep_their_part(tmp_path: Path) -> None:
    """The split follows from the files' content, so it survives other names and folders."""
    labelled(tmp_path / "real" / "set", {f"{i}.png": pattern(i) for i in range(12)})
    labelled(tmp_path / "other" / "set", {f"x{i}.png": pattern(i) for i in range(12)})
    prepare(dataset(), tmp_path / "a", tmp_path)
    prepare(dataset(folder="other"), tmp_path / "b", tmp_path)
    hashes = [
        {part: {image.attributes["sha256"] for image in images} for part, images in read(out).items()}
        for out in (tmp_path / "a", tmp_path / "b")
    ]
    assert hashes[0] == hashes[1]


def test_videos_and_copies_stay_together(tmp_path: Path) -> None:
    """Frames of a video, known by its name or by a pattern, and re-encoded copies never stand in two used parts."""
    frames = {f"{video}-{i}.png": pattern(100 * j + i) for j, video in enumerate("abcdef") for i in range(4)}
    copies = {f"copy{i}.jpg": pattern(i + 900) for i in range(6)} | {f"copy{i}.png": pattern(i + 900) for i in range(6)}
    labelled(tmp_path / "real" / "set", frames | copies, a={"video": "first"})
    sets = [
        {"name": "one", "format": "labels_json", "pictures": "{folder}/set", "video_pattern": "(?P<video>[b-f])-[0-9]"}
    ]
    prepare(dataset(sets=sets), tmp_path / "out", tmp_path)
    used: dict[str, set[str]] = {}
    for part, images in read(tmp_path / "out").items():
        for image in images:
            name = Path(image.path).stem
            origin = name if name.startswith("copy") else name[0]
            used.setdefault(origin, set()).add(part)
    assert len(used) == 12
    assert all(len(parts - {"withheld"}) <= 1 for parts in used.values()), used
    assert all("withheld" not in used[video] for video in "abcdef")


def test_a_set_can_be_for_tests_alone(tmp_path: Path) -> None:
    """With `part: test` everything of a set is tested."""
    labelled(tmp_path / "real" / "set", {f"{i}.png": pattern(i) for i in range(8)})
    one = {"name": "one", "format": "labels_json", "pictures": "{folder}/set", "part": "test", "region": "eu"}
    assert prepare(dataset(sets=[one]), tmp_path / "out", tmp_path)["test"] == 8
    assert {image.region for image in read(tmp_path / "out")["test"]} == {"eu"}


def test_the_rendered_pictures_stand_in(tmp_path: Path, params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the real pictures are absent, the rendered ones give every part something, day and night together."""

    def small_scene(country: str, rng: np.random.Generator) -> tuple[NDArray[np.uint8], list[int]]:
        return rng.integers(0, 255, (48, 64, 3), np.uint8), [10, 10, 30, 20]

    monkeypatch.setattr(rendered_set, "garage_scene", small_scene)  # the real scenes take ten seconds
    rendered_set.write_rendered_set(tmp_path / "data" / "rendered")
    counts = prepare(params.dataset, tmp_path / "out", tmp_path)
    assert all(counts[part] > 1 for part in ("train", "val", "test"))
    assert counts["withheld"] == 0
    for images in read(tmp_path / "out").values():
        assert sum(image.night is True for image in images) == sum(image.night is False for image in images)
        assert all(image.exhaustive == {"face", "license_plate"} for image in images)


def test_null_and_an_absent_folder_choose_the_stand_ins(tmp_path: Path, params: Params) -> None:
    """Only a folder that is there chooses the real sets."""
    for folder in (None, "nowhere"):
        chosen, real = chosen_sets(params.dataset.model_copy(update={"folder": folder}), tmp_path)
        assert (chosen, real) == (params.dataset.stand_in_sets, None)
    (tmp_path / "here").mkdir()
    chosen, real = chosen_sets(params.dataset.model_copy(update={"folder": "here"}), tmp_path)
    assert (chosen, real) == (params.dataset.sets, "here")


def test_a_missing_set_is_refused(tmp_path: Path) -> None:
    """A folder that lacks one of its sets is an error: less data would go unnoticed."""
    (tmp_path / "real").mkdir()
    with pytest.raises(StreetveilError, match=r"set 'one': the folder .*real/set is not there"):
        prepare(dataset(), tmp_path / "out", tmp_path)


@pytest.mark.parametrize("file_format", ["coco", "open_images", "wider_face"])
def test_a_format_without_a_usual_place_needs_labels(tmp_path: Path, file_format: str) -> None:
    """The message says which set lacks the path of its labels."""
    (tmp_path / "real" / "set").mkdir(parents=True)
    one = {"name": "one", "format": file_format, "pictures": "{folder}/set"}
    with pytest.raises(StreetveilError, match="set 'one': say where its `labels` are"):
        prepare(dataset(sets=[one]), tmp_path / "out", tmp_path)


def test_every_format_can_be_named(tmp_path: Path) -> None:
    """Each format's set is read from where the settings say, by its own reader."""
    real = tmp_path / "real"
    for i, kind in enumerate(("ccpd", "coco", "open_images", "voc", "wider_face", "yolo")):
        (real / kind / "images").mkdir(parents=True)
        pattern(i).save(real / kind / "images" / "a.jpg")
    ccpd = "1-90_90-10&10_30&20-30&20_10&20_10&10_30&10-0_0-1-1.jpg"
    (real / "ccpd" / "images" / "a.jpg").rename(real / "ccpd" / "images" / ccpd)
    coco = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 64, "height": 64}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 20, 10]}],
        "categories": [{"id": 1, "name": "license_plate"}],
    }
    (real / "coco" / "labels").write_text(json.dumps(coco))
    header = "ImageID,LabelName,XMin,XMax,YMin,YMax,IsGroupOf,IsDepiction"
    (real / "open_images" / "labels").write_text(f"{header}\na,/m/01jfm_,0.1,0.4,0.1,0.3,0,0\n")
    (real / "voc" / "labels").mkdir()
    (real / "voc" / "labels" / "a.xml").write_text(
        "<annotation><filename>a.jpg</filename><size><width>64</width><height>64</height></size><object><name>face"
        "</name><bndbox><xmin>2</xmin><ymin>2</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object></annotation>"
    )
    (real / "wider_face" / "labels").write_text("a.jpg\n1\n10 10 20 10 0 0 0 0 0 0\n")
    (real / "yolo" / "data.yaml").write_text("names: [face]")
    (real / "yolo" / "labels").mkdir()
    (real / "yolo" / "labels" / "a.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    places = {"ccpd": None, "yolo": "{folder}/yolo/data.yaml"}
    sets = [
        {
            "name": kind,
            "format": kind,
            "pictures": f"{{folder}}/{kind}/images",
            "labels": places.get(kind, f"{{folder}}/{kind}/labels"),
        }
        for kind in ("ccpd", "coco", "open_images", "voc", "wider_face", "yolo")
    ]
    counts = prepare(dataset(sets=sets, duplicate_bits=0), tmp_path / "out", tmp_path)
    assert sum(counts.values()) == 6
    images = [image for part in read(tmp_path / "out").values() for image in part]
    assert {image.source for image in images} == {"ccpd", "coco", "open_images", "voc", "wider_face", "yolo"}
    assert all(len(image.objects) == 1 for image in images)


def test_labels_of_another_size_are_refused(tmp_path: Path) -> None:
    """A picture that was scaled after it was labelled would train boxes in the wrong place."""
    folder = tmp_path / "real" / "set"
    labelled(folder, {"a.png": pattern(1)})
    pattern(1).resize((32, 64)).save(folder / "images" / "a.png")
    with pytest.raises(StreetveilError, match=r"a\.png: is 32×64 px, and its labels were made for 64×64"):
        prepare(dataset(), tmp_path / "out", tmp_path)


@pytest.mark.parametrize("content", [b"", b"no picture"])
def test_a_broken_picture_is_refused(tmp_path: Path, content: bytes) -> None:
    """An empty file, one that is no picture, and a missing one are named with a remedy."""
    folder = tmp_path / "real" / "set"
    labelled(folder, {"a.png": pattern(1)})
    (folder / "images" / "a.png").write_bytes(content)
    with pytest.raises(StreetveilError, match=r"a\.png: is not a picture"):
        prepare(dataset(), tmp_path / "out", tmp_path)
    (folder / "images" / "a.png").unlink()
    with pytest.raises(StreetveilError, match=r"a\.png: cannot be read"):
        prepare(dataset(), tmp_path / "out", tmp_path)


def test_a_picture_labelled_twice_is_refused(tmp_path: Path) -> None:
    """Two entries for one picture, or one set named twice, would count its boxes twice."""
    labelled(tmp_path / "real" / "set", {"a.png": pattern(1)})
    one = {"name": "one", "format": "labels_json", "pictures": "{folder}/set"}
    with pytest.raises(StreetveilError, match=r"real/set/images/a\.png: is labelled twice"):
        prepare(dataset(sets=[one, one]), tmp_path / "out", tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"test_share": 0.8, "val_share": 0.2}, "leave something to train on"),
        ({"duplicate_bits": 32}, "duplicate_bits"),
        ({"dark_luma": 256}, "dark_luma"),
        ({"sets": [{"name": "a", "format": "csv", "pictures": "x"}]}, "format"),
        ({"sets": [{"name": "a", "format": "voc", "pictures": "x", "video_pattern": "("}]}, "video_pattern"),
        ({"sets": [{"name": "a", "format": "voc", "pictures": "x", "video_pattern": "a"}]}, "needs a group"),
        ({"sets": [{"name": "a", "format": "voc", "pictures": "x", "classes": {"a": "dog"}}]}, "classes"),
    ],
)
def test_impossible_settings_are_refused(changes: dict[str, object], message: str) -> None:
    """Shares without training, too many bits, unknown formats and patterns that name no video are no settings."""
    with pytest.raises(ValueError, match=message):
        dataset(**changes)


@pytest.mark.parametrize(("profile", "count"), [("full", 30), ("rendered", 20)])
def test_the_command_prepares_what_a_profile_learns_from(
    profile: str,
    count: int,
    params: Params,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The full profile takes the real sets, and the rendered one the stand-ins, though the real ones are there."""
    labelled(tmp_path / "real" / "set", {f"{i}.png": pattern(i) for i in range(30)})
    labelled(tmp_path / "stand-in", {f"{i}.png": pattern(i + 100) for i in range(20)})
    stand_in = {"name": "stand-in", "format": "labels_json", "pictures": "stand-in"}
    settings = params.model_copy(update={"dataset": dataset(stand_in_sets=[stand_in])})
    run_in(tmp_path, settings, monkeypatch, profile)
    assert sum(len(images) for images in read(tmp_path / "out").values()) == count
    assert capsys.readouterr().err == ""


def test_the_command_tells_that_stand_ins_serve(
    params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the real pictures are absent the full profile says so, and goes on with the others."""
    labelled(tmp_path / "stand-in", {f"{i}.png": pattern(i + 100) for i in range(20)})
    stand_in = {"name": "stand-in", "format": "labels_json", "pictures": "stand-in"}
    settings = params.model_copy(update={"dataset": dataset(stand_in_sets=[stand_in])})
    run_in(tmp_path, settings, monkeypatch, "full")
    assert "real is not there: stand-in serve instead" in capsys.readouterr().err
    assert sum(len(images) for images in read(tmp_path / "out").values()) == 20
    with pytest.raises(StreetveilError, match="no profile 'fast'"):
        run_in(tmp_path, settings, monkeypatch, "fast")


def run_in(project: Path, settings: Params, monkeypatch: pytest.MonkeyPatch, profile: str) -> None:
    """The command, with another folder for the project's."""
    monkeypatch.setattr(module, "load_params", lambda: settings)
    monkeypatch.setattr(module, "chosen_sets", lambda settings, *_: chosen_sets(settings, project))
    monkeypatch.setattr(module, "prepare", lambda settings, out: prepare(settings, out, project))
    monkeypatch.setattr(sys, "argv", ["prepare", "--profile", profile, "--out", str(project / "out")])
    module.main()
