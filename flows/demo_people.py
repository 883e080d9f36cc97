"""The people of the loop's demo: a scripted labeller, and a scripted reviewer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from components.dataset.formats.coco import coco_text
from components.dataset.labelling import desk
from components.dataset.labelling.exports import export
from components.dataset.labelling.import_ import import_labels
from components.dataset.labelling.sample import read_sample
from components.dataset.labels import LabelledImage
from components.evaluation.verdict import Overall
from components.registry.models import Registry
from components.registry.review import approve, pending, reviewed
from components.settings import load_params

REVIEWER = "the demo's reviewer"
ACCEPTED = "what could not be assessed is accepted, as in every run of the demo"


def start(work: Callable[[], None]) -> None:
    """Let somebody begin to look for work, until the demo ends."""
    threading.Thread(target=work, daemon=True).start()


def label(console: Console, known: Mapping[str, LabelledImage]) -> None:
    """Wait for a sample and label it: as is known, or else as what was blurred says.

    Args:
        console: is told how much was labelled.
        known: the answers, by the pictures' paths in the day's folder.
    """
    settings = load_params().labelling
    while not (waiting := [place for place in desk.desks(settings) if desk.state(place) == "waiting"]):
        time.sleep(1)
    for place in waiting:
        told = import_labels(place, _answers(place, known), empty_ok=True, rest="give_up")
        boxes = ", ".join(f"{count} × {name}" for name, count in sorted(told.boxes.items()))
        console.print(f"The scripted labeller has labelled {told.labelled} pictures: {boxes}", highlight=False)


def review(console: Console, registry: Registry) -> None:
    """Wait for a candidate that the gate has not stopped, and approve it; what is accepted with it is stored."""
    while not (waiting := [one for one in pending(registry) if one.gate_verdict not in (None, Overall.FAILED.value)]):
        time.sleep(2)
    candidate = waiting[0]
    approve(registry, candidate.version, REVIEWER, ACCEPTED)
    console.print(f"The scripted reviewer has approved version {candidate.version}", highlight=False)


def override(console: Console, registry: Registry, reason: str) -> None:
    """Promote what the gate has stopped; who did so, why, and which rows of the gate it was, are stored with it."""
    stopped = reviewed(registry)[0]
    approve(registry, stopped.version, REVIEWER, reason, override=True)
    overridden = reviewed(registry)[0].override
    console.print(f"The scripted reviewer has overridden the gate for version {stopped.version}: {overridden}")


def _answers(place: Path, known: Mapping[str, LabelledImage]) -> Path:
    if not known:
        return export(place, "coco")
    answers = [replace(known[image.path], path=image.file) for image in read_sample(place).images]
    file = place / "answers.json"
    file.write_text(coco_text(answers), encoding="utf-8")
    return file
