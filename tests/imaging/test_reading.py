"""Reading is strict: a picture comes out whole and upright, or not at all."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from components.errors import ImageFault, Reason
from components.imaging.orientation import upright
from components.imaging.reading import Picture, blurring_id_of, decode, sniff
from components.settings import Reading
from tests.conftest import encoded

LIMITS = Reading(max_file_mib=1, max_megapixels=1, max_side_px=5000, treat_2_to_1_as_panorama=False)
ORIENTATION = 0x0112
_RNG = np.random.default_rng(8)
COLOUR: NDArray[np.uint8] = _RNG.integers(0, 256, (24, 32, 3), np.uint8)
GREY: NDArray[np.uint8] = COLOUR[:, :, 0]


def smooth(width: int = 96, height: int = 80) -> NDArray[np.uint8]:
    """A colourful gradient, which JPEG keeps nearly as it is."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 255 // width, y * 255 // height, (x + y) % 256], axis=2).astype(np.uint8)


def saved(image: Image.Image, file_format: str, **options: Any) -> bytes:
    """An image as a file's bytes."""
    out = io.BytesIO()
    image.save(out, file_format, **options)
    return out.getvalue()


def fault_of(source_bytes: bytes, limits: Reading = LIMITS) -> ImageFault:
    """The fault that decoding ends with."""
    with pytest.raises(ImageFault) as raised:
        decode(source_bytes, limits)
    assert raised.value.detail
    assert "\n" not in str(raised.value)
    return raised.value


