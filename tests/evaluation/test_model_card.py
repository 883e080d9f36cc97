"""A model card says what the metrics say, and the shipped one says what was measured."""

from __future__ import annotations

import json
from typing import Any

import pytest

from components.detection.shipped import WEIGHTS
from components.errors import StreetveilError
from components.evaluation.model_card import BEGIN, END, figures_text, with_figures


def row(objects: int = 4, share: float | None = 0.5) -> dict[str, Any]:
    """The figures of one class."""
    interval = (0.25, 0.75) if share is not None else None
    return {
        "objects": objects,
        "object_recall": share,
        "object_recall_interval": interval,
        "pixel_recall": share,
        "pixel_recall_interval": interval,
        "slices": {},
    }


def figures(plates: int = 4) -> dict[str, Any]:
    """The figures of one model."""
    both = {"face": row(1234), "license_plate": row(plates, 0.5 if plates else None)}
    return {**both, "pixel_fpr": 0.01234, "pixel_fpr_interval": (0.01, 0.02), "false_blur_share": 0.25}


def metrics() -> dict[str, Any]:
    """As the evaluate stage writes them, without peers."""
    kept = {"true_found": 2000, "kept_share": 0.995, "false_found": 10, "removed_share": None}
    told = {name: figures() for name in ("cascade", "stages_1_and_2", "stage_1")}
    told["cascade"]["face"]["slices"]["size"] = {"0–8 px": row(1)}
    return {**told, "verifier": {"face": kept, "license_plate": kept}}


def cells(text: str, *starts: str) -> list[str]:
    """The cells of the one line that begins with these."""
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    (found,) = [line for line in lines if line[: len(starts)] == list(starts)]
    return found[len(starts) :]


def test_figures_stand_with_their_intervals() -> None:
    """Shares have three digits, the FPR four, what was not measured is a dash, and a slice has its own line."""
    told = figures_text(metrics())
    assert cells(told, "test part", "this model", "faces") == [
        "1,234", "0.500 (0.250–0.750)", "0.500 (0.250–0.750)", "0.0123 (0.0100–0.0200)", "0.250",
    ]  # fmt: skip
    assert cells(told, "stage 2", "faces") == ["0.995 of 2,000", "– of 10"]
    assert cells(told, "cascade, by size") == ["class", "objects", "object recall", "pixel recall"]
    assert cells(told, "0–8 px", "faces") == ["1", "0.500 (0.250–0.750)", "0.500"]


def test_sizes_stand_in_their_order() -> None:
    """By the number that each size begins with, not by its letters."""
    told = metrics()
    sizes = ["16–32 px", "8–16 px", "from 128 px", "0–8 px"]
    told["cascade"]["face"]["slices"]["size"] = {size: row(1) for size in sizes}
    lines = [line.split("|")[1].strip() for line in figures_text(told).splitlines() if line]
    assert [line for line in lines if line in sizes] == ["0–8 px", "8–16 px", "16–32 px", "from 128 px"]


def test_what_is_not_there_has_no_line() -> None:
    """Without peers, and for a class without objects, no line is made up."""
    told = {**metrics(), "own_tilted": figures(plates=0)}
    text = figures_text(told)
    assert "CenterFace + platedet |" not in text
    assert cells(text, "rendered plates", "this model")[0] == "faces"


def test_only_the_figures_of_a_card_change() -> None:
    """What people wrote around them stays, and a second time nothing changes."""
    card = with_figures(f"above\n{BEGIN}\nold\n{END}\nbelow\n", metrics())
    assert card.startswith(f"above\n{BEGIN}\n\n| set |")
    assert card.endswith(f"|\n\n{END}\nbelow\n")
    assert "old" not in card
    assert with_figures(card, metrics()) == card


@pytest.mark.parametrize("card", ["no marks", f"{END} {BEGIN}", BEGIN])
def test_a_card_without_a_place_for_figures_is_refused(card: str) -> None:
    """No card is written whose figures nobody would see."""
    with pytest.raises(StreetveilError, match="no place for figures"):
        with_figures(card, metrics())


def test_the_shipped_card_says_what_was_measured() -> None:
    """The figures of the card in the package are those of the metrics beside it."""
    card = (WEIGHTS / "MODEL_CARD.md").read_text(encoding="utf-8")
    told = json.loads((WEIGHTS / "metrics.json").read_text(encoding="utf-8"))
    assert with_figures(card, told) == card
