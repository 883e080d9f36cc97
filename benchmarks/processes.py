"""What images cost in processes that take turns: by megapixels and objects, and by the number of processes at work."""

from __future__ import annotations

import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.floors import NetworkRun, order_for, recorded
from benchmarks.tables import spread, table
from components.batch.image_cost import ImageCost, measure, start_measuring
from components.batch.manifest import PUBLISHED
from components.batch.sources import list_images
from components.batch.storage import open_destination
from components.batch.work_order import WorkOrder
from components.batch.worker import load_blurring
from components.errors import StreetveilError
from components.imaging.reading import decode


def published(cost: ImageCost) -> ImageCost:
    """The cost, if there was an image for it.

    Raises:
        StreetveilError: it went to quarantine.
    """
    if cost.row.state != PUBLISHED:
        raise StreetveilError(f"nothing was measured: {cost.row.path} came to {cost.row.reason} ({cost.row.detail})")
    return cost


@contextmanager
def measured(folder: Path, images: int, megapixels: float, objects: int) -> Iterator[Callable[[int], ImageCost]]:
    """A process of its own that costs one image after another of a size."""
    folder.mkdir()
    order = order_for(folder, images, megapixels, objects)
    (folder / "work").mkdir()
    refs = list(list_images(order.source, Path("/nowhere")))
    context = multiprocessing.get_context("spawn")
    prepared = (order, folder / "work", refs[0], context.Barrier(1))
    with ProcessPoolExecutor(1, context, start_measuring, prepared) as pool:
        yield lambda number: pool.submit(measure, refs[number % len(refs)]).result()


def in_turns(kinds: Sequence[tuple[float, int]], images: int, rounds: int) -> list[list[ImageCost]]:
    """What images of each kind (megapixels, objects) cost."""
    with TemporaryDirectory() as name, ExitStack() as stack:
        costs = [
            stack.enter_context(measured(Path(name) / str(i), images, megapixels, objects))
            for i, (megapixels, objects) in enumerate(kinds)
        ]
        taken: list[list[ImageCost]] = [[] for _ in kinds]
        for number in range(images * rounds):
            for cost, told in zip(costs, taken, strict=True):
                told.append(published(cost(number)))
        return taken


def by_size(kinds: Sequence[tuple[float, int]], images: int, rounds: int) -> str:
    """Processor time by stage, and memory, of images of each kind."""
    rows = []
    for (megapixels, objects), costs in zip(kinds, in_turns(kinds, images, rounds), strict=True):
        whole = [sum(cost.stage_cpu_ms.values()) for cost in costs]
        looks = [sum(cost.stage_cpu_ms[look] for look in ("stage 1", "stage 2", "secondary check")) for cost in costs]
        hidden = statistics.fmean(cost.row.blurred("face") + cost.row.blurred("license_plate") for cost in costs)
        rest = [one - look for one, look in zip(whole, looks, strict=True)]
        memory = max(cost.peak_mib for cost in costs)
        per_megapixel = f"{statistics.median(whole) / megapixels:.0f}"
        rows.append(
            (
                f"{megapixels:g}",
                objects,
                f"{hidden:.1f}",
                spread(whole),
                spread(looks),
                spread(rest),
                per_megapixel,
                f"{memory:.0f}",
            )
        )
    head = (
        "MP",
        "objects",
        "areas hidden",
        "CPU-ms an image",
        "of these detectors",
        "all else",
        "CPU-ms per MP",
        "peak MiB",
    )
    return table(head, rows)


def _bare(folder: Path, seconds: float) -> tuple[int, float]:
    """How often stage 1's runs of one image are done in so many seconds, and in what processor time."""
    runs = _BARE[str(folder)]
    count, start_s, start_cpu_s = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - start_s < seconds:
        for session, blob, outputs in runs:
            session.run(blob, outputs)
        count += 1
    return count, (time.process_time() - start_cpu_s) / count


# What a bare process runs. Set by `_load_bare`, in that process only.
_BARE: dict[str, list[NetworkRun]] = {}


def _load_bare(folder: Path) -> None:
    order = _order(folder)
    blurring = load_blurring(order)
    image = next(iter(list_images(order.source, Path("/nowhere"))))
    picture = decode((Path(str(order.source)) / image.path).read_bytes(), order.params.reading)
    with recorded() as runs:
        blurring.cascade.examine(picture.pixels, blurring.region)
    _BARE[str(folder)] = runs


def _work(folder: Path, seconds: float) -> tuple[int, float]:
    """How many images a worker brings to their end in so many seconds, and in what processor time."""
    count, start_s, cpu_ms = 0, time.perf_counter(), 0.0
    refs = list(list_images(folder / "in", Path("/nowhere")))
    while time.perf_counter() - start_s < seconds:
        cpu_ms += sum(published(measure(refs[count % len(refs)])).stage_cpu_ms.values())
        count += 1
    return count, cpu_ms / 1000 / count


def _order(folder: Path) -> WorkOrder:
    with TemporaryDirectory() as unused:
        order = order_for(Path(unused), 0, 1, 0)
    return replace(order, source=folder / "in", destination=open_destination(folder / "out"))


def _start_working(folder: Path) -> None:
    context = multiprocessing.get_context("spawn")
    order = _order(folder)
    first = next(iter(list_images(order.source, Path("/nowhere"))))
    start_measuring(order, folder / "work", first, context.Barrier(1))


def by_workers(seconds: float, rounds: int) -> str:
    """One worker and two, beside one bare process of the networks and two, in turns."""
    context = multiprocessing.get_context("spawn")
    kinds = {"networks alone": (_load_bare, _bare), "Streetveil": (_start_working, _work)}
    paces: dict[tuple[str, int], list[float]] = {}
    costs: dict[tuple[str, int], list[float]] = {}
    with TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        order_for(folder, 4, 1, 5)
        (folder / "work").mkdir()
        # A pool for each process, so that each of the two is busy.
        pools = {
            kind: [stack.enter_context(ProcessPoolExecutor(1, context, start, (folder,))) for _ in range(2)]
            for kind, (start, _) in kinds.items()
        }
        for kind, (_, function) in kinds.items():
            for pool in pools[kind]:
                pool.submit(function, folder, 0.1).result()
        for _ in range(rounds):
            for count in (1, 2):
                for kind, (_, function) in kinds.items():
                    start_s = time.perf_counter()
                    futures = [pool.submit(function, folder, seconds) for pool in pools[kind][:count]]
                    done = [future.result() for future in futures]
                    paces.setdefault((kind, count), []).append(
                        sum(n for n, _ in done) / (time.perf_counter() - start_s)
                    )
                    costs.setdefault((kind, count), []).append(statistics.fmean(cpu for _, cpu in done) * 1000)
    rows = []
    for kind in kinds:
        wall = [two / one for one, two in zip(paces[kind, 1], paces[kind, 2], strict=True)]
        by_cpu = [2 * one / two for one, two in zip(costs[kind, 1], costs[kind, 2], strict=True)]
        rows.append(
            (
                kind,
                spread(paces[kind, 1], 2),
                spread(paces[kind, 2], 2),
                spread(wall, 2),
                spread(costs[kind, 1]),
                spread(costs[kind, 2]),
                spread(by_cpu, 2),
            )
        )
    head = (
        "process",
        "images/s, one",
        "images/s, two",
        "two ÷ one",
        "CPU-ms, one",
        "CPU-ms, two",
        "two ÷ one by processor time",
    )
    return table(head, rows)
