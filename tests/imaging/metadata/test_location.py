"""Where a picture was taken is read from its file, or is not known; nothing is guessed, and nothing is told."""

from __future__ import annotations

import io
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from components.imaging.metadata.location import Location, location_of

GPS_IFD = 0x8825
BERLIN = {1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0)}


def with_gps(gps: dict[int, object], file_format: str = "JPEG") -> bytes:
    """A picture with these GPS tags."""
    image = Image.fromarray(np.zeros((8, 8, 3), np.uint8))
    exif = image.getexif()
    exif.get_ifd(GPS_IFD).update(gps)
    out = io.BytesIO()
    image.save(out, file_format, exif=exif.tobytes())
    return out.getvalue()


def dms(degrees: Fraction) -> tuple[IFDRational, IFDRational, IFDRational]:
    """Degrees, minutes and seconds, to a thousandth of a second."""
    thousandths = round(degrees * 3600 * 1000)
    return (
        IFDRational(thousandths // 3_600_000, 1),
        IFDRational(thousandths % 3_600_000 // 60_000, 1),
        IFDRational(thousandths % 60_000, 1000),
    )


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
def test_a_place_is_read_from_every_format(file_format: str) -> None:
    """Degrees, minutes and seconds become one number, whatever the container."""
    place = location_of(with_gps(BERLIN, file_format))
    assert place is not None
    assert (place.latitude, place.longitude) == pytest.approx((52.52, 13.405))
    assert place.error_km == 0


@given(
    st.fractions(-90, 90).filter(bool), st.fractions(-180, 180).filter(bool), st.integers(0, 10_000)
)  # fmt: skip
def test_what_a_camera_writes_is_read(latitude: Fraction, longitude: Fraction, error_m: int) -> None:
    """Any place on earth comes back, north or south, east or west, with its error."""
    place = location_of(
        with_gps(
            {
                1: "N" if latitude >= 0 else "S",
                2: dms(abs(latitude)),
                3: "E" if longitude >= 0 else "W",
                4: dms(abs(longitude)),
                31: IFDRational(error_m, 1),
            }
        )
    )
    if abs(latitude) * 3_600_000 < 1 and abs(longitude) * 3_600_000 < 1:  # rounds to the void place
        return
    assert place is not None
    assert place.latitude == pytest.approx(float(latitude), abs=1e-6)
    assert place.longitude == pytest.approx(float(longitude), abs=1e-6)
    assert place.error_km == pytest.approx(error_m / 1000)


@pytest.mark.parametrize(
    "gps",
    [
        {},
        {2: BERLIN[2], 4: BERLIN[4]},
        {**BERLIN, 1: "X"},
        {**BERLIN, 3: "N"},
        {**BERLIN, 2: (91.0, 0.0, 0.0)},
        {**BERLIN, 4: (180.0, 0.0, 1.0)},
        {**BERLIN, 2: (52.0, 60.0, 0.0)},
        {**BERLIN, 4: (13.0, 0.0, 60.0)},
        {**BERLIN, 2: (52.0, 31.0)},
        {**BERLIN, 2: (0.0, 0.0, 0.0), 4: (0.0, 0.0, 0.0)},
        {**BERLIN, 9: "V"},
        {1: "N", 2: BERLIN[2]},
    ],
)
def test_what_cannot_be_a_place_is_none(gps: dict[int, object]) -> None:
    """No reference, minutes beyond 59, latitudes beyond the pole, zeros and a receiver without a fix say nothing."""
    assert location_of(with_gps(gps)) is None


@given(st.binary(max_size=300), st.integers(0, 5_000))
def test_no_file_makes_it_raise(noise: bytes, at: int) -> None:
    """Whatever bytes stand in a file, there is a place or none."""
    whole = with_gps(BERLIN)
    at = min(at, len(whole))
    for content in (noise, whole[:at] + noise, whole[:at] + noise + whole[at + len(noise) :]):
        found = location_of(content)
        assert found is None or (abs(found.latitude) <= 90 and abs(found.longitude) <= 180)


def test_a_place_has_no_words() -> None:
    """A log line or a traceback that shows a place tells nothing of it."""
    place = Location(52.52, 13.405)
    assert "52" not in f"{place} {place!r}"
