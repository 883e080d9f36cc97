"""What is published has the form of its source, an id, hidden areas, and nothing else of the original's metadata."""

from __future__ import annotations

import io
import re
from typing import Any

import cv2
import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageCms, PngImagePlugin

from components.imaging.orientation import upright
from components.imaging.publication import Recipe, publish
from components.imaging.reading import blurring_id_of, decode
from components.packages import package_folder
from components.settings import PROJECT_ROOT, load_params
from tests.conftest import encoded

PARAMS = load_params(PROJECT_ROOT / "params.yaml")
RECIPE = Recipe(PARAMS.regions["strict"].obfuscation, PARAMS.encoding, PARAMS.reading, b"k" * 32)
NOTHING = np.zeros((0, 4), np.int32)
FORMATS = ["JPEG", "PNG", "WEBP", "TIFF"]
LOSSLESS = FORMATS[1:]
MARKER = b"ORIGINAL7f3aSECRET"
TEXT = MARKER.decode()
PHOTOGRAPH: NDArray[np.uint8] = np.asarray(
    Image.open(package_folder("skimage") / "data" / "astronaut.png").convert("RGB").crop((165, 40, 277, 180))
)
GREY: NDArray[np.uint8] = cv2.cvtColor(PHOTOGRAPH, cv2.COLOR_RGB2GRAY)
ALPHA = np.where(np.arange(GREY.shape[1]) % 3, GREY, 0).astype(np.uint8)  # a third is fully transparent
FACE = np.array([[25, 20, 85, 110]], np.int32)


def source(file_format: str, pixels: NDArray[np.uint8] = PHOTOGRAPH, **options: Any) -> bytes:
    """A source file; WebP is lossless and keeps the colours under transparent pixels."""
    if file_format == "WEBP":
        options = {"lossless": True, "exact": True, **options}
    return encoded(pixels, file_format, **options)


def opened(content: bytes) -> Image.Image:
    """The file as another program sees it."""
    return Image.open(io.BytesIO(content))


