"""Writing a TIFF's directories anew around its pixels.

Pillow writes no EXIF directory when it compresses, and tifffile writes none at all. So tifffile writes the pixels, and
here the file is put together: header, pixels, then the main directory with those that it points to.
"""

from __future__ import annotations

import struct

from components.imaging.metadata import exif
from components.imaging.metadata.containers import TIFF_ICC, TIFF_XMP
from components.imaging.metadata.exif import Directory, Exif
from components.imaging.metadata.exif_tags import BYTE, LONG, UNDEFINED, Value

STRIP_OFFSETS, STRIP_BYTES = 273, 279
# What describes the pixels: NewSubfileType, ImageWidth, ImageLength, BitsPerSample, Compression,
# PhotometricInterpretation, SamplesPerPixel, RowsPerStrip, PlanarConfiguration, Predictor, ExtraSamples, SampleFormat.
STRUCTURE = frozenset({254, 256, 257, 258, 259, 262, 277, 278, 284, 317, 338, 339})
_MAX_STRIP_LIST_BYTES = 64 * 1024 * 1024


def with_blocks(tiff_bytes: bytes, metadata: Exif, icc: bytes | None, xmp: bytes | None) -> bytes:
    """The TIFF of one page in strips with these blocks, and with nothing else that does not describe its pixels.

    Raises:
        ValueError: it is not little-endian, or its strips are not all there.
    """
    if exif.byte_order(tiff_bytes) != "<":
        raise ValueError("not a little-endian TIFF")
    found = exif.directory(tiff_bytes, struct.unpack("<I", tiff_bytes[4:8])[0], "<")
    strips = _strips(tiff_bytes, found)
    position = len(exif.HEADER)
    offsets = []
    for strip in strips:
        offsets.append(position)
        position += len(strip)
    padding = bytes(position % 2)
    main = {tag: item for tag in STRUCTURE if (item := exif.value(tiff_bytes, found, tag))}
    main[STRIP_OFFSETS] = Value(LONG, tuple(offsets))
    main[STRIP_BYTES] = Value(LONG, tuple(len(strip) for strip in strips))
    if icc:
        main[TIFF_ICC] = Value(UNDEFINED, icc)
    if xmp:
        main[TIFF_XMP] = Value(BYTE, xmp)
    position += len(padding)
    header = tiff_bytes[:4] + struct.pack("<I", position)
    whole = Exif({**main, **metadata.main}, metadata.camera, metadata.gps)
    return b"".join([header, *strips, padding, exif.directories(whole, position)])


def _strips(tiff_bytes: bytes, found: Directory) -> list[memoryview]:
    offsets, sizes = (exif.value(tiff_bytes, found, tag, _MAX_STRIP_LIST_BYTES) for tag in (STRIP_OFFSETS, STRIP_BYTES))
    if offsets is None or sizes is None or len(offsets.content) != len(sizes.content):
        raise ValueError("a TIFF without strips")
    view = memoryview(tiff_bytes)
    strips = [view[offset : offset + size] for offset, size in zip(offsets.content, sizes.content, strict=True)]
    if sum(map(len, strips)) != sum(sizes.content):
        raise ValueError("a TIFF whose strips lead out of it")
    return strips
