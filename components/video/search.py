"""Which frames the detectors look at, and what they find there.

They look at every n-th frame, at the first of each scene, and at the last. What they cannot search is no frame without
faces: it has failed, and nobody shall see it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.detection.cascade import Cascade
from components.detection.region_rules import Outcome, decide
from components.detections import Detections, Mask
from components.errors import StreetveilError
from components.settings import Region, Video
from components.video.stream import Frame


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What a search has found.

    Attributes:
        objects: what is hidden, and what would be, were it surer.
        sure: bool [n], which of them are hidden in any case.
    """

    objects: Detections
    sure: Mask


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """A frame, and what the detectors said of it.

    Attributes:
        frame: the frame.
        found: what they found; None if they did not look, or failed.
        failure: why they failed, in one line; None if they did not.
        is_cut: a new scene begins here.
    """

    frame: Frame
    found: Found | None = None
    failure: str | None = None
    is_cut: bool = False

    @property
    def is_searched(self) -> bool:
        """The detectors have looked here, whether they saw anything or not."""
        return self.found is not None or self.failure is not None


def search(frames: Iterable[Frame], cascade: Cascade, region: Region, settings: Video) -> Iterator[Look]:
    """Look at frames, as they come.

    Args:
        frames: in the order they are shown.
        cascade: the detectors.
        region: whose rules apply.
        settings: how often they look, and what a new scene is.
    """
    waiting: Frame | None = None  # not due; searched only if it turns out to be the last
    before: NDArray[np.uint8] | None = None
    since = 0
    for frame in frames:
        if waiting:
            yield Look(waiting)
            waiting = None
        thumbnail = frame.thumbnail()
        is_cut = before is not None and _difference(before, thumbnail) >= settings.cut_difference
        before, since = thumbnail, since + 1
        if is_cut or frame.index == 0 or since >= settings.detect_every_frames:
            yield _look(frame, cascade, region, is_cut)
            since = 0
        else:
            waiting = frame
    if waiting:
        yield _look(waiting, cascade, region, False)


def _look(frame: Frame, cascade: Cascade, region: Region, is_cut: bool) -> Look:
    try:
        proposals = cascade.propose(frame.pixels(), region)
    except Exception as error:  # whatever it was: nobody has searched this frame
        said = str(error) if isinstance(error, StreetveilError) else f"{type(error).__name__}: {error}"
        return Look(frame, failure=" ".join(said.split()), is_cut=is_cut)
    outcomes = decide(proposals, region)
    kept = [outcome in (Outcome.BLURRED, Outcome.BELOW_THRESHOLD) for outcome in outcomes]
    sure = np.array([outcome is Outcome.BLURRED for outcome in outcomes], bool)[kept]
    return Look(frame, Found(proposals.select(kept), sure), is_cut=is_cut)


def _difference(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Mean difference of two thumbnails, grey levels."""
    return float(np.abs(a.astype(np.int16) - b).mean())
