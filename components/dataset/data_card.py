"""The data card: how many pictures and boxes of which kind stand in each part of the split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from components.dataset.labels import LabelledImage
from components.dataset.splits import PARTS
from components.detections import CLASS_NAMES, Boxes, heights, widths

Counts = dict[str, dict[str, dict[str, int]]]  # value → part → what is counted → how many

_SIZE_EDGES_PX = (16, 32, 64)
_SIZE_NAMES = ("<16 px", "16–32 px", "32–64 px", "≥64 px")
_STEEP_DEG = 30
_UNKNOWN = "not said"
_COLUMNS = ("groups", "pictures", *CLASS_NAMES, "ignored")
_WORDS = {True: "yes", False: "no", None: _UNKNOWN}


def size_names(image: LabelledImage) -> list[str]:
    """The size bucket of each object."""
    return size_names_of(image.objects.xyxy)


def size_names_of(xyxy: Boxes) -> list[str]:
    """The size bucket of each box [n, 4], by its shorter side, px; a bucket holds its lower edge."""
    shorter = np.minimum(widths(xyxy), heights(xyxy))
    return [_SIZE_NAMES[i] for i in np.searchsorted(_SIZE_EDGES_PX, shorter, side="right")]


def data_card(parts: Mapping[str, Sequence[LabelledImage]], dark_luma: float) -> dict[str, Counts]:
    """Count everything.

    Args:
        parts: the pictures of each part.
        dark_luma: pictures with a smaller mean luma (0 to 255) count as dark.

    Returns:
        For each topic the counts by value and part: `pictures` where the topic is of pictures, `ignored` boxes, and
        objects by the name of their class.
    """
    card: dict[str, Counts] = {}
    for part, images in parts.items():
        for image in images:
            for topic, value, amounts in _facts(image, dark_luma):
                counted = Counter(card.setdefault(topic, {}).setdefault(value, {}).get(part, {}))
                counted.update(amounts)
                card[topic][value][part] = dict(sorted(counted.items()))
        groups = {str(image.attributes.get("group", image.path)) for image in images}
        card.setdefault("groups", {}).setdefault("all", {})[part] = {"groups": len(groups)}
    return {topic: dict(sorted(values.items(), key=_by_size_or_name)) for topic, values in sorted(card.items())}


def markdown(card: Mapping[str, Counts], title: str) -> str:
    """The card as a page with one table a topic; columns without any count are left out."""
    lines = [f"# {title}", ""]
    for topic, values in card.items():
        amounts = {
            value: {(part, what): n for part, of in parts.items() for what, n in of.items()}
            for value, parts in values.items()
        }
        columns = [
            column
            for column in ((part, what) for part in PARTS for what in _COLUMNS)
            if any(of_value.get(column) for of_value in amounts.values())
        ]
        head = " | ".join(f"{part}: {what.replace('_', ' ')}" for part, what in columns)
        lines += [f"## {topic.capitalize()}", "", f"| {topic} | {head} |", f"|---|{'---:|' * len(columns)}"]
        for value, of_value in amounts.items():
            cells = " | ".join(str(of_value.get(column, 0)) for column in columns)
            lines.append(f"| {value.replace('|', '¦')} | {cells} |")
        lines.append("")
    return "\n".join(lines)


def _facts(image: LabelledImage, dark_luma: float) -> Iterator[tuple[str, str, Mapping[str, int]]]:
    objects = Counter(CLASS_NAMES[class_id] for class_id in image.objects.class_id)
    amounts = {"pictures": 1, "ignored": len(image.ignored), **{name: objects[name] for name in CLASS_NAMES}}
    dark = None if image.mean_luma is None else image.mean_luma < dark_luma
    exhaustive = " and ".join(name for name in CLASS_NAMES if name in image.exhaustive) or "nothing"
    for topic, value in (
        ("all", "all"),
        ("source", image.source),
        ("region", image.region or _UNKNOWN),
        ("video", "a video" if image.video else "single pictures"),
        ("night", _WORDS[image.night]),
        ("dark", _WORDS[dark]),
        ("exhaustive", exhaustive),
    ):
        yield topic, value, amounts
    marks = image.marks or ({},) * len(image.objects)
    for class_id, size, mark in zip(image.objects.class_id, size_names(image), marks, strict=True):
        one = {CLASS_NAMES[class_id]: 1}
        yield "size", size, one
        yield "size at night", f"{size}, night {_WORDS[image.night]}", one
        yield "mask", str(mark.get("mask", _UNKNOWN)), one
        if isinstance(tilt_deg := mark.get("tilt_deg"), list):
            steepest = max(abs(angle) for angle in tilt_deg)
            yield "tilt", "0–30°" if steepest < _STEEP_DEG else "30–90°", one


def _by_size_or_name(item: tuple[str, object]) -> tuple[int, str]:
    place = [i for i, name in enumerate(_SIZE_NAMES) if item[0].startswith(name)]
    return (place[0] if place else len(_SIZE_NAMES)), item[0]
