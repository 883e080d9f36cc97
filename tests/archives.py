"""Days that are published in this process: a pool of workers costs seconds, and has tests of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from components.batch.journal import Journal
from components.batch.run import close_run, commit_shard, open_run, plan_run
from components.batch.worker import load_blurring, process_image
from components.dataset.labels import LabelledBox
from components.detection.bundle import Bundle
from components.detections import CLASS_NAMES
from components.settings import Params
from tests.toy_model import scene

_SUFFIXES = {4: ".png", 5: ".webp"}


def write_scenes(folder: Path, plans: list[tuple[int, int]], seed: int) -> dict[str, list[LabelledBox]]:
    """Pictures for the toy model, each with so many faces and plates; returns what they show, by name."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    shown = {}
    for i, (faces, plates) in enumerate(plans):
        pixels, boxes = scene(rng, 200, 150, faces, plates)
        name = f"{i}{_SUFFIXES.get(i, '.jpg')}"
        Image.fromarray(pixels).save(folder / name, quality=95, lossless=True)
        classes = [CLASS_NAMES[0]] * faces + [CLASS_NAMES[1]] * plates
        shown[name] = [LabelledBox(tuple(map(float, box)), name) for box, name in zip(boxes, classes, strict=True)]
    return shown


def publish_day(source: Path, destination: Path, bundle: Bundle, params: Params, region: str | None = "eu") -> None:
    """A nightly run's work without its processes."""
    with open_run(source, destination, bundle, params, region) as run:
        blurring = load_blurring(run.order)
        for shard in plan_run(run).shards:
            journal = Journal(run.storage, shard.id)
            commit_shard(run, shard, [process_image(run.order, blurring, journal, image) for image in shard.images])
        close_run(run)
