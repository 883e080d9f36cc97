"""How many pictures a second a model looks at on one core, as a figure for the gate."""

from __future__ import annotations

import json
import time
from pathlib import Path

from components.dataset.labels import LabelledImage
from components.detection.bundle import Bundle, load_cascade
from components.detection.cascade import Cascade
from components.evaluation.looks import Look
from components.evaluation.verdict import Figure
from components.imaging.reading import decode
from components.settings import PROJECT_ROOT, Params, Region

_PICTURES = 30


def images_per_s(look: Look, params: Params, seen: Path) -> Figure:
    """Pictures in a second of processor time, decoding and detection together, the mean over some of a look's pictures.

    Processor time and not the clock's: other work on the machine, and the number of its cores, hardly move it.

    Args:
        look: the model and the pictures, of which every so manieth is looked at once more.
        params: all settings.
        seen: the file of the look's sightings; what was measured is kept beside it, and not measured again.
    """
    kept = seen.with_suffix(".speed.json")
    if not kept.exists():
        kept.write_text(json.dumps(_seconds(look, params)), encoding="utf-8")
    seconds = json.loads(kept.read_text(encoding="utf-8"))
    note = f"decoding and detection, by processor time, on {len(seconds)} pictures"
    return Figure(len(seconds) / sum(seconds), note=note)


def _seconds(look: Look, params: Params) -> list[float]:
    """Of each picture; the first one is looked at before, since the first look takes longer."""
    region = look.region or params.region(None)[1]
    cascade = load_cascade(Bundle(look.name, "?", look.files), params.detection)
    chosen = look.images[:: max(1, len(look.images) // _PICTURES)][:_PICTURES]
    return [_one(image, cascade, region, params) for image in (*chosen[:1], *chosen)][1:]


def _one(image: LabelledImage, cascade: Cascade, region: Region, params: Params) -> float:
    content = (PROJECT_ROOT / image.path).read_bytes()
    start = time.process_time()
    cascade.examine(decode(content, params.reading).pixels, region)
    return time.process_time() - start
