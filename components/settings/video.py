"""How videos and live streams are searched, followed and written."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from components.settings.base import Count, Frozen, NotNegative, Positive


class Encoder(Frozen):
    """How pictures are written.

    Attributes:
        crf: constant rate factor of H.264 and VP9; lower is better and larger.
        preset: of x264, how long it tries.
        jpeg_qscale: of JPEG sequences, 1 is the best.
    """

    crf: Annotated[int, Field(ge=0, le=51)]
    preset: Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow"]
    jpeg_qscale: Annotated[int, Field(ge=1, le=31)]


class Video(Frozen):
    """How objects are followed from frame to frame, and how long they stay hidden where nobody has seen them.

    Attributes:
        detect_every_frames: the detectors see every so manieth frame.
        cut_difference: mean difference of two frames, grey levels, from which a new scene begins.
        lookahead_frames: how much of a file is known before a frame is written.
        delay_frames: the same of a stream.
        hold_frames: how long an object stays hidden after it was last seen.
        backfill_frames: how long before it was first seen it is hidden already.
        growth_per_frame: share of its size by which a box grows for each frame between it and the next sighting.
        match_buffer: share of its size by which a box grows on every side before sightings are compared.
        match_min_iou: overlap of grown boxes from which two sightings are one object's.
        queue_frames: how many frames wait between two steps.
        sequence_fps: pictures per second of a sequence.
        stream_timeout_s: how long a silent stream is waited for.
    """

    detect_every_frames: Count
    cut_difference: Annotated[float, Field(gt=0, le=255)]
    lookahead_frames: Count
    delay_frames: Count
    hold_frames: Annotated[int, Field(ge=0)]
    backfill_frames: Annotated[int, Field(ge=0)]
    growth_per_frame: NotNegative
    match_buffer: NotNegative
    match_min_iou: Annotated[float, Field(gt=0, lt=1)]
    queue_frames: Count
    sequence_fps: Positive
    stream_timeout_s: Positive
    encoder: Encoder

    @model_validator(mode="after")
    def _nothing_is_written_before_it_is_searched(self) -> Video:
        for key in ("lookahead_frames", "delay_frames"):
            if getattr(self, key) < self.detect_every_frames:
                raise ValueError(f"{key}: must be at least detect_every_frames ({self.detect_every_frames})")
        if min(self.hold_frames, self.backfill_frames) < self.detect_every_frames:
            raise ValueError(
                f"hold_frames, backfill_frames: must be at least detect_every_frames ({self.detect_every_frames}), "
                "or frames between two looks stay open"
            )
        return self
