"""Naming what a published EXIF block or TIFF file must not contain, down to bytes that nothing refers to.

On purpose this shares no code with what reads and writes the blocks, only the list of what may be published.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from components.imaging.metadata import exif_tags, gpano, icc
from components.imaging.metadata.exif_tags import Rule, Value

_FORMS = {1: "B", 2: "B", 3: "H", 4: "I", 5: "II", 7: "B", 10: "ii"}
_TEXT_TYPES = (1, 2, 7)
_CAMERA, _GPS = 0x8769, 0x8825
_XMP, _ICC = 700, 34675
_STRIPS, _STRIP_SIZES = 273, 279
_STRUCTURE = frozenset({254, 256, 257, 258, 259, 262, _STRIPS, 277, 278, _STRIP_SIZES, 284, 317, 338, 339})
_THUMBNAIL_TAGS = [0x0103, 0x011A, 0x011B, 0x0128, 0x0201, 0x0202]
_MAX_SAMPLES = 4


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was found.

    Attributes:
        findings: what must not be there, in words.
        thumbnail: the JPEG in the second directory, to be looked at as a JPEG; empty if there is none.
    """

    findings: list[str]
    thumbnail: bytes = b""


@dataclass(frozen=True, slots=True)
class _Directory:
    values: Mapping[int, Value]
    following: int
    spans: list[tuple[int, int]]


def inspect(block: bytes, is_file: bool) -> Inspection:
    """Everything in an EXIF block, or in a TIFF file, that is not as we publish it."""
    try:
        return _inspect(block, is_file)
    except (ValueError, struct.error) as error:
        return Inspection([f"a TIFF structure that cannot be followed: {error}"])


def _inspect(block: bytes, is_file: bool) -> Inspection:
    if block[:4] != b"II*\0":
        raise ValueError("it does not start with a little-endian header")
    main = _directory(block, *struct.unpack_from("<I", block, 4))
    spans = [(0, 8), *main.spans]
    own = {_CAMERA, _GPS} | (_STRUCTURE | {_XMP, _ICC} if is_file else set())
    findings = list(
        _against("main", {tag: v for tag, v in main.values.items() if tag not in own}, exif_tags.STAMP_MAIN)
    )
    for pointer, name, allowed in ((_CAMERA, "camera", exif_tags.STAMP_CAMERA), (_GPS, "GPS", exif_tags.GPS)):
        if pointer in main.values:
            below = _directory(block, _number(main.values, pointer))
            spans += below.spans
            findings += _against(name, below.values, allowed)
            findings += [f"a directory behind the {name} directory"] * bool(below.following)
    thumbnail = b""
    if is_file:
        findings += _about_file(main.values)
        findings += ["a second page"] * bool(main.following)
        offsets, sizes = (main.values.get(tag, Value(4, ())).content for tag in (_STRIPS, _STRIP_SIZES))
        spans += [(start, start + size) for start, size in zip(offsets, sizes, strict=True)]
    elif main.following:
        second = _directory(block, main.following)
        findings += ["more than a thumbnail in the second directory"] * _is_more_than_thumbnail(second)
        start, size = _number(second.values, 0x0201), _number(second.values, 0x0202)
        thumbnail = block[start : start + size]
        spans += [*second.spans, (start, start + size)]
    return Inspection(findings + list(_uncovered(block, spans)), thumbnail)


def _directory(block: bytes, offset: int) -> _Directory:
    (count,) = struct.unpack_from("<H", block, offset)
    end = offset + 2 + 12 * count
    (following,) = struct.unpack_from("<I", block, end)
    values: dict[int, Value] = {}
    spans, last = [(offset, end + 4)], -1
    for at in range(offset + 2, end, 12):
        tag, kind, number = struct.unpack_from("<HHI", block, at)
        form = _FORMS.get(kind)
        if form is None or not number or tag <= last:
            raise ValueError(f"tag 0x{tag:04X} has an unknown type, no value, or the wrong place")
        last = tag
        size = number * struct.calcsize(f"<{form}")
        start = at + 8
        if size > 4:
            (start,) = struct.unpack_from("<I", block, start)
            spans.append((start, start + size))
        elif any(block[start + size : start + 4]):
            raise ValueError(f"bytes behind the value of tag 0x{tag:04X}")
        if start + size > len(block):
            raise ValueError(f"the value of tag 0x{tag:04X} leads out of the block")
        content = block[start : start + size]
        width = struct.calcsize(f"<{form[0]}")
        values[tag] = Value(
            kind, content if kind in _TEXT_TYPES else struct.unpack(f"<{size // width}{form[0]}", content)
        )
    return _Directory(values, following, spans)


def _against(name: str, values: Mapping[int, Value], rules: Mapping[int, Rule]) -> Iterator[str]:
    """The tags that are not listed, or whose value is not in the form in which we write it."""
    for tag, found in values.items():
        if tag not in rules:
            yield f"tag 0x{tag:04X} in the {name} directory"
        elif rules[tag](found) != found:
            yield f"the value of tag 0x{tag:04X} in the {name} directory"


def _about_file(values: Mapping[int, Value]) -> Iterator[str]:
    for tag in _STRUCTURE & set(values):
        is_list = tag in (_STRIPS, _STRIP_SIZES)
        if values[tag].type not in (3, 4) or (len(values[tag].content) > _MAX_SAMPLES and not is_list):
            yield f"the value of tag {tag}"
    packet, profile = (values[tag].content if tag in values else None for tag in (_XMP, _ICC))
    if packet is not None and (not isinstance(packet, bytes) or gpano.write(gpano.read(packet)) != packet):
        yield "XMP that is not ours"
    if profile is not None and (not isinstance(profile, bytes) or icc.rebuilt(profile) != profile):
        yield "an ICC profile that is not as we write it"


def _is_more_than_thumbnail(second: _Directory) -> bool:
    resolutions = [second.values.get(tag) for tag in (0x011A, 0x011B)]
    return (
        list(second.values) != _THUMBNAIL_TAGS
        or second.values[0x0103] != Value(3, (6,))
        or resolutions != [Value(5, (72, 1))] * 2
        or second.values[0x0128] != Value(3, (2,))
        or bool(second.following)
    )


def _number(values: Mapping[int, Value], tag: int) -> int:
    found = values.get(tag)
    if found is None or found.type != 4 or len(found.content) != 1:
        raise ValueError(f"tag 0x{tag:04X} is no offset")
    return found.content[0]


def _uncovered(block: bytes, spans: list[tuple[int, int]]) -> Iterator[str]:
    """Bytes that belong to nothing, or to two things at once; a single zero may stand between two things."""
    position = 0
    for start, end in [*sorted(spans), (len(block), len(block))]:
        if start < position:
            yield f"byte {start} belongs to two values"
        elif start - position > 1 or any(block[position:start]):
            yield f"{start - position} bytes from {position} on belong to nothing"
        position = max(position, end)
