"""Our cascade beside CenterFace + platedet: images per second on one core, and recall, from one and the same run.

    python -m benchmarks.detection --prepared FOLDER [--images N] [--composites N] [--checks]

With --checks our own runs with each kind of secondary check, which shows what each costs and gains. All take turns on
each picture, so a machine whose speed drifts is no friend of any. Composites are pictures of 5 MP, put together from
pictures of the test split at their own scale: what a street camera delivers, with labels.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from components.dataset.labels import LabelledImage, read_labels
from components.detection.bundle import Bundle, load_cascade
from components.detection.cascade import Cascade
from components.detection.shipped import peer_files, shipped_files
from components.detections import CLASS_NAMES, Detections
from components.evaluation.detector_metrics import figures
from components.imaging.reading import Pixels, decode
from components.settings import PROJECT_ROOT, Params, Region, load_params

_COMPOSITE_PX = 2560, 1920
_SEED = 7
_PEERS = "CenterFace + platedet"
_CHECKS: tuple[Literal["off", "rejected", "doubtful", "whole"], ...] = ("off", "rejected", "doubtful", "whole")


@dataclass(frozen=True, slots=True)
class Labelled:
    """A picture with its truth."""

    truth: LabelledImage
    pixels: Pixels


def read(image: LabelledImage, params: Params) -> Labelled:
    """A picture of a labelled set."""
    return Labelled(image, decode((PROJECT_ROOT / image.path).read_bytes(), params.reading).pixels)


def composite(number: int, parts: Sequence[Labelled]) -> Labelled:
    """As many pictures as fit on 5 MP, in rows, each at its own scale."""
    width, height = _COMPOSITE_PX
    canvas = np.full((height, width, 3), 114, np.uint8)
    x = y = row = 0
    objects, ignored = [], []
    for part in parts:
        part_height, part_width = part.pixels.shape[:2]
        if x + part_width > width:
            x, y, row = 0, y + row, 0
        if x + part_width > width or y + part_height > height:
            continue
        canvas[y : y + part_height, x : x + part_width] = part.pixels
        corner = np.array([x, y, x, y], np.float32)
        objects.append(part.truth.objects.with_boxes(part.truth.objects.xyxy + corner))
        ignored.append(part.truth.ignored + corner)
        x, row = x + part_width, max(row, part_height)
    exhaustive = frozenset.intersection(*(part.truth.exhaustive for part in parts))
    boxes = np.concatenate(ignored)
    truth = LabelledImage(
        f"composite {number}", width, height, "composite", Detections.concatenate(objects), boxes, exhaustive
    )
    return Labelled(truth, canvas)


def composites(images: Sequence[LabelledImage], count: int, params: Params) -> list[Labelled]:
    """Composites of pictures at random."""
    rng = np.random.default_rng(_SEED)
    return [
        composite(number, [read(images[i], params) for i in rng.permutation(len(images))[:30]])
        for number in range(count)
    ]


def race(name: str, models: dict[str, tuple[Cascade, Region]], pictures: Sequence[Labelled]) -> None:
    """Print one block: each model's images per second and recall on the same pictures."""
    seen: dict[str, dict[str, Detections]] = {model: {} for model in models}
    seconds: dict[str, list[float]] = {model: [] for model in models}
    for cascade, region in models.values():  # what is made on the first call is no part of a night's work
        cascade.propose(pictures[0].pixels, region)
    for picture in pictures:
        for model, (cascade, region) in models.items():
            start = time.perf_counter()
            seen[model][picture.truth.path] = cascade.propose(picture.pixels, region)
            seconds[model].append(time.perf_counter() - start)
    slowest = sum(seconds[_PEERS])
    for model, taken in seconds.items():
        told = figures([picture.truth for picture in pictures], seen[model], models[model][1])
        recalls = " | ".join(
            "–" if told[c][key] is None else f"{told[c][key]:.3f}"
            for c in CLASS_NAMES
            for key in ("pixel_recall", "object_recall")
        )
        spread = np.percentile(taken, [5, 50, 95])
        ms = " / ".join(f"{value * 1000:.0f}" for value in spread)
        fpr = "–" if told["pixel_fpr"] is None else f"{told['pixel_fpr']:.4f}"
        print(
            f"| {name} | {model} | {len(taken)} | {len(taken) / sum(taken):.2f} | {slowest / sum(taken):.1f} | {ms} "
            f"| {recalls} | {fpr} |"
        )


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prepared", type=Path, required=True)
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--composites", type=int, default=6)
    parser.add_argument("--checks", action="store_true")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    params = load_params()
    region = params.region(None)[1]
    images = list(read_labels(given.prepared / "test.json", folder=""))
    own = load_cascade(Bundle("own", "1", shipped_files()), params.detection)
    models = {"Streetveil": (own, region)}
    if given.checks:
        models = {f"Streetveil, {kind}": (own, region.model_copy(update={"safety_check": kind})) for kind in _CHECKS}
    models[_PEERS] = load_cascade(Bundle("peers", "1", peer_files()), params.detection), region
    chosen = np.random.default_rng(_SEED).permutation(len(images))[: given.images]
    head = (
        "set", "model", "n", "images/s per core", "times the peers", "ms, 5 % / median / 95 %", "face pixel recall",
        "face object recall", "plate pixel recall", "plate object recall", "pixel FPR",
    )  # fmt: skip
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    race("test split", models, [read(images[i], params) for i in chosen])
    if given.composites:
        complete = [image for image in images if image.exhaustive >= set(CLASS_NAMES)]
        race("5 MP composites", models, composites(images, given.composites, params))
        race("5 MP, street only", models, composites(complete, max(1, given.composites // 2), params))


if __name__ == "__main__":
    main()
