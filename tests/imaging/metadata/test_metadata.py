"""Of a file's metadata, place, time, camera, turn, colours and panorama are published, and nothing else."""

from __future__ import annotations

import io
import itertools
import struct
import time
import zlib
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
import simplejpeg
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms

from components.imaging.metadata import exif, exif_tags, gpano, icc, tiff
from components.imaging.metadata.allow_list import (
    Metadata,
    exif_with_thumbnail,
    jpeg_segments,
    read_metadata,
    save_options,
    stamped,
    tiff_with_metadata,
)
from components.imaging.metadata.inspection import find_forbidden
from components.imaging.reading import Format, blurring_id_of
from tests.conftest import encoded
from tests.imaging import nasty_files
from tests.imaging.nasty_files import BLURRING_ID, FORMATS, SECRET, opened

PIXELS = np.random.default_rng(3).integers(0, 256, (48, 64, 3), np.uint8)
NASTY = {file_format: nasty_files.nasty(file_format, PIXELS) for file_format in FORMATS}
RAW_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def written(metadata: Metadata, file_format: Format, pixels: NDArray[np.uint8] = PIXELS) -> bytes:
    """An output as a publisher would write it."""
    if file_format == "JPEG":
        grey = pixels.ndim == 2
        colours = ("GRAY", "Gray") if grey else ("RGB", "420")
        plain = simplejpeg.encode_jpeg(pixels[:, :, None] if grey else pixels, 90, *colours)
        return plain[:2] + jpeg_segments(metadata) + plain[2:]
    if file_format == "TIFF":
        out = io.BytesIO()
        tifffile.imwrite(
            out,
            pixels,
            photometric="minisblack" if pixels.ndim == 2 else "rgb",
            extrasamples=["unassalpha"] if pixels.shape[2:] == (4,) else None,
            compression="zlib",
            rowsperstrip=10,
            metadata=None,
        )
        return tiff_with_metadata(out.getvalue(), metadata)
    options: dict[str, Any] = {"lossless": True, "exact": True} if file_format == "WEBP" else {}
    return encoded(pixels, file_format, **options, **save_options(metadata, file_format))


def sanitised(file_format: Format) -> Metadata:
    """What is published of a nasty file."""
    return stamped(read_metadata(NASTY[file_format], file_format), BLURRING_ID, orientation=6)


def numbers(found: Any) -> Any:
    """Pillow's fractions as floats."""
    if isinstance(found, tuple):
        return tuple(float(part) for part in found)
    return found if isinstance(found, str | bytes | int) else float(found)


def assert_all_is_there(content: bytes) -> None:
    """Pillow reads from a file what the nasty files have to be kept, value for value, and no tag besides."""
    found = opened(content).getexif()
    directories = [dict(found), found.get_ifd(0x8769), found.get_ifd(0x8825)]
    expected = [nasty_files.MAIN, nasty_files.CAMERA, nasty_files.GPS]
    for directory, values in zip(directories, expected, strict=True):
        assert {tag: numbers(directory[tag]) for tag in values} == values
    assert set(directories[1]) == {*nasty_files.CAMERA, exif_tags.IMAGE_UNIQUE_ID}
    assert set(directories[2]) == set(nasty_files.GPS)
    assert directories[0][exif_tags.SOFTWARE] == "Streetveil"
    assert not found.get_ifd(ExifTags.IFD.IFD1)


@pytest.mark.parametrize("file_format", FORMATS)
def test_no_secret_survives(file_format: Format) -> None:
    """Of all the secrets in a nasty file not one stands in its output, packed or plain."""
    assert NASTY[file_format].count(SECRET) >= 30
    metadata = sanitised(file_format)
    content = written(metadata, file_format)
    for block in (metadata.exif, metadata.icc, metadata.xmp, content, jpeg_segments(metadata)):
        assert block
        for form in (SECRET, SECRET.decode().encode("utf-16-le"), SECRET.decode().encode("utf-16-be")):
            assert form not in block
    assert SECRET.decode() not in f"{opened(content).info}"


@pytest.mark.parametrize("file_format", FORMATS)
def test_place_time_camera_and_turn_survive(file_format: Format) -> None:
    """In every format another program reads the values that the source had, with our name and id beside them."""
    content = written(sanitised(file_format), file_format)
    assert_all_is_there(content)
    assert blurring_id_of(content) == BLURRING_ID


