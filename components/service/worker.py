"""One worker process of the service: bytes in, published bytes out, by the very steps of a nightly run."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace

from components.batch.worker import blurring_of, faults_of_one_image, prepared
from components.blurring import Blurring, blur_image
from components.detection.bundle import Bundle
from components.detection.onnx_runtime import Device
from components.detection.policies import choose
from components.detection.region_rules import Outcome
from components.detections import CLASS_NAMES, Detections, pixel_boxes
from components.errors import StreetveilError
from components.imaging.metadata.location import location_of
from components.settings import Params, Region

_KEY_BYTES = 32
MEDIA_TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "TIFF": "image/tiff"}


class RegionError(StreetveilError):
    """A region that a person has drawn holds no pixel of the picture."""


@dataclass(frozen=True, slots=True)
class ServiceOrder:
    """All that a worker must know; the same for every picture.

    Attributes:
        bundle: the model.
        params: all settings; `reading` has the service's own limits.
        region_name: whose rules apply to every picture; None leaves that to the policies.
        device: where the model runs.
        key: the noise's secret, for answers that can be repeated; None draws another one for each picture, which
            nobody ever sees.
    """

    bundle: Bundle
    params: Params
    region_name: str | None
    device: Device = "cpu"
    key: bytes | None = None

    def __repr__(self) -> str:
        return f"ServiceOrder({self.region_name!r}, version {self.bundle.version}, key=<secret>)"

    @property
    def region_words(self) -> str:
        """Whose rules apply, for people."""
        return self.params.region_words(self.region_name)

    def region_of(self, source_bytes: bytes) -> Region:
        """The rules for a picture, which comes without a folder."""
        chosen = self.region_name or choose(self.params, "", location_of(source_bytes)).region
        return self.params.regions[chosen]


@dataclass(frozen=True, slots=True)
class Hidden:
    """Something that is hidden in an answer: x1, y1, x2, y2 in px of the upright picture, without dilation."""

    class_name: str
    box: tuple[int, int, int, int]
    by: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Answer:
    """A picture that may be published, and what is hidden in it."""

    output: bytes = field(repr=False)
    media_type: str
    blurring_id: str
    hidden: tuple[Hidden, ...]
    stage_ms: dict[str, float]


def limited(params: Params) -> Params:
    """The settings with the service's limits on a picture, where these are tighter than those of a run."""
    limits = params.service
    changes = {
        "max_file_mib": min(limits.max_file_mib, params.reading.max_file_mib),
        "max_megapixels": min(limits.max_megapixels, params.reading.max_megapixels),
    }
    return params.model_copy(update={"reading": params.reading.model_copy(update=changes)})


def load_service_blurring(order: ServiceOrder) -> Blurring:
    """The model and the recipe of the service, ready to work."""
    key = order.key or secrets.token_bytes(_KEY_BYTES)
    return blurring_of(order.bundle, order.params, order.region_name, key, order.device)


def answer(blurring: Blurring, source_bytes: bytes, drawn: Detections, keeps_key: bool) -> Answer:
    """Blur one picture.

    Args:
        blurring: how.
        source_bytes: the file.
        drawn: what a person has drawn on it, hidden in any case.
        keeps_key: draw the noise from the key of `blurring`, and not from one of this picture's own.

    Raises:
        ImageFault: it must not be published.
        RegionError: a region is outside of the picture.
    """
    if not keeps_key:
        blurring = replace(blurring, recipe=replace(blurring.recipe, run_key=secrets.token_bytes(_KEY_BYTES)))
    with faults_of_one_image():
        blurred = blur_image(source_bytes, blurring, drawn)
    picture = blurred.picture
    if len(pixel_boxes(drawn.xyxy, picture.width, picture.height)) < len(drawn):
        raise RegionError(f"a region lies outside of the picture, which is {picture.width}×{picture.height} px")
    chosen = blurred.proposals.found.select([outcome is Outcome.BLURRED for outcome in blurred.outcomes])
    return Answer(
        blurred.output,
        MEDIA_TYPES[picture.format],
        blurred.blurring_id,
        (*_hidden(chosen, "model"), *_hidden(drawn, "person")),
        blurred.stage_ms,
    )


def _hidden(found: Detections, by: str) -> list[Hidden]:
    return [
        Hidden(CLASS_NAMES[found.class_id[i]], _whole_px(found.xyxy[i].tolist()), by, float(found.confidence[i]))
        for i in range(len(found))
    ]


def _whole_px(box: list[float]) -> tuple[int, int, int, int]:
    x1, y1, x2, y2 = (round(side) for side in box)
    return x1, y1, x2, y2


# What a worker process holds between pictures. Set once by `start_worker`, in the worker only.
_held: tuple[ServiceOrder, Blurring] | None = None


def start_worker(order: ServiceOrder) -> None:
    """Prepare this process for the service."""
    global _held
    _held = order, prepared(lambda: load_service_blurring(order), order.params.batch.worker_memory_mib)


def is_ready() -> bool:
    """Whether this worker holds its model."""
    return _held is not None


def work(source_bytes: bytes, drawn: Detections) -> Answer:
    """Blur one picture in a started worker."""
    if _held is None:
        raise RuntimeError("start_worker was not called in this process")
    order, blurring = _held
    own = blurring.of_region(order.region_of(source_bytes))
    return answer(own, source_bytes, drawn, keeps_key=order.key is not None)
