"""`streetveil benchmark` and `streetveil capacity`: what an image costs here, and what a load needs."""

from __future__ import annotations

import json
import re
import secrets
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from components.batch.capacity import (
    Load,
    Prices,
    Reserve,
    Speed,
    Weights,
    day_of_images,
    live_video,
    measured_core,
    measured_weights,
    plan,
    stated_core,
    stated_gpu,
    stated_weights,
)
from components.errors import StreetveilError
from components.settings import Capacity, load_params
from flows.terminal import err, errors_in_one_line, out

app = typer.Typer(rich_markup_mode="markdown")
_RESULT = Path("benchmark.json")
_UNITS_S = {"s": 1, "min": 60, "h": 3600}


def _duration_s(text: str) -> float:
    match = re.fullmatch(r"([0-9]*\.?[0-9]+) ?(s|min|h)", str(text).strip())
    if not match or float(match[1]) == 0:
        raise typer.BadParameter(f"{text!r}: say 20h, 90min or 3600s")
    return float(match[1]) * _UNITS_S[match[2]]


AsJson = Annotated[bool, typer.Option("--json", help="Print the plans as JSON.")]


@app.command(
    epilog="Example: `streetveil benchmark --images 24 --json benchmark.json`, on a machine with nothing else to do. "
    "Then `streetveil capacity --images-per-day 10e6 --deadline 20h --from benchmark.json`."
)
def benchmark(
    images: Annotated[int, typer.Option(min=2, help="Rendered pictures for the round on one core.")] = 24,
    megapixels: Annotated[float, typer.Option(min=0.05, max=100, help="Of each picture, 10⁶ px.")] = 5,
    json_file: Annotated[Path, typer.Option("--json", help="Where to write the result.")] = _RESULT,
    region: Annotated[str | None, typer.Option("--region", "-r", help="Whose rules apply.")] = None,
    workers: Annotated[int | None, typer.Option("--workers", "-w", min=1, help="Default: one a core.")] = None,
) -> None:
    """Measure what an image costs on this machine, on one core and on all, with the champion."""
    from components.batch.benchmark import benchmark as measured
    from components.batch.run import code_revision
    from components.batch.storage import open_destination
    from components.batch.work_order import WorkOrder
    from components.dataset.benchmark_day import write_benchmark_day
    from flows.capacity_tables import print_benchmark
    from flows.one_folder import current_champion, default_workers

    with errors_in_one_line(), tempfile.TemporaryDirectory() as folder:
        params, processes = load_params(), workers or default_workers("cpu")
        region_name = params.region(region)[0]
        source, work_folder = Path(folder) / "originals", Path(folder) / "work"
        destination = open_destination(Path(folder) / "published")
        work_folder.mkdir()
        bundle = current_champion(params, region_name, "cpu").bundle
        key, revision = secrets.token_bytes(32), code_revision()
        order = WorkOrder(source, destination, region_name, params, bundle, key, revision)
        count = max(images, 2 * processes)
        with Progress(console=err, transient=True, disable=not err.is_terminal) as progress:
            task = progress.add_task("rendering", total=images + count)
            write_benchmark_day(source, count, megapixels)
            result = measured(
                order,
                work_folder,
                images,
                megapixels,
                processes,
                lambda step: progress.update(task, advance=1, description=step),
            )
        try:
            json_file.write_text(result.to_json(), encoding="utf-8")
        except OSError as error:
            raise StreetveilError(f"cannot write {json_file}: {error.strerror}; name another file") from error
    print_benchmark(out, result, json_file)


