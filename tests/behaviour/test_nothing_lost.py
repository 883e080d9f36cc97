"""Promise 2: inputs = published + quarantined, whatever dies, and a re-run ends as if nothing had died."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from components.batch.audit import audit
from components.batch.manifest import comparable, read_rows
from components.batch.storage import LocalStorage
from components.imaging.reading import blurring_id_of
from components.settings import PROJECT_ROOT
from tests.batch.conftest import tree

FillFolder = Callable[..., dict[str, bytes]]


def start(tmp_path: Path, destination: str) -> subprocess.Popen[str]:
    """Start a run in a process group of its own; its first line of output says that it works."""
    arguments = [tmp_path / "in", tmp_path / destination, tmp_path / "run.key", tmp_path / "models"]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.behaviour.interrupted_run", *map(str, arguments)],
        cwd=PROJECT_ROOT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def kill_at(process: subprocess.Popen[str], images: int, moment: int, group: bool) -> None:
    """Kill -9 a run, with its workers or without, once so many images of the day have their end state."""
    assert process.stdout
    lines = iter(process.stdout)
    done = images - int(next(lines).split()[1])
    for _ in range(moment - done):
        next(lines)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL) if group else process.kill()
    process.stdout.close()
    process.wait()
    assert process.returncode == -signal.SIGKILL


def assert_nothing_half_or_unblurred(destination: Path, originals: dict[str, bytes]) -> None:
    """Whatever stands in the destination is whole, stamped, and no original, wherever it lies."""
    hashes = {hashlib.sha256(content).hexdigest() for content in originals.values()}
    for file in destination.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert hashlib.sha256(content).hexdigest() not in hashes, file
            if ".streetveil" not in file.parts:
                assert blurring_id_of(content), file
    LocalStorage(destination).remove_leftovers()


@pytest.mark.parametrize(
    ("images", "kills"),
    [pytest.param(90, 3, id="3 kills"), pytest.param(240, 20, marks=[pytest.mark.slow], id="20 kills")],
)
@pytest.mark.timeout(1800)
def test_killed_at_random_moments_and_run_again_ends_like_an_undisturbed_run(
    tmp_path: Path, fill: FillFolder, rng: np.random.Generator, images: int, kills: int
) -> None:
    """After kill -9 at random moments of a run, a re-run has the same outputs and manifests as without."""
    originals = fill(tmp_path / "in", images, 240, 180)
    (tmp_path / "in" / "broken.jpg").write_bytes(originals["street-1/0001.jpg"][:700])
    (tmp_path / "run.key").write_bytes(b"k" * 32)
    (tmp_path / "run.key").chmod(0o600)
    undisturbed = start(tmp_path, "undisturbed")
    assert f"done {images + 1}" in undisturbed.communicate()[0]

    for moment in sorted(rng.choice(images, kills, replace=False).tolist()):
        kill_at(start(tmp_path, "killed"), images + 1, moment, group=bool(rng.integers(2)))
        assert_nothing_half_or_unblurred(tmp_path / "killed", originals)
    again = start(tmp_path, "killed")
    assert "done" in again.communicate()[0]

    one, other = LocalStorage(tmp_path / "undisturbed"), LocalStorage(tmp_path / "killed")
    assert tree(other) == tree(one)
    assert comparable(read_rows(other).values()) == comparable(read_rows(one).values())
    assert sorted(other.list(".streetveil/manifests")) == sorted(one.list(".streetveil/manifests"))
    assert list(other.list(".streetveil/journal")) == []
    assert list(audit(other)) == []


def test_two_runs_at_once_over_one_day_do_no_harm(tmp_path: Path, fill: FillFolder) -> None:
    """Two runs started together both end well, and the destination is that of one run."""
    originals = fill(tmp_path / "in", 30)
    (tmp_path / "run.key").write_bytes(b"k" * 32)
    (tmp_path / "run.key").chmod(0o600)
    runs = [start(tmp_path, "out") for _ in range(2)]
    outputs = [run.communicate()[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    assert sorted(int(text.split("done ")[1]) for text in outputs) == [0, 30]
    storage = LocalStorage(tmp_path / "out")
    assert set(tree(storage)) == set(originals)
    assert list(audit(storage)) == []


def test_workers_end_when_the_run_is_killed(tmp_path: Path, fill: FillFolder) -> None:
    """Killing the run alone leaves no worker behind that goes on writing."""
    fill(tmp_path / "in", 90, 240, 180)
    (tmp_path / "run.key").write_bytes(b"k" * 32)
    (tmp_path / "run.key").chmod(0o600)
    process = start(tmp_path, "out")
    kill_at(process, 90, 5, group=False)
    deadline = time.monotonic() + 60
    while _members(process.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert _members(process.pid) == []


def _members(group: int) -> list[str]:
    """Living processes of a process group."""
    import psutil

    found = []
    for process in psutil.process_iter(["pid", "cmdline", "status"]):
        with contextlib.suppress(ProcessLookupError, psutil.Error):
            if os.getpgid(process.pid) == group and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.info["cmdline"] or []))
    return found
