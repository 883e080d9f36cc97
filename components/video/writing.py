"""The adapter to PyAV (FFmpeg), writing: frames become a file, a sequence of pictures, or a stream.

A file appears under its name when it is complete and was read again; until then it has a draft's name, and a draft
that is not finished is removed. A stream is published as it is encoded.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from components.durable import is_alive, sync
from components.errors import StreetveilError
from components.imaging.reading import Pixels
from components.settings import Encoder, Video
from components.video.stream import Frame, Source, container_of, said

_FILES = {
    ".mp4": ("mp4", "libx264"),
    ".m4v": ("mp4", "libx264"),
    ".mov": ("mov", "libx264"),
    ".mkv": ("matroska", "libx264"),
    ".webm": ("webm", "libvpx-vp9"),
}
_SEQUENCES = {".png": ("image2", "png"), ".jpg": ("image2", "mjpeg"), ".jpeg": ("image2", "mjpeg")}
_STREAMS = {"rtsp": "rtsp", "rtsps": "rtsp", "rtmp": "flv", "rtmps": "flv", "udp": "mpegts", "tcp": "mpegts",
            "srt": "mpegts", "rtp": "rtp_mpegts"}  # fmt: skip
_PIXEL_FORMATS = {"png": "rgb24", "mjpeg": "yuvj420p"}
_NARROW, _FULL = 1, 2  # levels 16 to 235, as in video, or 0 to 255, as in pictures; FFmpeg's numbers
_DRAFT = re.compile(r"\.(?P<pid>\d+)-[0-9a-f]{8}\.draft")


@dataclass(frozen=True, slots=True)
class Target:
    """What is written.

    Attributes:
        address: as FFmpeg takes it.
        format, codec: of FFmpeg.
        place: the file, or the folder of a sequence, that appears when it is complete; None for a stream.
    """

    address: str
    format: str
    codec: str
    place: Path | None

    @property
    def is_sequence(self) -> bool:
        """It is a folder of pictures."""
        return self.format == "image2"


def target_of(given: str, source: Source, overwrite: bool = False) -> Target:
    """What a user's word means: a video file, a pattern of pictures in a folder, or a stream's address.

    Raises:
        StreetveilError: nothing can be written there, or something is there already.
    """
    scheme, _, rest = given.partition("://")
    if rest:
        if scheme not in _STREAMS:
            raise StreetveilError(f"{given}: cannot publish to {scheme}; choose one of {', '.join(sorted(_STREAMS))}")
        return Target(given, _STREAMS[scheme], "libx264", None)
    path = Path(given)
    kinds = _SEQUENCES if "%" in path.name else _FILES
    if path.suffix.lower() not in kinds:
        known = ", ".join((*_FILES, "or a pattern as blurred/%06d.png"))
        raise StreetveilError(f"{given}: cannot write this kind of file; choose {known}")
    place = path.parent if "%" in path.name else path
    if place.exists() and Path(source.address).exists() and place.samefile(source.address):
        raise StreetveilError(f"{given} is the source itself: name another output")
    if place.exists() and not (overwrite and place.is_file()):
        remedy = "use --overwrite or name another" if place.is_file() else "name a folder that is not there yet"
        raise StreetveilError(f"{place} exists already: {remedy}")
    return Target(given, *kinds[path.suffix.lower()], place)


class Writer:
    """An open target.

    Attributes:
        written: how many frames it has.
    """

    def __init__(self, container: Any, target: Target, encoder: Encoder, rate: Fraction, sound: Sound | None) -> None:
        self._container, self._target, self._encoder, self._rate = container, target, encoder, rate
        self._sound = sound
        self._track: Any = None
        self.written = 0

    def write(self, frame: Frame, pixels: Pixels | None) -> None:
        """Add a frame.

        Args:
            frame: whose time it has.
            pixels: uint8 [h, w, 3] RGB, upright; None for the frame as it was decoded, in which nothing is hidden.
        """
        image = frame.image if pixels is None else _image_of(pixels, frame)
        if self._track is None:
            self._start(frame, image)
        context = self._track.codec_context
        colours = {"dst_color_range": context.color_range}
        if pixels is not None:
            colours["dst_colorspace"] = image.colorspace
        image = image.reformat(width=context.width, height=context.height, format=context.pix_fmt, **colours)
        image.pts, image.time_base, image.pict_type = frame.pts, frame.time_base, 0
        if self._sound:
            self._sound.copy_until(frame.time_s)
        self._container.mux(self._track.encode(image))
        self.written += 1

    def finish(self) -> None:
        """Write what the encoder still holds, and the rest of the sound."""
        if self._track is None:
            raise StreetveilError("the source has no frame that can be decoded; nothing was written")
        self._container.mux(self._track.encode())
        if self._sound:
            self._sound.copy_until(None)

    def _start(self, frame: Frame, image: Any) -> None:
        target = self._target
        self._track = self._container.add_stream(target.codec, rate=self._rate, options=self._options())
        context = self._track.codec_context
        context.pix_fmt = _PIXEL_FORMATS.get(target.codec, "yuv420p")
        even = 1 if target.is_sequence else 2  # colours are stored for squares of 2 × 2 px
        context.width, context.height = (-(-side // even) * even for side in (image.width, image.height))
        context.time_base = 1 / self._rate if target.is_sequence else frame.time_base
        context.color_range = (
            _FULL if target.is_sequence else _NARROW
        )  # whatever the source has: 8 bits as players expect
        if not target.is_sequence:
            for name in ("colorspace", "color_primaries", "color_trc"):
                setattr(context, name, getattr(frame.image, name))
        if self._sound:
            self._sound.start()

    def _options(self) -> dict[str, str]:
        encoder, codec = self._encoder, self._target.codec
        if codec == "libvpx-vp9":
            return {"crf": str(encoder.crf), "b": "0", "deadline": "realtime", "cpu-used": "6"}
        if codec == "mjpeg":
            return {"qmin": str(encoder.jpeg_qscale), "qmax": str(encoder.jpeg_qscale)}
        live = {"tune": "zerolatency"} if self._target.place is None else {}
        return {"crf": str(encoder.crf), "preset": encoder.preset, **live} if codec == "libx264" else {}


class Sound:
    """The sound tracks of a file, copied bit by bit, a little ahead of the picture."""

    def __init__(self, read: Any, written: Any) -> None:
        self._read, self._written = read, written
        self._tracks: dict[int, Any] = {}
        self._packets: Iterator[Any] = iter(())
        self._next: Any = None

    def start(self) -> None:
        """Make the tracks; the picture's comes first."""
        for track in self._read.streams.audio:
            try:
                copy = self._written.add_stream_from_template(track)
            except ValueError as error:
                raise StreetveilError(
                    f"the output's format takes no {track.codec_context.name} sound ({said(error)}): "
                    "use --no-audio or an output in .mkv"
                ) from error
            copy.metadata.update({key: value for key, value in track.metadata.items() if key == "language"})
            self._tracks[track.index] = copy
        self._packets = self._read.demux(*self._read.streams.audio)
        self._next = next(self._packets, None)

    def copy_until(self, time_s: float | None) -> None:
        """Copy what is heard until then; None for all."""
        while self._next is not None:
            packet = self._next
            if packet.dts is not None:  # the demuxer's last packets are empty
                if time_s is not None and packet.dts * packet.time_base > time_s:
                    return
                packet.stream = self._tracks[packet.stream.index]
                self._written.mux(packet)
            self._next = next(self._packets, None)


