"""What each smaller or faster network is worth: its speed and its recall, measured side by side in one run.

Speeds of one machine change from minute to minute. So every candidate computes the same pictures in turn, over and
over, and its speed is the median of its turns. Recall is that of the pixels, for all at the threshold at which the
float network is used: a candidate that loses a point of any class, or more, is refused, however fast it is.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from components.dataset.labels import LabelledImage
from components.detection.runtime import Runtime
from components.detection.street import Street
from components.detections import CLASS_NAMES
from components.errors import StreetveilError
from components.imaging.reading import Pixels
from components.settings import CheckpointChoice
from components.training.operating_point import OperatingPoint, Pairs, operating_point

MAX_LOSS = 0.01  # of pixel recall, for each class; from here on a candidate is refused

_OUTPUT = "found"
_ABSENT = "not measured"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A network with what runs it.

    Attributes:
        name: as in the table.
        file: the file that would be shipped; None where there is none.
        load: builds the runtime; returns None where this machine has none of its kind.
        absent: what the table says then.
        note: what else it says.
    """

    name: str
    file: Path | None
    load: Callable[[], Runtime | None]
    absent: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; None where nothing was measured or nothing is labelled.

    Attributes:
        name: the candidate's.
        file_mb: size of its file, 10⁶ bytes.
        images_per_s: pictures of the measured size in a second, on one core.
        pixel_recall: by class.
        pixel_false_positive_rate: the share of background that is hidden.
        accepted: whether no class lost `MAX_LOSS` or more; None if it was not measured.
        note: anything else.
    """

    name: str
    file_mb: float | None
    images_per_s: float | None
    pixel_recall: dict[str, float | None]
    pixel_false_positive_rate: float | None
    accepted: bool | None
    note: str = ""


def measure_candidates(
    candidates: Sequence[Candidate],
    pictures: Sequence[tuple[LabelledImage, Pixels]],
    choice: CheckpointChoice,
    timed: NDArray[np.float32],
    turns: int = 7,
) -> list[Row]:
    """One row for each candidate, the first of which is the float network that the others are compared with.

    Args:
        candidates: the first one is the reference.
        pictures: validation pictures with their labels, both in the same px.
        choice: how the threshold of the reference is chosen; all are measured there.
        timed: float32 [n, 3, h, w], the batch whose speed is measured.
        turns: how often each candidate computes it.

    Raises:
        StreetveilError: there is no candidate or picture, or the reference cannot be run here.
    """
    loaded = [candidate.load() for candidate in candidates]
    if not loaded or loaded[0] is None or not pictures:
        raise StreetveilError("candidates are compared with a float network on labelled pictures: one is missing")
    present = {i: runtime for i, runtime in enumerate(loaded) if runtime is not None}
    seconds = seconds_per_run(present, timed, turns)
    pairs = {i: _pairs(runtime, pictures, choice.lowest_threshold) for i, runtime in present.items()}
    threshold = operating_point(pairs[0], choice.lowest_threshold, choice.max_pixel_fpr).threshold
    points = {i: operating_point(found, threshold, max_pixel_fpr=1) for i, found in pairs.items()}
    return [
        _row(candidate, points[0], points[i], len(timed) / seconds[i]) if i in present else _absent(candidate)
        for i, candidate in enumerate(candidates)
    ]


def _row(candidate: Candidate, reference: OperatingPoint, point: OperatingPoint, images_per_s: float) -> Row:
    recall = point.class_pixel_recall
    accepted = keeps_recall(reference.class_pixel_recall, recall)
    rate = point.pixel_false_positive_rate
    return Row(candidate.name, _megabytes(candidate.file), images_per_s, recall, rate, accepted, candidate.note)


def _absent(candidate: Candidate) -> Row:
    nothing: dict[str, float | None] = dict.fromkeys(CLASS_NAMES)
    return Row(candidate.name, _megabytes(candidate.file), None, nothing, None, None, candidate.absent)


def _pairs(runtime: Runtime, pictures: Sequence[tuple[LabelledImage, Pixels]], threshold: float) -> Pairs:
    detector = Street(b"", runtime=runtime)
    return [(truth, detector.detect(pixels, threshold)) for truth, pixels in pictures]


def seconds_per_run(runtimes: Mapping[int, Runtime], batch: NDArray[np.float32], turns: int) -> dict[int, float]:
    """The median seconds of each runtime for one batch; they take turns, the first of which is not counted."""
    taken: dict[int, list[float]] = {i: [] for i in runtimes}
    for turn in range(turns + 1):
        for i, runtime in runtimes.items():
            started = time.perf_counter()
            runtime.run(batch, (_OUTPUT,))
            if turn:
                taken[i].append(time.perf_counter() - started)
    return {i: median(values) for i, values in taken.items()}


def keeps_recall(reference: Mapping[str, float | None], other: Mapping[str, float | None]) -> bool:
    """Whether no labelled class has lost a point of recall or more."""
    return all(
        kept is None or ((got := other[name]) is not None and kept - got < MAX_LOSS) for name, kept in reference.items()
    )


def write_table(rows: Sequence[Row], folder: Path, measured: str) -> None:
    """Write `candidates.json` and `candidates.md`.

    Args:
        rows: the table.
        folder: where to.
        measured: on what, in one line.
    """
    folder.mkdir(parents=True, exist_ok=True)
    told = {"measured": measured, "rows": [asdict(row) for row in rows]}
    (folder / "candidates.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    (folder / "candidates.md").write_text(markdown(rows, measured), encoding="utf-8")


def markdown(rows: Sequence[Row], measured: str) -> str:
    """The table for people; speeds beside the first row's."""
    head = ["candidate", "MB", "images/s", "× float", *(f"pixel recall, {name}" for name in CLASS_NAMES)]
    head += ["pixel FPR", "accepted", ""]
    first = rows[0].images_per_s
    lines = [head, ["---"] * len(head)]
    for row in rows:
        ratio = row.images_per_s / first if row.images_per_s and first else None
        recall = [_text(row.pixel_recall[name], "{:.4f}") for name in CLASS_NAMES]
        verdict = {True: "yes", False: "no", None: _ABSENT}[row.accepted]
        speed = [_text(row.images_per_s, "{:.2f}"), _text(ratio, "{:.2f}")]
        rate = _text(row.pixel_false_positive_rate, "{:.4f}")
        lines.append([row.name, _text(row.file_mb, "{:.2f}"), *speed, *recall, rate, verdict, row.note])
    return f"{measured}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _text(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)


def _megabytes(file: Path | None) -> float | None:
    return file.stat().st_size / 1e6 if file else None
