"""Data versions: the same data has one revision, remotes bring it back, and differences are told by box."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from components.dataset.labels import LabelledBox, LabelledImage, labelled_image, write_labels
from components.dataset.versions import begin, difference, existed, fetch, pull, push, reproduce, snapshot
from components.errors import StreetveilError
from components.settings import PROJECT_ROOT


def image(path: str, *boxes: LabelledBox) -> LabelledImage:
    """A labelled picture."""
    return labelled_image(path, (100, 100), "s", boxes)


def face(x: float) -> LabelledBox:
    """A face."""
    return LabelledBox((x, 10, x + 10, 20), "face")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with git, DVC, a remote beside it, and a chain whose second stage fails."""
    folder = tmp_path_factory.mktemp("versions") / "project"
    (folder / "data" / "set").mkdir(parents=True)
    write_labels(folder / "data" / "set" / "labels.json", [image("a", face(1))])
    stages = {"good": {"cmd": "echo step 1 of 2; echo step 2 of 2"}, "bad": {"cmd": "echo no room; exit 3"}}
    stages["worse"] = {"cmd": "python -c 'raise ValueError(\"no faces\")'"}
    (folder / "dvc.yaml").write_text(json.dumps({"stages": stages}))
    dvc = [sys.executable, "-m", "dvc"]
    for command in (
        ["git", "init", "-q"],
        [*dvc, "init", "-q"],
        [*dvc, "config", "core.analytics", "false"],
        [*dvc, "remote", "add", "-q", "-d", "beside", str(folder.parent / "remote")],
    ):
        subprocess.run(command, cwd=folder, check=True)
    return folder


def commit(project: Path) -> None:
    """Commit everything."""
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", "add", "-A"], cwd=project, check=True)
    subprocess.run(["git", *who, "commit", "-qm", "x"], cwd=project, check=True)


@pytest.mark.slow
def test_a_snapshot_is_idempotent_comes_back_and_can_be_compared(project: Path) -> None:
    """The same data has the same revision, other data another; what was lost comes back; old labels can be fetched."""
    place = project / "data" / "set"
    first = snapshot([place], project)
    assert snapshot([place], project) == first
    commit(project)
    push(project)
    shutil.rmtree(place)
    shutil.rmtree(project / ".dvc" / "cache")
    pull(project)
    assert (place / "labels.json").is_file()
    write_labels(place / "labels.json", [image("a", face(1)), image("b")])
    assert snapshot([place], project) != first
    assert existed(project / "data" / "set.dvc", "HEAD", project)
    assert not existed(project / "data" / "other.dvc", "HEAD", project)
    fetch(place / "labels.json", "HEAD", project, project.parent / "before.json")
    assert difference(project.parent / "before.json", place / "labels.json").added == ("b",)


@pytest.mark.slow
def test_the_chain_tells_its_steps_and_the_stage_that_failed(project: Path) -> None:
    """Lines arrive as a stage prints them; a failure names its stage and its last words, and no lines of code."""
    heard: list[str] = []
    reproduce(["good"], project, heard.append)
    assert heard.index("step 1 of 2") < heard.index("step 2 of 2")
    with pytest.raises(StreetveilError, match=r"stage 'bad' failed: .*no room"):
        reproduce(["bad"], project, heard.append)
    with pytest.raises(StreetveilError, match=r"stage 'worse' failed: .*ValueError: no faces") as told:
        reproduce(["worse"], project, heard.append)
    assert "File" not in str(told.value)


class StopError(Exception):
    """Somebody has had enough."""


def wait_until_gone(process: int) -> None:
    """Until a process is no more, which its parent or init may take a moment to see; the test's time is the limit."""
    with suppress(ProcessLookupError):
        while True:
            os.kill(process, 0)
            time.sleep(0.1)


@pytest.fixture
def long_chain(tmp_path: Path) -> Path:
    """A project whose only stage says who it is and sleeps, as long as nobody has made the file `quick`."""
    (tmp_path / "stage.sh").write_text("echo stage $$\n[ -f quick ] || exec sleep 600\necho done > out\n")
    (tmp_path / "dvc.yaml").write_text(json.dumps({"stages": {"long": {"cmd": "sh stage.sh", "outs": ["out"]}}}))
    begin(tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_whoever_is_interrupted_leaves_no_stage_behind(long_chain: Path) -> None:
    """The stage that was under way ends with the run that is stopped, and the next run makes it anew."""
    stages: list[int] = []

    def stop(line: str) -> None:
        if line.startswith("stage "):
            stages.append(int(line.split()[1]))
            raise StopError

    with pytest.raises(StopError):
        reproduce(["long"], long_chain, stop)
    wait_until_gone(stages[0])
    (long_chain / "quick").touch()
    reproduce(["long"], long_chain, lambda line: None)
    assert (long_chain / "out").read_text() == "done\n"


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_chain_that_was_killed_goes_on(long_chain: Path) -> None:
    """`kill -9` of a run and all that it has started, in the middle of a stage: the next run is not held up."""
    code = "import pathlib, sys; from components.dataset.versions import reproduce as repro; repro(['long'], "
    code += "pathlib.Path(sys.argv[1]), print)"
    command = [sys.executable, "-uc", code, str(long_chain)]
    with subprocess.Popen(command, cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True) as run:
        line = next(line for line in run.stdout or () if line.startswith("stage "))
        chain = os.getpgid(int(line.split()[1]))
        os.killpg(chain, signal.SIGKILL)
        run.kill()
    wait_until_gone(chain)  # DVC keeps off while its process is listed
    (long_chain / "quick").touch()
    reproduce(["long"], long_chain, lambda line: None)
    assert (long_chain / "out").read_text() == "done\n"


def test_what_is_missing_or_unknown_is_refused(tmp_path: Path) -> None:
    """A path that is not there, and a revision that git does not know, are one line each."""
    with pytest.raises(StreetveilError, match="nowhere is not there"):
        snapshot([tmp_path / "nowhere"], tmp_path)
    with pytest.raises(StreetveilError, match="git knows no revision 'v9'"):
        existed(tmp_path / "a.dvc", "v9", tmp_path)
    assert snapshot([], tmp_path) == snapshot([], tmp_path / "elsewhere")


def test_a_difference_counts_pictures_and_boxes_by_class(tmp_path: Path) -> None:
    """Added, removed and changed pictures are named; boxes are counted by class, moved ones as changed."""
    plate = LabelledBox((50, 50, 70, 60), "license_plate")
    ignored = LabelledBox((80, 80, 90, 90), "face", ignored=True)
    for side, images in (
        ("before", [image("same", face(1)), image("moved", face(1), plate), image("gone", face(1))]),
        ("after", [image("same", face(1)), image("moved", face(2), plate, ignored), image("new", face(1), face(30))]),
    ):
        (tmp_path / side / "set").mkdir(parents=True)
        write_labels(tmp_path / side / "set" / "labels.json", images)
    told = difference(tmp_path / "before", tmp_path / "after")
    assert told.text().splitlines() == [
        "images: 1 added, 1 removed, 1 changed",
        "face boxes: 2 added, 1 removed, 1 changed",
        "license_plate boxes: 0 added, 0 removed, 0 changed",
        "ignored boxes: 1 added, 0 removed, 0 changed",
        "+ set/new",
        "- set/gone",
        "~ set/moved",
    ]
    nothing = difference(tmp_path / "after", tmp_path / "after")
    assert (nothing.added, nothing.removed, nothing.changed) == ((), (), ())
    assert len(difference(tmp_path / "none", tmp_path / "after").added) == 3
