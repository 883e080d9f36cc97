"""The worst examples are those that a person would pick."""

from __future__ import annotations

import numpy as np
import pytest

from components.dataset.labels import LabelledImage
from components.detections import CLASS_NAMES, FACE, LICENSE_PLATE, Detections
from components.evaluation.report.examples import misses, to_compare, worst_false_blurs, worst_misses
from components.settings import Params

BOTH = frozenset(CLASS_NAMES)
NOTHING = np.zeros((0, 4), np.float32)


def faces(path: str, boxes: list[list[float]], exhaustive: frozenset[str] = BOTH, source: str = "s") -> LabelledImage:
    """A picture of 400 px with faces."""
    return LabelledImage(path, 400, 400, source, Detections.of(boxes, 1.0, FACE), NOTHING, exhaustive)


def test_the_largest_come_first_and_the_least_sure_are_others(params: Params) -> None:
    """Of three missed faces the largest leads one list; of the rest the one that nothing proposed leads the other."""
    boxes = [[10, 10, 20, 20], [50, 50, 60, 60], [100, 100, 160, 160], [200, 200, 240, 240]]
    image = faces("a", boxes)
    seen = {"a": Detections.of([boxes[0], boxes[2], boxes[3]], [0.12, 0.05, 0.9], FACE)}
    missed = misses([image], seen, params.regions["strict"])
    assert [miss.short_px for miss in missed] == [10, 10, 60]
    assert [miss.confidence for miss in missed] == [0.12, 0.0, 0.05]
    first, second = worst_misses(missed, 1)
    assert [miss.box for miss in first] == [(100, 100, 160, 160)]
    assert [(miss.box, miss.confidence) for miss in second] == [((50, 50, 60, 60), 0.0)]


def test_what_another_class_hides_is_not_missed(params: Params) -> None:
    """Who is hidden is hidden; a face half under a plate's area is missed, with the share that is covered."""
    image = faces("a", [[100, 100, 140, 140]])
    whole = {"a": Detections.of([[90, 90, 150, 150]], 0.9, LICENSE_PLATE)}
    part = {"a": Detections.of([[80, 100, 112, 140]], 0.9, LICENSE_PLATE)}
    assert misses([image], whole, params.regions["strict"]) == []
    (miss,) = misses([image], part, params.regions["strict"])
    assert 0 < miss.covered_share < 0.75


def test_false_blurs_are_told_by_complete_labels_alone(params: Params) -> None:
    """The largest false area of each completely labelled picture, the worst picture first."""
    face = [100.0, 100.0, 140.0, 140.0]
    images = [faces("a", [face]), faces("b", [face]), faces("c", [face], frozenset())]
    seen = {
        "a": Detections.of([face, [200, 200, 240, 240], [300, 300, 380, 380]], [0.9, 0.8, 0.4], FACE),
        "b": Detections.of([face, [200, 200, 320, 320]], [0.9, 0.5], LICENSE_PLATE),
        "c": Detections.of([[0, 0, 400, 400]], 0.9, FACE),
    }
    blurs = worst_false_blurs(images, seen, params.regions["strict"], 5)
    assert [(blur.path, blur.class_name, round(blur.confidence, 1)) for blur in blurs] == [
        ("b", "license_plate", 0.5),
        ("a", "face", 0.4),
    ]
    grown = 1 + 2 * params.regions["strict"].face.dilation
    assert [blur.picture_share for blur in blurs] == pytest.approx([(side * grown / 400) ** 2 for side in (120, 80)])


def test_compared_pictures_come_from_every_source() -> None:
    """Sources take turns, each with its fullest picture first; incomplete and empty ones are left out."""
    box = [10.0, 10.0, 20.0, 20.0]
    images = [
        faces("few", [box]), faces("many", [box] * 3), faces("other", [box], source="t"),
        faces("unknown", [box] * 5, frozenset()), faces("empty", []),
    ]  # fmt: skip
    assert [image.path for image in to_compare(images, 3)] == ["many", "other", "few"]
