"""A picture in quarantine as a person may see it: decoded in a worker, since it may be hostile, not by the browser."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import cv2
import numpy as np

from components.batch.engines.engine import Engine
from components.batch.manifest import ImageRow
from components.batch.quarantine_desk.drafts import Region
from components.batch.sources import find_image, read_image
from components.batch.worker import faults_of_one_image, held
from components.blurring import find
from components.detection.region_rules import Outcome
from components.detections import CLASS_IDS, FACE, Detections, iou
from components.errors import ImageFault, Reason
from components.imaging.reading import Picture, decode

_QUALITY = 95
_SAME_PLACE_IOU = 0.5


@dataclass(frozen=True, slots=True)
class Found:
    """An object that will be hidden unless a person says otherwise.

    Attributes:
        region: where, rounded outwards to whole px.
        confidence: of the stage that decided; 0 where only the manifest knows it.
        only_before: the manifest knows it from an earlier look, and the detectors do not find it now.
    """

    region: Region
    confidence: float
    only_before: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a picture.

    Attributes:
        picture: as JPEG, upright.
        width, height: px.
        input_sha256: of the file.
        found: what the detectors and the manifest would hide.
        blind: why the detectors could not look at it, or None.
    """

    picture: bytes = field(repr=False)
    width: int
    height: int
    input_sha256: str
    found: tuple[Found, ...]
    blind: str | None


def look_at(engine: Engine, row: ImageRow) -> Look | ImageFault:
    """Look at a picture in a worker process.

    Returns:
        The look, or why there is nothing to see: the file is damaged, too large, gone, or kills whoever decodes it.
    """
    return next(answer for _, answer in engine.each(look, [row]))


def look_at_output(engine: Engine, row: ImageRow) -> bytes | ImageFault:
    """A published picture as JPEG, upright."""
    return next(answer for _, answer in engine.each(look_again, [row]))


def look(row: ImageRow) -> Look:
    """Decode and search an original, in a started worker.

    Raises:
        ImageFault: it cannot be read or decoded.
    """
    order, blurring = held()
    with faults_of_one_image():
        image = find_image(order.source, row.path)
        source_bytes = read_image(order.source, image, order.params.reading.max_file_mib)
        input_sha256 = hashlib.sha256(source_bytes).hexdigest()
        picture = decode(source_bytes, order.params.reading)
        own = blurring.of_region(order.params.regions[order.choice(row.path, source_bytes).region])
        found, blind = Detections.empty(), None
        try:
            proposals, outcomes, _ = find(picture, own, order.exemptions_for(row.path, input_sha256))
            found = proposals.found.select([outcome is Outcome.BLURRED for outcome in outcomes])
        except ImageFault as fault:
            blind = fault.detail
        told = (*_told(found, picture, False), *_told(_only_before(row, input_sha256, found), picture, True))
        return Look(_jpeg(picture), picture.width, picture.height, input_sha256, told, blind)


def look_again(row: ImageRow) -> bytes:
    """Decode an output, in a started worker.

    Raises:
        ImageFault: it cannot be read or decoded.
    """
    order, _ = held()
    with faults_of_one_image():
        return _jpeg(decode(order.destination.read(row.path), order.params.reading))


def _only_before(row: ImageRow, input_sha256: str, found: Detections) -> Detections:
    """What the manifest says was to be hidden in this very file and is not found now."""
    if row.input_sha256 != input_sha256:
        return Detections.empty()
    listed = [one for one in row.proposals if one.outcome == Outcome.BLURRED]
    before = Detections.of(
        np.array([(one.x1, one.y1, one.x2, one.y2) for one in listed], np.float32),
        0.0,
        [CLASS_IDS[one.class_name] for one in listed],
    )
    same = (iou(before.xyxy, found.xyxy) >= _SAME_PLACE_IOU) & (before.class_id[:, None] == found.class_id[None])
    return before.select(~same.any(axis=1))


def _told(found: Detections, picture: Picture, only_before: bool) -> list[Found]:
    told = []
    for (x1, y1, x2, y2), class_id, sure in zip(found.xyxy.tolist(), found.class_id, found.confidence, strict=True):
        # What goes on over the seam of a panorama reaches beyond its width.
        right = int(np.ceil(x2)) if picture.is_panorama else min(picture.width, int(np.ceil(x2)))
        region = Region(
            "face" if class_id == FACE else "license_plate",
            x1=max(0, int(np.floor(x1))),
            y1=max(0, int(np.floor(y1))),
            x2=right,
            y2=min(picture.height, int(np.ceil(y2))),
        )
        if region.x1 < region.x2 and region.y1 < region.y2:
            told.append(Found(region, round(float(sure), 3), only_before))
    return told


def _jpeg(picture: Picture) -> bytes:
    done, encoded = cv2.imencode(".jpg", picture.pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not done:
        raise ImageFault(Reason.TOO_LARGE, "a browser cannot show a picture of this size")
    return encoded.tobytes()