@pytest.mark.parametrize("file_format", FORMATS)
def test_the_panorama_survives(file_format: Format) -> None:
    """GPano properties, attributes and elements alike, come out with equal values, in an XMP that Pillow finds."""
    metadata = sanitised(file_format)
    assert metadata.gpano == nasty_files.PANORAMA
    info = opened(written(metadata, file_format)).info
    found = info.get("xmp") or info["XML:com.adobe.xmp"].encode()
    assert found == metadata.xmp
    assert b"GPano:ProjectionType=" in found


@pytest.mark.parametrize("file_format", FORMATS)
def test_the_colour_profile_is_written_anew(file_format: Format) -> None:
    """The profile of an output is the rebuilt one, in every format."""
    metadata = sanitised(file_format)
    found = opened(written(metadata, file_format)).info["icc_profile"]
    assert found == metadata.icc == icc.rebuilt(RAW_SRGB)


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("kind", ["colour", "grey", "alpha"])
def test_pixels_are_those_that_were_written(file_format: Format, kind: str) -> None:
    """Metadata around them changes no pixel, and tifffile reads the TIFF that we put together."""
    grey = cv2.cvtColor(PIXELS, cv2.COLOR_RGB2GRAY)
    pixels = {"colour": PIXELS, "grey": grey, "alpha": np.dstack([PIXELS, grey])}[kind]
    if (file_format, kind) in {("JPEG", "alpha"), ("WEBP", "grey")}:
        return
    plain, full = Metadata(), stamped(sanitised(file_format), BLURRING_ID, 1, is_grey=kind == "grey")
    files = [written(metadata, file_format, pixels) for metadata in (plain, full)]
    found = [np.asarray(opened(content)) for content in files]
    assert np.array_equal(*found)
    assert find_forbidden(files[1], file_format) == []
    if file_format == "TIFF":
        assert np.array_equal(found[1], pixels)
        if kind != "alpha":  # OpenCV multiplies it into the colours
            bands = cv2.imdecode(np.frombuffer(files[1], np.uint8), cv2.IMREAD_UNCHANGED)
            assert np.array_equal(bands[..., ::-1] if kind == "colour" else bands, pixels)
        with tifffile.TiffFile(io.BytesIO(files[1])) as file:
            assert np.array_equal(file.asarray(), pixels)
            assert file.pages.first.tags["ExifTag"].value["ImageUniqueID"] == BLURRING_ID
            assert file.pages.first.tags["GPSTag"].value["GPSLatitudeRef"] == "N"
            assert len(file.pages) == 1


@pytest.mark.parametrize("file_format", FORMATS)
def test_what_is_clean_stays_as_it_is(file_format: Format) -> None:
    """Read again from an output, the same metadata comes out, byte for byte."""
    first = read_metadata(NASTY[file_format], file_format)
    assert read_metadata(written(first, file_format), file_format) == first
    second = stamped(first, BLURRING_ID, 6)
    assert stamped(read_metadata(written(second, file_format), file_format), BLURRING_ID, 6) == second


def test_all_formats_say_the_same() -> None:
    """The same blocks in a JPEG, PNG, WebP or TIFF come out as the same metadata."""
    found = [read_metadata(NASTY[file_format], file_format) for file_format in FORMATS]
    assert found[1:] == found[:-1]


def test_a_file_without_metadata_gets_the_stamp_only() -> None:
    """Without metadata there is nothing to keep, and an output has our name, its turn and its id."""
    for file_format in FORMATS:
        assert read_metadata(encoded(PIXELS, file_format), file_format) == Metadata(
            exif=exif.write(exif.read(encoded(PIXELS, file_format))) if file_format == "TIFF" else b""
        )
    found = exif.read(stamped(Metadata(), BLURRING_ID).exif, is_output=True)
    assert set(found.main) == {exif_tags.SOFTWARE, exif_tags.ORIENTATION}
    assert set(found.camera) == {exif_tags.IMAGE_UNIQUE_ID}
    assert not found.gps


@pytest.mark.parametrize(("blurring_id", "turn"), [("", 1), ("x" * 32, 1), ("A" * 32, 1), (BLURRING_ID, 0), ("a", 9)])
def test_a_stamp_needs_an_id_and_a_turn(blurring_id: str, turn: int) -> None:
    """What is no id, or no orientation, is refused."""
    with pytest.raises(ValueError, match="blurring id"):
        stamped(Metadata(), blurring_id, turn)


