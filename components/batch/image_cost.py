"""One process of a benchmark: the worker's own steps, with their processor time noted."""

from __future__ import annotations

import resource
import signal
import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Barrier
from typing import cast

from components.batch.journal import Journal
from components.batch.manifest import ImageRow
from components.batch.sources import ImageRef
from components.batch.storage import open_destination
from components.batch.work_order import WorkOrder
from components.batch.worker import load_blurring, process_image
from components.blurring import Blurring, timed_with
from components.detection.detector import Detector
from components.detection.verifier import Verifier
from components.detections import Detections
from components.imaging.reading import Pixels

STAGES = ("decode", "stage 1", "stage 2", "secondary check", "merging", "hide", "verify", "write")
LOOKS = ("stage 1", "stage 2", "secondary check")
_START_TIMEOUT_S = 600.0  # for the slowest process to load the model and blur its first picture


@dataclass(frozen=True, slots=True)
class ImageCost:
    """One image in one process.

    Attributes:
        row: what became of it.
        stage_cpu_ms: processor time by stage of `STAGES`. `merging` is all of the detection that is not within a
            network's adapter; `write` is all that is in no other stage: reading, hashing, the journal, writing.
        start_s, end_s: on the system's monotonic clock.
        peak_mib: resident memory of the process so far, at its highest.
    """

    row: ImageRow
    stage_cpu_ms: dict[str, float]
    start_s: float
    end_s: float
    peak_mib: float


@dataclass(slots=True)
class _Spent:
    """Processor time by look, ms."""

    ms: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def on(self, look: str) -> Iterator[None]:
        start = time.process_time()
        yield
        self.ms[look] = self.ms.get(look, 0.0) + (time.process_time() - start) * 1000


@dataclass(frozen=True, slots=True)
class _TimedDetector:
    """A detector whose time is noted."""

    detector: Detector
    look: str
    spent: _Spent

    @property
    def name(self) -> str:
        return self.detector.name

    @property
    def class_ids(self) -> Collection[int]:
        return self.detector.class_ids

    def detect(self, pixels: Pixels, threshold: float) -> Detections:
        with self.spent.on(self.look):
            return self.detector.detect(pixels, threshold)


@dataclass(frozen=True, slots=True)
class _TimedVerifier:
    """A verifier whose time is noted."""

    verifier: Verifier
    spent: _Spent

    def verify(self, pixels: Pixels, proposals: Detections, wraps: bool = False):  # type: ignore[no-untyped-def]
        with self.spent.on("stage 2"):
            return self.verifier.verify(pixels, proposals, wraps)


# What the process holds between images. Set once by `start_measuring`.
_held: tuple[WorkOrder, Blurring, _Spent] | None = None


def start_measuring(order: WorkOrder, work_folder: Path, first: ImageRef, ready: Barrier) -> None:
    """Load the model, blur a picture to warm up, and wait until every process has.

    Args:
        order: what to do.
        work_folder: where this process makes a destination of its own.
        first: the picture to warm up with.
        ready: of all processes of the round.
    """
    global _held
    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    order = replace(order, destination=open_destination(Path(tempfile.mkdtemp(dir=work_folder))))
    blurring, spent = load_blurring(order), _Spent()
    cascade = blurring.cascade
    timed = replace(
        cascade,
        detectors=tuple(_TimedDetector(detector, "stage 1", spent) for detector in cascade.detectors),
        verifier=cast("Verifier", _TimedVerifier(cascade.verifier, spent)) if cascade.verifier else None,
        safety=tuple(_TimedDetector(detector, "secondary check", spent) for detector in cascade.safety),
    )
    _held = order, replace(blurring, cascade=timed), spent
    process_image(order, blurring, Journal(order.destination, "warm-up"), first)
    ready.wait(_START_TIMEOUT_S)


def measure(image: ImageRef) -> ImageCost:
    """Blur one image in a process that `start_measuring` has prepared."""
    if _held is None:
        raise RuntimeError("start_measuring was not called in this process")
    order, blurring, spent = _held
    spent.ms.clear()
    journal = Journal(order.destination, "benchmark")
    start_s, start_cpu_s = time.monotonic(), time.process_time()
    with timed_with(time.process_time):
        row = process_image(order, blurring, journal, image)
    cpu_ms, end_s = (time.process_time() - start_cpu_s) * 1000, time.monotonic()
    journal.clear()  # measured again, an image is not on its second attempt
    looks = {look: spent.ms.get(look, 0.0) for look in LOOKS}
    stages = {
        "decode": row.decode_ms or 0.0,
        **looks,
        "merging": (row.detect_ms or 0.0) - sum(looks.values()),
        "hide": row.publish_ms or 0.0,
        "verify": row.verify_ms or 0.0,
    }
    stages["write"] = cpu_ms - sum(stages.values())
    return ImageCost(row, stages, start_s, end_s, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
