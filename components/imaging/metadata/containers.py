"""Where the four file formats keep their EXIF, ICC and XMP blocks: finding a source's blocks, whatever is in them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from components.imaging import jpeg_segments
from components.imaging.formats import Format
from components.imaging.metadata import exif, gpano, icc

EXIF_PREFIX = b"Exif\0\0"
XMP_PREFIX = b"http://ns.adobe.com/xap/1.0/\0"
ICC_PREFIX = b"ICC_PROFILE\0"
PNG_XMP_PREFIX = b"XML:com.adobe.xmp\0"
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
TIFF_XMP, TIFF_ICC = 700, 34675
# Far more than any encoder writes; bounds the time for a file that is nothing but empty chunks.
_MAX_CHUNKS = 200_000


@dataclass(frozen=True, slots=True)
class Blocks:
    """The blocks of a source, as they stand there; empty where there is none."""

    exif: bytes = b""
    icc: bytes = b""
    xmp: bytes = b""


@dataclass(frozen=True, slots=True)
class Chunk:
    """One chunk of a PNG or WebP.

    Attributes:
        name: its four letters.
        content: what is in it.
        start: where it starts in the file.
        end: where the next one starts.
    """

    name: bytes
    content: memoryview
    start: int
    end: int


def blocks(source_bytes: bytes, file_format: Format) -> Blocks:
    """The blocks of a source; of a broken container, those that come before the break."""
    find = {"JPEG": _of_jpeg, "PNG": _of_png, "WEBP": _of_webp, "TIFF": _of_tiff}[file_format]
    return find(source_bytes)


def png_chunks(png_bytes: bytes) -> Iterator[Chunk]:
    """The chunks of a PNG, up to IEND. Checksums are not looked at.

    Raises:
        ValueError: on the way, when a chunk leads out of the file, or there is no end.
    """
    view, position = memoryview(png_bytes), len(PNG_SIGNATURE)
    for _ in range(_MAX_CHUNKS):
        start, length = position, int.from_bytes(view[position : position + 4], "big")
        position = start + 12 + length
        if position > len(view):
            break
        name = bytes(view[start + 4 : start + 8])
        yield Chunk(name, view[start + 8 : position - 4], start, position)
        if name == b"IEND":
            return
    raise ValueError("the PNG has no end")


def webp_chunks(webp_bytes: bytes) -> Iterator[Chunk]:
    """The chunks of a WebP, as far as its header says that it reaches.

    Raises:
        ValueError: on the way, when a chunk leads out of the file.
    """
    view, position = memoryview(webp_bytes), 12
    end = 8 + int.from_bytes(view[4:8], "little")
    for _ in range(_MAX_CHUNKS):
        if position == end:
            return
        start, length = position, int.from_bytes(view[position + 4 : position + 8], "little")
        position = start + 8 + length + length % 2
        if position > min(end, len(view)):
            break
        yield Chunk(bytes(view[start : start + 4]), view[start + 8 : start + 8 + length], start, position)
    raise ValueError("a chunk leads out of the WebP")


def joined_icc(parts: list[bytes]) -> bytes:
    """A profile from the numbered parts that a JPEG splits it into; empty if one is missing or doubled."""
    numbered = sorted((part[:1], part[2:]) for part in parts)
    counts = {part[1:2] for part in parts}
    is_whole = counts == {bytes((len(parts) & 0xFF,))} and [i for i, _ in numbered] == [
        bytes((i & 0xFF,)) for i in range(1, len(parts) + 1)
    ]
    return b"".join(part for _, part in numbered) if is_whole else b""


def unpacked(packed: bytes | memoryview, max_bytes: int) -> bytes:
    """What a zlib stream unpacks to; empty if it is broken, goes on behind its end, or is larger than that."""
    unpacker = zlib.decompressobj()
    with suppress(zlib.error):
        content = unpacker.decompress(packed, max_bytes + 1)
        if unpacker.eof and not unpacker.unused_data and len(content) <= max_bytes:
            return content
    return b""


def _of_jpeg(source_bytes: bytes) -> Blocks:
    found: dict[bytes, bytes] = {}
    profile: list[bytes] = []
    with suppress(ValueError):
        # What stands between or behind scans is no camera's.
        for segment in jpeg_segments.walk(source_bytes, is_header_only=True):
            content = segment.payload
            for marker, prefix in ((jpeg_segments.APP1, EXIF_PREFIX), (jpeg_segments.APP1, XMP_PREFIX)):
                if segment.marker == marker and content[: len(prefix)] == prefix:
                    found.setdefault(prefix, bytes(content[len(prefix) :]))
            if segment.marker == jpeg_segments.APP2 and content[: len(ICC_PREFIX)] == ICC_PREFIX:
                profile.append(bytes(content[len(ICC_PREFIX) :]))
    return Blocks(found.get(EXIF_PREFIX, b""), joined_icc(profile), found.get(XMP_PREFIX, b""))


def _of_png(source_bytes: bytes) -> Blocks:
    found: dict[bytes, memoryview] = {}
    with suppress(ValueError):
        for chunk in png_chunks(source_bytes):
            if chunk.name in (b"eXIf", b"iCCP") or chunk.content[: len(PNG_XMP_PREFIX)] == PNG_XMP_PREFIX:
                found.setdefault(chunk.name, chunk.content)
    profile = b""
    if b"iCCP" in found:
        _, _, rest = bytes(found[b"iCCP"]).partition(b"\0")
        profile = unpacked(rest[1:], icc.MAX_PROFILE_BYTES)
    return Blocks(bytes(found.get(b"eXIf", b"")), profile, _png_xmp(found.get(b"iTXt", memoryview(b""))))


def _png_xmp(content: memoryview) -> bytes:
    """The packet in an international text: keyword, packed or not, method, language, translated keyword, text."""
    at = len(PNG_XMP_PREFIX)
    flags, rest = bytes(content[at : at + 2]), bytes(content[at + 2 :])
    text = rest.split(b"\0", 2)[-1]
    return unpacked(text, gpano.MAX_PACKET_BYTES) if flags[:1] == b"\1" else text


def _of_webp(source_bytes: bytes) -> Blocks:
    found: dict[bytes, memoryview] = {}
    with suppress(ValueError):
        for chunk in webp_chunks(source_bytes):
            if chunk.name in (b"EXIF", b"ICCP", b"XMP "):
                found.setdefault(chunk.name, chunk.content)
    nothing = memoryview(b"")
    block = bytes(found.get(b"EXIF", nothing)).removeprefix(EXIF_PREFIX)
    return Blocks(block, bytes(found.get(b"ICCP", nothing)), bytes(found.get(b"XMP ", nothing)))


def _of_tiff(source_bytes: bytes) -> Blocks:
    order = exif.byte_order(source_bytes)
    if order is None or len(source_bytes) < len(exif.HEADER):
        return Blocks()
    main = exif.directory(source_bytes, struct.unpack(f"{order}I", source_bytes[4:8])[0], order)
    found = [
        exif.value(source_bytes, main, tag, limit)
        for tag, limit in ((TIFF_ICC, icc.MAX_PROFILE_BYTES), (TIFF_XMP, gpano.MAX_PACKET_BYTES))
    ]
    profile, packet = (item.content if item and isinstance(item.content, bytes) else b"" for item in found)
    return Blocks(source_bytes, profile, packet)