def test_a_profile_for_other_pixels_is_left_out() -> None:
    """A colour profile does not go with a grey output, nor a grey one with colours."""
    colour = replace(Metadata(), icc=icc.rebuilt(RAW_SRGB))
    grey = replace(Metadata(), icc=icc.rebuilt(grey_profile()))
    assert grey.icc
    assert stamped(colour, BLURRING_ID, is_grey=False).icc == colour.icc
    assert stamped(grey, BLURRING_ID, is_grey=True).icc == grey.icc
    assert stamped(colour, BLURRING_ID, is_grey=True).icc is None
    assert stamped(grey, BLURRING_ID, is_grey=False).icc is None
    assert opened(written(grey, "PNG", PIXELS[:, :, 0])).info["icc_profile"] == grey.icc


# One value of EXIF at a time


def exif_of(
    main: list[nasty_files.Entry] | None = None,
    camera: list[nasty_files.Entry] | None = None,
    gps: list[nasty_files.Entry] | None = None,
) -> exif.Exif:
    """What is kept of a block with these entries."""
    return exif.read(nasty_files.block(main or [], camera, gps))


@pytest.mark.parametrize(
    "entry",
    [
        nasty_files.text(0x010F, "x" * 65),
        nasty_files.text(0x010F, b"Make\nhidden"),
        nasty_files.text(0x010F, b"Make\0hidden"),
        nasty_files.text(0x010F, "Möbel"),
        nasty_files.text(0x010F, ""),
        nasty_files.opaque(0x010F, b"Make"),
        nasty_files.text(0x0132, "yesterday"),
        nasty_files.text(0x0132, "2024:05:06 07:08:09 Anna"),
        nasty_files.short(0x0112, 0),
        nasty_files.short(0x0112, 9),
        nasty_files.short(0x0112, 6, 6),
        nasty_files.text(0x0112, "6"),
        nasty_files.ratio(0x011A, 300, 300),
        (0x011A, 5, 1, bytes(8)),
        (0x010F, 2, 2**31, b"\0\0\0\x08"),
        (0x010F, 99, 4, b"Make"),
        nasty_files.text(0x010F, "x" * 100_000),
    ],
)
def test_a_value_of_the_wrong_kind_is_dropped(entry: nasty_files.Entry) -> None:
    """Text that is too long, unprintable or no date, numbers out of range, wrong types and counts: all dropped."""
    assert exif_of([entry]).main == {}


def test_values_take_one_form() -> None:
    """Blanks and zeros around a text go, and a whole number takes the type that EXIF asks for."""
    found = exif_of([nasty_files.text(0x010F, b" Make \0\0"), nasty_files.long(0x0112, 6)])
    assert found.main == {0x010F: exif_tags.Value(2, b"Make\0"), 0x0112: exif_tags.Value(3, (6,))}
    signed = exif_of(gps=[nasty_files.ratio(6, 12.5, kind=10)], camera=[nasty_files.ratio(0x9204, 0.5)])
    assert signed.gps == {6: exif_tags.Value(5, (12500, 1000))}
    assert signed.camera == {0x9204: exif_tags.Value(10, (500, 1000))}
    assert exif_of(gps=[nasty_files.ratio(6, -12.5, kind=10)]).gps == {}


def test_directories_that_point_in_circles_are_read_once() -> None:
    """Pointers to the main directory, to themselves or out of the block neither hang nor raise."""
    for pointer in (8, 0, 10, 2**32 - 1):
        block = b"MM\0*\0\0\0\x08" + nasty_files.directory(
            [nasty_files.text(0x010F, "Make"), nasty_files.long(0x8769, pointer), nasty_files.long(0x8825, pointer)],
            8,
            8,
        )
        found = exif.read(block)
        assert set(found.main) == {0x010F}
        assert not found.camera


@pytest.mark.parametrize("cut", [3, 7, 9, 20, 40, 200, 700])
def test_a_cut_block_keeps_what_is_there(cut: int) -> None:
    """An EXIF block that ends early costs its missing values, and not the picture."""
    whole = exif.read(nasty_files.exif_block())
    found = exif.read(nasty_files.exif_block()[:cut])
    assert all(whole.main[tag] == value for tag, value in found.main.items() if tag in whole.main)
    read_metadata(
        nasty_files.behind_app0(
            encoded(PIXELS, "JPEG"), nasty_files.jpeg_segment(0xE1, b"Exif\0\0" + nasty_files.exif_block()[:cut])
        ),
        "JPEG",
    )


