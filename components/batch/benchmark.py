"""What one image costs on this machine: processor time by stage, images per second, memory and bytes.

The work is the worker's own, `process_image`, in processes like those of a run: first in one, then in one on every
core. Costs are processor time, so a machine that is busy with other things says nearly the same; images per second are
wall time, and `busy_share` tells whether the machine was free for them.
"""

from __future__ import annotations

import multiprocessing
import os
import platform
import statistics
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from components.batch.image_cost import LOOKS, STAGES, ImageCost, measure, start_measuring
from components.batch.manifest import PUBLISHED, encode_manifest
from components.batch.sources import list_images
from components.batch.work_order import WorkOrder
from components.errors import StreetveilError

_VERSIONS = ("streetveil", "openvino", "onnxruntime", "opencv-python", "simplejpeg", "numpy")
_SHARD = "benchmark"


@dataclass(frozen=True, slots=True)
class Spread:
    """What one image costs, over many: mean, median and quartiles, in the unit of its name."""

    mean: float
    median: float
    p25: float
    p75: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of at least one value."""
        p25, median, p75 = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else [values[0]] * 3
        return cls(statistics.fmean(values), median, p25, p75)


@dataclass(frozen=True, slots=True)
class Pace:
    """One round over pictures.

    Attributes:
        workers: processes.
        images: measured, without the one that each process warms up with.
        cpu_ms: processor time of an image.
        stage_cpu_ms: by stage of `STAGES`; their means add up to that of `cpu_ms`.
        images_per_s: wall time.
        busy_share: processor time that the workers got ÷ wall time; less than 1 where others kept them waiting.
        memory_per_worker_mib: peak resident memory of a process, the largest.
    """

    workers: int
    images: int
    cpu_ms: Spread
    stage_cpu_ms: dict[str, Spread]
    images_per_s: float
    busy_share: float
    memory_per_worker_mib: float


@dataclass(frozen=True, slots=True)
class Benchmark:
    """What was measured, where, and with what.

    Attributes:
        one_core, all_cores: the two rounds; plans are made with the second, since cores share memory and caches.
        second_look_ms: what `verification.redetect_share` adds to the mean image: that share of a decoding and a
            detection; computed, since so few pictures are looked at twice that a short run may have none.
        input_bytes, output_bytes, manifest_bytes: of the mean image.
    """

    date: str
    machine: str
    processor: str
    cores: int
    memory_gib: float
    versions: dict[str, str]
    model: str
    region: str
    megapixels: float
    objects_per_image: float
    one_core: Pace
    all_cores: Pace
    second_look_ms: float
    input_bytes: float
    output_bytes: float
    manifest_bytes: float

    @property
    def images_per_s_per_core(self) -> float:
        """1000 ÷ CPU-ms of the mean image with all cores at work, its share of second looks included."""
        return 1000 / (self.all_cores.cpu_ms.mean + self.second_look_ms)

    @property
    def host_ms(self) -> float:
        """CPU-ms of the mean image that stay with the host where a GPU runs the networks."""
        return sum(cost.mean for stage, cost in self.all_cores.stage_cpu_ms.items() if stage not in LOOKS)

    def to_json(self) -> str:
        """For a file."""
        from pydantic import TypeAdapter

        return TypeAdapter(Benchmark).dump_json(self, indent=2).decode() + "\n"


def read_benchmark(file: Path) -> Benchmark:
    """What `streetveil benchmark` has written.

    Raises:
        StreetveilError: the file is missing or is no such result.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(Benchmark).validate_json(file.read_bytes())
    except OSError as error:
        raise StreetveilError(f"cannot read {file}: {error.strerror}; run `streetveil benchmark` first") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(step) for step in first["loc"]) or "the file"
        raise StreetveilError(
            f"{file} is no result of this release ({where}: {first['msg']}); run `streetveil benchmark` again"
        ) from error


