"""The privacy metrics of the shipped detectors on a labelled set, as a stage of `dvc.yaml`.

python -m components.evaluation.shipped_metrics FOLDER METRICS.json
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path

from components.dataset.labels import LabelledImage, read_labels
from components.detection.bundle import Bundle, load_cascade
from components.detection.cascade import Cascade
from components.detection.region_rules import Outcome, areas_to_hide, decide
from components.detection.shipped import shipped_files
from components.detections import CLASS_NAMES
from components.evaluation.object_metrics import ObjectCounts, count_objects
from components.evaluation.pixel_metrics import PixelCounts, count_pixels
from components.imaging.reading import decode
from components.settings import Params, load_params


def measure(
    cascade: Cascade, params: Params, folder: Path, images: Iterable[LabelledImage]
) -> dict[str, dict[str, float | int | None]]:
    """Recall and false blur by class, with the default region's rules.

    Args:
        cascade: the model.
        params: all settings.
        folder: what the images' paths are relative to.
        images: the truth; the set should be labelled exhaustively for an FPR.
    """
    region = params.region(None)[1]
    pixels = {name: PixelCounts() for name in CLASS_NAMES}
    objects = {name: ObjectCounts() for name in CLASS_NAMES}
    for image in images:
        picture = decode((folder / image.path).read_bytes(), params.reading)
        proposals = cascade.propose(picture.pixels, region)
        chosen = proposals.select([outcome is Outcome.BLURRED for outcome in decide(proposals, region)])
        areas = areas_to_hide(chosen, region, picture.width, picture.height).astype("float32")
        for name in CLASS_NAMES:
            pixels[name] += count_pixels(image, areas, name)
            objects[name] += count_objects(image, areas, name)
    return {
        name: {
            "objects": objects[name].labelled,
            "object_recall": objects[name].recall,
            "pixel_recall": pixels[name].recall,
            "pixel_fpr": pixels[name].false_positive_rate,
            "false_blur_share": pixels[name].false_blur_share,
        }
        for name in CLASS_NAMES
    }


if __name__ == "__main__":
    labelled, metrics = Path(sys.argv[1]), Path(sys.argv[2])
    settings = load_params()
    shipped = load_cascade(Bundle("shipped", "1", shipped_files()), settings.detection)
    truth = read_labels(labelled / "labels.json", exhaustive=CLASS_NAMES)
    metrics.write_text(json.dumps(measure(shipped, settings, labelled.parent, truth), indent=2) + "\n")
