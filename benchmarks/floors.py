"""What an image costs from end to end, beside the sum of what it must cost: both in turns, in one process.

    OMP_NUM_THREADS=1 taskset -c 0 python -m benchmarks.floors [--images N] [--rounds N] [--megapixels N] [--objects N]

A floor is work that no arrangement of ours could do without: a strict decode of the source; every run of every network,
on the very inputs that the image's own detection gave it; one lossless pass over the JPEG; a strict decode of the
output; and hashing what was read and what was written, once each. All in processor time, so that a busy machine says
nearly the same.
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from benchmarks.machine import machine
from benchmarks.pictures import jpeg
from components.batch.journal import Journal
from components.batch.manifest import PUBLISHED, ImageRow
from components.batch.sources import ImageRef, list_images
from components.batch.storage import open_destination
from components.batch.work_order import WorkOrder
from components.batch.worker import load_blurring, process_image
from components.blurring import Blurring, timed_with
from components.detection.bundle import Bundle
from components.detection.onnx_runtime import Session
from components.detection.openvino_runtime import OpenVinoSession
from components.detection.shipped import shipped_files
from components.imaging import turbojpeg
from components.settings import load_params

TARGET = 1.10
FLOORS = ("decode", "networks", "JPEG pass", "decode the output", "hashing")
# Where each floor's work is done, and what the rest of that stage is.
STAGES = {"decode": "decode", "detect": "networks", "publish": "JPEG pass", "verify": "decode the output"}
_OTHER = "read, hash, write, note"

NetworkRun = tuple[Any, NDArray, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Cost:
    """One image in one round, CPU-ms.

    Attributes:
        stage_ms: of the whole, by stage; together they are all of it.
        floor_ms: by floor of `FLOORS`.
    """

    stage_ms: dict[str, float]
    floor_ms: dict[str, float]

    @property
    def whole_ms(self) -> float:
        """From the file to the published file and its journal entry."""
        return sum(self.stage_ms.values())

    @property
    def least_ms(self) -> float:
        """The sum of the floors."""
        return sum(self.floor_ms.values())

    @property
    def ratio(self) -> float:
        """How many times its floors an image costs."""
        return self.whole_ms / self.least_ms

    def beyond(self, stage: str) -> float:
        """What a stage costs beyond its floor; below zero only by the measurement's own spread."""
        return self.stage_ms[stage] - self.floor_ms[STAGES.get(stage, "hashing")]


@contextmanager
def recorded() -> Iterator[list[NetworkRun]]:
    """All runs of networks within the block, each with a copy of its input."""
    runs: list[NetworkRun] = []

    def recording(run: Callable[..., list[NDArray]]) -> Callable[..., list[NDArray]]:
        def record(session: Any, blob: NDArray, outputs: Sequence[str]) -> list[NDArray]:
            runs.append((session, np.array(blob), tuple(outputs)))
            return run(session, blob, outputs)

        return record

    with (
        mock.patch.object(OpenVinoSession, "run", recording(OpenVinoSession.run)),
        mock.patch.object(Session, "run", recording(Session.run)),
    ):
        yield runs


def floors(source: bytes, output: bytes, runs: Sequence[NetworkRun]) -> dict[str, Callable[[], object]]:
    """The bare work of one image."""
    return {
        "decode": lambda: simplejpeg.decode_jpeg(source, "RGB", strict=True),
        "networks": lambda: [session.run(blob, outputs) for session, blob, outputs in runs],
        "JPEG pass": lambda: turbojpeg.rewrite(source, lambda *_: None, progressive=False),
        "decode the output": lambda: simplejpeg.decode_jpeg(output, "RGB", strict=True),
        "hashing": lambda: (hashlib.sha256(source).digest(), hashlib.sha256(output).digest()),
    }


def cpu_ms(work: Callable[[], object]) -> float:
    """Processor time of this process."""
    start_s = time.process_time()
    work()
    return (time.process_time() - start_s) * 1000


