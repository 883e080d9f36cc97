"""One row for every labelled object: how large it is, where it is from, and how much of it a model hides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.dataset.labels import LabelledImage
from components.detection.region_rules import Outcome, areas_to_hide, decide
from components.detections import CLASS_NAMES, Boxes, Detections, pixel_boxes, pixel_mask
from components.evaluation.object_metrics import MIN_COVERED_SHARE
from components.evaluation.pixel_metrics import PixelCounts, count_pixels
from components.settings import ClassRule, Region

_OBJECT_COLUMNS = (
    "path", "group", "class", "source", "region", "short_px", "size", "px", "covered_px", "hidden",
)  # fmt: skip
SIZE_BUCKETS = ((0, 8), (8, 16), (16, 32), (32, 64), (64, float("inf")))  # px of an object's shorter side


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """What a model does to a set of labelled pictures at one operating point.

    Attributes:
        objects: one row an object; columns path, group, class, source, size, short_px, px, covered_px, hidden, and
            whatever its marks say.
        images: one row a picture and class; columns path, group, class and the fields of `PixelCounts`.
    """

    objects: pd.DataFrame
    images: pd.DataFrame


def with_threshold(region: Region, threshold: Mapping[str, float]) -> Region:
    """A region whose classes are hidden from other confidences on."""

    def changed(name: str) -> ClassRule:
        return region.rule(name).model_copy(update={"threshold": threshold[name]})

    return region.model_copy(update={"face": changed("face"), "license_plate": changed("license_plate")})


def hidden_areas(found: Detections, region: Region, image: LabelledImage) -> Boxes:
    """The areas [m, 4], px, that a region's rules hide in a picture."""
    chosen = found.select([outcome is Outcome.BLURRED for outcome in decide(found, region)])
    return areas_to_hide(chosen, region, image.width, image.height).astype(np.float32)


def measured(images: Sequence[LabelledImage], seen: Mapping[str, Detections], region: Region) -> Measured:
    """Everything that a model hides and misses.

    Args:
        images: the truth.
        seen: what the model finds in each picture, by its path.
        region: the operating point.
    """
    object_rows: list[dict[str, object]] = []
    image_rows: list[dict[str, object]] = []
    for image in images:
        areas = hidden_areas(seen[image.path], region, image)
        object_rows += _object_rows(image, areas)
        image_rows += _image_rows(image, areas)
    image_columns = ["path", "group", "source", "class", *PixelCounts.__slots__]
    # Without rows a table would have no columns either.
    objects = pd.DataFrame(object_rows) if object_rows else pd.DataFrame(columns=list(_OBJECT_COLUMNS))
    return Measured(objects, pd.DataFrame(image_rows, columns=image_columns))


def _group(image: LabelledImage) -> str:
    """Pictures of one video, and near-duplicates, are no independent observations; they are drawn together."""
    return str(image.attributes.get("group") or image.video or image.path)


def _image_rows(image: LabelledImage, areas: Boxes) -> list[dict[str, object]]:
    rows = []
    for name in CLASS_NAMES:
        counts: PixelCounts = count_pixels(image, areas, name)
        told = {field: getattr(counts, field) for field in PixelCounts.__slots__}
        rows.append({"path": image.path, "group": _group(image), "source": image.source, "class": name, **told})
    return rows


def _object_rows(image: LabelledImage, areas: Boxes) -> list[dict[str, object]]:
    mask = pixel_mask(areas, image.width, image.height)
    rows = []
    for i in range(len(image.objects)):
        boxes = pixel_boxes(image.objects.xyxy[i : i + 1], image.width, image.height)
        if not len(boxes):
            continue
        x1, y1, x2, y2 = boxes[0]
        covered = mask[y1:y2, x1:x2]
        box = image.objects.xyxy[i]
        short_px = float(min(box[2] - box[0], box[3] - box[1]))
        rows.append(
            {
                "path": image.path,
                "group": _group(image),
                "class": CLASS_NAMES[image.objects.class_id[i]],
                "source": image.source,
                "region": image.region,
                "short_px": short_px,
                "size": size_bucket(short_px),
                "px": covered.size,
                "covered_px": int(covered.sum()),
                "hidden": bool(covered.mean() >= MIN_COVERED_SHARE),
                **(image.marks[i] if image.marks else {}),
            }
        )
    return rows


def size_bucket(short_px: float) -> str:
    """The name of the bucket that a shorter side falls into."""
    low, high = next((low, high) for low, high in SIZE_BUCKETS if low <= short_px < high)
    return f"{low}–{high} px" if np.isfinite(high) else f"from {low} px"