def test_a_million_entries_cost_no_time() -> None:
    """A file that is one directory as large as can be is read at once."""
    block = b"II*\0\x08\0\0\0\xff\xff" + b"\x0f\x01\x02\0\xff\xff\xff\xff\0\0\0\0" * 65535
    started = time.perf_counter()
    assert exif.read(block).main == {}
    assert time.perf_counter() - started < 0.5


# Hostile blocks

ANYTHING = st.binary(max_size=400) | st.binary(max_size=200).map(lambda tail: b"II*\0\x08\0\0\0" + tail)


@given(block=ANYTHING, profile=st.binary(max_size=300), packet=st.binary(max_size=300))
@settings(max_examples=150, deadline=None)
def test_arbitrary_bytes_never_raise_and_never_survive(block: bytes, profile: bytes, packet: bytes) -> None:
    """Whatever stands in the three blocks, it is read without an error, and what is published of it is clean."""
    extra = [
        nasty_files.jpeg_segment(0xE1, b"Exif\0\0" + block),
        nasty_files.jpeg_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet),
        nasty_files.jpeg_segment(0xE2, b"ICC_PROFILE\0\1\1" + profile),
    ]
    source = nasty_files.behind_app0(encoded(PIXELS[:8, :8], "JPEG"), b"".join(extra))
    metadata = stamped(read_metadata(source, "JPEG"), BLURRING_ID)
    assert metadata.icc is None
    assert metadata.xmp is None
    assert len(block) < 16 or block not in metadata.exif
    assert find_forbidden(written(metadata, "JPEG", PIXELS[:8, :8]), "JPEG") == []


def flipped(content: bytes, places: list[tuple[int, int]]) -> bytes:
    """The bytes with some of them changed."""
    changed = bytearray(content)
    for place, new in places:
        changed[place % len(changed)] = new
    return bytes(changed)


FLIPS = st.lists(st.tuples(st.integers(0, 2**20), st.integers(0, 255)), min_size=1, max_size=6)


@pytest.mark.parametrize("file_format", FORMATS)
@given(flips=FLIPS, cut=st.integers(0, 20_000))
@settings(max_examples=60, deadline=None)
def test_damaged_sources_never_raise(file_format: Format, flips: list[tuple[int, int]], cut: int) -> None:
    """Of a damaged or cut source something clean is read: it stays as it is, and the second look is silent."""
    source = flipped(NASTY[file_format], flips)[:cut]
    metadata = stamped(read_metadata(source, file_format), BLURRING_ID)
    assert find_forbidden(written(metadata, file_format), file_format) == []
    again = exif.write(exif.read(metadata.exif, is_output=True))
    assert again == metadata.exif
    assert metadata.icc is None or icc.rebuilt(metadata.icc) == metadata.icc
    assert metadata.xmp is None or gpano.write(gpano.read(metadata.xmp)) == metadata.xmp


# GPano


def gpano_packet(name: str, value: str) -> bytes:
    """A packet with one property."""
    return (
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
        f'xmlns:GPano="{nasty_files.GPANO}" GPano:{name}="{value}"/></rdf:RDF>'
    ).encode()


@pytest.mark.parametrize(
    ("name", "value", "is_kept"),
    [
        ("FullPanoWidthPixels", "8192", True),
        ("FullPanoWidthPixels", "8192.0", True),
        ("FullPanoWidthPixels", "8192 Anna", False),
        ("FullPanoWidthPixels", "١٢", False),
        ("PoseHeadingDegrees", "-12.5", True),
        ("PoseHeadingDegrees", "1e-3", True),
        ("PoseHeadingDegrees", "north", False),
        ("UsePanoramaViewer", "true", True),
        ("UsePanoramaViewer", "maybe", False),
        ("ProjectionType", "equirectangular", True),
        ("ProjectionType", "Anna", False),
        ("FirstPhotoDate", "2024-05-06T07:08:09+02:00", True),
        ("FirstPhotoDate", "yesterday", False),
        ("CaptureSoftware", "x" * 64, True),
        ("CaptureSoftware", "x" * 65, False),
        ("CaptureSoftware", "a&quot;&lt;b", True),
        ("CaptureSoftware", "a&#233;", False),
        ("Creator", "8192", False),
    ],
)
def test_panorama_properties_have_types(name: str, value: str, is_kept: bool) -> None:
    """A property that is listed and has a value of its type is kept, and any other is not."""
    found = gpano.read(gpano_packet(name, value))
    assert (name in found) == is_kept
    assert gpano.read(gpano.write(found) or b"") == found


