"""Noise that follows an object through a video.

Were it drawn anew for every frame, it would average out over a second of video. So it is a function of the track: an
object has one draw for as long as it is followed, wherever it moves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.detections import intersections
from components.imaging.noise import Grain, NoiseSource


@dataclass(frozen=True, slots=True, eq=False)
class TrackNoise:
    """The noise of one frame.

    Attributes:
        source: of the video.
        fine: the video's grain, the same in every frame.
        areas: int32 [n, 4] xyxy px, what is hidden in the frame.
        tracks: [n], whose area each is.
    """

    source: NoiseSource
    fine: Grain
    areas: NDArray[np.int32]
    tracks: NDArray[np.intp]

    def cell_noise(self, areas: NDArray[np.int32], cells: int, std: float) -> NDArray[np.float32]:
        """Normal noise for the cells of areas [n, 4], drawn for the oldest track in each; see `Noise.cell_noise`."""
        inside = intersections(areas, self.areas) > 0
        oldest = np.where(inside, self.tracks, np.iinfo(np.intp).max).min(axis=1)
        places = np.zeros((len(areas), 4), np.int32)
        places[:, 0] = oldest
        return self.source.cell_noise(places, cells, std)

    def grain(self, std: float) -> Grain:
        """Fine noise, the same at the same place of every frame."""
        return self.fine
