"""From a picture to proposals, in three looks: one that misses little, one that doubts, and one that doubts the doubt.

Stage 1 proposes at a low threshold. Stage 2, the verifier, says of each proposal how sure it is; that is its confidence
from then on. What the verifier rejected, the secondary check may put back, and what it was not sure of, dismiss; where
there is no such check, doubt is enough to hide. Nothing is taken away: a rejected proposal stays in the list, with a
confidence below the region's threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from components.detection.detector import Detector
from components.detection.panorama import detect_around, merge_around
from components.detection.region_rules import Outcome, decide, reaches_threshold, thresholds
from components.detection.safety_check import WIDE, answers, look_again
from components.detection.scales import detect_at_scales
from components.detection.suppression import merge_duplicates
from components.detection.tiles import detect_in_tiles
from components.detection.verifier import Verifier
from components.detections import (
    CLASS_IDS,
    CLASS_NAMES,
    LICENSE_PLATE,
    STAGE_SECONDARY,
    STAGE_VERIFIER,
    Boxes,
    Detections,
    Mask,
    heights,
    widths,
)
from components.imaging.reading import Pixels
from components.settings import Detection, PerClass, PixelsPerClass, Region

Confidence = NDArray[np.float32]

_JUST_BELOW = 1 - 1e-4  # so that no rounding brings what was dismissed back to the threshold


@dataclass(frozen=True, slots=True, eq=False)
class Proposals:
    """Everything that could be a face or a plate, strongest first, with what each look has said.

    Attributes:
        found: boxes, classes, the confidence that the region's threshold decides on, and the stage it is from.
        stage1, stage2, secondary: float32 [n], each look's own confidence; NaN where it has not looked.
    """

    found: Detections
    stage1: Confidence
    stage2: Confidence
    secondary: Confidence

    @classmethod
    def of_stage1(cls, found: Detections) -> Proposals:
        """Proposals that nobody has looked at again."""
        unasked = np.full(len(found), np.nan, np.float32)
        return cls(found, found.confidence, unasked, unasked.copy())

    def select(self, rows: NDArray) -> Proposals:
        """The rows chosen by a mask or by indices."""
        return Proposals(self.found.select(rows), self.stage1[rows], self.stage2[rows], self.secondary[rows])

    def followed_by(self, other: Proposals) -> Proposals:
        """The rows of both."""
        return Proposals(
            Detections.concatenate([self.found, other.found]),
            np.concatenate([self.stage1, other.stage1]),
            np.concatenate([self.stage2, other.stage2]),
            np.concatenate([self.secondary, other.secondary]),
        )


@dataclass(frozen=True, slots=True)
class Cascade:
    """The networks of a model, with the settings they are run with.

    Attributes:
        detectors: stage 1.
        settings: how pictures are shown to them.
        verifier: stage 2; without it, stage 1 has the last word.
        safety: the detectors of the secondary check.
    """

    detectors: Sequence[Detector]
    settings: Detection
    verifier: Verifier | None = None
    safety: Sequence[Detector] = ()

    def propose(self, pixels: Pixels, region: Region, wraps: bool = False) -> Detections:
        """What `examine` finds, each with its last confidence only."""
        return self.examine(pixels, region, wraps).found

    def examine(self, pixels: Pixels, region: Region, wraps: bool = False, sampled: bool = False) -> Proposals:
        """Everything that could be a face or a plate, down to `proposal_threshold`, strongest first.

        Args:
            pixels: uint8 [h, w, 3] RGB, upright.
            region: whose thresholds say what must stay covered when duplicates are merged, and which secondary
                check is made.
            wraps: it is an equirectangular panorama whose left and right border are one place; x2 of a box that
                reaches over this seam is greater than the width. There is no secondary check of panoramas.
            sampled: the secondary check looks at the whole picture too, whatever the region asks for.

        Raises:
            ModelError: a network's output cannot be trusted.
        """
        seen = Proposals.of_stage1(self._stage1(pixels, region, wraps))
        if self.verifier is not None:
            seen = self._verified(self.verifier, seen, pixels, region, wraps)
        if self.safety and not wraps and region.safety_check != "off":
            seen = self._with_windows(seen, pixels, region)
        if self.safety and not wraps and (sampled or region.safety_check == "whole"):
            seen = self._with_whole(seen, pixels, region)
        return seen.select(np.argsort(-seen.found.confidence, kind="stable"))

    def _stage1(self, pixels: Pixels, region: Region, wraps: bool) -> Detections:
        min_iou = self.settings.merge_iou
        if wraps:
            found, cut = detect_around(self._detect, pixels, self.settings)
            return merge_around(found, cut, min_iou, reaches_threshold(found, region), pixels.shape[1])
        found = self._detect(pixels)
        return merge_duplicates(found, min_iou, reaches_threshold(found, region))

    def _detect(self, pixels: Pixels) -> Detections:
        return self._look(self.detectors, pixels, self.settings.proposal_threshold)

    def _look(self, detectors: Sequence[Detector], pixels: Pixels, threshold: float) -> Detections:
        settings = self.settings
        return Detections.concatenate(
            detect_in_tiles(detector, pixels, threshold, settings.tile_px[detector.name], settings.tile_overlap_px)
            if detector.name in settings.tile_px
            else detect_at_scales(detector, pixels, threshold, settings.scales)
            for detector in detectors
        )

    def _verified(self, verifier: Verifier, seen: Proposals, pixels: Pixels, region: Region, wraps: bool) -> Proposals:
        found = seen.found
        sure = verifier.verify(pixels, found, wraps)
        told = Detections.of(found.xyxy, sure, found.class_id, found.stage)
        stage = np.where(reaches_threshold(told, region), STAGE_VERIFIER, found.stage)
        return Proposals(Detections.of(found.xyxy, sure, found.class_id, stage), seen.stage1, sure, seen.secondary)

    def _with_windows(self, seen: Proposals, pixels: Pixels, region: Region) -> Proposals:
        """Windows around what the region would hide, were it surer, and around what the verifier doubts."""
        check, found = self.settings.safety_check, seen.found
        outcomes = np.array(decide(found, region), object)
        rejected, hidden = outcomes == Outcome.BELOW_THRESHOLD, outcomes == Outcome.BLURRED
        in_doubt = hidden & (found.confidence < self._of_class(check.trusted_from, found))
        in_doubt &= np.minimum(widths(found.xyxy), heights(found.xyxy)) >= self._of_class(
            check.dismissed_from_px, found
        )
        is_steep = widths(found.xyxy) < check.steep_plate_aspect * heights(found.xyxy)
        in_doubt &= (found.class_id != LICENSE_PLATE) | ~is_steep
        always = hidden & _is_of(check.always_asked, found)
        if self.verifier is None or region.safety_check != "doubtful":
            in_doubt[:] = always[:] = False
        rows = np.flatnonzero((rejected | in_doubt | always) & (found.confidence >= check.asked_from))
        confidence, boxes = np.full(len(found), np.nan, np.float32), found.xyxy.copy()
        confidence[rows], boxes[rows] = look_again(self.safety, pixels, found.select(rows), check)
        twice = in_doubt & _is_of(check.asked_twice, found) & ~np.isnan(confidence)
        rows = np.flatnonzero(twice & ~self._is_sure(found, confidence))
        wide, wide_boxes = look_again(self.safety, pixels, found.select(rows), check, WIDE)
        boxes[rows] = np.where((wide > confidence[rows])[:, None], wide_boxes, boxes[rows])
        confidence[rows] = np.maximum(confidence[rows], wide)
        return self._believed(self._dismissed(seen, in_doubt, confidence, region), confidence, boxes, region)

    def _dismissed(self, seen: Proposals, in_doubt: Mask, confidence: Confidence, region: Region) -> Proposals:
        """What the verifier doubts and others do not see falls below the threshold, in its order."""
        found = seen.found
        falls = in_doubt & ~np.isnan(confidence) & ~self._is_sure(found, confidence)
        threshold, trusted = thresholds(found, region), self._of_class(self.settings.safety_check.trusted_from, found)
        lowered = np.where(falls, found.confidence / trusted * threshold * _JUST_BELOW, found.confidence)
        stage = np.where(falls, STAGE_SECONDARY, found.stage)
        return replace(seen, found=Detections.of(found.xyxy, lowered, found.class_id, stage))

    def _with_whole(self, seen: Proposals, pixels: Pixels, region: Region) -> Proposals:
        """The whole picture: what is found speaks for the proposals at its place, or is a new one if it is sure."""
        looked = self._look(self.safety, pixels, self.settings.safety_check.doubt_from)
        looked = merge_duplicates(looked, self.settings.merge_iou, np.ones(len(looked), bool))
        confidence, boxes, is_free = answers(looked, seen.found)
        new = looked.select(is_free & self._is_sure(looked, looked.confidence))
        unseen, unasked = np.zeros(len(new), np.float32), np.full(len(new), np.nan, np.float32)
        told = np.maximum(new.confidence, thresholds(new, region))
        found = Detections.of(new.xyxy, told, new.class_id, STAGE_SECONDARY)
        added = Proposals(found, unseen, unasked, new.confidence)
        return self._believed(seen, confidence, boxes, region).followed_by(added)

    def _believed(self, seen: Proposals, confidence: Confidence, boxes: Boxes, region: Region) -> Proposals:
        """What the secondary check is sure of has its box, reaches the threshold, and is surer than before."""
        found = seen.found
        sure = self._is_sure(found, confidence)
        told = np.maximum(self._confirmed(found.confidence), np.fmax(confidence, thresholds(found, region)))
        raised = sure & (told > found.confidence)
        believed = Detections.of(
            np.where(sure[:, None], boxes, found.xyxy),
            np.where(raised, told, found.confidence),
            found.class_id,
            np.where(raised, STAGE_SECONDARY, found.stage),
        )
        return Proposals(believed, seen.stage1, seen.stage2, np.fmax(seen.secondary, confidence))

    def _confirmed(self, confidence: Confidence) -> Confidence:
        """A confidence whose odds are `confirmed_odds` times as high."""
        odds = self.settings.safety_check.confirmed_odds
        return confidence * odds / (1 + confidence * (odds - 1))

    def _is_sure(self, found: Detections, confidence: Confidence) -> Mask:
        return confidence >= self._of_class(self.settings.safety_check.sure_from, found)

    def _of_class(self, told: PerClass | PixelsPerClass, found: Detections) -> Confidence:
        return np.array([getattr(told, name) for name in CLASS_NAMES], np.float32)[found.class_id]


def _is_of(names: Sequence[str], found: Detections) -> Mask:
    return np.isin(found.class_id, [CLASS_IDS[name] for name in names])