def test_xml_bombs_are_dropped() -> None:
    """Entities, external documents, deep nesting and packets of megabytes cost neither memory nor an error."""
    good = gpano_packet("FullPanoWidthPixels", "8192")
    bomb = b'<!DOCTYPE b [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>' + good
    external = b'<!DOCTYPE b SYSTEM "file:///etc/passwd">' + good
    huge = good + b" " * gpano.MAX_PACKET_BYTES
    deep = b"<a>" * 200_000
    started = time.perf_counter()
    for packet in (bomb, external, huge, deep, deep + b"</a>" * 200_000, b'<?xml version="1.0" encoding="x"?><a/>'):
        assert gpano.read(packet) == {}
    assert time.perf_counter() - started < 5


# Colour profiles


def grey_profile() -> bytes:
    """A grey profile with one curve."""
    tags = {
        b"kTRC": b"curv" + bytes(4) + struct.pack(">IH", 1, 0x0233) + b"\0\0",
        b"wtpt": b"XYZ " + bytes(4) + bytes.fromhex("0000f6d6000100000000d32d"),
    }
    return profile_of(tags, RAW_SRGB[:16] + b"GRAY" + RAW_SRGB[20:128])


def profile_of(tags: dict[bytes, bytes], header: bytes = RAW_SRGB[:128]) -> bytes:
    """A profile with these tags."""
    offset, table = 132 + 12 * len(tags), b""
    for tag, element in tags.items():
        table += struct.pack(">4sII", tag, offset, len(element))
        offset += len(element)
    content = header[4:] + struct.pack(">I", len(tags)) + table + b"".join(tags.values())
    return struct.pack(">I", len(content) + 4) + content


def tags_of(profile: bytes) -> dict[bytes, bytes]:
    """A profile's tags."""
    (count,) = struct.unpack(">I", profile[128:132])
    return {
        tag: profile[offset : offset + size]
        for tag, offset, size in struct.iter_unpack(">4sII", profile[132 : 132 + 12 * count])
    }


@pytest.mark.parametrize("version", [2, 4])
@pytest.mark.parametrize("intent", list(ImageCms.Intent))
def test_a_rebuilt_profile_transforms_alike(version: int, intent: ImageCms.Intent) -> None:
    """Colours go through the rebuilt profile, and back, as through the original; its texts are read and are ours."""
    original = nasty_files.icc_profile() if version == 4 else profile_v2()
    profiles = [ImageCms.ImageCmsProfile(io.BytesIO(content)) for content in (original, icc.rebuilt(original))]
    lab = ImageCms.createProfile("LAB")
    picture = Image.fromarray(PIXELS)
    there = [ImageCms.profileToProfile(picture, profile, lab, intent, "LAB") for profile in profiles]
    assert np.array_equal(*map(np.asarray, there))
    back = [ImageCms.profileToProfile(there[0], lab, profile, intent, "RGB") for profile in profiles]
    assert np.array_equal(*map(np.asarray, back))
    assert ImageCms.getProfileDescription(profiles[1]).strip() == "Colour profile"
    assert ImageCms.getProfileCopyright(profiles[1]).strip() == "No copyright"


def profile_v2() -> bytes:
    """A profile of version 2, with curves of points as older cameras have them, and with wide primaries."""
    tags = {tag: element for tag, element in tags_of(RAW_SRGB).items() if tag[1:] == b"XYZ" or tag == b"wtpt"}
    points = (np.linspace(0, 1, 1024) ** 2.2 * 65535).astype(">u2").tobytes()
    curve = b"curv" + bytes(4) + struct.pack(">I", 1024) + points + b"behind the curve"
    tags |= {b"rTRC": curve, b"gTRC": curve, b"bTRC": curve, b"prVt": b"data" + SECRET.ljust(12, b"\0")}
    tags[b"cprt"] = b"text" + bytes(4) + SECRET + b"\0\0"
    return profile_of(tags, RAW_SRGB[:8] + b"\x02\x20\0\0" + RAW_SRGB[12:128])


