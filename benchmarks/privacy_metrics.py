"""Recall and false blur of a finished run against labels.

    streetveil blur DATA OUT
    python -m benchmarks.privacy_metrics DATA OUT

DATA holds one folder for each set with a `labels.json` (see `components/dataset/labels.py`). Hand labels in
`data/hand_labels/<set>.json` replace a set's own; only they are exhaustive for both classes, so only they have an FPR.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from components.batch.manifest import ImageRow, read_rows
from components.batch.storage import LocalStorage
from components.dataset.labels import LabelledImage, read_labels
from components.detection.region_rules import areas_to_hide
from components.detections import CLASS_IDS, CLASS_NAMES, Boxes, Detections
from components.evaluation.object_metrics import ObjectCounts, count_objects
from components.evaluation.pixel_metrics import PixelCounts, count_pixels
from components.settings import PROJECT_ROOT, load_params

_COLUMNS = (
    "set",
    "class",
    "images",
    "objects",
    "object recall",
    "pixel recall",
    "pixel FPR",
    "false-blur share",
)


def labelled_images(data: Path) -> Iterator[LabelledImage]:
    """Every labelled picture, with hand labels where there are any."""
    for file in sorted(data.glob("*/labels.json")):
        by_hand = PROJECT_ROOT / "data" / "hand_labels" / f"{file.parent.name}.json"
        if by_hand.exists():
            yield from read_labels(by_hand, exhaustive=CLASS_NAMES, folder=file.parent.name)
        else:
            yield from read_labels(file)


def blurred_boxes(row: ImageRow) -> Detections:
    """The objects that were blurred, as detected."""
    chosen = [p for p in row.proposals if p.outcome == "blurred"]
    return Detections.of(
        [(p.x1, p.y1, p.x2, p.y2) for p in chosen],
        [p.stage1_confidence for p in chosen],
        [CLASS_IDS[p.class_name] for p in chosen],
    )


def hidden_areas(row: ImageRow, image: LabelledImage) -> tuple[Boxes, Boxes]:
    """The areas as they were hidden, and as they would have been without dilation."""
    found = blurred_boxes(row)
    region = load_params().region(row.region)[1]
    return areas_to_hide(found, region, image.width, image.height).astype(np.float32), found.xyxy


def main() -> None:
    """Print the table as Markdown: the hidden areas first, in brackets without dilation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("published", type=Path)
    arguments = parser.parse_args()
    rows = read_rows(LocalStorage(arguments.published.resolve()))

    pixels: dict[tuple[str, str], list[PixelCounts]] = defaultdict(lambda: [PixelCounts(), PixelCounts()])
    objects: dict[tuple[str, str], list[ObjectCounts]] = defaultdict(lambda: [ObjectCounts(), ObjectCounts()])
    images: dict[tuple[str, str], int] = defaultdict(int)
    for image in labelled_images(arguments.data):
        row = rows.get(image.path)
        if row is None or row.state != "published":
            print(f"left out: {image.path} ({row.reason if row else 'not in the manifests'})")
            continue
        both = hidden_areas(row, image)
        for class_name in CLASS_NAMES:
            if not len(image.objects.of_class(CLASS_IDS[class_name])) and class_name not in image.exhaustive:
                continue
            for group in (image.path.split("/")[0], f"· {image.source}"):
                key = (group, class_name)
                images[key] += 1
                for i, areas in enumerate(both):
                    pixels[key][i] += count_pixels(image, areas, class_name)
                    objects[key][i] += count_objects(image, areas, class_name)

    print("|", " | ".join(_COLUMNS), "|\n|" + "---|" * len(_COLUMNS))
    for key in images:
        values = (
            *key,
            images[key],
            objects[key][0].labelled,
            _pair(*(count.recall for count in objects[key])),
            _pair(*(count.recall for count in pixels[key])),
            _pair(*(count.false_positive_rate for count in pixels[key])),
            _pair(*(count.false_blur_share for count in pixels[key])),
        )
        print("|", " | ".join(str(value) for value in values), "|")


def _pair(dilated: float | None, plain: float | None) -> str:
    return "–" if dilated is None or plain is None else f"{dilated:.4f} ({plain:.4f})"


if __name__ == "__main__":
    main()
