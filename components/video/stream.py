"""The adapter to PyAV (FFmpeg), reading: files, sequences of pictures, cameras and streams become frames.

Read is the first real video track. Everything else that a file may carry stays behind: cover pictures, which show a
frame as it was, further tracks, subtitles, telemetry.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.errors import StreetveilError
from components.imaging.reading import Pixels
from components.settings import Reading, Video

_THUMBNAIL_PX = 32, 18
_PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
_SCHEME = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]+)://")
_IN_ONE_PIECE = ("http", "https")  # addresses of files, not of streams
_USUAL_RATE = Fraction(25)
# What says where and when a video was taken, and nothing of what is seen.
_PLACE_AND_TIME = (
    "location",
    "com.apple.quicktime.location.iso6709",
    "creation_time",
    "com.apple.quicktime.creationdate",
)


@dataclass(frozen=True, slots=True)
class Source:
    """What is read.

    Attributes:
        address: a path, a pattern of paths or an address, as FFmpeg takes it.
        is_live: it goes on as time does, and cannot be read twice.
        format: of FFmpeg; None if it can tell by itself.
        options: of that format.
    """

    address: str
    is_live: bool = False
    format: str | None = None
    options: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One decoded frame.

    Attributes:
        index: its number, from 0.
        image: PyAV's frame, as stored.
        pts: when it is shown, in units of `time_base`; rises from frame to frame.
        time_base: seconds.
    """

    index: int
    image: Any
    pts: int
    time_base: Fraction

    @property
    def time_s(self) -> float:
        """When it is shown."""
        return float(self.pts * self.time_base)

    @property
    def is_turned(self) -> bool:
        """It is not stored upright."""
        return self.image.rotation % 360 != 0

    def pixels(self) -> Pixels:
        """The upright picture, uint8 [h, w, 3] RGB."""
        return np.ascontiguousarray(np.rot90(self.image.to_ndarray(format="rgb24"), self.image.rotation // 90))

    def thumbnail(self) -> NDArray[np.uint8]:
        """A few grey pixels that tell one scene from another, uint8 [18, 32], as stored."""
        width, height = _THUMBNAIL_PX
        return np.asarray(self.image.reformat(width=width, height=height, format="gray").to_ndarray(), np.uint8)


def source_of(given: str, settings: Video) -> Source:
    """What a user's word means: a file, a folder or pattern of pictures, a camera's device, or an address.

    Raises:
        StreetveilError: there is no such file.
    """
    match = _SCHEME.match(given)
    if match:
        options = {"rtsp_transport": "tcp"} if match["scheme"].startswith("rtsp") else {}
        return Source(given, is_live=match["scheme"] not in _IN_ONE_PIECE, options=options)
    if given.startswith("/dev/video"):
        return Source(given, is_live=True, format="video4linux2,v4l2")
    rate = {"framerate": f"{settings.sequence_fps:g}"}
    path = Path(given)
    if path.is_dir():
        suffixes = {entry.suffix for entry in path.iterdir() if entry.suffix.lower() in _PICTURES}
        if len(suffixes) != 1:
            found = ", ".join(sorted(suffixes)) or "none"
            raise StreetveilError(f"{given}: a sequence has pictures of one suffix, found {found}; give a pattern %06d")
        escaped = re.sub(r"([*?\[\]{}\\])", r"\\\1", given)
        return Source(f"{escaped}/*{suffixes.pop()}", format="image2", options={"pattern_type": "glob", **rate})
    if "%" in path.name and not path.exists():
        return Source(given, format="image2", options=rate)
    if not path.is_file():
        raise StreetveilError(f"no video {given}: name a file, a folder or pattern of pictures, a camera or an address")
    return Source(given)


class Reader:
    """An open source.

    Attributes:
        rate: frames per second, as far as known.
        damaged: how many packets the decoder has refused so far; their frames are in no output.
    """

    def __init__(self, container: Any, source: Source, limits: Reading) -> None:
        import av

        self._container, self._source, self.damaged = container, source, 0
        covers = av.stream.Disposition.attached_pic
        tracks = [track for track in container.streams.video if not track.disposition & covers]
        if not tracks:
            raise StreetveilError(f"{source.address}: has no video track; name another file")
        self._track = tracks[0]
        width, height = self._track.codec_context.width, self._track.codec_context.height
        if width * height > limits.max_megapixels * 1e6 or max(width, height) > limits.max_side_px:
            raise StreetveilError(f"{source.address}: {width}×{height} px is more than reading.max_megapixels allows")
        if not source.is_live:
            self._track.thread_type = "AUTO"
        self.rate: Fraction = self._track.average_rate or self._track.guessed_rate or _USUAL_RATE

    def frames(self, stop: Callable[[], bool], duration_s: float | None) -> Iterator[Frame]:
        """All frames in the order they are shown.

        Args:
            stop: asked before each packet; True ends the video here.
            duration_s: how much is read; None for all.

        Raises:
            StreetveilError: a file cannot be read on. A stream that breaks off just ends.
        """
        step = max(1, round(1 / (self.rate * self._track.time_base)))
        first = last = None
        for index, image in enumerate(self._images(stop)):
            pts = (0 if last is None else last + step) if image.pts is None else image.pts
            pts = pts if last is None else max(pts, last + 1)
            first, last = pts if first is None else first, pts
            if duration_s is not None and (pts - first) * self._track.time_base >= duration_s:
                return
            yield Frame(index, image, pts, self._track.time_base)

    def _images(self, stop: Callable[[], bool]) -> Iterator[Any]:
        import av

        packets = self._container.demux(self._track)
        while not stop():
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.error.FFmpegError as error:
                if self._source.is_live:
                    return
                raise StreetveilError(f"{self._source.address}: cannot be read on ({said(error)})") from error
            try:
                yield from packet.decode()
            except av.error.EOFError:
                return
            except av.error.FFmpegError:
                self.damaged += 1

    def metadata(self) -> dict[str, str]:
        """Where and when the video was taken."""
        told = self._container.metadata.items()
        return {key: value for key, value in told if key.lower() in _PLACE_AND_TIME}


@contextmanager
def opened(source: Source, settings: Video, limits: Reading) -> Iterator[Reader]:
    """Open a source to read its frames.

    Raises:
        StreetveilError: it cannot be opened, has no video, or is too large.
    """
    with container_of(source, settings) as container:
        yield Reader(container, source, limits)


@contextmanager
def container_of(source: Source, settings: Video) -> Iterator[Any]:
    """PyAV's view of a source; arguments and errors as of `opened`."""
    import av

    timeout = settings.stream_timeout_s if _SCHEME.match(source.address) else None
    try:
        container = av.open(source.address, format=source.format, options=source.options, timeout=timeout)
    except (av.error.FFmpegError, ValueError) as error:
        raise StreetveilError(f"{source.address}: cannot be opened as video ({said(error)}); name another") from error
    with container:
        yield container


def said(error: Exception) -> str:
    """What FFmpeg has to say, in a few words."""
    number = getattr(error, "errno", None)
    return getattr(error, "strerror", None) or errno.errorcode.get(number or 0, str(error))
