"""Where a picture was taken, as its file says. It decides on a region and is never written down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from components.imaging.formats import sniff
from components.imaging.metadata import containers, exif
from components.imaging.metadata.exif_tags import Value

_LATITUDE_REF, _LATITUDE, _LONGITUDE_REF, _LONGITUDE, _STATUS, _ERROR_M = 1, 2, 3, 4, 9, 31
_VOID = b"V\0"  # the receiver had no fix when the picture was taken


@dataclass(frozen=True, slots=True, repr=False)
class Location:
    """A point on the map. It has no text form, so that no log can show it.

    Attributes:
        latitude: degrees, north positive.
        longitude: degrees, east positive, -180 to 180.
        error_km: how far off it may be, as the file says; 0 where it does not.
    """

    latitude: float
    longitude: float
    error_km: float = 0.0

    def __repr__(self) -> str:
        return "Location(<secret>)"


def location_of(source_bytes: bytes) -> Location | None:
    """Where a picture was taken; None where its file does not say so, or says what cannot be.

    Args:
        source_bytes: the file, unchecked: whatever is in it, nothing is raised.
    """
    try:
        return _location(exif.read(containers.blocks(source_bytes, sniff(source_bytes)).exif).gps)
    except Exception:  # hostile metadata may raise anything; a picture without a location has the strictest region
        return None


def _location(gps: Mapping[int, Value]) -> Location | None:
    latitude = _degrees(gps, _LATITUDE, _LATITUDE_REF, b"S\0")
    longitude = _degrees(gps, _LONGITUDE, _LONGITUDE_REF, b"W\0")
    if latitude is None or longitude is None or abs(latitude) > 90 or abs(longitude) > 180:
        return None
    # Receivers without a fix write zeros; where both are zero, there is only water.
    is_void = latitude == longitude == 0 or (_STATUS in gps and gps[_STATUS].content == _VOID)
    error_km = _fractions(gps[_ERROR_M])[0] / 1000 if _ERROR_M in gps else 0.0
    return None if is_void else Location(latitude, longitude, error_km)


def _degrees(gps: Mapping[int, Value], tag: int, ref: int, negative: bytes) -> float | None:
    if tag not in gps or ref not in gps:
        return None
    degrees, minutes, seconds = _fractions(gps[tag])
    if minutes >= 60 or seconds >= 60:
        return None
    whole = degrees + minutes / 60 + seconds / 3600
    return -whole if gps[ref].content == negative else whole


def _fractions(value: Value) -> list[float]:
    numbers = [int(number) for number in value.content]
    return [above / below for above, below in zip(numbers[::2], numbers[1::2], strict=True)]