def png_of(width: int, height: int, depth: int, kind: int, rows: bytes) -> bytes:
    """A PNG from its header's fields and its unpacked rows."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    packed = zlib.compress(rows)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def jpeg_declaring(width: int, height: int) -> bytes:
    """A small JPEG whose header promises another size."""
    whole = bytearray(encoded(COLOUR, "JPEG"))
    start = whole.index(b"\xff\xc0")
    whole[start + 5 : start + 9] = struct.pack(">HH", height, width)
    return bytes(whole)


def cmyk_jpeg() -> bytes:
    """A JPEG for print, 64 × 64."""
    return saved(Image.fromarray(_RNG.integers(0, 256, (64, 64, 4), np.uint8), "CMYK"), "JPEG")


WHOLE_FILES: dict[str, bytes] = {
    "baseline.jpg": encoded(COLOUR, "JPEG", quality=90),
    "progressive.jpg": encoded(COLOUR, "JPEG", quality=90, progressive=True),
    "restarts.jpg": encoded(COLOUR, "JPEG", quality=90, restart_marker_blocks=1),
    "grey.jpg": encoded(GREY, "JPEG", quality=90),
    "cmyk.jpg": cmyk_jpeg(),
    "colour.png": encoded(COLOUR),
    "grey.png": encoded(GREY),
    "alpha.png": encoded(np.dstack([COLOUR, GREY])),
    "lossless.webp": encoded(COLOUR, "WEBP", lossless=True),
    "lossy.webp": encoded(COLOUR, "WEBP"),
    "raw.tif": encoded(COLOUR, "TIFF"),
    "deflate.tif": encoded(COLOUR, "TIFF", compression="tiff_adobe_deflate"),
    "lzw.tif": encoded(COLOUR, "TIFF", compression="tiff_lzw"),
}


@pytest.mark.parametrize("name", WHOLE_FILES)
@pytest.mark.parametrize("tenths", range(1, 10))
@pytest.mark.filterwarnings("ignore:Truncated File Read", "ignore:Corrupt EXIF data")
def test_a_file_that_breaks_off_is_refused(name: str, tenths: int) -> None:
    """A copy that stopped at any tenth of a file never becomes a partly grey picture."""
    whole = WHOLE_FILES[name]
    fault = fault_of(whole[: len(whole) * tenths // 10])
    assert fault.reason in (Reason.DECODE_REFUSED, Reason.UNSUPPORTED_FORMAT)


@pytest.mark.parametrize("name", WHOLE_FILES)
@pytest.mark.filterwarnings("ignore:Truncated File Read", "ignore:Corrupt EXIF data")
def test_a_file_without_its_last_bytes_is_whole_or_refused(name: str) -> None:
    """Cutting off up to thirty bytes gives the whole picture or a fault."""
    whole = WHOLE_FILES[name]
    pixels = decode(whole, LIMITS).pixels
    for cut in range(1, 31):
        try:
            found = decode(whole[:-cut], LIMITS).pixels
        except ImageFault:
            continue
        assert np.array_equal(found, pixels)


@pytest.mark.parametrize("name", ["baseline.jpg", "progressive.jpg", "grey.jpg", "cmyk.jpg"])
def test_a_jpeg_that_breaks_off_but_ends_properly_is_refused(name: str) -> None:
    """An end marker after half of the data does not make a picture of it."""
    whole = WHOLE_FILES[name]
    assert fault_of(whole[: len(whole) // 2] + b"\xff\xd9").reason is Reason.DECODE_REFUSED


def test_a_jpeg_inside_of_a_tiff_is_read_as_strictly() -> None:
    """A TIFF whose JPEG data end half way does not become a partly grey picture."""
    content = bytearray(encoded(smooth(), "TIFF", compression="jpeg"))
    middle = (content.index(b"\xff\xda") + content.rindex(b"\xff\xd9")) // 2
    content[middle : middle + 2] = b"\xff\xd9"
    assert fault_of(bytes(content)).reason in (Reason.DECODE_REFUSED, Reason.UNSUPPORTED_FORMAT)


def test_an_empty_file_is_told_as_empty() -> None:
    """No bytes have a reason of their own."""
    assert fault_of(b"").reason is Reason.EMPTY


@pytest.mark.parametrize(
    "content",
    [
        b"not a picture at all, only words",
        b"\0" * 500,
        encoded(COLOUR, "GIF"),
        encoded(COLOUR, "BMP"),
        encoded(COLOUR, "JPEG2000"),
        b"RIFF\x10\0\0\0WAVEfmt ",
        b"%PDF-1.7",
        b"\xff\xd8",
        b"\x89PNG",
        b"8BPS\0\1",
    ],
)
def test_other_formats_are_told_as_unsupported(content: bytes) -> None:
    """Text, zeros, GIF, BMP, JPEG 2000, sound, PDF and half a signature are no supported pictures."""
    assert fault_of(content).reason is Reason.UNSUPPORTED_FORMAT


@pytest.mark.parametrize(
    ("name", "file_format"),
    [("baseline.jpg", "JPEG"), ("colour.png", "PNG"), ("lossy.webp", "WEBP"), ("raw.tif", "TIFF")],
)
def test_the_first_bytes_decide_the_format(name: str, file_format: str) -> None:
    """The signature counts, and no other decoder gets to try the rest."""
    assert sniff(WHOLE_FILES[name]) == file_format
    assert decode(WHOLE_FILES[name], LIMITS).format == file_format
    signature = {"JPEG": 3, "PNG": 8, "WEBP": 12, "TIFF": 4}[file_format]
    for other in ("baseline.jpg", "colour.png", "raw.tif"):
        if not other.startswith(name):
            chimera = WHOLE_FILES[name][:signature] + WHOLE_FILES[other]
            assert fault_of(chimera).reason is Reason.DECODE_REFUSED


def test_both_byte_orders_of_tiff_are_read() -> None:
    """A big-endian TIFF is a TIFF."""
    tags = [(256, 3, 1, 1 << 16), (257, 3, 1, 1 << 16), (258, 3, 1, 8 << 16), (259, 3, 1, 1 << 16)]
    tags += [(262, 3, 1, 1 << 16), (273, 4, 1, 200), (277, 3, 1, 1 << 16), (278, 3, 1, 1 << 16), (279, 4, 1, 1)]
    directory = struct.pack(">H", len(tags)) + b"".join(struct.pack(">HHII", *tag) for tag in tags) + bytes(4)
    content = (b"MM\0*" + struct.pack(">I", 8) + directory).ljust(200, b"\0") + b"\x07"
    assert decode(content, LIMITS).pixels.tolist() == [[[7, 7, 7]]]


def test_more_frames_than_one_are_refused() -> None:
    """Animated PNG and WebP and a TIFF of pages would be blurred on their first frame only, so they are refused."""
    frames = [Image.fromarray(COLOUR), Image.fromarray(COLOUR[::-1])]
    for file_format in ("PNG", "WEBP", "TIFF"):
        animated = saved(frames[0], file_format, save_all=True, append_images=frames[1:])
        fault = fault_of(animated)
        assert fault.reason is Reason.UNSUPPORTED_FORMAT
        assert "2 frames" in fault.detail


SIXTEEN = _RNG.integers(0, 65536, (8, 6, 3)).astype(np.uint16)
DEEP_FILES: dict[str, bytes] = {
    "grey16.png": encoded(SIXTEEN[:, :, 0]),
    "colour16.png": png_of(6, 8, 16, 2, b"".join(b"\0" + row.astype(">u2").tobytes() for row in SIXTEEN)),
    "alpha16.png": png_of(
        6, 4, 16, 6, b"".join(b"\0" + row.astype(">u2").tobytes() for row in SIXTEEN.reshape(4, 36)[:, :24])
    ),
    "grey16.tif": encoded(SIXTEEN[:, :, 0], "TIFF"),
    "colour16.tif": cv2.imencode(".tiff", SIXTEEN)[1].tobytes(),
    "float.tif": encoded(SIXTEEN[:, :, 0].astype(np.float32), "TIFF"),
    "integer.tif": encoded(SIXTEEN[:, :, 0].astype(np.int32), "TIFF"),
    "cmyk.tif": saved(Image.fromarray(_RNG.integers(0, 256, (8, 6, 4), np.uint8), "CMYK"), "TIFF"),
    "lab.tif": saved(Image.fromarray(COLOUR, "LAB"), "TIFF"),
}


@pytest.mark.parametrize("name", DEEP_FILES)
def test_pixels_that_cannot_be_kept_are_refused(name: str) -> None:
    """16 bits, floats, CMYK and Lab outside of JPEG would lose something in silence, so they are refused."""
    assert fault_of(DEEP_FILES[name]).reason is Reason.UNSUPPORTED_FORMAT


def test_a_large_file_is_not_read() -> None:
    """The size in MiB is limited, whatever is in the file; exactly the limit is allowed."""
    exact = {"max_file_mib": len(WHOLE_FILES["colour.png"]) / 2**20, "max_side_px": 100}
    small = LIMITS.model_copy(update=exact)
    assert decode(WHOLE_FILES["colour.png"], small).width == 32
    fault = fault_of(WHOLE_FILES["colour.png"] + b"\0", small)
    assert fault.reason is Reason.TOO_LARGE
    assert "max_file_mib" in fault.detail


@pytest.mark.parametrize(
    "content",
    [
        jpeg_declaring(65500, 65500),
        jpeg_declaring(1001, 1000),
        png_of(2**31 - 1, 2**31 - 1, 8, 2, b""),
        png_of(60000, 60000, 8, 2, b""),
        png_of(1001, 1000, 8, 2, b""),
        png_of(5001, 1, 1, 0, b""),
        png_of(1, 5001, 1, 0, b""),
        encoded(np.zeros((1, 5001), np.uint8), "WEBP"),
        encoded(np.zeros((5001, 1), np.uint8), "TIFF"),
        encoded(np.zeros((1001, 1000), np.uint8), "TIFF", compression="tiff_adobe_deflate"),
    ],
)
def test_a_huge_size_is_refused_by_its_header(content: bytes) -> None:
    """Gigapixels, a pixel row too many and a side too long are too large, before there is any pixel to decode."""
    assert len(content) < 10_000
    assert fault_of(content).reason is Reason.TOO_LARGE


def test_the_largest_size_is_allowed() -> None:
    """Limits are inclusive, in megapixels and on both sides."""
    assert decode(encoded(np.zeros((1000, 1000), np.uint8)), LIMITS).height == 1000
    assert decode(encoded(np.zeros((1, 5000), np.uint8)), LIMITS).width == 5000
    assert decode(encoded(np.zeros((5000, 1), np.uint8), "TIFF"), LIMITS).height == 5000


@pytest.mark.parametrize("name", ["colour.png", "lossless.webp", "raw.tif", "deflate.tif", "lzw.tif"])
def test_lossless_colours_come_out_as_they_are(name: str) -> None:
    """Red, green and blue stand in this order, and no bit is lost."""
    found = decode(WHOLE_FILES[name], LIMITS)
    assert np.array_equal(found.pixels, COLOUR)
    assert (found.alpha, found.is_grey, found.orientation) == (None, False, 1)


@pytest.mark.parametrize("name", ["baseline.jpg", "progressive.jpg", "restarts.jpg"])
def test_jpeg_colours_come_out_as_pillow_sees_them(name: str) -> None:
    """Two decoders agree about a sound file within rounding."""
    found = decode(WHOLE_FILES[name], LIMITS)
    reference = np.asarray(Image.open(io.BytesIO(WHOLE_FILES[name]))).astype(int)
    assert np.abs(found.pixels - reference).mean() < 1
    assert not found.is_grey


def test_a_cmyk_jpeg_becomes_rgb() -> None:
    """A JPEG for print is read, in three channels, near the colours that went in."""
    smooth_picture = Image.fromarray(smooth())
    found = decode(saved(smooth_picture.convert("CMYK"), "JPEG", quality=95), LIMITS)
    assert np.abs(found.pixels.astype(int) - smooth()).mean() < 3
    assert not found.is_grey


@pytest.mark.parametrize("name", ["grey.png", "grey.jpg"])
def test_grey_is_known_as_grey(name: str) -> None:
    """One channel becomes three equal ones for the detectors, and is remembered."""
    found = decode(WHOLE_FILES[name], LIMITS)
    assert found.is_grey
    assert found.pixels.shape == (24, 32, 3)
    assert (found.pixels[:, :, :1] == found.pixels).all()
    assert np.abs(found.pixels[:, :, 0].astype(int) - GREY).max() <= (0 if name.endswith("png") else 60)


def test_black_and_white_becomes_grey() -> None:
    """A PNG of one bit a pixel has 0 and 255."""
    bits = GREY > 128
    found = decode(saved(Image.fromarray(bits), "PNG"), LIMITS)
    assert found.is_grey
    assert np.array_equal(found.pixels[:, :, 0], bits * np.uint8(255))


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "TIFF"])
def test_transparency_is_kept_beside_the_colours(file_format: str) -> None:
    """Alpha is its own plane, and the colours under transparent pixels are read too."""
    options = {"lossless": True, "exact": True} if file_format == "WEBP" else {}
    found = decode(encoded(np.dstack([COLOUR, GREY]), file_format, **options), LIMITS)
    assert np.array_equal(found.pixels, COLOUR)
    assert found.alpha is not None
    assert np.array_equal(found.alpha, GREY)


def test_grey_with_transparency_keeps_both() -> None:
    """Grey and alpha become three equal channels and alpha."""
    found = decode(saved(Image.fromarray(np.dstack([GREY, GREY[::-1]]), "LA"), "PNG"), LIMITS)
    assert np.array_equal(found.pixels, np.repeat(GREY[:, :, None], 3, axis=2))
    assert found.alpha is not None
    assert np.array_equal(found.alpha, GREY[::-1])


def test_a_palette_becomes_its_colours() -> None:
    """A PNG with a palette, with and without a transparent entry, comes out in colours."""
    image = Image.fromarray(COLOUR).quantize(16)
    plain = decode(saved(image, "PNG"), LIMITS)
    assert np.array_equal(plain.pixels, np.asarray(image.convert("RGB")))
    assert plain.alpha is None
    clear = decode(saved(image, "PNG", transparency=3), LIMITS)
    assert clear.alpha is not None
    assert np.array_equal(clear.alpha == 0, np.asarray(image) == 3)


@pytest.mark.parametrize(("mode", "key"), [("RGB", (10, 20, 30)), ("L", 10)])
def test_a_transparent_colour_is_kept_or_refused(mode: str, key: object) -> None:
    """A PNG whose one colour is transparent does not lose that in silence."""
    pixels = np.zeros((4, 6, 3), np.uint8) if mode == "RGB" else np.zeros((4, 6), np.uint8)
    pixels[1, 2] = key
    content = saved(Image.fromarray(pixels), "PNG", transparency=key)
    assert Image.open(io.BytesIO(content)).convert("RGBA").getpixel((2, 1))[3] == 0
    try:
        found = decode(content, LIMITS)
    except ImageFault:
        return
    assert found.alpha is not None
    assert found.alpha[1, 2] == 0


def gpano(**properties: object) -> bytes:
    """An XMP packet that speaks of a panorama."""
    stated = " ".join(f'GPano:{name}="{value}"' for name, value in properties.items())
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description xmlns:GPano="http://ns.google.com/photos/1.0/panorama/" {stated}/></rdf:RDF></x:xmpmeta>'
    ).encode()


FULL = {"FullPanoWidthPixels": 32, "CroppedAreaImageWidthPixels": 32}


@pytest.mark.parametrize(
    ("properties", "is_panorama"),
    [
        ({"ProjectionType": "equirectangular"}, True),
        ({"ProjectionType": "equirectangular", **FULL}, True),
        (FULL, True),
        ({"ProjectionType": "equirectangular", "FullPanoWidthPixels": 64, "CroppedAreaImageWidthPixels": 32}, False),
        ({"ProjectionType": "cylindrical", **FULL}, False),
        ({}, False),
    ],
)
def test_a_panorama_is_one_that_says_so(properties: dict[str, object], is_panorama: bool) -> None:
    """A picture goes all the way round if its XMP declares an equirectangular one of full width."""
    content = encoded(COLOUR, "JPEG", xmp=gpano(**properties))
    assert decode(content, LIMITS).is_panorama == is_panorama


def test_shape_alone_makes_a_panorama_only_if_asked() -> None:
    """Twice as wide as high counts where the setting says so, and nothing else does."""
    asked = LIMITS.model_copy(update={"treat_2_to_1_as_panorama": True})
    flat, square = encoded(COLOUR[:16]), encoded(COLOUR)
    assert not decode(flat, LIMITS).is_panorama
    assert decode(flat, asked).is_panorama
    assert not decode(square, asked).is_panorama


def test_a_turn_in_xmp_does_not_count() -> None:
    """Only EXIF turns a picture, as in browsers; a tiff:Orientation in XMP is another program's note."""
    packet = gpano(UsePanoramaViewer="True").replace(b"<rdf:Description", b'<rdf:Description tiff:Orientation="6"')
    found = decode(encoded(COLOUR, "JPEG", xmp=packet), LIMITS)
    assert (found.orientation, found.pixels.shape) == (1, COLOUR.shape)


