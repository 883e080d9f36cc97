"""`streetveil handcount` on the command line: from a published folder to figures, and every refusal in one line."""

from __future__ import annotations

import hashlib
import json
import stat
import webbrowser
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from components.batch.manifest import PUBLISHED, QUARANTINED, ImageRow, Proposal, commit_manifest
from components.batch.storage import LocalStorage
from components.evaluation.hand_count.answers import Answer, AnswerBook, AreaMark, Missed
from components.evaluation.hand_count.sample import Sample, read_sample
from flows.browser import opened_in_browser
from flows.cli import app
from tests.conftest import encoded

IMAGES = 60


@pytest.fixture(autouse=True)
def _registry() -> None:
    """Counting needs no model, so none is registered."""


def handcount(*arguments: object) -> Result:
    """Run a command as a user types it, on a wide terminal."""
    return CliRunner().invoke(app, ["handcount", *map(str, arguments)], env={"COLUMNS": "200"})


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """A published folder with its manifest, and the originals: each picture hides a face, one more is quarantined."""
    rows = []
    for i in range(IMAGES + 1):
        path, files = f"camera-{i % 3}/{i:03d}.png", {}
        for side, brightness in (("published", 10), ("originals", 20)):
            files[side] = encoded(np.full((40, 60, 3), brightness + i, np.uint8))
            (tmp_path / side / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / side / path).write_bytes(files[side])
        state = PUBLISHED if i < IMAGES else QUARANTINED
        digests = [hashlib.sha256(files[side]).hexdigest() for side in ("originals", "published")]
        blurred = Proposal("face", 5, 5, 20, 25, 1, 0.9, None, None, "blurred")
        rows.append(
            ImageRow(
                path, state, None, None, 1, "eu", "toy", "1", "", "", 1, 1, *digests, image_format="PNG", width=60,
                height=40, orientation=1, proposals=(blurred,),
            )
        )  # fmt: skip
    commit_manifest(LocalStorage(tmp_path / "published"), "shard", rows)
    return tmp_path / "published", tmp_path / "originals"


@pytest.fixture
def count(folders: tuple[Path, Path], tmp_path: Path) -> tuple[Path, Sample]:
    """A sample of all pictures, drawn by the command."""
    out = tmp_path / "count.json"
    result = handcount("sample", *folders, "--count", IMAGES, "--seed", 7, "--out", out)
    assert result.exit_code == 0, result.output
    assert f"60 of 60 published images, seed 7: {out}" in result.output.replace("\n", "")
    return out, read_sample(out)


def counted(file: Path, sample: Sample, counter: str, faults: int) -> None:
    """Count every picture; a face is missed in the first few, and another one's blur is wrong."""
    book = AnswerBook.of(file, counter)
    for i, image in enumerate(sample.images):
        marks = (Missed("face", 30, 5, 40, 15),) if i < faults else (AreaMark(0, "wrong_blur"),) if i == faults else ()
        book.append(Answer(sample.sample_id, image.path, 1, True, marks, 3.0))


def test_a_sample_holds_published_images_alone(count: tuple[Path, Sample]) -> None:
    """The quarantined one is not drawn; hashes, areas and the folders come from the manifest."""
    _, sample = count
    assert len({image.path for image in sample.images}) == sample.population == IMAGES
    assert all(image.areas[0].x2 == 20 and image.model == "toy 1" for image in sample.images)


def test_without_a_seed_chance_decides_and_is_recorded(folders: tuple[Path, Path], tmp_path: Path) -> None:
    """Two samples differ, and each can be drawn again by the seed that it records."""
    seeds = []
    for name in ("a", "b"):
        assert handcount("sample", *folders, "--count", 9, "--by", "folder", "--out", tmp_path / name).exit_code == 0
        seeds.append(read_sample(tmp_path / name).seed)
    assert seeds[0] != seeds[1]
    handcount("sample", *folders, "--count", 9, "--by", "folder", "--seed", seeds[0], "--out", tmp_path / "again")
    assert read_sample(tmp_path / "again") == read_sample(tmp_path / "a")


