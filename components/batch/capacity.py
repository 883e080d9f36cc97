"""How many machines a load needs, with memory, network, storage and cost. Each figure shows its arithmetic.

A unit is what works on images: a core, or a GPU with its share of the host's cores. Units are planned at a share of
their measured speed (`utilisation`), machines are whole, and `spare` of them may be lost.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from components.errors import StreetveilError

if TYPE_CHECKING:  # a plan needs no networks: neither is loaded for it
    from components.batch.benchmark import Benchmark
    from components.settings.capacity import Stated

Unit = Literal["core", "GPU"]
DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of a plan: what, how much, and how that comes about."""

    name: str
    value: float
    unit: str
    arithmetic: str


@dataclass(frozen=True, slots=True)
class Load:
    """What must be done.

    Attributes:
        title: for the reader.
        images_per_s: that must be done without falling behind.
        arithmetic: how that comes about.
        hours_per_day: how long it goes on each day.
        images_per_day: in all.
        input_mbit_per_s: where the network carries compressed video; None where it carries each image's file.
    """

    title: str
    images_per_s: float
    arithmetic: str
    hours_per_day: float
    images_per_day: float
    input_mbit_per_s: float | None = None


@dataclass(frozen=True, slots=True)
class Weights:
    """What one of the load's pictures weighs.

    Attributes:
        memory_per_worker_mib: of a process that holds the model and a picture.
        input_mb, output_mb, manifest_mb: of its files and of its row, 10⁶ bytes.
        host_ms: CPU-ms that stay with the host where a GPU runs the networks.
        host_arithmetic: where that is from.
    """

    memory_per_worker_mib: float
    input_mb: float
    output_mb: float
    manifest_mb: float
    host_ms: float
    host_arithmetic: str


@dataclass(frozen=True, slots=True)
class Speed:
    """What one unit does of the load's pictures.

    Attributes:
        unit: core or GPU.
        images_per_s: of one unit that is never idle.
        arithmetic: where that is from.
        units_per_machine: cores or GPUs.
        workers_per_unit: processes.
    """

    unit: Unit
    images_per_s: float
    arithmetic: str
    units_per_machine: int
    workers_per_unit: int


@dataclass(frozen=True, slots=True)
class Reserve:
    """What is kept back, and how long pictures are kept."""

    utilisation: float
    spare: int
    originals_days: float
    published_days: float


