"""Boxes in frames that nobody has searched cover the object wherever it may be."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from components.settings import PROJECT_ROOT, load_params
from components.video.tracks import Sighting, box_at

VIDEO = load_params(PROJECT_ROOT / "params.yaml").video
LAST = VIDEO.hold_frames
pixels = st.floats(-300, 300, width=32)
sizes = st.floats(4, 200, width=32)
steps = st.floats(-30, 30, width=32)


def seen(frame: int, x: float, y: float, width: float = 20, height: float = 30) -> Sighting:
    """A sighting by its left upper corner and size."""
    return Sighting(frame, np.array([[x, y, x + width, y + height]], np.float32))


def covers(outer: np.ndarray, inner: np.ndarray) -> bool:
    """Whether a box lies within another, up to rounding."""
    return bool((outer[0, :2] <= inner[0, :2] + 0.01).all() and (outer[0, 2:] >= inner[0, 2:] - 0.01).all())


@settings(max_examples=60)
@given(x=pixels, y=pixels, width=sizes, height=sizes, dx=steps, dy=steps, frame=st.integers(-LAST, LAST + 5))
def test_whoever_goes_on_as_before_is_covered(
    x: float, y: float, width: float, height: float, dx: float, dy: float, frame: int
) -> None:
    """An object that moves evenly is covered between two sightings, before the first and after the last."""
    known = [seen(at, x + dx * at, y + dy * at, width, height) for at in (0, 5)]
    box = box_at(known, frame, VIDEO)
    assert box is not None
    assert covers(box, seen(frame, x + dx * frame, y + dy * frame, width, height).box)


@settings(max_examples=40)
@given(x=pixels, y=pixels, dx=steps, dy=steps, frames=st.integers(1, LAST))
def test_whoever_stops_is_covered_too(x: float, y: float, dx: float, dy: float, frames: int) -> None:
    """After its last sighting an object may have stayed where it was, and before its first it may have stood there."""
    known = [seen(0, x, y), seen(5, x + dx, y + dy)]
    for edge, frame in ((known[1], 5 + frames), (known[0], -frames)):
        box = box_at(known, frame, VIDEO)
        assert box is not None
        assert covers(box, edge.box)


def test_a_sighting_is_taken_at_its_word_and_a_loss_makes_the_box_grow() -> None:
    """In its own frame a sighting's box is not changed; with every frame after it the box is larger, until it ends."""
    known = [seen(10, 50, 50)]
    assert np.array_equal(box_at(known, 10, VIDEO), known[0].box)  # type: ignore[arg-type]
    boxes = [box_at(known, 10 + frames, VIDEO) for frames in range(1, VIDEO.hold_frames + 1)]
    spans = [float(np.ptp(box[0, [0, 2]])) for box in boxes if box is not None]
    assert len(spans) == VIDEO.hold_frames
    assert all(later > earlier for earlier, later in itertools.pairwise(spans))
    assert box_at(known, 10 + VIDEO.hold_frames + 1, VIDEO) is None
    assert box_at(known, 10 - VIDEO.backfill_frames - 1, VIDEO) is None
