"""Where an object is in frames that no detector has seen: between two sightings, after the last, before the first.

Between two sightings a box moves evenly. Outside of them nobody knows: the object may have stayed, or gone on as it
moved, so the box covers both, and grows with every frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from components.detections import Boxes, dilate, hull
from components.settings import Video


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """An object as a detector has seen it.

    Attributes:
        frame: the frame's number.
        box: float32 [1, 4] xyxy, px.
    """

    frame: int
    box: Boxes


def box_at(sightings: Sequence[Sighting], frame: int, settings: Video) -> Boxes | None:
    """Where one object is to be hidden in a frame.

    Args:
        sightings: of one object, at least one, in order.
        frame: the frame's number.
        settings: how long it is held and how fast it grows.

    Returns:
        float32 [1, 4] xyxy px, perhaps outside of the picture; None if the object is not there.
    """
    before = [sighting for sighting in sightings if sighting.frame <= frame]
    after = [sighting for sighting in sightings if sighting.frame >= frame]
    if before and after:
        return _between(before[-1], after[0], frame, settings.growth_per_frame)
    if before:
        known, reach = before[::-1], settings.hold_frames
    else:
        known, reach = after, settings.backfill_frames
    if abs(frame - known[0].frame) > reach:
        return None
    return _beyond(known, frame, settings.growth_per_frame)


def _between(last: Sighting, following: Sighting, frame: int, growth: float) -> Boxes:
    if last.frame == following.frame:
        return last.box
    share = (frame - last.frame) / (following.frame - last.frame)
    nearest_frames = min(frame - last.frame, following.frame - frame)
    return dilate(last.box + share * (following.box - last.box), growth * nearest_frames)


def _beyond(known: Sequence[Sighting], frame: int, growth: float) -> Boxes:
    """Outside of what is known, whose nearest sighting comes first: still there, or gone on as it moved."""
    nearest = known[0]
    moved = nearest.box
    if len(known) > 1:
        steps = (frame - nearest.frame) / (nearest.frame - known[1].frame)
        moved = nearest.box + steps * (_centre(nearest.box) - _centre(known[1].box))
    covered = hull(np.concatenate([nearest.box, moved]))
    return _grown(covered, nearest.box, growth * abs(frame - nearest.frame))


def _grown(covered: Boxes, box: Boxes, share: float) -> Boxes:
    """What is covered, grown on every side by a share of the box's size."""
    return covered + (dilate(box, share) - box)


def _centre(box: Boxes) -> Boxes:
    """A box's centre twice, float32 [1, 4], so that it can be added to boxes."""
    return np.tile((box[:, :2] + box[:, 2:]) / 2, 2)
