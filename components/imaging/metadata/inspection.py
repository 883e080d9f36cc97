"""A second look at a file before it is published: everything in it that is not on the list of what may be.

No pixel is decoded. What cannot be followed to its end is a finding as well.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator

from components.imaging import jpeg_segments as jpeg
from components.imaging.formats import Format
from components.imaging.metadata import gpano, icc, tiff_inspection
from components.imaging.metadata.containers import (
    EXIF_PREFIX,
    ICC_PREFIX,
    PNG_SIGNATURE,
    PNG_XMP_PREFIX,
    XMP_PREFIX,
    Chunk,
    joined_icc,
    png_chunks,
    unpacked,
    webp_chunks,
)

_FRAMES = (0xC0, 0xC1, 0xC2, 0xC9, 0xCA)  # baseline, extended, progressive, and the latter two in arithmetic coding
_ARITHMETIC_CONDITIONING = 0xCC
_ADOBE = [b"Adobe\0\x64\0\0\0\0" + bytes((transform,)) for transform in range(3)]
_PNG_PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_PNG_PROFILE_PREFIX = b"ICC Profile\0\0"
_WEBP_PIXELS = (b"VP8X", b"VP8L", b"VP8 ", b"ALPH")


def find_forbidden(file_bytes: bytes, file_format: Format, allow_thumbnail: bool = False) -> list[str]:
    """What stands in a file and must not be published, in words; empty for a clean file.

    A finding names the place and never quotes what stands there, since it may end up in a log.

    Args:
        file_bytes: the output.
        file_format: what it should be.
        allow_thumbnail: its EXIF block may have a thumbnail, which is then looked at in the same way.
    """
    look = {"JPEG": _in_jpeg, "PNG": _in_png, "WEBP": _in_webp, "TIFF": _in_tiff}[file_format]
    findings: list[str] = []
    try:
        findings.extend(look(file_bytes, allow_thumbnail))
    except ValueError as error:
        findings.append(f"a {file_format} that cannot be followed: {error}")
    return findings


def _in_jpeg(file_bytes: bytes, allow_thumbnail: bool) -> Iterator[str]:
    end, blocks, profile = 2, [], []
    for segment in jpeg.walk(file_bytes):
        if segment.start != end:
            yield f"fill bytes before byte {segment.start}"
        end = segment.end
        content = bytes(segment.payload)
        if segment.marker == jpeg.APP1 and content.startswith(EXIF_PREFIX):
            blocks.append("EXIF")
            yield from _in_exif(content[len(EXIF_PREFIX) :], allow_thumbnail)
        elif segment.marker == jpeg.APP1 and content.startswith(XMP_PREFIX):
            blocks.append("XMP")
            yield from _in_xmp(content[len(XMP_PREFIX) :])
        elif segment.marker == jpeg.APP2 and content.startswith(ICC_PREFIX):
            profile.append(content[len(ICC_PREFIX) :])
        elif segment.marker == jpeg.APP0 and content.startswith(b"JFIF\0"):
            blocks.append("JFIF")
            if len(content) != 14 or content[12:] != b"\0\0":
                yield "a JFIF thumbnail"
        elif not _is_for_pixels(segment.marker, content):
            yield f"segment 0x{segment.marker:02X}"
    yield from (f"a second {name} block" for name in sorted(set(blocks)) if blocks.count(name) > 1)
    if profile:
        yield from _in_profile(joined_icc(profile))
    if end != len(file_bytes):
        yield f"{len(file_bytes) - end} bytes behind the end"


def _is_for_pixels(marker: int, content: bytes) -> bool:
    """Whether a segment is one that a decoder needs for the pixels, and exactly as long as what it says."""
    size = len(content)
    if marker == jpeg.EOI:
        return True
    if marker == jpeg.APP14:
        return content in _ADOBE
    if marker == jpeg.DRI:
        return size == 2
    if marker in _FRAMES:
        return size >= 6 and size == 6 + 3 * content[5]
    if marker == jpeg.SOS:
        return size >= 1 and size == 4 + 2 * content[0]
    if marker == jpeg.DQT:
        return _ends_exactly(content, lambda at: 129 if content[at] >> 4 else 65)
    if marker == jpeg.DHT:
        return _ends_exactly(content, lambda at: 17 + sum(content[at + 1 : at + 17]))
    return marker == _ARITHMETIC_CONDITIONING and size % 2 == 0 and size <= 64


def _ends_exactly(content: bytes, table_bytes: Callable[[int], int]) -> bool:
    """Whether tables, one behind the other, fill a segment."""
    at = 0
    while at < len(content):
        at += table_bytes(at)
    return at == len(content)


def _in_png(file_bytes: bytes, allow_thumbnail: bool) -> Iterator[str]:
    if not file_bytes.startswith(PNG_SIGNATURE):
        raise ValueError("it does not start with the signature")
    end = len(PNG_SIGNATURE)
    seen: list[bytes] = []
    for chunk in png_chunks(file_bytes):
        end = chunk.end
        if zlib.crc32(file_bytes[chunk.start + 4 : end - 4]).to_bytes(4, "big") != file_bytes[end - 4 : end]:
            yield f"a wrong checksum of chunk {chunk.name!r}"
        if chunk.name not in _PNG_PIXELS:
            yield from _in_png_chunk(chunk, allow_thumbnail)
        if chunk.name != b"IDAT":
            seen.append(chunk.name)
    yield from _doubled(seen)
    if end != len(file_bytes):
        yield f"{len(file_bytes) - end} bytes behind the end"


def _in_png_chunk(chunk: Chunk, allow_thumbnail: bool) -> Iterator[str]:
    content = bytes(chunk.content)
    xmp_prefix = PNG_XMP_PREFIX + bytes(4)  # not packed, no language, no translated keyword
    if chunk.name == b"eXIf":
        yield from _in_exif(content, allow_thumbnail)
    elif chunk.name == b"iCCP" and content.startswith(_PNG_PROFILE_PREFIX):
        yield from _in_profile(unpacked(content[len(_PNG_PROFILE_PREFIX) :], icc.MAX_PROFILE_BYTES))
    elif chunk.name == b"iTXt" and content.startswith(xmp_prefix):
        yield from _in_xmp(content[len(xmp_prefix) :])
    else:
        yield f"chunk {chunk.name!r}"


def _in_webp(file_bytes: bytes, allow_thumbnail: bool) -> Iterator[str]:
    if file_bytes[:4] != b"RIFF" or file_bytes[8:12] != b"WEBP":
        raise ValueError("it does not start with the signature")
    seen: list[bytes] = []
    end = 12
    for chunk in webp_chunks(file_bytes):
        end = chunk.end
        seen.append(chunk.name)
        content = bytes(chunk.content)
        if file_bytes[chunk.start + 8 + len(content) : end].strip(b"\0"):
            yield f"a byte behind chunk {chunk.name!r}"
        if chunk.name == b"EXIF":
            yield from _in_exif(content, allow_thumbnail)
        elif chunk.name == b"ICCP":
            yield from _in_profile(content)
        elif chunk.name == b"XMP ":
            yield from _in_xmp(content)
        elif chunk.name not in _WEBP_PIXELS or (chunk.name == b"VP8X" and len(content) != 10):
            yield f"chunk {chunk.name!r}"
    yield from _doubled(seen)
    if end != len(file_bytes):
        yield f"{len(file_bytes) - end} bytes behind the end"


def _in_tiff(file_bytes: bytes, allow_thumbnail: bool) -> Iterator[str]:
    yield from tiff_inspection.inspect(file_bytes, is_file=True).findings


def _in_exif(block: bytes, allow_thumbnail: bool) -> Iterator[str]:
    found = tiff_inspection.inspect(block, is_file=False)
    yield from (f"EXIF: {finding}" for finding in found.findings)
    if found.thumbnail and allow_thumbnail:
        yield from (f"in the thumbnail: {finding}" for finding in find_forbidden(found.thumbnail, "JPEG"))
    elif found.thumbnail:
        yield "an EXIF thumbnail"


def _in_xmp(packet: bytes) -> Iterator[str]:
    if not packet or gpano.write(gpano.read(packet)) != packet:
        yield "XMP that is not ours"


def _in_profile(profile: bytes) -> Iterator[str]:
    if not profile or icc.rebuilt(profile) != profile:
        yield "an ICC profile that is not as we write it"


def _doubled(names: list[bytes]) -> list[str]:
    return [f"more than one chunk {name!r}" for name in sorted(set(names)) if names.count(name) > 1]
