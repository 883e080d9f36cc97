"""Plans and measurements as tables on a terminal."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from components.batch.benchmark import Benchmark
from components.batch.capacity import Plan
from components.batch.image_cost import STAGES

_WIDTH = 160


def print_plan(console: Console, plan: Plan) -> None:
    """Each figure with its arithmetic, one a line."""
    table = Table(title=escape(plan.title), title_justify="left", box=None, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", style="bold", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(style="dim", no_wrap=True)
    for figure in plan.figures:
        table.add_row(figure.name, shown(figure.value), figure.unit, escape(figure.arithmetic))
    console.print(table, width=max(console.width, _WIDTH), crop=False)  # a line each, whatever the terminal


def shown(value: float) -> str:
    """A figure as it stands in a table: whole from 100 on, three digits below."""
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"


def print_benchmark(console: Console, result: Benchmark, file: Path) -> None:
    """What was measured, by stage."""
    table = Table(title=f"CPU-ms per image of {result.megapixels:g} MP", title_justify="left", box=None)
    for column in ("stage", "one core: median", "25–75 %", "all cores: median", "25–75 %", "mean", "share"):
        table.add_column(column, justify="left" if column == "stage" else "right")
    one, every = result.one_core, result.all_cores
    rows = [(stage, one.stage_cpu_ms[stage], every.stage_cpu_ms[stage]) for stage in STAGES]
    for stage, alone, together in [*rows, ("total", one.cpu_ms, every.cpu_ms)]:
        table.add_row(
            stage,
            f"{alone.median:.0f}",
            f"{alone.p25:.0f}–{alone.p75:.0f}",
            f"{together.median:.0f}",
            f"{together.p25:.0f}–{together.p75:.0f}",
            f"{together.mean:.1f}",
            f"{together.mean / every.cpu_ms.mean:.0%}",
        )
    console.print(table)
    facts = (
        f"{result.processor}, {result.cores} processes, {result.model}, region {result.region}",
        f"{result.objects_per_image:.1f} objects an image; second looks add {result.second_look_ms:.0f} CPU-ms",
        f"one core: {one.images_per_s:.2f} images/s of wall time (it had the processor {one.busy_share:.0%} of it)",
        f"all cores: {every.images_per_s:.2f} images/s of wall time (they had it {every.busy_share:.0%} of it)",
        f"a core that is never kept waiting: {result.images_per_s_per_core:.2f} images/s",
        f"{every.memory_per_worker_mib:.0f} MiB a process; {result.input_bytes / 1e6:.2f} MB in, "
        f"{result.output_bytes / 1e6:.2f} MB out, {result.manifest_bytes:.0f} bytes of manifest an image",
        f"written: {file}",
    )
    for fact in facts:
        console.print(escape(fact), highlight=False, soft_wrap=True)
