"""A JPEG file as its chain of segments, from the first marker to the last, with nothing in between left unseen.

Nothing is decoded: the walk jumps from marker to marker, and through a scan's data from one `0xFF` to the next.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

SOI, EOI, SOS, DQT, DHT, DRI, DNL, COM = 0xD8, 0xD9, 0xDA, 0xDB, 0xC4, 0xDD, 0xDC, 0xFE
APP0, APP1, APP2, APP13, APP14 = 0xE0, 0xE1, 0xE2, 0xED, 0xEE
START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {DHT, 0xC8, 0xCC}
RESTART = frozenset(range(0xD0, 0xD8))
MAX_PAYLOAD = 0xFFFF - 2
# Markers that stand alone, or that no single picture has (hierarchical and reserved ones): all out of place.
_OUT_OF_PLACE = RESTART | frozenset(range(0x00, 0xC0)) | {SOI, 0xC8, 0xDE, 0xDF} | frozenset(range(0xF0, 0xFE))
# Any number of 0xFF may come before a marker as filling. A scan's data ends at the first 0xFF that is neither stuffed
# (0x00 follows) nor part of a restart marker.
_MARKER = re.compile(rb"\xff+([^\x00\xff])", re.DOTALL)
_END_OF_DATA = re.compile(rb"\xff[^\x00\xd0-\xd7]", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment.

    Attributes:
        marker: the marker's second byte, such as 0xE1.
        start: where the marker's 0xFF stands. Fill bytes before it belong to no segment.
        payload: what stands behind the length field; empty for the end of the image.
        data: a scan's entropy-coded data, with its restart markers and stuffed zeros; empty for all others.
        end: where the next segment, or its fill bytes, start.
    """

    marker: int
    start: int
    payload: memoryview
    data: memoryview
    end: int


def walk(jpeg_bytes: bytes, is_header_only: bool = False) -> Iterator[Segment]:
    """All segments after the start-of-image marker, the end-of-image marker included.

    What stands behind the end of the image is not looked at: compare the last segment's `end` with the length.

    Args:
        jpeg_bytes: the file.
        is_header_only: stop before the first scan, so that its data need not be searched for its end.

    Raises:
        ValueError: on the way, as soon as the chain breaks: something stands where a marker should, a length leads
            out of the file, a marker is out of place, the frame is missing or doubled, or the file ends early.
    """
    if jpeg_bytes[:2] != b"\xff\xd8":
        raise ValueError("does not start with a start-of-image marker")
    view = memoryview(jpeg_bytes)
    nothing = view[:0]
    position, frames, scans = 2, 0, 0
    while True:
        start = _next_marker(jpeg_bytes, position)
        marker = jpeg_bytes[start + 1]
        if marker in _OUT_OF_PLACE:
            raise ValueError(f"marker 0x{marker:02X} at byte {start} is out of place")
        if marker == EOI:
            if not scans:
                raise ValueError("the image ends before its first scan")
            yield Segment(EOI, start, nothing, nothing, start + 2)
            return
        position = _end_of_payload(jpeg_bytes, start)
        frames += marker in START_OF_FRAME
        if frames > 1 or (marker == SOS and not frames):
            raise ValueError(f"segment 0x{marker:02X} at byte {start}: not exactly one frame comes before the scans")
        payload, data = view[start + 4 : position], nothing
        if marker == SOS and is_header_only:
            return
        if marker == SOS:
            scans += 1
            found = _END_OF_DATA.search(jpeg_bytes, position)
            if found is None:
                raise ValueError(f"the scan at byte {start} does not end")
            data = view[position : found.start()]
            position = found.start()
        yield Segment(marker, start, payload, data, position)


def end_of_image(jpeg_bytes: bytes) -> int:
    """Where the image ends; whatever stands from there on does not belong to it.

    Raises:
        ValueError: the chain of segments breaks before.
    """
    end = 0
    for segment in walk(jpeg_bytes):
        end = segment.end
    return end


def segment(marker: int, payload: bytes) -> bytes:
    """A segment's bytes.

    Raises:
        ValueError: the payload does not fit into one segment.
    """
    if len(payload) > MAX_PAYLOAD:
        raise ValueError(f"{len(payload)} bytes do not fit into one JPEG segment")
    return bytes((0xFF, marker)) + (len(payload) + 2).to_bytes(2, "big") + payload


def _next_marker(jpeg_bytes: bytes, position: int) -> int:
    """Where the last 0xFF of the next marker stands."""
    found = _MARKER.match(jpeg_bytes, position)
    if found is None:
        raise ValueError(f"no marker stands at byte {position}")
    return found.start(1) - 1


def _end_of_payload(jpeg_bytes: bytes, start: int) -> int:
    length = int.from_bytes(jpeg_bytes[start + 2 : start + 4], "big")
    end = start + 2 + length
    if length < 2 or end > len(jpeg_bytes):
        raise ValueError(f"the length of the segment at byte {start} leads out of the file")
    return end
