"""Rank-1 of the strongest attackers by way of hiding and size, against chance and twice chance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

_ATTACKERS = {
    "pixels, informed": ("o", "#b4421e", "pixels, knows all but the key"),
    "network": ("s", "#2b6cb0", "network, trained on own draws"),
    "recogniser, informed": ("^", "#3f7d3a", "face recogniser, gallery hidden alike"),
}
_GROUPS = ("ours", "without", "plain", "peer")
_INK, _FAINT = "#1b1b1b", "#8a8a8a"


def draw_chart(rows: list[dict[str, Any]], gallery: str, people: int, file: Path) -> None:
    """One panel a size; a mark is the rate, its whisker reaches to the 95 % bound."""
    chosen = [row for row in rows if row["gallery"] == gallery and row["pictures"] == 1]
    names = list(dict.fromkeys(row["method"] for row in sorted(chosen, key=lambda row: _GROUPS.index(row["group"]))))
    heights = sorted({row["height_px"] for row in chosen})
    figure, axes = plt.subplots(
        1, len(heights), figsize=(3.2 * len(heights) + 1.6, 0.34 * len(names) + 1.7), sharey=True, facecolor="white"
    )
    chance = 1 / people
    for axis, height_px in zip([axes] if len(heights) == 1 else axes, heights, strict=True):
        axis.axvline(chance, color=_FAINT, lw=1)
        axis.axvline(2 * chance, color=_FAINT, lw=1, ls=(0, (4, 3)))
        for offset, (attacker, (mark, colour, label)) in enumerate(_ATTACKERS.items()):
            for row in chosen:
                if row["height_px"] != height_px or row["attacker"] != attacker:
                    continue
                rank1, upper = max(row["rate"]["rank1"], chance / 4), row["rate"]["upper"]
                y = names.index(row["method"]) + 0.22 * (offset - 1)
                axis.plot([rank1, upper], [y, y], color=colour, lw=1.2)
                axis.plot(rank1, y, mark, color=colour, ms=5, label=label)
        axis.set(xscale="log", xlim=(chance / 5, 1.3), title=f"face {height_px} px")
        axis.grid(axis="y", color="#ececec")
        axis.set_axisbelow(True)
        axis.tick_params(colors=_INK, length=2)
        for side in ("top", "right", "left"):
            axis.spines[side].set_visible(False)
        axis.text(chance, -0.85, "chance ", ha="right", fontsize=7, color=_INK)
        axis.text(2 * chance, -0.85, " 2×", ha="left", fontsize=7, color=_INK)
    first = figure.axes[0]
    first.set_yticks(range(len(names)), names)
    first.set_ylim(len(names) - 0.4, -1.1)
    figure.supxlabel(f"rank-1 among {people} people ({gallery}), log scale", fontsize=10, color=_INK)
    marks = {str(line.get_label()): line for axis in figure.axes for line in axis.lines}
    labels = [label for _, _, label in _ATTACKERS.values() if label in marks]
    figure.legend([marks[label] for label in labels], labels, loc="upper center", ncols=3, frameon=False, fontsize=9)
    figure.tight_layout(rect=(0, 0, 1, 0.95))
    figure.savefig(file, dpi=130, facecolor="white")
    plt.close(figure)
