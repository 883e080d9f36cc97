"""The figures of a model card, written from the metrics themselves, so that the two cannot differ."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from components.detections import CLASS_NAMES
from components.errors import StreetveilError
from components.evaluation.detector_metrics import Figures

BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"
_NAMES = {"face": "faces", "license_plate": "plates"}
_ABSENT = "–"
_SETS = (
    ("own", "cascade", "test part"),
    ("peers", "peers", "test part"),
    ("own", "cascade_at_peers_fpr", "test part, at the pixel FPR of CenterFace + platedet"),
    ("peers", "peers_at_own_fpr", "test part, at the pixel FPR of this model"),
    ("own", "stages_1_and_2", "test part, without the secondary check"),
    ("own", "stage_1", "test part, stage 1 alone"),
    ("own", "night_simulated", "test part, darkened to night"),
    ("own", "own_tilted", "rendered plates"),
    ("peers", "peers_tilted", "rendered plates"),
)
_MODELS = {"own": "this model", "peers": "CenterFace + platedet"}
_SLICES = (("cascade", "size"), ("cascade", "source"), ("own_tilted", "tilt"), ("own_tilted", "square"))
_OF = {"cascade": "cascade", "own_tilted": "rendered plates"}
_LOOKS = {"verifier": "stage 2", "verifier_and_check": "stage 2 and secondary check"}


def with_figures(card: str, metrics: Figures) -> str:
    """A card with the figures of the metrics between its two marks.

    Raises:
        StreetveilError: the card has no such place.
    """
    before, begin, rest = card.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise StreetveilError(f"the model card has no place for figures: put {BEGIN} and {END} into it")
    return f"{before}{BEGIN}\n\n{figures_text(metrics)}\n{END}{after}"


def figures_text(metrics: Figures) -> str:
    """All tables of a card.

    Args:
        metrics: what the evaluate stage has written.
    """
    told = [_table(_OVERALL, _overall(metrics)), _table(_VERIFIER, _verifier(metrics))]
    told += [
        _table((f"{_OF[of]}, by {column}", *_SLICE), _sliced(metrics[of], column)) for of, column in _known(metrics)
    ]
    return "\n".join(told)


_OVERALL = ("set", "model", "class", "objects", "object recall", "pixel recall", "pixel FPR", "false-blur share")
_VERIFIER = ("look", "class", "true proposals kept", "false proposals removed")
_SLICE = ("class", "objects", "object recall", "pixel recall")


def _overall(metrics: Figures) -> Iterator[Sequence[str]]:
    for model, of, title in _SETS:
        for name in CLASS_NAMES:
            told = metrics.get(of)
            if told and told[name]["objects"]:
                row = told[name]
                yield (
                    title, _MODELS[model], _NAMES[name], f"{row['objects']:,}",
                    _share(row["object_recall"], row["object_recall_interval"]),
                    _share(row["pixel_recall"], row["pixel_recall_interval"]),
                    _share(told["pixel_fpr"], told["pixel_fpr_interval"], digits=4), _share(told["false_blur_share"]),
                )  # fmt: skip


def _verifier(metrics: Figures) -> Iterator[Sequence[str]]:
    for look, title in _LOOKS.items():
        for name, row in metrics.get(look, {}).items():
            yield (
                title, _NAMES[name], f"{_share(row['kept_share'])} of {row['true_found']:,}",
                f"{_share(row['removed_share'])} of {row['false_found']:,}",
            )  # fmt: skip


def _known(metrics: Figures) -> list[tuple[str, str]]:
    return [
        (of, column)
        for of, column in _SLICES
        if of in metrics and any(column in metrics[of][name]["slices"] for name in CLASS_NAMES)
    ]


def _sliced(told: Figures, column: str) -> Iterator[Sequence[str]]:
    for name in CLASS_NAMES:
        slices = told[name]["slices"].get(column, {})
        for value, row in sorted(slices.items(), key=lambda one: _first_number(one[0]) if column == "size" else 0):
            yield (
                value, _NAMES[name], f"{row['objects']:,}",
                _share(row["object_recall"], row["object_recall_interval"]), _share(row["pixel_recall"]),
            )  # fmt: skip


def _first_number(text: str) -> int:
    """The lower end of a size such as "16–32 px" or "from 64 px"."""
    return int(re.findall(r"\d+", text)[0])


def _share(value: float | None, interval: Sequence[float] | None = None, digits: int = 3) -> str:
    """A share, with its interval behind it."""
    if value is None:
        return _ABSENT
    told = f"{value:.{digits}f}"
    return f"{told} ({interval[0]:.{digits}f}–{interval[1]:.{digits}f})" if interval else told


def _table(head: Sequence[str], rows: Iterator[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
