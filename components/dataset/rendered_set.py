"""A small labelled set that needs nothing from outside: rendered plates of all countries, by day and by night.

python -m components.dataset.rendered_set FOLDER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from components.dataset.demo_day import garage_scene
from components.dataset.plates import STYLES, at_night

_SEED = 7
_PER_COUNTRY = 2


def write_rendered_set(folder: Path) -> Path:
    """Render the set.

    Returns:
        Its `labels.json`.
    """
    rng = np.random.default_rng(_SEED)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    entries = []
    for country in STYLES:
        for i in range(_PER_COUNTRY):
            scene, box = garage_scene(country, rng)
            for light, pixels in (("day", scene), ("night", at_night(scene, rng))):
                name = f"images/{country}-{i}-{light}.png"
                Image.fromarray(pixels).save(folder / name)
                boxes = [{"cls": "license_plate", "box": [round(float(side), 1) for side in box]}]
                size = {"w": pixels.shape[1], "h": pixels.shape[0]}
                entries.append({"file": name, **size, "source": country, "lighting": light, "boxes": boxes})
    labels = folder / "labels.json"
    labels.write_text("[\n" + ",\n".join(json.dumps(entry) for entry in entries) + "\n]\n")
    return labels


if __name__ == "__main__":
    write_rendered_set(Path(sys.argv[1]))
