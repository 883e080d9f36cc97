"""What is hidden in each frame, once enough of what follows is known.

A frame waits until the detectors have looked at it or behind it, and until so many frames have followed as the settings
ask for. Frames between a search that failed and its neighbours are hidden as a whole.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.detections import CLASS_NAMES, Detections
from components.settings import Region, Video
from components.video.search import Found, Look
from components.video.stream import Frame
from components.video.tracking import UNTRACKED, Trackers
from components.video.tracks import Sighting, box_at

_KEPT_SIGHTINGS = 2  # before the frames that wait: a box, and how it moved


@dataclass(frozen=True, slots=True, eq=False)
class Planned:
    """A frame and what is to be hidden in it.

    Attributes:
        frame: the frame.
        objects: with the boxes that they have in this frame; None if the whole frame is to be hidden.
        tracks: [n], whose each is.
        failure: why the whole frame is hidden.
    """

    frame: Frame
    objects: Detections | None
    tracks: NDArray[np.intp]
    failure: str | None = None


class Timeline:
    """The frames that wait, and the tracks through them.

    Args:
        region: whose thresholds say what is surely an object.
        settings: how objects are followed.
        waits_for: how many frames must have followed before one is planned.
    """

    def __init__(self, region: Region, settings: Video, waits_for: int) -> None:
        self._settings, self._waits_for = settings, waits_for
        self._trackers = Trackers(region, settings)
        self._sightings: dict[int, list[Sighting]] = {}
        self._class_of: dict[int, int] = {}
        self._waiting: deque[Look] = deque()
        self._searched: deque[Look] = deque()
        self.objects = dict.fromkeys(CLASS_NAMES, 0)

    def plan(self, looks: Iterable[Look]) -> Iterator[Planned]:
        """Plan frames in order; the last look must be a search."""
        for look in looks:
            self._waiting.append(look)
            if look.is_cut:
                self._trackers.new_scene()
            if look.is_searched:
                self._searched.append(look)
            if look.found is not None:
                self._see(look.frame.index, look.found)
            while self._is_ready(look.frame.index):
                yield self._planned(self._waiting.popleft().frame)
        while self._waiting:
            yield self._planned(self._waiting.popleft().frame)

    def _is_ready(self, newest: int) -> bool:
        if not self._waiting or not self._searched:
            return False
        first = self._waiting[0].frame.index
        return first + self._waits_for <= newest and first <= self._searched[-1].frame.index

    def _see(self, frame: int, found: Found) -> None:
        for row, number in enumerate(self._trackers.update(found.objects, found.sure).tolist()):
            if number != UNTRACKED:
                if number not in self._class_of:
                    self._class_of[number] = int(found.objects.class_id[row])
                    self.objects[CLASS_NAMES[self._class_of[number]]] += 1
                self._sightings.setdefault(number, []).append(Sighting(frame, found.objects.xyxy[row : row + 1]))

    def _planned(self, frame: Frame) -> Planned:
        self._forget(frame.index)
        none = np.zeros(0, np.intp)
        for look in (self._last_search(frame.index), self._next_search(frame.index)):
            if look is None or look.failure is not None:
                return Planned(frame, None, none, "it was never searched" if look is None else look.failure)
        boxes = {number: box_at(seen, frame.index, self._settings) for number, seen in self._sightings.items()}
        there = {number: box for number, box in boxes.items() if box is not None}
        if not there:
            return Planned(frame, Detections.empty(), none)
        classes = [self._class_of[number] for number in there]
        return Planned(frame, Detections.of(np.concatenate(list(there.values())), 1, classes), np.array(list(there)))

    def _last_search(self, frame: int) -> Look | None:
        return next((look for look in reversed(self._searched) if look.frame.index <= frame), None)

    def _next_search(self, frame: int) -> Look | None:
        return next((look for look in self._searched if look.frame.index >= frame), None)

    def _forget(self, frame: int) -> None:
        """Drop what no frame from this one on can need."""
        while len(self._searched) > 1 and self._searched[1].frame.index <= frame:
            self._searched.popleft()
        oldest = frame - self._settings.hold_frames - self._kept_frames()
        for number, seen in list(self._sightings.items()):
            if seen[-1].frame < oldest:
                del self._sightings[number], self._class_of[number]
                continue
            past = sum(sighting.frame <= frame for sighting in seen)
            del seen[: max(0, past - _KEPT_SIGHTINGS)]

    def _kept_frames(self) -> int:
        """For how long a tracker may go on with a track that it has lost."""
        return self._settings.lookahead_frames + self._settings.detect_every_frames
