"""EXIF blocks: reading what may be published out of a stranger's block, and writing a new block from it.

A block is a TIFF structure without the prefix that JPEG puts before it; a TIFF file is such a block as well.
Reading jumps to three directories (main, camera, GPS) and follows no chain, so no block can lead it in circles.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from components.imaging.metadata import exif_tags
from components.imaging.metadata.exif_tags import (
    ASCII,
    BYTE,
    IFD,
    LONG,
    RATIONAL,
    SHORT,
    SIGNED_RATIONAL,
    UNDEFINED,
    Rule,
    Value,
)

EXIF_POINTER, GPS_POINTER = 0x8769, 0x8825
THUMBNAIL_OFFSET, THUMBNAIL_LENGTH = 0x0201, 0x0202
HEADER = b"II*\0\x08\0\0\0"
# More entries than any camera writes; one value of the allow-list has at most some 64 bytes.
_MAX_ENTRIES = 1000
_MAX_VALUE_BYTES = 256
_ENTRY_BYTES = 12
_SIZES = {BYTE: 1, ASCII: 1, SHORT: 2, LONG: 4, RATIONAL: 8, UNDEFINED: 1, SIGNED_RATIONAL: 8, IFD: 4}
_CODES = {SHORT: "H", LONG: "I", RATIONAL: "I", SIGNED_RATIONAL: "i", IFD: "I"}
_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}


@dataclass(frozen=True, slots=True)
class Exif:
    """What may be published of an EXIF block: canonical values by tag, for each of its three directories."""

    main: Mapping[int, Value] = field(default_factory=dict)
    camera: Mapping[int, Value] = field(default_factory=dict)
    gps: Mapping[int, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Directory:
    """The entries of one directory, unread.

    Attributes:
        order: byte order, "<" or ">".
        entries: type, count and the place of the value, by tag; the first one of a doubled tag.
    """

    order: str
    entries: Mapping[int, tuple[int, int, int]]


def byte_order(block: bytes) -> str | None:
    """The byte order that a block declares, or None if it is no TIFF structure."""
    return _ORDERS.get(block[:4])


def directory(block: bytes, offset: int, order: str) -> Directory:
    """The directory at an offset; without the entries that do not fit into the block."""
    entries: dict[int, tuple[int, int, int]] = {}
    head = block[offset : offset + 2]
    if len(head) == 2:
        (count,) = struct.unpack(f"{order}H", head)
        count = min(count, _MAX_ENTRIES, (len(block) - offset - 2) // _ENTRY_BYTES)
        table = block[offset + 2 : offset + 2 + count * _ENTRY_BYTES]
        for i, (tag, kind, number, pointer) in enumerate(struct.iter_unpack(f"{order}HHII", table)):
            is_inline = _SIZES.get(kind, 1) * number <= 4
            entries.setdefault(tag, (kind, number, offset + 2 + i * _ENTRY_BYTES + 8 if is_inline else pointer))
    return Directory(order, entries)


def value(block: bytes, found: Directory, tag: int, max_bytes: int = _MAX_VALUE_BYTES) -> Value | None:
    """The value of a tag; None if it is missing, of a type that nothing here has, too large, or not all there."""
    kind, count, offset = found.entries.get(tag, (0, 0, 0))
    size = _SIZES.get(kind, 0) * count
    content = block[offset : offset + size] if 0 < size <= max_bytes else b""
    if not content or len(content) != size:
        return None
    if kind not in _CODES:
        return Value(kind, content)
    numbers = size // struct.calcsize(_CODES[kind])
    return Value(kind, struct.unpack(f"{found.order}{numbers}{_CODES[kind]}", content))


def read(block: bytes, is_output: bool = False) -> Exif:
    """What may be published of a block; of a broken block, whatever can still be found.

    Args:
        block: the TIFF structure, without the prefix that JPEG puts before it.
        is_output: the block is one of ours, so our stamp may be in it.
    """
    order = byte_order(block)
    if order is None or len(block) < len(HEADER):
        return Exif()
    main = directory(block, struct.unpack(f"{order}I", block[4:8])[0], order)
    rules = (exif_tags.STAMP_MAIN, exif_tags.STAMP_CAMERA) if is_output else (exif_tags.MAIN, exif_tags.CAMERA)
    return Exif(
        main=_allowed(block, main, rules[0]),
        camera=_allowed(block, _behind(block, main, EXIF_POINTER), rules[1]),
        gps=_allowed(block, _behind(block, main, GPS_POINTER), exif_tags.GPS),
    )


def write(exif: Exif, thumbnail: bytes = b"") -> bytes:
    """The one block that says this, in little-endian order; empty if there is nothing to say.

    Args:
        exif: what it says.
        thumbnail: a JPEG of the published picture, or empty.
    """
    if not (exif.main or exif.camera or exif.gps or thumbnail):
        return b""
    return HEADER + directories(exif, len(HEADER), thumbnail)


def directories(exif: Exif, offset: int, thumbnail: bytes = b"") -> bytes:
    """The directories of a block, to stand at an (even) offset in the file."""
    main = dict(exif.main)
    parts: list[bytes] = []
    end = offset + _size(main, pointers=bool(exif.camera) + bool(exif.gps))
    for pointer, values in ((EXIF_POINTER, exif.camera), (GPS_POINTER, exif.gps)):
        if values:
            main[pointer] = Value(LONG, (end,))
            parts.append(_directory(values, end, 0))
            end += len(parts[-1])
    if thumbnail:
        parts += [_directory(_thumbnail_values(end, thumbnail), end, 0), thumbnail]
    return b"".join([_directory(main, offset, end if thumbnail else 0), *parts])


def stamped(exif: Exif, blurring_id: str, orientation: int) -> Exif:
    """The same with our name, the id, and the turn that the published pixels need.

    Raises:
        ValueError: the id is not 32 hex digits, or the orientation not one of EXIF's eight.
    """
    name = Value(ASCII, exif_tags.SOFTWARE_NAME.encode() + b"\0")
    unique = exif_tags.STAMP_CAMERA[exif_tags.IMAGE_UNIQUE_ID](Value(ASCII, blurring_id.encode()))
    turn = exif_tags.MAIN[exif_tags.ORIENTATION](Value(LONG, (orientation,)))
    if unique is None or turn is None:
        raise ValueError(f"no blurring id or no orientation: {blurring_id!r}, {orientation}")
    return replace(
        exif,
        main={**exif.main, exif_tags.SOFTWARE: name, exif_tags.ORIENTATION: turn},
        camera={**exif.camera, exif_tags.IMAGE_UNIQUE_ID: unique},
    )


def _behind(block: bytes, main: Directory, pointer: int) -> Directory:
    """The directory that a pointer of the main directory leads to; empty if there is none."""
    found = value(block, main, pointer)
    if found is None or found.type not in (LONG, IFD) or len(found.content) != 1:
        return Directory(main.order, {})
    return directory(block, found.content[0], main.order)


def _allowed(block: bytes, found: Directory, rules: Mapping[int, Rule]) -> dict[int, Value]:
    kept = {}
    for tag, rule in rules.items():
        raw = value(block, found, tag)
        canonical = None if raw is None else rule(raw)
        if canonical is not None:
            kept[tag] = canonical
    return kept


def _thumbnail_values(offset: int, thumbnail: bytes) -> dict[int, Value]:
    values = {
        0x0103: Value(SHORT, (6,)),  # Compression: JPEG
        0x011A: Value(RATIONAL, (72, 1)),
        0x011B: Value(RATIONAL, (72, 1)),
        0x0128: Value(SHORT, (2,)),
        THUMBNAIL_LENGTH: Value(LONG, (len(thumbnail),)),
    }
    return {**values, THUMBNAIL_OFFSET: Value(LONG, (offset + _size(values, pointers=1),))}


def _packed(item: Value) -> bytes:
    if isinstance(item.content, bytes):
        return item.content
    return struct.pack(f"<{len(item.content)}{_CODES[item.type]}", *item.content)


def _size(values: Mapping[int, Value], pointers: int) -> int:
    """Bytes of a directory that has these values, and pointers besides."""
    outside = (len(_packed(item)) for item in values.values())
    return 6 + _ENTRY_BYTES * (len(values) + pointers) + sum(size + size % 2 for size in outside if size > 4)


def _directory(values: Mapping[int, Value], offset: int, following: int) -> bytes:
    """A directory, then the values that do not fit into its entries, each at an even offset."""
    end = offset + 6 + _ENTRY_BYTES * len(values)
    entries, outside = [], []
    for tag, item in sorted(values.items()):
        content = _packed(item)
        place = content.ljust(4, b"\0")
        if len(content) > 4:
            place = struct.pack("<I", end)
            outside.append(content + b"\0" * (len(content) % 2))
            end += len(outside[-1])
        entries.append(struct.pack("<HHI", tag, item.type, len(content) // _SIZES[item.type]) + place)
    return b"".join([struct.pack("<H", len(values)), *entries, struct.pack("<I", following), *outside])
