"""The report of a hand count on a terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

_LISTED = 15  # images to label that are named; `--to-label` writes all
_COUNTED = "counted"
_CLASSES = {"face": "faces", "license_plate": "plates", "both": "both"}


def print_report(console: Console, told: dict[str, Any]) -> None:
    """All figures, the sentence that may be quoted, and what to do next."""
    by = "" if told["stratified_by"] == "nothing" else f" from each part by {told['stratified_by']}"
    models = ", ".join(escape(name) for name in told["models"])
    console.print(
        f"{told['images']} of {told['population']} published images, drawn at random{by} (seed {told['seed']}); "
        f"model {models}; region {', '.join(told['regions'])}",
        highlight=False,
        soft_wrap=True,
    )
    for counter, figures in told["counters"].items():
        console.print(_figures_table(counter, figures, told["images"]), highlight=False)
        console.print(f"  {quotable(counter, figures, told)}\n", highlight=False, soft_wrap=True)
    for pair in told["agreement"]:
        console.print(_agreement_table(pair), highlight=False)
    _print_to_label(console, told["to_label"])


def quotable(counter: str, figures: dict[str, Any], told: dict[str, Any]) -> str:
    """One sentence with everything that a figure needs to be understood."""
    parts = [
        f"recall of {_CLASSES[name]} {_of_share(figures['recall'][name])}"
        for name in ("face", "license_plate")
        if figures["recall"][name]["verdict"] == _COUNTED
    ]
    if not parts:
        return "Too few objects were counted for a figure that may be quoted."
    where = f"{figures['images_counted']} of {told['population']} published images drawn at random"
    return f"Counted by hand ({escape(counter)}) on {where}: {', '.join(parts)}; 95 % intervals."


def _figures_table(counter: str, figures: dict[str, Any], images: int) -> Table:
    table = Table(
        title=f"{escape(counter)}: {figures['images_counted']} of {images} images, {figures['minutes']:g} minutes",
        title_justify="left",
    )
    for heading in ("", "figure (95 %)", "counted"):
        table.add_column(heading)
    for name, words in _CLASSES.items():
        part = figures["recall"][name]
        what = f"{part['objects']} objects: {part['missed']} missed, {part['recognisable']} recognisable"
        table.add_row(f"recall, {words}", _told(part, _of_share), what)
    for name, words in _CLASSES.items():
        part = figures["wrong_blurs"][name]
        table.add_row(f"wrong blurs, {words}", _told(part, _of_share), f"{part['wrong']} of {part['areas']} areas")
    part = figures["images_with_miss"]
    table.add_row("images with a miss", _told(part, _per_1000), f"{part['count']} images")
    return table


def _agreement_table(pair: dict[str, Any]) -> Table:
    names = f"{escape(pair['first'])} and {escape(pair['second'])}"
    table = Table(title=f"{names}: {pair['images_counted_by_both']} images counted by both", title_justify="left")
    for heading in ("", "Cohen's κ (95 %)", "the same"):
        table.add_column(heading)
    for what in ("images", "areas"):
        part = pair[what]
        table.add_row(f"on {what}", _told(part, _kappa), f"{part['same']} of {part[what]}")
    missed = pair["missed"]
    seen = f"{missed['by_both']} by both, {missed['only_by_first']} and {missed['only_by_second']} by one alone"
    table.add_row("missed objects", f"about {missed['estimated']:.0f} in all", seen)
    return table


def _print_to_label(console: Console, listed: list[dict[str, Any]]) -> None:
    if not listed:
        console.print("nothing to send to labelling", highlight=False)
        return
    console.print(f"[bold]to send to labelling: {len(listed)} images[/] (for training, never for a test set)")
    for entry in listed[:_LISTED]:
        console.print(f"  {escape(entry['path'])}: {', '.join(entry['reasons'])}", highlight=False, soft_wrap=True)
    if len(listed) > _LISTED:
        console.print(f"  and {len(listed) - _LISTED} more: --to-label FILE writes all", highlight=False)


def _told(part: dict[str, Any], words: Callable[[dict[str, Any]], str]) -> str:
    return words(part) if part["verdict"] == _COUNTED else f"[dim]{part['verdict']}[/]"


def _of_share(part: dict[str, Any]) -> str:
    low, high = part["interval"]
    return f"{100 * part['share']:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def _per_1000(part: dict[str, Any]) -> str:
    low, high = part["per_1000_interval"]
    return f"{part['per_1000']:.0f} in 1,000 ({low:.0f} to {high:.0f})"


def _kappa(part: dict[str, Any]) -> str:
    if part["kappa"] is None:
        return "not defined: both said the same throughout"
    interval = part["kappa_interval"]
    return f"{part['kappa']:.2f}" + (f" ({interval[0]:.2f} to {interval[1]:.2f})" if interval else "")