def test_nothing_but_colours_is_in_a_rebuilt_profile() -> None:
    """Private tags, texts, bytes between and behind elements, maker and date are gone, and equal curves are one."""
    for original in (nasty_files.icc_profile(), profile_v2()):
        found = icc.rebuilt(original)
        assert found
        assert SECRET in original
        assert SECRET not in found
        assert b"behind" not in found
        assert SECRET.decode().encode("utf-16-be") not in found
        tags = tags_of(found)
        colours = {b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC", b"wtpt"}
        assert colours <= set(tags) <= colours | {b"chad", b"cprt", b"desc"}
        assert len(found) < 132 + 12 * len(tags) + sum(len(element) + 3 for element in set(tags.values()))
        assert icc.rebuilt(found) == found


@pytest.mark.parametrize(
    "profile",
    [
        b"",
        RAW_SRGB[:-1],
        RAW_SRGB + b"x",
        RAW_SRGB[:36] + b"ACSP" + RAW_SRGB[40:],
        RAW_SRGB[:12] + b"link" + RAW_SRGB[16:],
        RAW_SRGB[:16] + b"CMYK" + RAW_SRGB[20:],
        RAW_SRGB[:128] + b"\xff\xff\xff\xff" + RAW_SRGB[132:],
        RAW_SRGB[:136] + b"\xff\xff\xff\xff" + RAW_SRGB[140:],
        RAW_SRGB[:136] + b"\0\0\0\0" + RAW_SRGB[140:],
        profile_of({tag: element for tag, element in tags_of(RAW_SRGB).items() if tag != b"gTRC"}),
        profile_of({**tags_of(RAW_SRGB), b"rTRC": b"curv" + bytes(4) + b"\xff\xff\xff\xff"}),
        profile_of({**tags_of(RAW_SRGB), b"rTRC": b"para" + bytes(4) + b"\0\x09\0\0" + bytes(40)}),
        profile_of({**tags_of(RAW_SRGB), b"prVt": bytes(icc.MAX_PROFILE_BYTES)}),
    ],
)
def test_a_profile_that_is_not_well_formed_is_dropped(profile: bytes) -> None:
    """Wrong sizes, signatures, classes, tables, missing or endless curves, and a megabyte: none of it is kept."""
    assert icc.rebuilt(profile) is None


@given(flips=FLIPS)
@settings(max_examples=100, deadline=None)
def test_damaged_profiles_never_raise(flips: list[tuple[int, int]]) -> None:
    """A damaged profile is dropped or rebuilt, and rebuilding what was rebuilt changes nothing."""
    found = icc.rebuilt(flipped(nasty_files.icc_profile(), flips))
    assert found is None or icc.rebuilt(found) == found


def test_a_profile_bomb_in_a_png_is_dropped() -> None:
    """A profile that unpacks to twenty megabytes is given up after the first."""
    packed = zlib.compress(bytes(20 * 1024 * 1024))
    whole = encoded(PIXELS, "PNG")
    source = whole[:33] + nasty_files.png_chunk(b"iCCP", b"x\0\0" + packed) + whole[33:]
    assert read_metadata(source, "PNG").icc is None


# Thumbnails


def test_a_thumbnail_is_written_and_allowed() -> None:
    """A thumbnail of the published picture is read back by Pillow's EXIF, and found where none is allowed."""
    small = simplejpeg.encode_jpeg(np.ascontiguousarray(PIXELS[::4, ::4]), 80)
    metadata = sanitised("JPEG")
    metadata = replace(metadata, exif=exif_with_thumbnail(metadata.exif, small))
    content = written(metadata, "JPEG")
    found = opened(content).getexif().get_ifd(ExifTags.IFD.IFD1)
    start = content.index(b"Exif\0\0") + 6 + found[0x0201]
    assert content[start : start + found[0x0202]] == small
    assert opened(content).getexif()[0x0132] == nasty_files.MAIN[0x0132]
    assert find_forbidden(content, "JPEG", allow_thumbnail=True) == []
    assert find_forbidden(content, "JPEG") == ["an EXIF thumbnail"]
    assert read_metadata(content, "JPEG").exif == read_metadata(NASTY["JPEG"], "JPEG").exif
    for bad in (b"", b"not a JPEG", small + bytes(70_000)):
        with pytest.raises(ValueError, match="thumbnail"):
            exif_with_thumbnail(metadata.exif, bad)


def test_a_thumbnail_is_looked_at_as_well() -> None:
    """A thumbnail with a comment of its own is found even where thumbnails are allowed."""
    metadata = sanitised("JPEG")
    metadata = replace(metadata, exif=exif_with_thumbnail(metadata.exif, nasty_files.thumbnail()))
    for file_format in FORMATS[:3]:
        (finding,) = find_forbidden(written(metadata, file_format), file_format, allow_thumbnail=True)
        assert finding == "in the thumbnail: segment 0xFE"


# The second look


CLEAN = {file_format: written(sanitised(file_format), file_format) for file_format in FORMATS}


@pytest.mark.parametrize("file_format", FORMATS)
def test_the_second_look_is_silent_on_clean_files(file_format: Format) -> None:
    """Nothing is found in an output, with all metadata, with the stamp only, or with none."""
    assert find_forbidden(CLEAN[file_format], file_format) == []
    for metadata in (Metadata(), stamped(Metadata(), BLURRING_ID)):
        assert find_forbidden(written(metadata, file_format), file_format) == []
    for options in ({"progressive": True}, {"optimize": True}, {"restart_marker_blocks": 1}):
        assert find_forbidden(encoded(PIXELS, "JPEG", **options), "JPEG") == []


def clean_exif(**changes: Any) -> bytes:
    """A clean block, with values added to one of its directories."""
    found = exif.read(sanitised("JPEG").exif, is_output=True)
    return exif.write(replace(found, **{name: {**getattr(found, name), **more} for name, more in changes.items()}))


def secret_value(place: str) -> exif_tags.Value:
    """A text that must not be published."""
    return exif_tags.Value(2, nasty_files.secret(place) + b"\0")


FORBIDDEN_BLOCKS = {
    "caption": clean_exif(main={0x010E: secret_value("caption")}),
    "maker note": clean_exif(camera={0x927C: exif_tags.Value(7, SECRET)}),
    "GPS area": clean_exif(gps={28: exif_tags.Value(7, SECRET)}),
    "foreign software": clean_exif(main={0x0131: secret_value("software")}),
    "foreign id": clean_exif(camera={0xA420: secret_value("id")}),
    "unprintable": clean_exif(main={0x010F: exif_tags.Value(2, b"a\nb\0")}),
    "type": clean_exif(main={0x0112: exif_tags.Value(4, (6,))}),
    "behind the text": clean_exif(main={0x010F: exif_tags.Value(2, b"a\0b\0")}),
    "trailer": clean_exif() + SECRET,
    "gap": clean_exif().replace(b"Veilcam\0", b"") + b"Veilcam\0",
    "big-endian": nasty_files.exif_block(),
    "thumbnail": exif_with_thumbnail(clean_exif(), nasty_files.thumbnail()),
    "cut": clean_exif()[:-3],
    "empty": b"",
}
PLANTED = {
    "JPEG": {
        **{name: part for name, part in nasty_files.nasty_segments().items() if name != "second Exif"},
        **{
            f"EXIF {name}": nasty_files.jpeg_segment(0xE1, b"Exif\0\0" + part)
            for name, part in FORBIDDEN_BLOCKS.items()
        },
        "fill byte": b"\xff",
        "JFIF thumbnail": nasty_files.jpeg_segment(0xE0, b"JFIF\0\1\2\0\0\1\0\1\1\1" + SECRET[:3]),
        "clean Exif twice": nasty_files.jpeg_segment(0xE1, b"Exif\0\0" + clean_exif()),
        "clean XMP twice": nasty_files.jpeg_segment(
            0xE1, b"http://ns.adobe.com/xap/1.0/\0" + (sanitised("JPEG").xmp or b"")
        ),
        "quantisation with a tail": nasty_files.jpeg_segment(0xDB, bytes(65) + SECRET),
        "Huffman with a tail": nasty_files.jpeg_segment(0xC4, bytes(17) + SECRET),
        "restart with a tail": nasty_files.jpeg_segment(0xDD, b"\0\0" + SECRET),
        "lines": nasty_files.jpeg_segment(0xDC, b"\0\x10"),
    },
    "PNG": {
        **nasty_files.nasty_png_chunks(),
        **{f"EXIF {name}": nasty_files.png_chunk(b"eXIf", part) for name, part in FORBIDDEN_BLOCKS.items()},
        "checksum": nasty_files.png_chunk(b"IDAT", b"")[:-1] + b"x",
        "animation": nasty_files.png_chunk(b"acTL", bytes(8)),
    },
}


@pytest.mark.parametrize(("file_format", "name"), [(kind, name) for kind, parts in PLANTED.items() for name in parts])
def test_each_planted_part_is_found(file_format: Format, name: str) -> None:
    """One segment or chunk among clean ones is found, and no finding quotes a secret."""
    part = PLANTED[file_format][name]
    if file_format == "JPEG":
        base = written(Metadata(), "JPEG") if "twice" not in name else CLEAN["JPEG"]
        planted = nasty_files.behind_app0(base, part)
    else:
        base = written(Metadata(), "PNG")
        planted = base[:33] + part + base[33:]
    findings = find_forbidden(planted, file_format)
    assert find_forbidden(base, file_format) == []
    assert findings
    assert SECRET.decode() not in " ".join(findings)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (b"prVt", SECRET),
        (b"ANIM", bytes(6)),
        (b"ANMF", SECRET),
        (b"EXIF", b"Exif\0\0" + clean_exif()),
        (b"EXIF", clean_exif()),
        (b"XMP ", nasty_files.xmp_packet()),
        (b"ICCP", nasty_files.icc_profile()),
        *((b"EXIF", block) for block in FORBIDDEN_BLOCKS.values()),
    ],
)
def test_each_planted_chunk_of_a_webp_is_found(name: bytes, content: bytes) -> None:
    """One chunk more in a clean WebP is found: unknown, animated, not ours, or doubled."""
    base = CLEAN["WEBP"] if content == clean_exif() else written(Metadata(), "WEBP")
    assert find_forbidden(nasty_files.with_riff_chunk(base, name, content), "WEBP")


