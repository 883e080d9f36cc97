"""The chain of detectors that a registered model is, from picture to proposals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from components.detection.detector import Detector
from components.detection.panorama import detect_around, merge_around
from components.detection.region_rules import reaches_threshold
from components.detection.suppression import merge_duplicates
from components.detection.tiles import detect_in_tiles
from components.detections import Detections
from components.imaging.reading import Pixels
from components.settings import Detection, Region


@dataclass(frozen=True, slots=True)
class Cascade:
    """Detectors with the settings they are run with."""

    detectors: Sequence[Detector]
    settings: Detection

    def propose(self, pixels: Pixels, region: Region, wraps: bool = False) -> Detections:
        """Everything that could be a face or a plate, down to `proposal_threshold`, strongest first.

        Args:
            pixels: uint8 [h, w, 3] RGB, upright.
            region: whose thresholds say what must stay covered when duplicates are merged.
            wraps: it is an equirectangular panorama whose left and right border are one place; x2 of a box that
                reaches over this seam is greater than the width.

        Raises:
            ModelError: a network's output cannot be trusted.
        """
        min_iou = self.settings.merge_iou
        if wraps:
            found, cut = detect_around(self._detect, pixels, self.settings)
            return merge_around(found, cut, min_iou, reaches_threshold(found, region), pixels.shape[1])
        found = self._detect(pixels)
        return merge_duplicates(found, min_iou, reaches_threshold(found, region))

    def _detect(self, pixels: Pixels) -> Detections:
        settings = self.settings
        return Detections.concatenate(
            detect_in_tiles(
                detector,
                pixels,
                settings.proposal_threshold,
                settings.tile_px[detector.name],
                settings.tile_overlap_px,
            )
            for detector in self.detectors
        )
