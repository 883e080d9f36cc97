"""The adapter to ByteTrack (Zhang 2022), which tells which sightings are one object's; it is ultralytics' own.

Each class has a tracker of its own, so that a face never becomes a plate. What is below the region's threshold begins
no track, and goes on with one: a face that the detectors doubt for a moment stays hidden.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.detections import CLASS_NAMES, Boxes, Detections, Mask, dilate
from components.settings import Region, Video

UNTRACKED = -1


class Trackers:
    """One scene's tracks, fed with the detections of one searched frame after another.

    Args:
        region: whose thresholds say what is surely an object.
        settings: how sightings are compared, and how long a lost track is kept.
    """

    def __init__(self, region: Region, settings: Video) -> None:
        self._settings = settings
        self._given = 0
        self._thresholds = [region.rule(name).threshold for name in CLASS_NAMES]
        self.new_scene()

    def new_scene(self) -> None:
        """Forget all tracks: what comes is another object, wherever it is."""
        kept_searches = max(1, self._settings.lookahead_frames // self._settings.detect_every_frames)
        self._of_class = [
            _byte_tracker(threshold, 1 - self._settings.match_min_iou, kept_searches) for threshold in self._thresholds
        ]
        self._ids: dict[tuple[int, int], int] = {}

    def update(self, found: Detections, sure: Mask) -> NDArray[np.intp]:
        """Tell which track each detection of the next searched frame belongs to.

        Args:
            found: all proposals that may be objects.
            sure: bool [n], which of them are hidden in any case.

        Returns:
            Track numbers [n], never used for another object; `UNTRACKED` for what is doubtful and continues no track.
        """
        numbers = np.full(len(found), UNTRACKED, np.intp)
        grown = dilate(found.xyxy, self._settings.match_buffer)
        for class_id, tracker in enumerate(self._of_class):
            rows = np.flatnonzero(found.class_id == class_id)
            tracker.update(_Seen(grown[rows], found.confidence[rows], found.class_id[rows].astype(np.float32)))
            for track in tracker.tracked_stracks:
                if track.frame_id == tracker.frame_id:
                    numbers[rows[int(track.idx)]] = self._number(class_id, track.track_id)
        for row in np.flatnonzero((numbers == UNTRACKED) & sure):  # what no tracker took is hidden all the same
            numbers[row] = self._new_number()
        return numbers

    def _number(self, class_id: int, track_id: int) -> int:
        key = class_id, track_id
        if key not in self._ids:
            self._ids[key] = self._new_number()
        return self._ids[key]

    def _new_number(self) -> int:
        self._given += 1
        return self._given


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """Detections as ByteTrack takes them."""

    xyxy: Boxes
    conf: NDArray[np.float32]
    cls: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.xyxy)

    def __getitem__(self, rows: Any) -> _Seen:
        return _Seen(self.xyxy[rows], self.conf[rows], self.cls[rows])

    @property
    def xywh(self) -> Boxes:
        """Centre, width and height [n, 4]; ByteTrack divides by the height."""
        size = np.maximum(self.xyxy[:, 2:] - self.xyxy[:, :2], 1)
        return np.concatenate([(self.xyxy[:, :2] + self.xyxy[:, 2:]) / 2, size], axis=1)


def _byte_tracker(threshold: float, max_cost: float, kept_searches: int) -> Any:
    from ultralytics.trackers.byte_tracker import BYTETracker

    import components.training.yolo  # noqa: F401 - before ultralytics, which it keeps from changing other libraries

    return BYTETracker(
        SimpleNamespace(
            track_high_thresh=threshold,
            track_low_thresh=0.0,
            new_track_thresh=threshold,
            track_buffer=kept_searches,
            match_thresh=max_cost,
            fuse_score=False,  # a doubtful face at the same place is the same face
        )
    )