@app.command(
    epilog="Examples: `streetveil capacity --images-per-day 10e6 --deadline 20h --from benchmark.json` · "
    "`streetveil capacity --images-per-day 10e6 --gpu-images-per-s 1000 --cores-per-machine 16` · "
    "`streetveil capacity --cameras 100 --fps 30 --megapixels 2 --images-per-s-per-core 5`."
)
def capacity(
    images_per_day: Annotated[float | None, typer.Option(help="As 10e6.")] = None,
    megapixels: Annotated[float, typer.Option(min=0.01, help="Of each picture or frame, 10⁶ px.")] = 5,
    deadline: Annotated[str, typer.Option(help="By when a day is done: 20h, 90min.")] = "20h",
    from_file: Annotated[Path | None, typer.Option("--from", help="What `streetveil benchmark` wrote.")] = None,
    images_per_s_per_core: Annotated[float | None, typer.Option(help="Stated instead of measured.")] = None,
    gpu_images_per_s: Annotated[float | None, typer.Option(help="Stated, of the GPU alone.")] = None,
    utilisation: Annotated[float | None, typer.Option(help="Share of the speed to plan with.")] = None,
    spare: Annotated[int | None, typer.Option(min=0, help="Machines that may be lost.")] = None,
    cores_per_machine: Annotated[int | None, typer.Option(min=1)] = None,
    gpus_per_machine: Annotated[int | None, typer.Option(min=1)] = None,
    keep_originals_days: Annotated[float | None, typer.Option(min=0)] = None,
    keep_published_days: Annotated[float | None, typer.Option(min=0)] = None,
    price_per_core_hour: Annotated[float | None, typer.Option(min=0, help="In any currency.")] = None,
    price_per_gpu_hour: Annotated[float | None, typer.Option(min=0)] = None,
    price_per_tb_month: Annotated[float | None, typer.Option(min=0)] = None,
    cameras: Annotated[int | None, typer.Option(min=1, help="Live video instead, or a second plan.")] = None,
    fps: Annotated[float, typer.Option(min=0.01, help="Frames per second of a camera.")] = 30,
    camera_mbit_per_s: Annotated[float | None, typer.Option(min=0.01, help="A camera's stream.")] = None,
    as_json: AsJson = False,
) -> None:
    """Plan cores or GPUs, machines, memory, network, storage and cost for a load; every figure shows its arithmetic."""
    from flows.capacity_tables import print_plan

    with errors_in_one_line():
        settings = load_params().capacity
        cores = cores_per_machine or settings.machine.cores
        gpus = gpus_per_machine or settings.machine.gpus
        speed, weights = _speed(from_file, images_per_s_per_core, gpu_images_per_s, megapixels, gpus, cores, settings)
        reserve = Reserve(
            _or(utilisation, settings.utilisation),
            int(_or(spare, settings.spare)),
            _or(keep_originals_days, settings.originals_days),
            _or(keep_published_days, settings.published_days),
        )
        prices = Prices(price_per_gpu_hour if speed.unit == "GPU" else price_per_core_hour, price_per_tb_month)
        loads: list[Load] = []
        if images_per_day is not None:
            loads.append(day_of_images(images_per_day, megapixels, _duration_s(deadline)))
        if cameras is not None:
            stream = _or(camera_mbit_per_s, settings.camera_mbit_per_s)
            loads.append(live_video(cameras, fps, megapixels, stream))
        if not loads:
            raise StreetveilError("nothing to plan: give --images-per-day 10e6, or --cameras 100 --fps 30")
        plans = [plan(load, speed, weights, reserve, prices) for load in loads]
    if as_json:
        typer.echo(json.dumps({"plans": [asdict(made) for made in plans]}, indent=2, ensure_ascii=False))
        return
    for made in plans:
        print_plan(out, made)


def _speed(
    from_file: Path | None,
    core_images_per_s: float | None,
    gpu_images_per_s: float | None,
    megapixels: float,
    gpus: int,
    cores: int,
    settings: Capacity,
) -> tuple[Speed, Weights]:
    """The unit that is planned with, and what a picture weighs: measured where there is a measurement."""
    from components.batch.benchmark import read_benchmark

    if core_images_per_s is not None and gpu_images_per_s is not None:
        raise StreetveilError("give --images-per-s-per-core or --gpu-images-per-s, not both")
    is_stated = core_images_per_s is not None or gpu_images_per_s is not None
    file = from_file or (None if is_stated else _RESULT)
    result = read_benchmark(file) if file else None
    weights = measured_weights(result, megapixels) if result else stated_weights(settings.stated, megapixels)
    if gpu_images_per_s is not None:
        return stated_gpu(gpu_images_per_s, weights, gpus, cores), weights
    if core_images_per_s is not None:
        return stated_core(core_images_per_s, cores), weights
    assert result is not None
    return measured_core(result, megapixels, cores), weights


def _or(given: float | None, default: float) -> float:
    return default if given is None else given