@pytest.mark.parametrize("tag", [0x010E, 0x013B, 330, 700, 0x83BB, 0x8649, 34675, 0x927C, 65000])
def test_each_planted_tag_of_a_tiff_is_found(tag: int) -> None:
    """One tag more in a clean TIFF is found, wherever it is not ours."""
    out = io.BytesIO()
    tifffile.imwrite(out, PIXELS, photometric="rgb", metadata=None)
    found = exif.Exif({**exif.read(sanitised("TIFF").exif, True).main, tag: exif_tags.Value(7, SECRET)})
    assert find_forbidden(tiff.with_blocks(out.getvalue(), replace(found, main={}), None, None), "TIFF") == []
    assert find_forbidden(tiff.with_blocks(out.getvalue(), found, None, None), "TIFF")
    assert find_forbidden(encoded(PIXELS, "TIFF", description=SECRET.decode()), "TIFF")


@pytest.mark.parametrize("file_format", FORMATS)
def test_bytes_that_belong_to_nothing_are_found(file_format: Format) -> None:
    """A trailer, a second file behind the first, a cut file and another format's file are found."""
    clean = CLEAN[file_format]
    other = CLEAN[FORMATS[FORMATS.index(file_format) - 1]]
    for content in (clean + b"\0\0", clean + SECRET, clean + clean, clean[:-4], clean[:30], b"", other):
        assert find_forbidden(content, file_format)
    assert find_forbidden(NASTY[file_format], file_format)


