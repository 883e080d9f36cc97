"""Images per second of the whole path on one GPU: read, decode, detect, hide, verify, write.

    python -m benchmarks.gpu [--device cpu] [--host-threads N ...] [--batch-max N ...] [--processes N ...] [--minutes N]

It renders its own JPEG pictures of 5 MP and blurs them with the shipped model on the engine of a nightly run: first
until it gets no faster, then as many as its time allows, each time with other numbers of threads, inputs in a batch,
and processes on the GPU. Nothing has to be brought along and nothing is left. Without a GPU it says so and measures
nothing; `--device cpu` tries the same path out there.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import secrets
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from components.batch.engines.crews import crew_engine
from components.batch.engines.engine import Engine
from components.batch.manifest import PUBLISHED, ImageRow
from components.batch.shards import Shard, plan_shards
from components.batch.sources import list_images
from components.batch.storage import open_destination
from components.batch.work_order import WorkOrder
from components.batch.worker import held
from components.dataset.benchmark_day import write_benchmark_day
from components.detection.bundle import Bundle
from components.detection.gpus import told
from components.detection.onnx_runtime import Device, resolve_device
from components.detection.shipped import shipped_files
from components.errors import StreetveilError
from components.settings import Params, load_params

STAGES = ("read", "decode", "detect", "publish", "verify", "write")
_RENDERED = 24  # different pictures; the rest of a round are the same under other names
_WARM_ROUNDS, _WARM_SHARE = 3, 4  # at least so many, each of so many images for one in hand
_PARTS = 4  # of a round, whose speeds say how steady it was
_VERSIONS = (
    "streetveil",
    "onnxruntime-gpu",
    "onnxruntime",
    "openvino",
    "torch",
    "opencv-python",
    "simplejpeg",
    "numpy",
)
_EXAMPLE = "python -m benchmarks.gpu --device cpu --host-threads 2 --minutes 2"


@dataclass(slots=True)
class Load:
    """What the machine was busy with in a round: shares of the processors, of the GPU, and its memory, MiB."""

    cpu: list[float] = field(default_factory=list)
    gpu: list[float] = field(default_factory=list)
    gpu_mib: list[float] = field(default_factory=list)

    @contextmanager
    def watched(self, every_s: float = 1.0) -> Iterator[None]:
        """Look at the machine as long as the block lasts."""
        done = threading.Event()

        def look() -> None:
            psutil.cpu_percent()
            while not done.wait(every_s):
                self.cpu.append(psutil.cpu_percent() / 100)
                self.gpu += [float(share) / 100 for share in told("utilization.gpu")[:1]]
                self.gpu_mib += [float(mib) for mib in told("memory.used")[:1]]

        watcher = threading.Thread(target=look)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()


@dataclass(frozen=True, slots=True)
class Round:
    """One way of running: what it was asked for, and what came of it."""

    processes: int
    threads: int
    batch_max: int
    batches: dict[str, int]
    images: int
    images_per_s: float
    parts: Sequence[float]
    stage_ms: dict[str, float]
    load: Load

    def line(self) -> str:
        """A row of the table."""
        total = sum(self.stage_ms.values())
        shares = " / ".join(f"{self.stage_ms[stage] / total:.0%}" for stage in STAGES)
        cells = [
            str(self.processes),
            str(self.threads),
            f"{self.batch_max} ({', '.join(f'{name} {limit}' for name, limit in self.batches.items())})",
            str(self.images),
            f"{self.images_per_s:.2f} ({min(self.parts):.2f}–{max(self.parts):.2f})",
            f"{total:.0f}",
            shares,
            _share(self.load.cpu),
            _share(self.load.gpu),
            f"{max(self.load.gpu_mib):.0f}" if self.load.gpu_mib else "–",
        ]
        return "| " + " | ".join(cells) + " |"


HEADER = (
    "| processes | host threads | batch, at most (found) | images | images/s (quarters) | ms in hand | "
    f"{' / '.join(STAGES)} | CPU busy | GPU busy | GPU MiB |\n|---|---|---|---|---|---|---|---|---|---|"
)


def _share(values: Sequence[float]) -> str:
    return f"{statistics.fmean(values):.0%}" if values else "–"


def limits() -> dict[str, int]:
    """In a worker: how many inputs of each network make a batch."""
    cascade = held()[1].cascade
    parts = [*cascade.detectors, *([cascade.verifier] if cascade.verifier else []), *cascade.safety]
    networks = {part.name: getattr(part, "_runtime", None) or getattr(part, "_session", None) for part in parts}
    return {name: int(network.limit) for name, network in networks.items() if hasattr(network, "limit")}


def measured(order: WorkOrder, processes: int, threads: int, until_s: float) -> Round:
    """One way of running, within a time of `time.monotonic`.

    Raises:
        StreetveilError: a picture was not published, so that nothing was measured.
    """
    with crew_engine(order, processes, threads) as engine:
        in_hand = processes * threads
        ((_, batches),) = engine.pool.answers(limits, [()], 60, float("inf"))
        pace = _warm_pace(engine, order, in_hand, time.monotonic() + (until_s - time.monotonic()) / 2)
        count = max(_PARTS * 2, 2 * in_hand, int(pace * (until_s - time.monotonic()) * 0.9))
        return _timed(engine, _shard(order, "day", count), processes, threads, order.params.gpu.batch_max, batches)


def _warm_pace(engine: Engine, order: WorkOrder, in_hand: int, until_s: float) -> float:
    """Images per second when every network has met the batches of this way of running, or when half the time is over.

    Each size of batch is planned once, which takes seconds and is nothing in a night.
    """
    paces: list[float] = []
    while len(paces) < _WARM_ROUNDS or (paces[-1] > 1.05 * paces[-2] and time.monotonic() < until_s):
        shard = _shard(order, "warm", _WARM_SHARE * in_hand)
        start_s = time.monotonic()
        _published(engine.blur_shard(shard))
        paces.append(_WARM_SHARE * in_hand / (time.monotonic() - start_s))
    return paces[-1]


def _timed(
    engine: Engine, shard: Shard, processes: int, threads: int, batch_max: int, batches: dict[str, int]
) -> Round:
    ends: list[float] = []
    load, start_s = Load(), time.monotonic()
    with load.watched():
        rows = engine.blur_shard(shard, lambda row: ends.append(time.monotonic()))
    _published(rows)
    count = len(rows)
    cuts = [start_s, *(ends[count * (i + 1) // _PARTS - 1] for i in range(_PARTS))]
    parts = [(count * (i + 1) // _PARTS - count * i // _PARTS) / (cuts[i + 1] - cuts[i]) for i in range(_PARTS)]
    stage_ms = {stage: statistics.fmean(getattr(row, f"{stage}_ms") or 0.0 for row in rows) for stage in STAGES}
    pace = count / (ends[-1] - start_s)
    return Round(processes, threads, batch_max, batches, count, pace, parts, stage_ms, load)


def _published(rows: Sequence[ImageRow]) -> None:
    failed = next((row for row in rows if row.state != PUBLISHED), None)
    if failed is not None:
        raise StreetveilError(f"nothing was measured: a picture came to {failed.reason} ({failed.detail})")


def _shard(order: WorkOrder, name: str, count: int) -> Shard:
    """The rendered pictures under as many new names."""
    source = Path(str(order.source))
    rendered = sorted(source.glob("*.jpg"))
    folder = source / f"{name}-{secrets.token_hex(4)}"
    folder.mkdir()
    for number, picture in zip(range(count), itertools.cycle(rendered), strict=False):
        os.link(picture, folder / f"{number:06d}.jpg")
    images = [image for image in list_images(source, Path("/nowhere")) if image.path.startswith(folder.name)]
    (shard,) = plan_shards(images, {}, count)
    return shard


def machine(device: str) -> str:
    """Where this was measured, and with what."""
    found = {}
    for name in _VERSIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    gpus = ", ".join(told("name")) or "no GPU"
    driver = (told("driver_version") or ["–"])[0]
    cores = len(os.sched_getaffinity(0))
    memory_gib = psutil.virtual_memory().total / 2**30
    versions = ", ".join(f"{name} {number}" for name, number in found.items())
    return (
        f"{platform.processor() or platform.machine()}, {cores} cores, {memory_gib:.0f} GiB; {gpus}, driver {driver}; "
        f"device {device}; python {platform.python_version()}, {versions}"
    )


def _ways(args: argparse.Namespace) -> list[tuple[int, int, int]]:
    return list(itertools.product(args.processes, args.host_threads, args.batch_max))


def run(args: argparse.Namespace, params: Params, device: Device) -> None:
    """Measure every way, in the time that there is, and print the table as it comes."""
    end_s = time.monotonic() + args.minutes * 60
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        source = Path(folder) / "originals"
        write_benchmark_day(source, min(_RENDERED, args.rendered), args.megapixels)
        sizes = [path.stat().st_size / 1e6 for path in source.glob("*.jpg")]
        print(machine(device))
        print(
            f"{len(sizes)} rendered pictures of {args.megapixels:g} MP, {statistics.fmean(sizes):.1f} MB in the mean; "
            f"region {params.default_region}, precision {args.precision}, provider {params.gpu.provider}"
        )
        print(HEADER, flush=True)
        detection = params.detection.model_copy(update={"gpu_precision": args.precision})
        ways = _ways(args)
        for number, (processes, threads, batch_max) in enumerate(ways):
            now_s = time.monotonic()
            until_s = now_s + (end_s - now_s) / (len(ways) - number)
            own = params.model_copy(
                update={"gpu": params.gpu.model_copy(update={"batch_max": batch_max}), "detection": detection}
            )
            with tempfile.TemporaryDirectory(dir=folder, prefix="out-") as out:
                order = WorkOrder(
                    source=source,
                    destination=open_destination(Path(out) / "published"),
                    region_name=params.default_region,
                    params=own,
                    bundle=Bundle("shipped", "1", shipped_files()),
                    run_key=secrets.token_bytes(32),
                    code_revision="benchmark",
                    device=device,
                )
                print(measured(order, processes, threads, until_s).line(), flush=True)


def main() -> int:
    """Measure on a GPU, or say that there is none."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cores = len(os.sched_getaffinity(0))
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--host-threads", type=int, nargs="+", default=[cores, 2 * cores])
    parser.add_argument("--batch-max", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--processes", type=int, nargs="+", default=[1])
    parser.add_argument("--megapixels", type=float, default=5.0)
    parser.add_argument("--minutes", type=float, default=9.0, help="in all")
    parser.add_argument("--rendered", type=int, default=_RENDERED, help="different pictures")
    parser.add_argument("--precision", choices=["file", "float32", "float16"], default="file")
    parser.add_argument("--folder", type=Path, help="where pictures and outputs lie for the time being")
    args = parser.parse_args()
    try:
        device = resolve_device(args.device)
    except StreetveilError as error:
        print(f"no GPU was measured: {error}; `{_EXAMPLE}` tries the path out", file=sys.stderr)
        return 1
    run(args, load_params(), device)
    return 0


if __name__ == "__main__":
    sys.exit(main())
