"""What the service takes on, and when a report is about a place that was reported before."""

from __future__ import annotations

from pydantic import model_validator

from components.settings.base import Count, Frozen, Positive, Share


class ServiceLimits(Frozen):
    """Bounds on one request, and on all of them at once.

    Attributes:
        max_file_mib, max_megapixels: of one picture.
        max_requests: under way at once, those that upload or wait included; they bound the memory.
        max_requests_per_token: of one token.
        upload_s: how long a body may take to arrive.
        image_s: how long the work on one picture may take.
        request_s: from the first byte to the last, waiting included.
        max_regions: that a person may draw on one picture.
        shutdown_s: how long what is under way may take once the service is stopped.
    """

    max_file_mib: Positive
    max_megapixels: Positive
    max_requests: Count
    max_requests_per_token: Count
    upload_s: Positive
    image_s: Positive
    request_s: Positive
    max_regions: Count
    shutdown_s: Count

    @model_validator(mode="after")
    def _a_request_outlives_its_parts(self) -> ServiceLimits:
        if self.request_s < max(self.upload_s, self.image_s):
            raise ValueError("request_s: must not be below upload_s or image_s")
        return self


class UserReports(Frozen):
    """How reports of the public are joined.

    Attributes:
        same_place_iou: from which overlap on two boxes of one kind on one image are one report.
    """

    same_place_iou: Share