@pytest.mark.parametrize("file_format", FORMATS)
@given(flips=FLIPS, cut=st.integers(0, 20_000))
@settings(max_examples=60, deadline=None)
def test_the_second_look_never_raises(file_format: Format, flips: list[tuple[int, int]], cut: int) -> None:
    """Whatever is done to an output, the second look ends with a list."""
    assert isinstance(find_forbidden(flipped(CLEAN[file_format], flips)[:cut], file_format), list)


def test_every_bit_of_a_block_is_looked_at() -> None:
    """No byte of a clean EXIF block can be changed to a letter without that being found, but in names and numbers."""
    block = clean_exif()
    found = exif.read(block, is_output=True)
    unfound = []
    for place in range(len(block)):
        changed = block[:place] + bytes((block[place] ^ 0x80,)) + block[place + 1 :]
        planted = nasty_files.behind_app0(
            written(Metadata(), "JPEG"), nasty_files.jpeg_segment(0xE1, b"Exif\0\0" + changed)
        )
        if not find_forbidden(planted, "JPEG"):
            assert exif.read(changed, is_output=True) != found  # it is a value, and one that may be published
            unfound.append(place)
    assert len(unfound) < len(block) / 3


def test_the_second_look_takes_milliseconds() -> None:
    """A JPEG of 4 MB is looked at in a tenth of the time that decoding it takes, or less."""
    noise = np.random.default_rng(2).integers(0, 256, (2000, 2000, 3), np.uint8)
    content = written(sanitised("JPEG"), "JPEG", noise)
    times: dict[str, list[float]] = {"look": [], "read": []}
    for _, name in itertools.product(range(5), times):
        started = time.perf_counter()
        find_forbidden(content, "JPEG") if name == "look" else read_metadata(content, "JPEG")
        times[name].append(time.perf_counter() - started)
    assert min(times["look"]) < 0.03
    assert min(times["read"]) < 0.03
