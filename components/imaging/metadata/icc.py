"""ICC profiles: what a profile says about colour, written anew; its names, dates, texts and private tags are left out.

Only profiles made of a matrix and curves (or of one grey curve) are kept, as cameras and editors embed them. Larger
tables could carry anything, and a profile that needs them is dropped.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

MAX_PROFILE_BYTES = 1024 * 1024
_HEADER_BYTES = 128
_MAX_TAGS = 200
_MAX_CURVE_POINTS = 4096
_CLASSES = (b"scnr", b"mntr", b"prtr", b"spac")
_D50 = bytes.fromhex("0000f6d6000100000000d32d")
_DATE = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)
# Number of parameters by the function type of a parametric curve.
_PARAMETERS = {0: 1, 1: 3, 2: 4, 3: 5, 4: 7}
_XYZ, _CURVE, _MATRIX, _CODE_POINTS = (b"XYZ ",), (b"curv", b"para"), (b"sf32",), (b"cicp",)
# The tags that matter for colour, and the types that they may have.
_TAGS = {
    b"rXYZ": _XYZ,
    b"gXYZ": _XYZ,
    b"bXYZ": _XYZ,
    b"wtpt": _XYZ,
    b"bkpt": _XYZ,
    b"rTRC": _CURVE,
    b"gTRC": _CURVE,
    b"bTRC": _CURVE,
    b"kTRC": _CURVE,
    b"chad": _MATRIX,
    b"cicp": _CODE_POINTS,
}
_NEEDED = {
    b"RGB ": {b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC", b"wtpt"},
    b"GRAY": {b"kTRC", b"wtpt"},
}


def rebuilt(profile: bytes) -> bytes | None:
    """The profile with nothing but its colours; None if it is not well-formed, too large, or of another kind."""
    space = profile[16:20]
    if (
        not _HEADER_BYTES + 4 <= len(profile) <= MAX_PROFILE_BYTES
        or int.from_bytes(profile[:4], "big") != len(profile)
        or profile[36:40] != b"acsp"
        or profile[12:16] not in _CLASSES
        or profile[20:24] != b"XYZ "
        or profile[8] not in (2, 4)
    ):
        return None
    tags = _colour_tags(profile)
    if tags is None or not _NEEDED.get(space, {b"none"}) <= set(tags):
        return None
    return _written(_header(profile), {**tags, **_texts(is_v4=profile[8] == 4)})


def is_grey(profile: bytes) -> bool:
    """Whether a (rebuilt) profile is for pictures of one channel."""
    return profile[16:20] == b"GRAY"


def _colour_tags(profile: bytes) -> dict[bytes, bytes] | None:
    (count,) = struct.unpack(">I", profile[_HEADER_BYTES : _HEADER_BYTES + 4])
    end = _HEADER_BYTES + 4 + 12 * count
    if count > _MAX_TAGS or end > len(profile):
        return None
    tags: dict[bytes, bytes] = {}
    for signature, offset, size in struct.iter_unpack(">4sII", profile[_HEADER_BYTES + 4 : end]):
        if offset < end or offset + size > len(profile):
            return None
        element = _exact(profile[offset : offset + size]) if signature in _TAGS else None
        if element is not None and element[:4] in _TAGS[signature]:
            tags.setdefault(signature, element)
    return tags


def _exact(element: bytes) -> bytes | None:
    """An element without what may stand behind its last number; None if it is incomplete or of no type we keep."""
    kind = element[:4]
    if kind in (b"curv", b"para") and len(element) >= 12:
        points = int.from_bytes(element[8:12], "big")
        function = int.from_bytes(element[8:10], "big")
        if kind == b"curv":
            size = 12 + 2 * points if points <= _MAX_CURVE_POINTS else 0
        else:
            size = 12 + 4 * _PARAMETERS.get(function, -3)
    else:
        size = {b"XYZ ": 20, b"sf32": 44, b"cicp": 12}.get(kind, 0)
    if not 0 < size <= len(element):
        return None
    numbers = element[8:10] + b"\0\0" + element[12:size] if kind == b"para" else element[8:size]
    return kind + bytes(4) + numbers  # bytes that the specification reserves are zero


def _header(profile: bytes) -> bytes:
    """The header: version, class, spaces and intent as they were; maker, model, creator, date and id are not."""
    version = bytes((profile[8], profile[9] & 0xF0, 0, 0))
    intent = bytes(3) + bytes((profile[67] & 3,))
    return b"".join(
        [bytes(8), version, profile[12:24], _DATE, b"acsp", bytes(24), intent, _D50, bytes(_HEADER_BYTES - 80)]
    )


def _texts(is_v4: bool) -> dict[bytes, bytes]:
    """The two texts that a valid profile must have, in our words."""
    if is_v4:
        return {tag: _localised(text) for tag, text in ((b"cprt", "No copyright"), (b"desc", "Colour profile"))}
    name = b"Colour profile\0"
    description = struct.pack(">I", len(name)) + name + bytes(8 + 3 + 67)  # no Unicode and no Macintosh name
    return {b"cprt": b"text" + bytes(4) + b"No copyright\0", b"desc": b"desc" + bytes(4) + description}


def _localised(text: str) -> bytes:
    content = text.encode("utf-16-be")
    return b"mluc" + bytes(4) + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(content), 28) + content


def _written(header: bytes, tags: Mapping[bytes, bytes]) -> bytes:
    """The profile's bytes: tags in order, equal elements stored once, as curves of three channels often are."""
    offset = _HEADER_BYTES + 4 + 12 * len(tags)
    places: dict[bytes, int] = {}
    elements = []
    for _, element in sorted(tags.items()):
        if element not in places:
            places[element] = offset
            elements.append(element + bytes(-len(element) % 4))
            offset += len(elements[-1])
    table = [struct.pack(">4sII", tag, places[element], len(element)) for tag, element in sorted(tags.items())]
    content = b"".join([header[4:], struct.pack(">I", len(tags)), *table, *elements])
    return struct.pack(">I", len(content) + 4) + content
