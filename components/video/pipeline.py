"""A video from its source to its target; decoding, searching, hiding and encoding overlap, each in a thread of its own.

Between two steps only a few frames wait, so memory is bounded however slow a step is. The key of the noise lives in
memory and dies with the run: a video is never gone on with, so nobody needs it again.
"""

from __future__ import annotations

import hashlib
import queue
import secrets
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from components.detection.cascade import Cascade
from components.detection.region_rules import areas_to_hide
from components.imaging.noise import Grain, NoiseSource
from components.imaging.obfuscation import obfuscate
from components.imaging.reading import Pixels
from components.settings import Params, Region
from components.video.noise import TrackNoise
from components.video.search import Look, search
from components.video.stream import Frame, Source, opened
from components.video.timeline import Planned, Timeline
from components.video.writing import Target, writing

T = TypeVar("T")
_HIDDEN_GREY = 118  # of a frame that is hidden as a whole
_STOPS_WITHIN_S = 0.1


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a user may choose for one video.

    Attributes:
        audio: copy the sound of a file; streams have none, since their picture is delayed.
        keep_metadata: keep where and when it was taken.
        duration_s: how much is read; None for all.
    """

    audio: bool = True
    keep_metadata: bool = False
    duration_s: float | None = None


@dataclass(slots=True)
class VideoSummary:
    """What became of a video.

    Attributes:
        frames: in the output.
        searched: frames that the detectors have looked at.
        hidden_frames: frames that are hidden as a whole, since a search failed.
        failure: why the first of them failed.
        damaged: packets that the decoder refused.
        dropped: frames of a stream that came faster than they could be searched.
        objects: how many of each class were followed; an object that was lost and found counts again.
        duration_s: of the work.
        blurring_id: as the output carries it.
    """

    frames: int = 0
    searched: int = 0
    hidden_frames: int = 0
    failure: str | None = None
    damaged: int = 0
    dropped: int = 0
    objects: dict[str, int] = field(default_factory=dict)
    duration_s: float = 0.0
    blurring_id: str = ""

    def drop(self) -> None:
        """One frame came too fast."""
        self.dropped += 1

    @property
    def frames_per_s(self) -> float:
        """Frames written per second of work."""
        return self.frames / self.duration_s if self.duration_s else 0.0


def blur_video(
    source: Source,
    target: Target,
    cascade: Cascade,
    params: Params,
    region: Region,
    wishes: Wishes = Wishes(),
    *,
    stop: Callable[[], bool] = lambda: False,
    on_frame: Callable[[Frame], None] = lambda frame: None,
) -> VideoSummary:
    """Blur a video or a stream.

    Args:
        source: what is read.
        target: what is written.
        cascade: the detectors.
        params: all settings.
        region: whose rules apply.
        wishes: what the user has chosen.
        stop: asked before each packet; True ends the video there, and what was read is finished.
        on_frame: told of each frame that is written.

    Raises:
        StreetveilError: the source cannot be read, or the target not be written; no file appears.
    """
    start, settings = time.perf_counter(), params.video
    noise = NoiseSource(secrets.token_bytes(32), hashlib.sha256(source.address.encode()).hexdigest())
    summary = VideoSummary(blurring_id=noise.blurring_id())
    hiding = Hiding(region, noise, noise.grain(region.obfuscation.pixel_noise_std))
    timeline = Timeline(region, settings, settings.delay_frames if source.is_live else settings.lookahead_frames)
    with opened(source, settings, params.reading) as reader:
        read = reader.frames(stop, wishes.duration_s)
        decoded = overlapped(read, settings.queue_frames, summary.drop if source.is_live else None)
        looks = overlapped(_counted(search(decoded, cascade, region, settings), summary), settings.queue_frames)
        hidden = overlapped(hiding.hide_all(timeline.plan(looks)), settings.queue_frames)
        metadata = {"comment": f"blurring_id {summary.blurring_id}"}
        if wishes.keep_metadata:
            metadata |= reader.metadata()
        copied = source if wishes.audio and not source.is_live and not target.is_sequence else None
        with writing(target, settings, reader.rate, metadata, copied) as writer, closing(hidden):
            for planned, pixels in hidden:
                writer.write(planned.frame, pixels)
                summary.frames += 1
                summary.hidden_frames += planned.objects is None
                summary.failure = summary.failure or planned.failure
                on_frame(planned.frame)
        summary.damaged, summary.objects = reader.damaged, timeline.objects
    summary.duration_s = time.perf_counter() - start
    return summary


@dataclass(frozen=True, slots=True, eq=False)
class Hiding:
    """How the objects of one video are hidden.

    Attributes:
        region: whose rules apply.
        noise: of the video.
        grain: of the video.
    """

    region: Region
    noise: NoiseSource
    grain: Grain

    def hide_all(self, planned: Iterable[Planned]) -> Iterator[tuple[Planned, Pixels | None]]:
        """Frames as they are written: uint8 [h, w, 3] RGB, or None where the decoded frame stays as it is."""
        for plan in planned:
            yield plan, self.hide(plan)

    def hide(self, planned: Planned) -> Pixels | None:
        """One frame, as of `hide_all`."""
        frame = planned.frame
        if planned.objects is None:
            return np.full_like(frame.pixels(), _HIDDEN_GREY)
        if not len(planned.objects) and not frame.is_turned:
            return None
        pixels = frame.pixels()
        areas, tracks = self._areas(planned, pixels.shape[1], pixels.shape[0])
        return obfuscate(pixels, areas, self.region.obfuscation, TrackNoise(self.noise, self.grain, areas, tracks))

    def _areas(self, planned: Planned, width: int, height: int) -> tuple[NDArray[np.int32], NDArray[np.intp]]:
        """What hides the objects that are within the picture, and whose each area is."""
        objects = planned.objects
        assert objects is not None
        each = [areas_to_hide(objects.select([row]), self.region, width, height) for row in range(len(objects))]
        tracks = [track for track, areas in zip(planned.tracks, each, strict=True) for _ in areas]
        return np.concatenate([np.zeros((0, 4), np.int32), *each]), np.array(tracks, np.intp)


def overlapped(items: Iterable[T], size: int, on_drop: Callable[[], None] | None = None) -> Generator[T, None, None]:
    """The same items, made in a thread while the caller works on those before.

    An error of the items' maker is raised where they are taken; closing this ends the thread and closes the items.

    Args:
        items: an iterator that is used by nobody else.
        size: how many items may wait.
        on_drop: told of each item that is thrown away since nobody has taken the waiting ones; None to wait instead.
    """
    ready: queue.Queue[tuple[Any, BaseException | None]] = queue.Queue(size)
    stopped = threading.Event()

    def put(item: Any, end: BaseException | None = None) -> None:
        while not stopped.is_set():
            try:
                return ready.put((item, end), timeout=_STOPS_WITHIN_S)
            except queue.Full:
                if on_drop and end is None:
                    return on_drop()

    def work() -> None:
        try:
            for item in items:
                put(item)
                if stopped.is_set():
                    break
            put(None, StopIteration())
        except BaseException as error:  # it belongs to the thread that takes the items
            put(None, error)
        finally:
            if hasattr(items, "close"):
                items.close()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            item, end = ready.get()
            if isinstance(end, StopIteration):
                return
            if end is not None:
                raise end
            yield item
    finally:
        stopped.set()
        thread.join()


def _counted(looks: Iterable[Look], summary: VideoSummary) -> Iterator[Look]:
    for look in looks:
        summary.searched += look.is_searched
        yield look
