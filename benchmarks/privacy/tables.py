"""The numbers of `attack.json` as Markdown tables."""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]


def all_tables(attack: dict[str, Any]) -> str:
    """Everything that has been attacked so far."""
    parts = []
    if "faces" in attack:
        for gallery in ("same photograph", "another photograph"):
            parts += [f"### Faces, {gallery}", face_table(attack["faces"], gallery)]
        parts += ["### Several pictures of the same face", pictures_table(attack["faces"])]
    if "plates" in attack:
        parts += ["### Plates", plate_table(attack["plates"])]
    if "sweep" in attack:
        parts += ["### Cells, noise and contrast", sweep_table(attack["sweep"])]
    if "needed" in attack:
        parts += ["### Noise ÷ contrast", needed_table(attack["needed"])]
    return "\n\n".join(parts) + "\n"


def face_table(rows: list[Row], gallery: str) -> str:
    """Rank-1 and its 95 % bound; one line for each way of hiding and size, bold where twice chance does not hold."""
    attackers = ("pixels, naive", "pixels, informed", "network", "recogniser, naive", "recogniser, informed")
    lines = []
    chosen = [row for row in rows if row["gallery"] == gallery and row["pictures"] == 1]
    for method, height_px in dict.fromkeys((row["method"], row["height_px"]) for row in _ordered(chosen)):
        rates = {r["attacker"]: r["rate"] for r in chosen if (r["method"], r["height_px"]) == (method, height_px)}
        lines.append([method, height_px, *(_rate(rates.get(attacker)) for attacker in attackers)])
    return _markdown(("way of hiding", "face, px", *attackers), lines)


def pictures_table(rows: list[Row]) -> str:
    """The informed attacker on the mean of several pictures that are the same but for their noise."""
    numbers = sorted({row["pictures"] for row in rows})
    chosen = [r for r in rows if r["attacker"] == "pixels, informed" and r["gallery"] == "same photograph"]
    lines = []
    for method, height_px in dict.fromkeys((row["method"], row["height_px"]) for row in _ordered(chosen)):
        rates = {r["pictures"]: r["rate"] for r in chosen if (r["method"], r["height_px"]) == (method, height_px)}
        if len(rates) > 1:
            lines.append([method, height_px, *(_rate(rates.get(n)) for n in numbers)])
    return _markdown(("way of hiding", "face, px", *numbers), lines)


def plate_table(rows: list[Row]) -> str:
    """What is read, and the accuracy of characters against what other plates' texts would have."""
    lines = [
        [
            row["method"],
            row["attacker"],
            row["plates"],
            "–" if row["read"] is None else f"{row['read']:.3f}",
            f"{row['accuracy']:.3f}" + (f" (≤ {row['upper']:.3f})" if row["upper"] is not None else ""),
            f"{row['chance']:.3f}",
        ]
        for row in rows
    ]
    return _markdown(("way of hiding", "attacker", "plates", "read exactly", "character accuracy", "chance"), lines)


def sweep_table(rows: list[Row]) -> str:
    """Multiples of chance for one picture, in brackets for the mean of ten; bold where twice chance does not hold."""
    contrasts = sorted({row["contrast"] for row in rows}, reverse=True)
    lines = []
    for base, cells, std in dict.fromkeys((row["base"], row["cells"], row["noise_std"]) for row in rows):
        found = {r["contrast"]: r for r in rows if (r["base"], r["cells"], r["noise_std"]) == (base, cells, std)}
        lines.append([base, cells, f"{std:.0f}", *(_multiple(found[contrast]) for contrast in contrasts)])
    return _markdown(("base", "cells", "noise", *(f"contrast {contrast:g}" for contrast in contrasts)), lines)


def needed_table(rows: list[Row]) -> str:
    """The same by noise ÷ contrast."""
    ratios = sorted({row["noise_std"] for row in rows})
    found = {(row["cells"], row["noise_std"]): row for row in rows}
    cells = sorted({row["cells"] for row in rows})
    lines: list[list[object]] = [[n, *(_multiple(found[n, ratio]) for ratio in ratios)] for n in cells]
    return _markdown(("cells", *(f"{ratio:.0f}" for ratio in ratios)), lines)


def _ordered(rows: list[Row]) -> list[Row]:
    groups = ("ours", "without", "plain", "peer")
    return sorted(rows, key=lambda row: (groups.index(row["group"]), row["method"], row["height_px"]))


def _rate(rate: Row | None) -> str:
    if rate is None:
        return "–"
    text = f"{rate['rank1']:.4f} (≤ {rate['upper']:.4f})"
    return text if rate["holds"] else f"**{text}**"


def _multiple(row: Row) -> str:
    text = f"{row['single']['rank1'] / row['single']['chance']:.1f}"
    more = f"{row['ten']['rank1'] / row['ten']['chance']:.0f}"
    return f"{text} [{more}]" if row["single"]["holds"] else f"**{text}** [{more}]"


def _markdown(header: tuple[object, ...], lines: list[list[object]]) -> str:
    rows = ["| " + " | ".join(str(cell) for cell in line) + " |" for line in (list(header), *lines)]
    return "\n".join([rows[0], "|" + "---|" * len(header), *rows[1:]])
