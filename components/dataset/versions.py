"""Versions of labelled data: the one adapter to DVC, through its command line, and what differs between two of them.

A remote is DVC's own setting: a folder beside the project by default, and an object store after
`dvc remote add --local --default …` (see `docs/labelling.md`).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import yaml

from components.dataset.labels import LabelledImage, read_labels
from components.detections import CLASS_NAMES
from components.errors import StreetveilError

_LABELS = "labels.json"
_STAGE = re.compile(r"(?:Running stage|Stage) '([^']+)'|failed to reproduce '([^']+)'")
_SHOWN_LINES = 5  # of DVC's last words, in an error
_WHERE = re.compile(r'[\^~]+$|File "|raise |Traceback |During handling')  # of a stage's error, which says the rest


@dataclass(frozen=True, slots=True)
class BoxCounts:
    """Boxes of one class that came, went or moved."""

    added: int = 0
    removed: int = 0
    changed: int = 0


@dataclass(frozen=True, slots=True)
class SnapshotDiff:
    """What differs between two versions of a labelled set.

    Attributes:
        added, removed, changed: paths of pictures; a changed one has other boxes, or other bytes.
        boxes: by class, ignored boxes by themselves.
    """

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    boxes: Mapping[str, BoxCounts]

    def text(self) -> str:
        """As a person reads it."""
        counts = (len(self.added), len(self.removed), len(self.changed))
        lines = ["images: {} added, {} removed, {} changed".format(*counts)]
        lines += [
            f"{name} boxes: {one.added} added, {one.removed} removed, {one.changed} changed"
            for name, one in self.boxes.items()
        ]
        for sign, paths in (("+", self.added), ("-", self.removed), ("~", self.changed)):
            lines += [f"{sign} {path}" for path in paths]
        return "\n".join(lines)


def begin(project: Path) -> None:
    """Make a folder a project of DVC's own, without git.

    Raises:
        StreetveilError: DVC refuses.
    """
    _dvc(["init", "--no-scm", "--quiet", "--force"], project)


def snapshot(paths: Sequence[Path], project: Path) -> str:
    """Track files or folders as they are now; the same content again changes nothing.

    Returns:
        The data revision: SHA-256, hex, over what each path is called and the hash that DVC has given it.

    Raises:
        StreetveilError: a path is not there, or DVC refuses.
    """
    missing = [path for path in paths if not path.exists()]
    if missing:
        raise StreetveilError(f"{missing[0]} is not there: label something first, or `dvc pull` it")
    if paths:
        _dvc(["add", *(str(path.resolve()) for path in paths)], project)
    return revision(paths, project)


def revision(paths: Sequence[Path], project: Path) -> str:
    """The data revision of what was tracked last.

    Raises:
        StreetveilError: a path is not tracked.
    """
    hashes = []
    for path in paths:
        file = tracked_by(path)
        try:
            outs = yaml.safe_load(file.read_text(encoding="utf-8"))["outs"]
            name = path.resolve().relative_to(project.resolve()).as_posix()
            hashes += [f"{name} {out['md5']}" for out in outs]
        except (OSError, KeyError, TypeError, ValueError, yaml.YAMLError) as error:
            raise StreetveilError(f"{file} cannot be used ({error}): `dvc add {path}`") from error
    return hashlib.sha256("\n".join(sorted(hashes)).encode()).hexdigest()


def tracked_by(path: Path) -> Path:
    """The small file that stands for a path in git."""
    return path.with_name(f"{path.name}.dvc")


def reproduce(targets: Sequence[str], project: Path, on_line: Callable[[str], None]) -> None:
    """Recompute what has changed of a chain; every line of every stage is handed over as it comes.

    Raises:
        StreetveilError: a stage failed; it is named.
    """
    _dvc(["repro", *targets], project, on_line)


def push(project: Path) -> None:
    """Copy what is tracked to the remote.

    Raises:
        StreetveilError: the remote cannot be reached.
    """
    _dvc(["push"], project)


def pull(project: Path) -> None:
    """Fetch what is tracked from the remote.

    Raises:
        StreetveilError: the remote cannot be reached, or lacks something.
    """
    _dvc(["pull"], project)


def fetch(path: Path, git_revision: str, project: Path, out: Path) -> None:
    """Get a tracked file as it was at a git revision.

    Raises:
        StreetveilError: it did not exist then, or its content is neither in the cache nor on the remote.
    """
    name = path.resolve().relative_to(project.resolve()).as_posix()
    _dvc(["get", ".", name, "--rev", git_revision, "--out", str(out), "--force"], project)


def existed(file: Path, git_revision: str, project: Path) -> bool:
    """Whether git knew a file at a revision.

    Raises:
        StreetveilError: there is no such revision.
    """
    name = file.resolve().relative_to(project.resolve()).as_posix()
    listing = subprocess.run(  # noqa: S603 - our own arguments, and no shell
        ["git", "ls-tree", "--name-only", git_revision, "--", name],  # noqa: S607 - the user's git
        cwd=project, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listing.returncode:
        raise StreetveilError(f"git knows no revision {git_revision!r} ({listing.stderr.strip()}): name another")
    return bool(listing.stdout.strip())


def difference(before: Path, after: Path) -> SnapshotDiff:
    """What differs between two labelled sets.

    Args:
        before, after: a `labels.json`, or a folder with some below it; none at all is an empty set.

    Raises:
        StreetveilError: labels are broken.
    """
    old, new = _read(before), _read(after)
    both = sorted(set(old) & set(new))
    changed = [path for path in both if _content(old[path]) != _content(new[path])]
    counts: dict[str, Counter[str]] = {name: Counter() for name in (*CLASS_NAMES, "ignored")}
    for path in {*old, *new}:
        ours, theirs = _boxes(old.get(path)), _boxes(new.get(path))
        for name, counter in counts.items():
            gone, come = ours[name] - theirs[name], theirs[name] - ours[name]
            moved = min(gone.total(), come.total())
            counter.update(added=come.total() - moved, removed=gone.total() - moved, changed=moved)
    return SnapshotDiff(
        tuple(sorted(set(new) - set(old))),
        tuple(sorted(set(old) - set(new))),
        tuple(changed),
        {name: BoxCounts(**counter) for name, counter in counts.items()},
    )


def _read(place: Path) -> dict[str, LabelledImage]:
    files = [place] if place.is_file() else sorted(place.rglob(_LABELS))
    return {
        f"{file.parent.relative_to(place).as_posix()}/{image.path}" if place.is_dir() else image.path: image
        for file in files
        for image in read_labels(file, folder="")
    }


def _boxes(image: LabelledImage | None) -> dict[str, Counter[tuple[float, ...]]]:
    told: dict[str, Counter[tuple[float, ...]]] = {name: Counter() for name in (*CLASS_NAMES, "ignored")}
    if image is not None:
        for class_id, sides in zip(image.objects.class_id, image.objects.xyxy.tolist(), strict=True):
            told[CLASS_NAMES[class_id]][tuple(sides)] += 1
        told["ignored"].update(map(tuple, image.ignored.tolist()))
    return told


def _content(image: LabelledImage) -> tuple[object, ...]:
    marks = json.dumps([dict(mark) for mark in image.marks], sort_keys=True)
    return _boxes(image), marks, image.attributes.get("original")


def _dvc(arguments: Sequence[str], project: Path, on_line: Callable[[str], None] | None = None) -> None:
    stage: str | None = None
    last: list[str] = []
    command = [sys.executable, "-m", "dvc", *arguments]
    # Stages call `python`, and must find the one that runs this.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    environment = {**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1", "DVC_NO_ANALYTICS": "1"}
    # A session of its own: DVC that is told to stop leaves the stage that it has started running.
    with subprocess.Popen(  # noqa: S603 - our own arguments, and no shell
        command, cwd=project, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    ) as process:  # fmt: skip
        try:
            for line in _lines(process):
                found = _STAGE.search(line)
                stage = (found[1] or found[2]) if found else stage
                last = last if _WHERE.match(line) else [*last, line][-_SHOWN_LINES:]
                if on_line is not None:
                    on_line(line)
        except BaseException:  # whoever listens has failed or was stopped: the chain stops too
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            raise
    if process.returncode:
        what = f"stage {stage!r} failed" if stage and arguments[0] == "repro" else f"dvc {arguments[0]} failed"
        raise StreetveilError(f"{what}: {' | '.join(last) or f'status {process.returncode}'}; mend it, and run again")


def _lines(process: subprocess.Popen[str]) -> Iterator[str]:
    """What a process says, line by line; progress bars come as one line."""
    for line in process.stdout or ():
        if text := line.rstrip().split("\r")[-1].strip():
            yield text
