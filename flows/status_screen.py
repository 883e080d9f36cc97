"""How everything stands, as a person reads it: one screen, and colours on a terminal only."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from components.batch.manifest import PUBLISHED, QUARANTINED
from components.monitoring.needs import Need
from components.monitoring.overview import Disk, Overview
from components.monitoring.run_record import RunRecord
from components.monitoring.user_reports import State

_COLOURS = {
    "running": "cyan", "finished": "green", "failed": "bold red", "interrupted": "yellow",
    "none": "green", "warning": "yellow", "alarm": "bold red", "now": "bold red", "soon": "yellow",
}  # fmt: skip
_S_PER_DAY = 86_400


def print_status(console: Console, seen: Overview, wanted: list[Need]) -> None:
    """Everything, the most urgent last, where the eye is when a command has ended."""
    console.print(f"[bold]Streetveil[/] at {datetime.fromtimestamp(seen.at_s):%Y-%m-%d %H:%M}\n", highlight=False)
    if seen.runs:
        console.print(_runs(seen.runs), highlight=False)
    else:
        console.print("no runs yet: `streetveil blur SRC DST`, or the nightly run (docs/operate.md)", highlight=False)
    console.print()
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True, min_width=9)
    facts.add_column(overflow="ellipsis", no_wrap=True)
    for name, told in (
        ("champion", _champion(seen)), ("review", _review(seen)), ("drift", _drift(seen)), ("reports", _reports(seen)),
        ("disk free", " · ".join(_disk(disk) for disk in _distinct(seen.disks))),
    ):  # fmt: skip
        facts.add_row(name, told)
    console.print(facts, highlight=False)
    console.print()
    _print_needs(console, wanted)


def _runs(runs: tuple[tuple[Path, RunRecord], ...]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("run", no_wrap=True, overflow="ellipsis")
    table.add_column("state", no_wrap=True)
    for name in ("published", "quarantined", "images/s", "faces", "plates"):
        table.add_column(name, justify="right", no_wrap=True)
    for _, run in runs:
        states = run.whole or run.figures.images
        quarantined = states.get(QUARANTINED, 0)
        table.add_row(
            escape(run.day), f"[{_COLOURS[run.state]}]{_state(run)}[/]", _number(states.get(PUBLISHED, 0)),
            f"[yellow]{_number(quarantined)}[/]" if quarantined else "0", f"{run.images_per_s:.2f}",
            _number(run.figures.objects.get("face", 0)), _number(run.figures.objects.get("license_plate", 0)),
        )  # fmt: skip
    return table


def _state(run: RunRecord) -> str:
    if run.state == "running" and run.planned:
        return f"running {run.figures.total / run.planned:.0%}"
    return run.state


def _champion(seen: Overview) -> str:
    standing = seen.standing
    if standing is None:
        return "[dim]the registry was not asked[/]"
    if standing.problem is not None:
        return "[bold red]the registry says nothing[/]"
    if standing.champion is None:
        return "[bold red]none[/]"
    since = "" if standing.champion_since_s is None else f", for {_age(seen.at_s - standing.champion_since_s)}"
    previous = f" (@previous: {standing.previous})" if standing.previous else ""
    return f"version {escape(standing.champion)}{since}{previous}"


def _review(seen: Overview) -> str:
    if seen.standing is None or seen.standing.problem is not None:
        return "[dim]unknown[/]"
    waiting = [f"version {one.version} for {_age(seen.at_s - one.since_s)}" for one in seen.standing.waiting]
    return f"[yellow]{', '.join(waiting)}[/]" if waiting else "nothing waits"


def _drift(seen: Overview) -> str:
    if seen.drift is None:
        return "[dim]no day was compared yet[/]"
    colour = _COLOURS[seen.drift.level]
    return f"[{colour}]{seen.drift.level}[/] on {seen.drift.day}, {len(seen.drift.tests)} tests"


def _reports(seen: Overview) -> str:
    if seen.reports is None:
        return "none"
    counts = [
        f"{'[yellow]' if state in (State.NEW, State.CONFIRMED) else '[dim]'}{number} {state}[/]"
        for state in State
        if (number := sum(count for (_, one), count in seen.reports.by_state.items() if one == state))
    ]
    oldest = seen.reports.waiting_since_s
    since = "" if oldest is None else f", the oldest for {_age(seen.at_s - oldest)}"
    return (", ".join(counts) or "none") + since


def _distinct(disks: tuple[Disk, ...]) -> list[Disk]:
    """Folders on one disk are told of once."""
    by_disk: dict[tuple[int, int], Disk] = {}
    for disk in disks:
        key = (disk.size_bytes, disk.free_bytes // 2**30)
        same = by_disk.get(key)
        names = disk.what if same is None else f"{same.what}, {disk.what}"
        by_disk[key] = Disk(names, disk.free_bytes, disk.size_bytes)
    return list(by_disk.values())


def _disk(disk: Disk) -> str:
    return f"{disk.free_bytes / 1e9:.0f} of {disk.size_bytes / 1e9:.0f} GB ({disk.what})"


def _print_needs(console: Console, wanted: list[Need]) -> None:
    if not wanted:
        console.print("[green]nothing needs a human[/]", highlight=False)
        return
    console.print(f"[bold]{len(wanted)} need{'s' if len(wanted) == 1 else ''} a human[/]", highlight=False)
    for need in wanted:
        fits = len(need.text) + len(need.command) + 4 <= console.width
        command = f"[cyan]{escape(need.command)}[/]"
        line = Table.grid(padding=(0, 1))
        line.add_row(
            f"[{_COLOURS[need.urgency]}]{'!' if need.urgency == 'now' else '·'}[/]",
            escape(need.text) + (f"  {command}" if fits else ""),
        )
        console.print(line, highlight=False)
        if not fits:
            console.print(f"  {command}", highlight=False, soft_wrap=True)


def _number(value: int) -> str:
    return f"{value:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def _age(seconds: float) -> str:
    if seconds < 3600:
        return f"{max(0, seconds) / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 2 * _S_PER_DAY else f"{seconds / _S_PER_DAY:.0f} days"