def benchmark(
    order: WorkOrder,
    work_folder: Path,
    images: int,
    megapixels: float,
    workers: int,
    on_image: Callable[[str], None] = lambda round_: None,
) -> Benchmark:
    """Measure on the pictures of an order's source.

    Args:
        order: what to do.
        work_folder: where outputs go, a folder for each process, instead of the order's destination.
        images: pictures of the round on one core; the source has at least that many, and the other takes all.
        megapixels: of each picture.
        workers: processes of the round on all cores.
        on_image: told the round's name, `one core` or `all cores`, as each image is ready.

    Raises:
        StreetveilError: a picture was not published, so that nothing was measured.
    """
    share = order.params.verification.redetect_share
    once = order.params.verification.model_copy(update={"redetect_share": 0.0})
    order = replace(order, params=order.params.model_copy(update={"verification": once}))
    alone = _round(order, work_folder, 1, images, lambda: on_image("one core"))
    together = _round(order, work_folder, workers, None, lambda: on_image("all cores"))
    rows = [cost.row for cost in together]
    pace = _pace(together, workers)
    looked_at_again = sum(pace.stage_cpu_ms[stage].mean for stage in ("decode", *LOOKS, "merging"))
    return Benchmark(
        date=datetime.now(UTC).date().isoformat(),
        machine=f"{platform.system()} {platform.machine()}",
        processor=processor(),
        cores=workers,
        memory_gib=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        versions={"python": platform.python_version(), **{name: version(name) for name in _VERSIONS}},
        model=f"{order.bundle.name} version {order.bundle.version}",
        region=order.region_name or order.params.default_region,
        megapixels=megapixels,
        objects_per_image=statistics.fmean(row.blurred("face") + row.blurred("license_plate") for row in rows),
        one_core=_pace(alone, 1),
        all_cores=pace,
        second_look_ms=share * looked_at_again,
        input_bytes=statistics.fmean(row.input_size_bytes for row in rows),
        output_bytes=statistics.fmean(row.output_size_bytes or 0 for row in rows),
        manifest_bytes=len(encode_manifest(_SHARD, rows, 0)) / len(rows),
    )


def _round(
    order: WorkOrder, work_folder: Path, workers: int, images: int | None, on_image: Callable[[], None]
) -> list[ImageCost]:
    refs = list(list_images(order.source, work_folder))[:images]
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(workers)
    costs = []
    try:
        with ProcessPoolExecutor(workers, context, start_measuring, (order, work_folder, refs[0], ready)) as pool:
            for future in as_completed([pool.submit(measure, ref) for ref in refs]):
                costs.append(future.result())
                on_image()
    except BrokenProcessPool as error:
        raise StreetveilError(
            "a process died before its time, of lack of memory or of what stands above; mend it or take fewer --workers"
        ) from error
    failed = next((cost.row for cost in costs if cost.row.state != PUBLISHED), None)
    if failed is not None:
        raise StreetveilError(f"nothing was measured: a picture came to {failed.reason} ({failed.detail})")
    return costs


def _pace(costs: Sequence[ImageCost], workers: int) -> Pace:
    totals = [sum(cost.stage_cpu_ms.values()) for cost in costs]
    wall_s = max(cost.end_s for cost in costs) - min(cost.start_s for cost in costs)
    at_work_s = sum(cost.end_s - cost.start_s for cost in costs)
    return Pace(
        workers=workers,
        images=len(costs),
        cpu_ms=Spread.of(totals),
        stage_cpu_ms={stage: Spread.of([cost.stage_cpu_ms[stage] for cost in costs]) for stage in STAGES},
        images_per_s=len(costs) / wall_s,
        busy_share=sum(totals) / 1000 / at_work_s,
        memory_per_worker_mib=max(cost.peak_mib for cost in costs),
    )


def processor() -> str:
    """The processor's name, and which of the instructions that networks of 8 bits live on it has."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    told = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = set(told.get("flags", "").split())
    instructions = [name for name in ("avx2", "avx512f", "avx512_vnni", "amx_int8") if name in flags]
    return f"{told.get('model name', platform.machine())} ({', '.join(instructions) or 'no vector instructions known'})"
