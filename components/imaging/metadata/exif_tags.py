"""The EXIF tags that may be published, each with the values it may have: place, time, camera, turn and resolution.

A tag that is not listed here does not exist: captions, names, serial numbers, maker notes and previews least of all.
Free text of the GPS directory (processing method, area) is not listed either, since people write into it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container
from dataclasses import dataclass
from types import MappingProxyType

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, SIGNED_RATIONAL, IFD = 1, 2, 3, 4, 5, 7, 10, 13
SOFTWARE, IMAGE_UNIQUE_ID, ORIENTATION = 0x0131, 0xA420, 0x0112
SOFTWARE_NAME = "Streetveil"


@dataclass(frozen=True, slots=True)
class Value:
    """A tag's value.

    Attributes:
        type: the TIFF type, such as `SHORT`.
        content: bytes of bytes, text and undefined data; numbers of the rest, a rational as numerator, denominator.
    """

    type: int
    content: bytes | tuple[int, ...]


# What a rule makes of a value: its canonical form, or None where it may not be published.
Rule = Callable[[Value], Value | None]

_INT32 = range(-(2**31), 2**31)
_UINT32 = range(2**32)


def _text(pattern: str) -> Rule:
    """Text that matches as a whole, without the blanks and zeros around it."""
    compiled = re.compile(pattern.encode(), re.ASCII)

    def rule(value: Value) -> Value | None:
        if value.type != ASCII or not isinstance(value.content, bytes):
            return None
        text = value.content.strip(b"\0 ")
        return Value(ASCII, text + b"\0") if compiled.fullmatch(text) else None

    return rule


def _whole(kind: int, allowed: Container[int]) -> Rule:
    """One whole number."""

    def rule(value: Value) -> Value | None:
        if value.type not in (BYTE, SHORT, LONG) or len(value.content) != 1 or value.content[0] not in allowed:
            return None
        number = value.content[0]
        return Value(kind, bytes((number,)) if kind == BYTE else (number,))

    return rule


def _rational(count: int = 1, signed: bool = False, may_be_unknown: bool = False) -> Rule:
    """Fractions; a denominator of zero says "unknown", which few tags may say."""
    kind, bounds = (SIGNED_RATIONAL, _INT32) if signed else (RATIONAL, _UINT32)

    def rule(value: Value) -> Value | None:
        if value.type not in (RATIONAL, SIGNED_RATIONAL) or len(value.content) != 2 * count:
            return None
        numbers = tuple(value.content)
        if any(number not in bounds for number in numbers) or (0 in numbers[1::2] and not may_be_unknown):
            return None
        return Value(kind, numbers)

    return rule


def _version(kind: int, pattern: bytes) -> Rule:
    compiled = re.compile(pattern, re.DOTALL)

    def rule(value: Value) -> Value | None:
        if value.type != kind or not isinstance(value.content, bytes) or not compiled.fullmatch(value.content):
            return None
        return value

    return rule


_NAME = _text(r"[\x21-\x7e][\x20-\x7e]{0,63}")
_MOMENT = _text(r"\d{4}:\d\d:\d\d \d\d:\d\d:\d\d")
_OFFSET = _text(r"[+-]\d\d:\d\d|Z")
_SUBSECOND = _text(r"\d{1,9}")
_TRUE_OR_MAGNETIC = _text("[TM]")
_FRACTION = _rational()
_SIGNED_FRACTION = _rational(signed=True)
_DEGREES = _rational(3)
_NORTH_OR_SOUTH, _EAST_OR_WEST = _text("[NS]"), _text("[EW]")
_DISTANCE_UNIT = _text("[KMN]")

MAIN: MappingProxyType[int, Rule] = MappingProxyType(
    {
        0x010F: _NAME,  # Make
        0x0110: _NAME,  # Model
        ORIENTATION: _whole(SHORT, range(1, 9)),
        0x011A: _FRACTION,  # XResolution
        0x011B: _FRACTION,  # YResolution
        0x0128: _whole(SHORT, range(1, 4)),  # ResolutionUnit
        0x0132: _MOMENT,  # DateTime
    }
)

CAMERA: MappingProxyType[int, Rule] = MappingProxyType(
    {
        0x829A: _FRACTION,  # ExposureTime
        0x829D: _FRACTION,  # FNumber
        0x8822: _whole(SHORT, range(10)),  # ExposureProgram
        0x8827: _whole(SHORT, range(2**16)),  # PhotographicSensitivity (ISO)
        0x8830: _whole(SHORT, range(8)),  # SensitivityType
        0x8832: _whole(LONG, _UINT32),  # RecommendedExposureIndex
        0x8833: _whole(LONG, _UINT32),  # ISOSpeed
        0x9000: _version(UNDEFINED, rb"\d{4}"),  # ExifVersion
        0x9003: _MOMENT,  # DateTimeOriginal
        0x9004: _MOMENT,  # DateTimeDigitized
        0x9010: _OFFSET,  # OffsetTime
        0x9011: _OFFSET,  # OffsetTimeOriginal
        0x9012: _OFFSET,  # OffsetTimeDigitized
        0x9201: _SIGNED_FRACTION,  # ShutterSpeedValue
        0x9202: _FRACTION,  # ApertureValue
        0x9203: _SIGNED_FRACTION,  # BrightnessValue
        0x9204: _SIGNED_FRACTION,  # ExposureBiasValue
        0x9205: _FRACTION,  # MaxApertureValue
        0x9206: _FRACTION,  # SubjectDistance
        0x9207: _whole(SHORT, range(256)),  # MeteringMode
        0x9208: _whole(SHORT, range(256)),  # LightSource
        0x9209: _whole(SHORT, range(128)),  # Flash
        0x920A: _FRACTION,  # FocalLength
        0x9290: _SUBSECOND,  # SubSecTime
        0x9291: _SUBSECOND,  # SubSecTimeOriginal
        0x9292: _SUBSECOND,  # SubSecTimeDigitized
        0x9405: _SIGNED_FRACTION,  # CameraElevationAngle
        0xA001: _whole(SHORT, (1, 2, 0xFFFF)),  # ColorSpace
        0xA20E: _FRACTION,  # FocalPlaneXResolution
        0xA20F: _FRACTION,  # FocalPlaneYResolution
        0xA210: _whole(SHORT, range(1, 6)),  # FocalPlaneResolutionUnit
        0xA217: _whole(SHORT, range(1, 9)),  # SensingMethod
        0xA402: _whole(SHORT, range(3)),  # ExposureMode
        0xA403: _whole(SHORT, range(2)),  # WhiteBalance
        0xA404: _rational(may_be_unknown=True),  # DigitalZoomRatio
        0xA405: _whole(SHORT, range(2**16)),  # FocalLengthIn35mmFilm
        0xA406: _whole(SHORT, range(5)),  # SceneCaptureType
        0xA407: _whole(SHORT, range(5)),  # GainControl
        0xA408: _whole(SHORT, range(3)),  # Contrast
        0xA409: _whole(SHORT, range(3)),  # Saturation
        0xA40A: _whole(SHORT, range(3)),  # Sharpness
        0xA40C: _whole(SHORT, range(4)),  # SubjectDistanceRange
        0xA432: _rational(4, may_be_unknown=True),  # LensSpecification
        0xA433: _NAME,  # LensMake
        0xA434: _NAME,  # LensModel
    }
)

GPS: MappingProxyType[int, Rule] = MappingProxyType(
    {
        0: _version(BYTE, rb"[\0-\x09]{4}"),  # GPSVersionID
        1: _NORTH_OR_SOUTH,  # GPSLatitudeRef
        2: _DEGREES,  # GPSLatitude
        3: _EAST_OR_WEST,  # GPSLongitudeRef
        4: _DEGREES,  # GPSLongitude
        5: _whole(BYTE, range(4)),  # GPSAltitudeRef
        6: _FRACTION,  # GPSAltitude
        7: _DEGREES,  # GPSTimeStamp
        8: _text("[0-9 ,;]{1,64}"),  # GPSSatellites: numbers only
        9: _text("[AV]"),  # GPSStatus
        10: _text("[23]"),  # GPSMeasureMode
        11: _FRACTION,  # GPSDOP
        12: _DISTANCE_UNIT,  # GPSSpeedRef
        13: _FRACTION,  # GPSSpeed
        14: _TRUE_OR_MAGNETIC,  # GPSTrackRef
        15: _FRACTION,  # GPSTrack
        16: _TRUE_OR_MAGNETIC,  # GPSImgDirectionRef
        17: _FRACTION,  # GPSImgDirection
        18: _text(r"[A-Za-z0-9][A-Za-z0-9 ./_-]{0,31}"),  # GPSMapDatum
        19: _NORTH_OR_SOUTH,  # GPSDestLatitudeRef
        20: _DEGREES,  # GPSDestLatitude
        21: _EAST_OR_WEST,  # GPSDestLongitudeRef
        22: _DEGREES,  # GPSDestLongitude
        23: _TRUE_OR_MAGNETIC,  # GPSDestBearingRef
        24: _FRACTION,  # GPSDestBearing
        25: _DISTANCE_UNIT,  # GPSDestDistanceRef
        26: _FRACTION,  # GPSDestDistance
        29: _text(r"\d{4}:\d\d:\d\d"),  # GPSDateStamp
        30: _whole(SHORT, range(2)),  # GPSDifferential
        31: _FRACTION,  # GPSHPositioningError
    }
)

# What we write ourselves: in a source these tags are somebody else's, in an output they must look like this.
STAMP_MAIN: MappingProxyType[int, Rule] = MappingProxyType({**MAIN, SOFTWARE: _text(SOFTWARE_NAME)})
STAMP_CAMERA: MappingProxyType[int, Rule] = MappingProxyType({**CAMERA, IMAGE_UNIQUE_ID: _text("[0-9a-f]{32}")})