def test_an_odd_sampling_is_refused_with_a_remedy() -> None:
    """A JPEG sampled 4:4:1, which no encoder of ours could keep, is unsupported and not damaged."""
    content = bytearray(encoded(COLOUR, "JPEG", subsampling=0))
    content[content.index(b"\xff\xc0") + 11] = 0x14
    fault = fault_of(bytes(content))
    assert fault.reason is Reason.UNSUPPORTED_FORMAT
    assert "convert" in fault.detail


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "TIFF", "JPEG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_picture_comes_out_upright(file_format: str, orientation: int) -> None:
    """Every format is turned as its EXIF orientation asks, once, and says so."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    options: dict[str, object] = {"WEBP": {"lossless": True}, "JPEG": {"quality": 95, "subsampling": 0}}.get(
        file_format, {}
    )
    found = decode(encoded(smooth(), file_format, exif=exif, **options), LIMITS)
    expected = upright(smooth(), orientation)
    assert found.orientation == orientation
    assert (found.width, found.height) == (expected.shape[1], expected.shape[0])
    assert np.abs(found.pixels.astype(int) - expected).max() <= (60 if file_format == "JPEG" else 0)
    assert np.abs(found.pixels.astype(int) - expected).mean() <= 2


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", [2, 6])
def test_transparency_turns_with_the_picture(file_format: str, orientation: int) -> None:
    """Colours and alpha stay on top of each other."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    options = {"lossless": True, "exact": True} if file_format == "WEBP" else {}
    found = decode(encoded(np.dstack([COLOUR, GREY]), file_format, exif=exif, **options), LIMITS)
    assert found.alpha is not None
    assert np.array_equal(found.alpha, upright(GREY, orientation))


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_means_upright(orientation: int) -> None:
    """Cameras write 0; it is read as 1."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    found = decode(encoded(COLOUR, exif=exif), LIMITS)
    assert found.orientation == 1
    assert np.array_equal(found.pixels, COLOUR)


def test_a_phone_picture_with_a_second_one_inside_is_read() -> None:
    """A JPEG with a depth or preview picture behind it (MPO) is its first picture."""
    second = Image.fromarray(np.zeros_like(smooth()))
    content = saved(Image.fromarray(smooth()), "MPO", save_all=True, append_images=[second], quality=95)
    found = decode(content, LIMITS)
    assert found.format == "JPEG"
    assert np.abs(found.pixels.astype(int) - smooth()).mean() < 3


def test_the_hash_is_that_of_the_file() -> None:
    """The noise depends on the file's own bytes."""
    content = WHOLE_FILES["colour.png"]
    assert decode(content, LIMITS).sha256 == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    ("colour", "luma"), [((255, 255, 255), 255), ((255, 0, 0), 76.245), ((0, 255, 0), 149.685), ((0, 0, 255), 29.07)]
)
def test_brightness_is_luma(colour: tuple[int, int, int], luma: float) -> None:
    """White is 255, and green is brighter than red and blue."""
    pixels = np.broadcast_to(np.array(colour, np.uint8), (4, 5, 3))
    assert decode(encoded(pixels), LIMITS).brightness() == pytest.approx(luma)