@contextmanager
def writing(
    target: Target,
    settings: Video,
    rate: Fraction,
    metadata: dict[str, str],
    sound_of: Source | None = None,
) -> Iterator[Writer]:
    """Open a target; what the block has written appears when it ends, and nothing if it fails.

    Args:
        target: what is written.
        settings: how.
        rate: frames per second.
        metadata: of the output.
        sound_of: the file whose sound is copied.

    Raises:
        StreetveilError: it cannot be written, or is not what was written when it is read again.
    """
    if target.place is None:
        with _written(target, target.address, settings, rate, metadata, None) as writer:
            yield writer
        return
    _remove_leftovers(target.place)
    draft = target.place.with_name(f".{target.place.name}.{os.getpid()}-{secrets.token_hex(4)}.draft")
    try:
        if target.is_sequence:
            draft.mkdir(parents=True)
        address = str(draft / Path(target.address).name) if target.is_sequence else str(draft)
        with _written(target, address, settings, rate, metadata, sound_of) as writer:
            yield writer
        _check(target, draft, writer.written)
        _publish(draft, target.place)
    except OSError as error:
        raise StreetveilError(f"cannot write {target.place}: {said(error)}; nothing was published") from error
    finally:
        _remove(draft)


@contextmanager
def _written(
    target: Target, address: str, settings: Video, rate: Fraction, metadata: dict[str, str], sound_of: Source | None
) -> Iterator[Writer]:
    import av

    of_files = {"movflags": "+faststart+use_metadata_tags"}
    options = {"mp4": of_files, "mov": of_files, "rtsp": {"rtsp_transport": "tcp"}}.get(target.format, {})
    timeout = settings.stream_timeout_s if target.place is None else None
    try:
        container = av.open(address, "w", format=target.format, options=options, timeout=timeout)
    except (av.error.FFmpegError, ValueError) as error:
        raise StreetveilError(f"cannot publish to {target.address}: {said(error)}; is anybody listening?") from error
    try:
        with container:
            container.metadata.update(metadata)
            if sound_of is None:
                writer = Writer(container, target, settings.encoder, rate, None)
                yield writer
                writer.finish()
            else:
                with container_of(sound_of, settings) as read:
                    sound = Sound(read, container) if read.streams.audio else None
                    writer = Writer(container, target, settings.encoder, rate, sound)
                    yield writer
                    writer.finish()
    except av.error.FFmpegError as error:
        raise StreetveilError(f"cannot write {target.address}: {said(error)}; nothing more is published") from error