def outside(areas: NDArray[np.int32], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """The pixels in no area."""
    mask = np.ones(shape[:2], bool)
    for x1, y1, x2, y2 in areas:
        mask[y1:y2, x1:x2] = False
    return mask


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("areas", [NOTHING, FACE])
def test_an_output_never_equals_its_source(file_format: str, areas: NDArray[np.int32]) -> None:
    """With and without something to hide, and when an output is published again, the bytes are new."""
    chain = [source(file_format)]
    for _ in range(3):
        chain.append(publish(chain[-1], areas, RECIPE))
    assert len(set(chain)) == 4


@pytest.mark.parametrize("file_format", FORMATS)
def test_an_output_carries_its_blurring_id(file_format: str) -> None:
    """32 hex digits are read back from every format, and they are those of key and source."""
    content = source(file_format)
    output = publish(content, FACE, RECIPE)
    found = blurring_id_of(output)
    assert found == RECIPE.noise(decode(content, RECIPE.reading)).blurring_id()
    assert re.fullmatch("[0-9a-f]{32}", str(found))
    assert blurring_id_of(content) is None
    assert blurring_id_of(publish(output, FACE, RECIPE)) not in (found, None)


@pytest.mark.parametrize("file_format", FORMATS)
def test_the_same_key_writes_the_same_bytes(file_format: str) -> None:
    """Re-runs are byte-identical, with or without the picture decoded before, and another key's output is not."""
    content = source(file_format)
    output = publish(content, FACE, RECIPE)
    assert publish(content, FACE, RECIPE) == output
    assert publish(content, FACE, RECIPE, decode(content, RECIPE.reading)) == output
    other = Recipe(RECIPE.obfuscation, RECIPE.encoding, RECIPE.reading, b"o" * 32)
    assert publish(content, FACE, other) != output
    x1, y1, x2, y2 = FACE[0]
    hidden = [np.asarray(opened(publish(content, FACE, recipe)))[y1:y2, x1:x2] for recipe in (RECIPE, other)]
    assert not np.array_equal(*hidden)


@pytest.mark.parametrize("size", [(160, 220), (200, 280), (300, 300), (310, 190)])
def test_no_byte_of_a_tiff_is_left_to_chance(size: tuple[int, int]) -> None:
    """Ten re-runs agree in every byte, so between a TIFF's tags nothing stands that only happened to be in memory."""
    content = source("TIFF", np.asarray(Image.fromarray(PHOTOGRAPH).resize(size)))
    assert len({publish(content, FACE, RECIPE) for _ in range(10)}) == 1


def exif_with_secrets() -> Image.Exif:
    """EXIF with a place, a camera, a comment, a maker's note and its own unique id."""
    exif = Image.Exif()
    exif[0x010E] = TEXT  # ImageDescription
    exif[0x010F] = TEXT  # Make
    exif[0x013B] = TEXT  # Artist
    inner = exif.get_ifd(0x8769)
    inner[0x927C] = MARKER  # MakerNote
    inner[0x9286] = b"ASCII\0\0\0" + MARKER  # UserComment
    inner[0xA420] = TEXT  # ImageUniqueID
    inner[0xA431] = TEXT  # BodySerialNumber
    place = exif.get_ifd(0x8825)
    place[1], place[2] = "N", (48.0, 8.0, 30.0)
    place[29] = TEXT  # GPSDateStamp
    return exif


def colour_profile() -> bytes:
    """An ICC profile that carries the marker."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile + MARKER


def jpeg_with_secrets() -> bytes:
    """A JPEG with secrets in EXIF, a thumbnail, XMP, IPTC, ICC, an unknown segment, a comment and behind its end."""

    def segment(marker: int, content: bytes) -> bytes:
        return bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2, "big") + content

    whole = source("JPEG", exif=exif_with_secrets(), icc_profile=colour_profile(), comment=MARKER, dpi=(301, 301))
    thumbnail = b"II*\0\x08\0\0\0\0\0\x0e\0\0\0\0\0" + encoded(PHOTOGRAPH[::4, ::4], "JPEG", comment=MARKER)
    extra = [
        segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta>" + MARKER + b"</x:xmpmeta>"),
        segment(0xED, b"Photoshop 3.0\08BIM\x04\x04\0\0" + MARKER),
        segment(0xE1, b"Exif\0\0" + thumbnail),
        segment(0xEB, MARKER),
        segment(0xFE, MARKER),
    ]
    end = 2
    while whole[end + 1] == 0xFE or 0xE0 <= whole[end + 1] <= 0xEF:
        end += 2 + int.from_bytes(whole[end + 2 : end + 4], "big")
    return whole[:end] + b"".join(extra) + whole[end:] + MARKER


def png_with_secrets() -> bytes:
    """A PNG with secrets in three kinds of text, EXIF, ICC, a private chunk and behind its end."""
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", TEXT)
    info.add_itxt("XML:com.adobe.xmp", TEXT)
    info.add(b"prVt", MARKER)
    return source("PNG", pnginfo=info, exif=exif_with_secrets(), icc_profile=colour_profile(), dpi=(301, 301)) + MARKER


def webp_with_secrets() -> bytes:
    """A WebP with secrets in EXIF, XMP and ICC."""
    return source("WEBP", exif=exif_with_secrets(), xmp=b"<x>" + MARKER + b"</x>", icc_profile=colour_profile())


def tiff_with_secrets() -> bytes:
    """A TIFF with secrets in EXIF, XMP, ICC, its own text tags and behind its end."""
    own_tags = {700: b"<x>" + MARKER + b"</x>", 270: TEXT, 305: TEXT, 33432: TEXT, 65000: TEXT}
    return source("TIFF", exif=exif_with_secrets(), icc_profile=colour_profile(), tiffinfo=own_tags) + MARKER


WITH_SECRETS = {
    "JPEG": jpeg_with_secrets(),
    "PNG": png_with_secrets(),
    "WEBP": webp_with_secrets(),
    "TIFF": tiff_with_secrets(),
}


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("areas", [NOTHING, FACE])
def test_no_metadata_survives(file_format: str, areas: NDArray[np.int32]) -> None:
    """A text that stands in every place for metadata of the source stands nowhere in the output."""
    content = WITH_SECRETS[file_format]
    assert content.count(MARKER) >= 3
    assert TEXT in str(dict(opened(content).getexif()))
    output = publish(content, areas, RECIPE)
    assert MARKER not in output
    found = opened(output)
    form = {"jfif", "jfif_version", "jfif_unit", "jfif_density", "dpi", "resolution", "compression"}
    assert set(found.info) <= form | {"exif", "loop", "background", "timestamp", "duration"}
    assert found.info.get("dpi", (1, 1))[0] != 301
    assert not found.info.get("icc_profile")
    assert TEXT not in f"{found.info}"


@pytest.mark.parametrize("file_format", FORMATS)
def test_only_the_stamp_is_in_the_exif_data(file_format: str) -> None:
    """Besides what describes the pixels, there are the software's name and the id: no place, time, camera, turn."""
    output = publish(WITH_SECRETS[file_format], FACE, RECIPE)
    exif = opened(output).getexif()
    structural = {254, 256, 257, 258, 259, 262, 273, 277, 278, 279, 282, 283, 284, 296, 317, 339}
    allowed = structural | {0x0131} | ({0xA420} if file_format == "TIFF" else {0x8769})
    assert set(exif) <= allowed
    assert exif[0x0131] == "Streetveil"
    assert set(exif.get_ifd(0x8769)) <= {0xA420}
    assert not exif.get_ifd(0x8825)
    assert not exif.get_ifd(1)


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_comes_out_upright(file_format: str, orientation: int) -> None:
    """A picture that lies, stands on its head or is mirrored is published upright, and declares no turn."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = source(file_format, exif=exif, **({"quality": 95} if file_format == "JPEG" else {}))
    output = publish(content, NOTHING, RECIPE)
    expected = upright(PHOTOGRAPH, orientation)
    found = opened(output)
    assert found.getexif().get(0x0112, 1) == 1
    assert found.size == (expected.shape[1], expected.shape[0])
    difference = np.abs(np.asarray(found).astype(int) - expected)
    assert difference.mean() < (4 if file_format == "JPEG" else 1e-9)


@pytest.mark.parametrize("file_format", LOSSLESS)
@pytest.mark.parametrize("orientation", [1, 6])
def test_areas_are_those_of_the_upright_picture(file_format: str, orientation: int) -> None:
    """In a picture that lies on its side the area is hidden where it is when the picture stands."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = source(file_format, exif=exif)
    expected = upright(PHOTOGRAPH, orientation)
    found = np.asarray(opened(publish(content, FACE, RECIPE)))
    assert found.shape == expected.shape
    same = (found == expected).all(axis=2)
    assert same[outside(FACE, found.shape)].all()
    assert same[~outside(FACE, found.shape)].mean() < 0.05


@pytest.mark.parametrize("file_format", LOSSLESS)
@pytest.mark.parametrize("kind", ["colour", "grey", "alpha"])
@given(
    areas=st.lists(st.tuples(*[st.integers(0, 10)] * 2, *[st.integers(1, 10)] * 2), max_size=3).map(
        lambda found: np.array([(x, y, x + w, y + h) for x, y, w, h in found], np.int32).reshape(-1, 4)
    )
)
@settings(max_examples=15, deadline=None)
def test_lossless_formats_keep_every_pixel_outside(file_format: str, kind: str, areas: NDArray[np.int32]) -> None:
    """Colour, grey and transparency outside of the areas come out bit for bit, in the same kind of file."""
    pixels = {"colour": PHOTOGRAPH, "grey": GREY, "alpha": np.dstack([PHOTOGRAPH, ALPHA])}[kind][80:100, 60:80]
    content = source(file_format, pixels)
    found = opened(publish(content, areas, RECIPE))
    assert (found.format, found.size) == (file_format, (20, 20))
    if (file_format, kind) == ("WEBP", "grey"):
        pixels = np.repeat(pixels[:, :, None], 3, axis=2)  # WebP knows no grey
    assert found.mode == {2: "L", 3: "RGB", 4: "RGBA"}[pixels.ndim if pixels.ndim == 2 else pixels.shape[2]]
    mask = outside(areas, pixels.shape)
    assert np.array_equal(np.asarray(found)[mask], pixels[mask])


def test_grey_areas_are_hidden_in_grey() -> None:
    """In a grey file an area is hidden, and the file stays grey, also as a JPEG."""
    for file_format in ("PNG", "TIFF", "JPEG"):
        content = source(file_format, GREY)
        found = opened(publish(content, FACE, RECIPE))
        assert (found.mode, found.format) == ("L", file_format)
        x1, y1, x2, y2 = FACE[0]
        difference = np.abs(np.asarray(found).astype(int) - GREY)
        assert difference[y1:y2, x1:x2].mean() > 10
        assert difference[outside(FACE, GREY.shape)].mean() < 4


@pytest.mark.parametrize("subsampling", ["444", "422", "420", "440", "411"])
def test_a_jpeg_keeps_its_subsampling(subsampling: str) -> None:
    """Colours are stored as finely as in the source."""
    content = simplejpeg.encode_jpeg(PHOTOGRAPH, 90, "RGB", subsampling)
    height, width, colorspace, found = simplejpeg.decode_jpeg_header(publish(content, FACE, RECIPE))
    assert (height, width, colorspace, found) == (140, 112, "YCbCr", subsampling)


@pytest.mark.parametrize(("stored", "turned"), [("444", "444"), ("422", "440"), ("440", "422"), ("420", "420")])
@pytest.mark.parametrize("orientation", [3, 6])
def test_subsampling_turns_with_the_picture(stored: str, turned: str, orientation: int) -> None:
    """What was coarser from left to right in a lying picture is coarser from top to bottom in the upright one."""
    content = simplejpeg.encode_jpeg(PHOTOGRAPH, 90, "RGB", stored)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stamp = exif.tobytes()
    content = content[:2] + b"\xff\xe1" + (len(stamp) + 2).to_bytes(2, "big") + stamp + content[2:]
    assert decode(content, RECIPE.reading).orientation == orientation
    found = simplejpeg.decode_jpeg_header(publish(content, NOTHING, RECIPE))[3]
    assert found == (turned if orientation == 6 else stored)


def test_a_jpeg_is_compressed_as_asked() -> None:
    """The quality of the settings is the one that is used: 92 is nearer to the source than 50, and larger."""
    content = source("JPEG", quality=98, subsampling=0)
    sizes, errors = [], []
    for quality in (50, 92):
        encoding = RECIPE.encoding.model_copy(update={"jpeg_quality": quality})
        output = publish(content, NOTHING, Recipe(RECIPE.obfuscation, encoding, RECIPE.reading, RECIPE.run_key))
        sizes.append(len(output))
        errors.append(np.abs(np.asarray(opened(output)).astype(int) - PHOTOGRAPH).mean())
    assert sizes[0] < 0.6 * sizes[1]
    assert errors[1] < 3
    assert errors[0] > 1.3 * errors[1]


def test_a_jpeg_for_print_is_published_in_rgb() -> None:
    """A CMYK source becomes a JPEG that every browser shows."""
    out = io.BytesIO()
    Image.fromarray(PHOTOGRAPH).convert("CMYK").save(out, "JPEG", quality=95)
    found = opened(publish(out.getvalue(), NOTHING, RECIPE))
    assert (found.format, found.mode) == ("JPEG", "RGB")
    assert np.abs(np.asarray(found).astype(int) - PHOTOGRAPH).mean() < 5


@pytest.mark.parametrize("file_format", FORMATS)
def test_hidden_areas_are_hidden_in_the_file(file_format: str) -> None:
    """The file itself, decoded by another program, has lost the face and kept the rest."""
    found = np.asarray(opened(publish(source(file_format), FACE, RECIPE))).astype(int)
    x1, y1, x2, y2 = FACE[0]
    difference = np.abs(found - PHOTOGRAPH)
    assert difference[y1:y2, x1:x2].mean() > 20
    beyond = outside(np.array([[x1 - 16, y1 - 16, x2 + 16, y2 + 16]], np.int32), found.shape)
    assert difference[beyond].mean() < 4


def test_the_key_does_not_show() -> None:
    """What a log may print of a recipe does not hold the key."""
    assert "kkkk" not in repr(RECIPE)
    assert "secret" in repr(RECIPE)