def whole(order: WorkOrder, blurring: Blurring, image: ImageRef, round_: int) -> tuple[ImageRow, dict[str, float]]:
    """Bring an image to its end as a worker does; its row, and the processor time by stage."""
    start_s = time.process_time()
    with timed_with(time.process_time):
        row = process_image(order, blurring, Journal(order.destination, f"round-{round_}"), image)
    all_ms = (time.process_time() - start_s) * 1000
    if row.state != PUBLISHED:
        raise SystemExit(f"nothing was measured: {image.path} came to {row.reason} ({row.detail})")
    stage_ms = {stage: float(getattr(row, f"{stage}_ms") or 0) for stage in STAGES}
    return row, stage_ms | {_OTHER: all_ms - sum(stage_ms.values())}


def measure(order: WorkOrder, rounds: int) -> tuple[list[Cost], list[ImageRow]]:
    """Every image of the order's source in turns, as often as there are rounds; the first look warms up."""
    blurring = load_blurring(order)
    costs, rows = [], []
    for image in list_images(order.source, Path("/nowhere")):
        with recorded() as runs:
            whole(order, blurring, image, 0)
        source = (Path(str(order.source)) / image.path).read_bytes()
        bare = floors(source, order.destination.read(image.path), runs)
        for round_ in range(1, rounds + 1):
            row, stage_ms = whole(order, blurring, image, round_)
            costs.append(Cost(stage_ms, {name: cpu_ms(work) for name, work in bare.items()}))
            rows.append(row)
    return costs, rows


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """25 %, median, 75 %."""
    p25, median, p75 = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else [values[0]] * 3
    return p25, median, p75


def table(costs: Sequence[Cost]) -> str:
    """The floors, the whole, and where the difference is, as Markdown."""
    lines = ["| CPU-ms per image | median | 25–75 % | of the floors |", "|---|---|---|---|"]
    least = statistics.median(cost.least_ms for cost in costs)

    def line(name: str, values: Sequence[float]) -> str:
        p25, median, p75 = quartiles(values)
        return f"| {name} | {median:.1f} | {p25:.1f}–{p75:.1f} | {median / least:.1%} |"

    lines += [line(f"floor: {name}", [cost.floor_ms[name] for cost in costs]) for name in FLOORS]
    lines.append(line("**all floors**", [cost.least_ms for cost in costs]))
    lines.append(line("**the whole image**", [cost.whole_ms for cost in costs]))
    lines += [line(f"beyond its floor: {stage}", [cost.beyond(stage) for cost in costs]) for stage in (*STAGES, _OTHER)]
    p25, median, p75 = quartiles([cost.ratio for cost in costs])
    verdict = "reached" if median <= TARGET else f"missed by {median - TARGET:.2f}"
    lines.append(f"\nWhole ÷ floors: {median:.3f} (25–75 %: {p25:.3f}–{p75:.3f}); target {TARGET:.2f}: {verdict}.")
    return "\n".join(lines)


def order_for(folder: Path, images: int, megapixels: float, objects: int) -> WorkOrder:
    """The shipped model on rendered pictures; without the second look at outputs, which has floors of its own."""
    source = folder / "in"
    source.mkdir()
    for number in range(images):
        (source / f"{number:03d}.jpg").write_bytes(jpeg(number, megapixels, objects))
    params = load_params()
    once = params.verification.model_copy(update={"redetect_share": 0.0})
    params = params.model_copy(update={"verification": once})
    bundle = Bundle("streetveil-detector", "shipped", shipped_files())
    return WorkOrder(source, open_destination(folder / "out"), None, params, bundle, b"k" * 32, "benchmark")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megapixels", type=float, default=5)
    parser.add_argument("--objects", type=int, default=5)
    given = parser.parse_args()
    cv2.setNumThreads(1)
    with TemporaryDirectory() as folder:
        order = order_for(Path(folder), given.images, given.megapixels, given.objects)
        costs, rows = measure(order, given.rounds)
    print(machine())
    hidden = statistics.fmean(row.blurred("face") + row.blurred("license_plate") for row in rows)
    print(
        f"{given.images} pictures of {given.megapixels:g} MP with {given.objects} objects, of which the model hides "
        f"{hidden:.1f} areas; {given.rounds} rounds each.\n"
    )
    print(table(costs))


if __name__ == "__main__":
    main()