def test_the_report_says_figures_agreement_and_what_to_label(count: tuple[Path, Sample], tmp_path: Path) -> None:
    """Two counters' recall, their κ and the list stand in the table, in JSON and in a file for its owner."""
    file, sample = count
    counted(file, sample, "ada", 3)
    counted(file, sample, "bob", 2)
    listed = tmp_path / "list.txt"
    result = handcount("report", file, "--to-label", listed)
    assert result.exit_code == 0, result.output
    text = " ".join(result.output.split())
    assert "ada: 60 of 60 images, 3 minutes" in text
    assert "95.2 % (86.7 to 98.3)" in text  # 59 of 62
    assert "too few to say: 0 objects" in text
    assert "Counted by hand (ada) on 60 of 60 published images drawn at random: recall of faces 95.2 %" in text
    assert "ada and bob: 60 images counted by both" in text
    assert "missed objects" in text
    assert "to send to labelling: 4 images" in text
    assert len(listed.read_text().splitlines()) == 4
    assert stat.S_IMODE(listed.stat().st_mode) == 0o600
    told = json.loads(handcount("report", file, "--json").stdout)
    assert told["counters"]["ada"]["recall"]["face"]["missed"] == 3
    assert told["agreement"][0]["images"]["kappa"] == pytest.approx(0.7915, abs=1e-3)


def test_label_studio_and_back_is_the_same_count(count: tuple[Path, Sample], tmp_path: Path) -> None:
    """Exported with a counter's answers and imported under another name, figures are equal; twice changes nothing."""
    file, sample = count
    counted(file, sample, "ada", 3)
    assert handcount("export", file, "--out", tmp_path / "ls", "--counter", "ada").exit_code == 0
    assert "<RectangleLabels" in (tmp_path / "ls" / "label_config.xml").read_text()
    for _ in range(2):
        result = handcount("import", file, tmp_path / "ls" / "tasks.json", "--counter", "team")
        assert "60 images counted by team" in result.output.replace("\n", " ")
    assert AnswerBook.of(file, "team").read() == AnswerBook.of(file, "ada").read()
    assert len(AnswerBook.of(file, "team").file.read_text().splitlines()) == IMAGES


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["sample", "originals", "originals"], "was not written by streetveil"),
        (["sample", "published", "originals", "--count", "61"], "cannot draw 61 of 60"),
        (["sample", "published", "published", "--count", "60"], "has changed since the blur"),
        (["sample", "published", "elsewhere", "--count", "60"], "cannot be read (No such file"),
        (["sample", "published", "originals", "--count", "60", "--out", "no/where.json"], "cannot write"),
        (["report", "none.json"], "draw one with"),
        (["serve", "count.json", "--counter", "a/b"], "is no name for a counter"),
        (["import", "count.json", "count.json", "--counter", "ada"], "is no list of tasks"),
        (["report", "count.json"], "nobody has counted yet"),
    ],
)
def test_refusals_are_one_line(
    count: tuple[Path, Sample], monkeypatch: pytest.MonkeyPatch, arguments: list[str], told: str
) -> None:
    """Wrong folders, counts, names and files end with status 1, the cause and the remedy."""
    monkeypatch.chdir(count[0].parent)
    result = handcount(*arguments)
    assert result.exit_code == 1
    assert told in result.output
    assert len(result.output.strip().splitlines()) == 1


def test_the_browser_is_not_told_the_secret_where_others_see_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It gets a file that its owner alone can read, which is gone afterwards; without a screen, or unasked, nothing."""
    told: list[str] = []
    monkeypatch.setattr(webbrowser, "open", told.append)
    monkeypatch.setenv("DISPLAY", ":0")
    way_in = tmp_path / "answers" / "open.html"
    with opened_in_browser("http://127.0.0.1:1/enter?token=secret", way_in.parent, wanted=True):
        assert told == [way_in.as_uri()]
        assert "enter?token=secret" in way_in.read_text()
        assert stat.S_IMODE(way_in.stat().st_mode) == 0o600
    assert not way_in.exists()
    with opened_in_browser("x", way_in.parent, wanted=False):
        assert not way_in.exists()
    monkeypatch.delenv("DISPLAY")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    with opened_in_browser("x", way_in.parent, wanted=True):
        assert len(told) == 1