def test_a_file_without_an_id_has_none() -> None:
    """Only what Streetveil has published carries a blurring id."""
    assert blurring_id_of(WHOLE_FILES["baseline.jpg"]) is None
    assert blurring_id_of(WHOLE_FILES["colour.png"]) is None


FLIPPED = ["baseline.jpg", "progressive.jpg", "cmyk.jpg", "colour.png", "alpha.png", "lossy.webp", "lzw.tif"]


@given(
    name=st.sampled_from(FLIPPED),
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=6),
    cut=st.floats(0, 1),
)
@settings(max_examples=250, deadline=None)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_hostile_bytes_end_in_a_picture_or_a_fault(name: str, flips: list[tuple[float, int]], cut: float) -> None:
    """Whatever is flipped in a file, and wherever half of the copies break off, nothing else comes out."""
    content = bytearray(WHOLE_FILES[name])
    for place, flip in flips:
        content[int(place * len(content))] ^= flip
    if cut < 0.5:
        del content[int(2 * cut * len(content)) :]
    try:
        found = decode(bytes(content), LIMITS)
    except ImageFault:
        return
    assert isinstance(found, Picture)
    assert found.pixels.shape == (found.height, found.width, 3)
    assert found.width * found.height <= 1_000_000


@given(content=st.binary(max_size=200), name=st.sampled_from(FLIPPED))
@settings(max_examples=100, deadline=None)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_rubbish_behind_a_signature_is_refused(content: bytes, name: str) -> None:
    """A signature makes no picture of random bytes."""
    with pytest.raises(ImageFault):
        decode(WHOLE_FILES[name][:12] + content, LIMITS)
