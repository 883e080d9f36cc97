"""All figures are what sets of pixels, counted one by one in plain Python, give."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.dataset.labels import LabelledImage
from components.detections import CLASS_NAMES, Detections
from components.evaluation.detector_metrics import figures
from components.settings import Params, Region

SIDE = 40
BOTH = frozenset(CLASS_NAMES)
Box = tuple[float, float, float, float]
Pixels = set[tuple[int, int]]
Case = tuple[list[tuple[Box, int]], list[tuple[Box, int, float]], list[Box]]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Objects, proposals that lie anywhere and partly outside, and places that count neither way."""

    def box(beyond: int) -> Box:
        x, y = draw(st.integers(-beyond, SIDE - 4)), draw(st.integers(-beyond, SIDE - 4))
        x, y = x + draw(st.sampled_from([0.0, 0.25, 0.5])), y + draw(st.sampled_from([0.0, 0.25, 0.5]))
        w, h = draw(st.integers(3, 16)), draw(st.integers(3, 16))
        limit = SIDE + beyond
        return x, y, min(x + w, limit), min(y + h, limit)

    classes = st.integers(0, 1)
    objects = [(box(0), draw(classes)) for _ in range(draw(st.integers(0, 3)))]
    found = [(box(4), draw(classes), draw(st.sampled_from([0.05, 0.2, 0.9]))) for _ in range(draw(st.integers(0, 4)))]
    return objects, found, [box(0) for _ in range(draw(st.integers(0, 1)))]


def pixels_of(box: Box, growth: float = 0.0) -> Pixels:
    """Every pixel of the picture that a box touches, one by one."""
    x1, y1, x2, y2 = box
    # The product reckons in 32 bits, so boundaries are taken there too.
    across, up = (np.float32(growth * side) for side in (x2 - x1, y2 - y1))
    left, top = float(np.float32(x1) - across), float(np.float32(y1) - up)
    right, bottom = float(np.float32(x2) + across), float(np.float32(y2) + up)
    return {
        (x, y)
        for x in range(SIDE)
        for y in range(SIDE)
        if math.floor(left) <= x < math.ceil(right) and math.floor(top) <= y < math.ceil(bottom)
    }


def union(parts: list[Pixels]) -> Pixels:
    """All pixels of all parts."""
    return set().union(*parts)


def by_hand(case: Case, region: Region) -> dict[str, float | None]:
    """Every figure by counting."""
    objects, found, ignored = case
    hidden = union([pixels_of(box, region.face.dilation) for box, _, sure in found if sure >= region.face.threshold])
    unclear, labels = union([pixels_of(box) for box in ignored]), union([pixels_of(box) for box, _ in objects])
    whole = {(x, y) for x in range(SIDE) for y in range(SIDE)}
    background, visible = whole - labels - unclear, hidden - unclear
    near = union([pixels_of(box, 0.25) for box, _ in objects])
    told: dict[str, float | None] = {
        "pixel_fpr": len(background & hidden) / len(background) if background else None,
        "false_blur_share": len(visible - near) / len(visible) if visible else None,
    }
    for k, name in enumerate(CLASS_NAMES):
        own = [pixels_of(box) for box, class_id in objects if class_id == k]
        area = union(own)
        enough = [len(one & hidden) / len(one) >= 0.75 for one in own]
        told[f"{name}.pixel_recall"] = len(area & hidden) / len(area) if area else None
        told[f"{name}.object_recall"] = sum(enough) / len(enough) if enough else None
    return told


@settings(max_examples=200, deadline=None)
@given(cases())
def test_200_random_pictures_are_as_counted_pixel_by_pixel(params: Params, case: Case) -> None:
    """Recalls of both classes, pixel FPR and false-blur share agree to the last digit, known or not."""
    region = params.regions["strict"]
    objects, found, ignored = case
    image = LabelledImage(
        "a", SIDE, SIDE, "", Detections.of([box for box, _ in objects], 1.0, [k for _, k in objects]),
        np.array(ignored, np.float32).reshape(-1, 4), BOTH,
    )  # fmt: skip
    seen = Detections.of([box for box, _, _ in found], [p for _, _, p in found], [k for _, k, _ in found])
    told = figures([image], {"a": seen}, region)
    for key, wanted in by_hand(case, region).items():
        name, _, figure = key.rpartition(".")
        value = told[name][figure] if name else told[key]
        assert (value is None) == (wanted is None), key
        assert wanted is None or value == pytest.approx(wanted, abs=1e-12), key