def _image_of(pixels: Pixels, frame: Frame) -> Any:
    import av

    image = av.VideoFrame.from_ndarray(pixels, format="rgb24")
    for name in ("colorspace", "color_primaries", "color_trc"):
        setattr(image, name, getattr(frame.image, name))
    return image


def _check(target: Target, draft: Path, written: int) -> None:
    """Read the draft again: it has as many frames as were written.

    Raises:
        StreetveilError: it has not.
    """
    import av

    if target.is_sequence:
        found = sum(1 for _ in draft.iterdir())
    else:
        with av.open(str(draft)) as container:
            found = sum(packet.size > 0 for packet in container.demux(video=0))
    if found != written:
        raise StreetveilError(f"{target.place}: {found} of {written} frames are in the file; nothing was published")


def _publish(draft: Path, place: Path) -> None:
    for path in (draft, *draft.rglob("*")) if draft.is_dir() else (draft,):
        sync(path)
    draft.replace(place)
    sync(place.parent)


def _remove_leftovers(place: Path) -> None:
    """Remove drafts of this output whose writers no longer live."""
    place.parent.mkdir(parents=True, exist_ok=True)
    for path in place.parent.iterdir():
        match = _DRAFT.fullmatch(path.name.removeprefix(f".{place.name}"))
        if path.name.startswith(f".{place.name}") and match and not is_alive(int(match["pid"])):
            _remove(path)


def _remove(draft: Path) -> None:
    with suppress(FileNotFoundError):
        shutil.rmtree(draft) if draft.is_dir() else draft.unlink()