@dataclass(frozen=True, slots=True)
class Prices:
    """In any one currency; None: not asked."""

    unit_hour: float | None = None
    tb_month: float | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a load needs.

    Attributes:
        title: of the load.
        unit: core or GPU.
        units: at work in the end, without the spare machines.
        machines: with the spare ones.
        figures: every line, in the order in which one follows from the other.
    """

    title: str
    unit: Unit
    units: int
    machines: int
    figures: tuple[Figure, ...]

    def value(self, name: str) -> float:
        """A figure by its name."""
        return next(figure.value for figure in self.figures if figure.name == name)


def day_of_images(images: float, megapixels: float, deadline_s: float) -> Load:
    """A day's images, done within a deadline.

    Raises:
        StreetveilError: the deadline is longer than a day, so that days would pile up.
    """
    if not 0 < deadline_s <= DAY_S:
        raise StreetveilError("the deadline must be above 0 and at most 24h: a day that takes longer piles up")
    rate = images / deadline_s
    title = f"{short(images)} images of {megapixels:g} MP a day within {deadline_s / 3600:g} h"
    return Load(title, rate, f"{short(images)} images ÷ {deadline_s:g} s", deadline_s / 3600, images)


def live_video(cameras: int, fps: float, megapixels: float, camera_mbit_per_s: float) -> Load:
    """Cameras that never stop; every frame is examined."""
    rate = cameras * fps
    title = f"{cameras} live cameras of {megapixels:g} MP at {fps:g} frames/s"
    stream = cameras * camera_mbit_per_s
    return Load(title, rate, f"{cameras} cameras × {fps:g} frames/s", 24, rate * DAY_S, stream)


def measured_weights(benchmark: Benchmark, megapixels: float) -> Weights:
    """What a measurement says; everything but memory and rows grows with the pixels."""
    scale = megapixels / benchmark.megapixels
    return Weights(
        benchmark.all_cores.memory_per_worker_mib,
        benchmark.input_bytes * scale / 1e6,
        benchmark.output_bytes * scale / 1e6,
        benchmark.manifest_bytes / 1e6,
        benchmark.host_ms * scale,
        "measured",
    )


def stated_weights(stated: Stated, megapixels: float) -> Weights:
    """What `capacity.stated` of `params.yaml` says."""
    return Weights(
        stated.memory_per_worker_mib,
        stated.input_mb_per_megapixel * megapixels,
        stated.output_mb_per_megapixel * megapixels,
        stated.manifest_bytes / 1e6,
        stated.host_ms_per_megapixel * megapixels,
        "stated",
    )


def measured_core(benchmark: Benchmark, megapixels: float, cores: int) -> Speed:
    """A core's speed from a measurement; an image's cost grows with its pixels."""
    cpu_ms = 1000 / benchmark.images_per_s_per_core
    told = f"1000 ms ÷ ({cpu_ms:.0f} CPU-ms × {megapixels:g} MP ÷ {benchmark.megapixels:g} MP), measured"
    return Speed("core", 1000 / (cpu_ms * megapixels / benchmark.megapixels), told, cores, 1)


def stated_core(images_per_s: float, cores: int) -> Speed:
    """A core's speed as somebody states it for the load's pictures."""
    return Speed("core", images_per_s, "stated", cores, 1)


def stated_gpu(images_per_s: float, weights: Weights, gpus: int, cores: int) -> Speed:
    """A GPU's speed as stated, or what the host's cores beside it decode, hide and check, if that is less.

    Args:
        images_per_s: of the GPU alone, for the load's pictures.
        weights: with the host's CPU-ms.
        gpus, cores: of a machine.
    """
    host = cores / gpus * 1000 / weights.host_ms
    told = (
        f"least of GPU {images_per_s:g} (stated) and host {cores / gpus:g} cores × 1000 ms ÷ {weights.host_ms:.0f} "
        f"CPU-ms ({weights.host_arithmetic}) = {host:.4g}"
    )
    return Speed("GPU", min(images_per_s, host), told, gpus, math.ceil(cores / gpus))


def plan(load: Load, speed: Speed, weights: Weights, reserve: Reserve, prices: Prices | None = None) -> Plan:
    """What a load needs at a speed, with a reserve.

    Raises:
        StreetveilError: a number is not above 0.
    """
    _check(load, speed, reserve)
    units = math.ceil(load.images_per_s / (speed.images_per_s * reserve.utilisation))
    at_work = math.ceil(units / speed.units_per_machine)
    machines = at_work + reserve.spare
    figures = [
        Figure("images per second", load.images_per_s, "images/s", load.arithmetic),
        Figure(f"speed of a {speed.unit}", speed.images_per_s, "images/s", speed.arithmetic),
        Figure(
            f"{speed.unit}s at work",
            units,
            f"{speed.unit}s",
            f"⌈{load.images_per_s:.4g} ÷ ({speed.images_per_s:.4g} × {reserve.utilisation:g} utilisation)⌉",
        ),
        Figure(
            "machines",
            machines,
            "machines",
            f"⌈{units} ÷ {speed.units_per_machine} {speed.unit}s⌉ + {reserve.spare} spare",
        ),
    ]
    figures += [_memory(speed, weights), *_network(load, weights), *_storage(load, weights, reserve)]
    figures += _cost(load, speed, machines, figures, prices or Prices())
    return Plan(load.title, speed.unit, units, machines, tuple(figures))


def _check(load: Load, speed: Speed, reserve: Reserve) -> None:
    if not (math.isfinite(load.images_per_s) and load.images_per_s > 0):
        raise StreetveilError("there is no load: give more than 0 images, cameras and frames per second")
    if not (math.isfinite(speed.images_per_s) and speed.images_per_s > 0 and 0 < reserve.utilisation <= 1):
        raise StreetveilError("speed must be above 0 images/s, utilisation above 0 and at most 1")


def _memory(speed: Speed, weights: Weights) -> Figure:
    workers = speed.units_per_machine * speed.workers_per_unit
    arithmetic = f"{workers} workers × {weights.memory_per_worker_mib:.0f} MiB ÷ 1024"
    return Figure("memory per machine", workers * weights.memory_per_worker_mib / 1024, "GiB", arithmetic)


def _network(load: Load, weights: Weights) -> list[Figure]:
    if load.input_mbit_per_s is not None:
        stream, told = load.input_mbit_per_s / 1000, f"{load.input_mbit_per_s:g} Mbit/s of the cameras' streams ÷ 1000"
        return [Figure(f"network {way}", stream, "Gbit/s", told) for way in ("in", "out")]
    return [
        Figure(
            f"network {way}",
            load.images_per_s * weight * 8 / 1000,
            "Gbit/s",
            f"{load.images_per_s:.4g} images/s × {weight:.3g} MB × 8 bit ÷ 1000",
        )
        for way, weight in (("in", weights.input_mb), ("out", weights.output_mb))
    ]


def _storage(load: Load, weights: Weights, reserve: Reserve) -> list[Figure]:
    kept = (
        ("originals", weights.input_mb, reserve.originals_days),
        ("published", weights.output_mb, reserve.published_days),
    )
    figures = []
    for name, weight, days in kept:
        if load.input_mbit_per_s is None:
            per_day, told = load.images_per_day * weight / 1e6, f"{short(load.images_per_day)} × {weight:.3g} MB ÷ 10⁶"
        else:
            per_day = load.input_mbit_per_s * DAY_S / 8 / 1e6
            told = f"{load.input_mbit_per_s:g} Mbit/s × {DAY_S} s ÷ 8 ÷ 10⁶"
        figures.append(Figure(f"{name} per day", per_day, "TB", told))
        figures.append(Figure(f"{name} kept", per_day * days, "TB", f"{per_day:.4g} TB × {days:g} days"))
    if load.input_mbit_per_s is None:
        rows = load.images_per_day * weights.manifest_mb * reserve.published_days / 1e6
        told = f"{short(load.images_per_day)} × {weights.manifest_mb * 1e6:.0f} bytes × {reserve.published_days:g} days"
        figures.append(Figure("manifests kept", rows, "TB", told))
    return figures


def _cost(load: Load, speed: Speed, machines: int, figures: list[Figure], prices: Prices) -> list[Figure]:
    costs = []
    if prices.unit_hour is not None:
        units, hours = machines * speed.units_per_machine, load.hours_per_day
        told = f"{machines} machines × {speed.units_per_machine} {speed.unit}s × {hours:g} h × {prices.unit_hour:g}"
        costs.append(Figure("machines' cost per day", units * hours * prices.unit_hour, "", told))
    if prices.tb_month is not None:
        kept = sum(figure.value for figure in figures if figure.name.endswith(" kept"))
        told = f"{kept:.4g} TB × {prices.tb_month:g}"
        costs.append(Figure("storage's cost per month", kept * prices.tb_month, "", told))
    return costs


def short(number: float) -> str:
    """A large number as people write it: 10,000,000."""
    return f"{number:,.0f}"
