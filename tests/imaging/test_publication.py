"""What is published has the form of its source, an id, hidden areas, and of the metadata only what may be told."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps

from components.imaging import jpeg, turbojpeg
from components.imaging.metadata.inspection import find_forbidden
from components.imaging.obfuscation import ramp_windows
from components.imaging.orientation import upright
from components.imaging.publication import Recipe, Way, publish
from components.imaging.reading import Picture, blurring_id_of, decode
from components.imaging.verification import verify_output
from components.packages import package_folder
from components.settings import PROJECT_ROOT, load_params
from tests.conftest import encoded
from tests.imaging.nasty_files import BLURRING_ID, GPS, MAIN, SECRET, nasty

PARAMS = load_params(PROJECT_ROOT / "params.yaml")
RECIPE = Recipe(PARAMS.regions["strict"].obfuscation, PARAMS.encoding, PARAMS.reading, b"k" * 32)
NOTHING = np.zeros((0, 4), np.int32)
FORMATS = ["JPEG", "PNG", "WEBP", "TIFF"]
LOSSLESS = FORMATS[1:]
PHOTOGRAPH: NDArray[np.uint8] = np.asarray(
    Image.open(package_folder("skimage") / "data" / "astronaut.png").convert("RGB").crop((165, 40, 277, 180))
)
GREY: NDArray[np.uint8] = cv2.cvtColor(PHOTOGRAPH, cv2.COLOR_RGB2GRAY)
ALPHA = np.where(np.arange(GREY.shape[1]) % 3, GREY, 0).astype(np.uint8)  # a third is fully transparent
FACE = np.array([[25, 20, 85, 110]], np.int32)


def published(
    content: bytes, areas: NDArray[np.int32], recipe: Recipe = RECIPE, picture: Picture | None = None
) -> bytes:
    """The bytes of the output."""
    return publish(content, areas, recipe, picture).file_bytes


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
        chain.append(published(chain[-1], areas))
    assert len(set(chain)) == 4


@pytest.mark.parametrize("file_format", FORMATS)
def test_an_output_carries_its_blurring_id(file_format: str) -> None:
    """32 hex digits are read back from every format, and they are those of key and source."""
    content = source(file_format)
    output = published(content, FACE)
    found = blurring_id_of(output)
    assert found == RECIPE.noise(decode(content, RECIPE.reading)).blurring_id()
    assert re.fullmatch("[0-9a-f]{32}", str(found))
    assert blurring_id_of(content) is None
    assert blurring_id_of(published(output, FACE)) not in (found, None)


@pytest.mark.parametrize("file_format", FORMATS)
def test_the_same_key_writes_the_same_bytes(file_format: str) -> None:
    """Re-runs are byte-identical, with or without the picture decoded before, and another key's output is not."""
    content = source(file_format)
    output = published(content, FACE)
    assert published(content, FACE) == output
    assert published(content, FACE, RECIPE, decode(content, RECIPE.reading)) == output
    other = Recipe(RECIPE.obfuscation, RECIPE.encoding, RECIPE.reading, b"o" * 32)
    assert published(content, FACE, other) != output
    x1, y1, x2, y2 = FACE[0]
    hidden = [np.asarray(opened(published(content, FACE, recipe)))[y1:y2, x1:x2] for recipe in (RECIPE, other)]
    assert not np.array_equal(*hidden)


@pytest.mark.parametrize("size", [(160, 220), (200, 280), (300, 300), (310, 190)])
def test_no_byte_of_a_tiff_is_left_to_chance(size: tuple[int, int]) -> None:
    """Ten re-runs agree in every byte, so between a TIFF's tags nothing stands that only happened to be in memory."""
    content = source("TIFF", np.asarray(Image.fromarray(PHOTOGRAPH).resize(size)))
    assert len({published(content, FACE) for _ in range(10)}) == 1


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("areas", [NOTHING, FACE])
def test_nothing_of_a_nasty_file_leaks(file_format: Any, areas: NDArray[np.int32]) -> None:
    """Thumbnail, preview, maker note, comments, names, unknown parts and a second picture behind the end are gone."""
    content = nasty(file_format, PHOTOGRAPH)
    assert content.count(SECRET) > 5
    output = published(content, areas)
    assert SECRET not in output
    assert find_forbidden(content, file_format)
    assert not find_forbidden(output, file_format)


@pytest.mark.parametrize("file_format", FORMATS)
def test_place_time_camera_and_panorama_stay(file_format: Any) -> None:
    """GPS, time, camera, turn, resolution, colour profile and GPano of a nasty file read the same in its output."""
    content = nasty(file_format, PHOTOGRAPH)
    output = published(content, FACE)
    exif = opened(output).getexif()
    assert {tag: exif[tag] for tag in MAIN} == MAIN
    assert dict(exif.get_ifd(0x8825)) == GPS
    before, after = (decode(file_bytes, RECIPE.reading).metadata for file_bytes in (content, output))
    assert after.gpano == before.gpano != {}
    assert after.icc == before.icc is not None


@pytest.mark.parametrize("file_format", FORMATS)
def test_the_id_of_the_source_is_not_taken_over(file_format: Any) -> None:
    """An output of another run that is published again gets an id of its own."""
    output = published(nasty(file_format, PHOTOGRAPH), FACE)
    assert blurring_id_of(output) not in (None, BLURRING_ID)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
def test_a_thumbnail_is_made_from_what_is_published(file_format: Any) -> None:
    """If a thumbnail is wanted, it shows the hidden picture, in its size and turn; by default there is none."""
    recipe = replace(RECIPE, encoding=RECIPE.encoding.model_copy(update={"thumbnail_px": 80}))
    content = nasty(file_format, PHOTOGRAPH)
    area = np.array([[0, 0, 140, 112]], np.int32)
    output = published(content, area, recipe)
    assert SECRET not in output
    assert not find_forbidden(output, file_format, allow_thumbnail=True)
    assert find_forbidden(output, file_format)
    first = output.rfind(b"\xff\xd8\xff", 3)
    small = np.asarray(Image.open(io.BytesIO(output[first:]))).astype(int)
    shown = opened(output).convert("RGB")
    assert small.shape[1::-1] == (64, 80)
    assert np.abs(small - np.asarray(shown.resize((64, 80)))).mean() < 12


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_kept(file_format: str, orientation: int) -> None:
    """A picture that lies, stands on its head or is mirrored is published so, and still declares it."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = source(file_format, exif=exif, **({"quality": 95} if file_format == "JPEG" else {}))
    output = published(content, NOTHING)
    assert decode(output, RECIPE.reading).orientation == orientation
    assert opened(output).getexif()[0x0112] == orientation
    found = ImageOps.exif_transpose(opened(output))
    difference = np.abs(np.asarray(found).astype(int) - upright(PHOTOGRAPH, orientation))
    assert difference.mean() < (4 if file_format == "JPEG" else 1e-9)


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_areas_are_those_of_the_upright_picture(file_format: str, orientation: int) -> None:
    """However a picture lies, the area is hidden where it is when the picture stands."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = source(file_format, exif=exif)
    before, after = decode(content, RECIPE.reading), decode(published(content, FACE), RECIPE.reading)
    difference = np.abs(before.pixels.astype(int) - after.pixels).max(axis=2)
    x1, y1, x2, y2 = FACE[0]
    assert (difference[y1:y2, x1:x2] < 3).mean() < 0.05
    beyond = outside(np.array([[x1 - 24, y1 - 24, x2 + 24, y2 + 24]], np.int32).clip(0), difference.shape)
    assert not difference[beyond].any()


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
    found = opened(published(content, areas))
    assert (found.format, found.size) == (file_format, (20, 20))
    if (file_format, kind) == ("WEBP", "grey"):
        pixels = np.repeat(pixels[:, :, None], 3, axis=2)  # WebP knows no grey
    assert found.mode == {2: "L", 3: "RGB", 4: "RGBA"}[pixels.ndim if pixels.ndim == 2 else pixels.shape[2]]
    mask = outside(ramp_windows(areas, RECIPE.obfuscation, 20, 20), pixels.shape)
    assert np.array_equal(np.asarray(found)[mask], pixels[mask])


def test_grey_areas_are_hidden_in_grey() -> None:
    """In a grey file an area is hidden, and the file stays grey, also as a JPEG."""
    for file_format in ("PNG", "TIFF", "JPEG"):
        content = source(file_format, GREY)
        found = opened(published(content, FACE))
        assert (found.mode, found.format) == ("L", file_format)
        x1, y1, x2, y2 = FACE[0]
        difference = np.abs(np.asarray(found).astype(int) - GREY)
        assert difference[y1:y2, x1:x2].mean() > 10
        beyond = outside(np.array([[x1 - 16, y1 - 16, x2 + 16, y2 + 16]], np.int32), GREY.shape)
        assert difference[beyond].mean() < 4


@pytest.mark.parametrize("subsampling", ["444", "422", "420", "440", "411"])
def test_a_jpeg_keeps_its_subsampling(subsampling: str) -> None:
    """Colours are stored as finely as in the source."""
    content = simplejpeg.encode_jpeg(PHOTOGRAPH, 90, "RGB", subsampling)
    height, width, colorspace, found = simplejpeg.decode_jpeg_header(published(content, FACE))
    assert (height, width, colorspace, found) == (140, 112, "YCbCr", subsampling)


def changed_blocks(content: bytes, output: bytes) -> int:
    """How many blocks of a JPEG have other coefficients than in the source."""
    layout = jpeg.read_layout(content)
    planes = zip(jpeg.coefficients(content, layout), jpeg.coefficients(output, layout), strict=True)
    return sum(int((before != after).any(axis=2).sum()) for before, after in planes)


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_is_edited_in_place(progressive: bool) -> None:
    """With nothing to hide no coefficient changes, and with a face only some do."""
    content = turbojpeg.rewrite(source("JPEG", quality=90), lambda *_: None, progressive)
    assert publish(content, NOTHING, RECIPE).way is Way.IN_PLACE
    assert changed_blocks(content, published(content, NOTHING)) == 0
    assert 0 < changed_blocks(content, published(content, FACE)) < 0.7 * (14 * 18 + 2 * 7 * 9)


def tables_of(content: bytes) -> list[list[int]]:
    """The quantisation tables of a JPEG."""
    return [list(table) for _, table in sorted(opened(content).quantization.items())]  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", ["CMYK", "YCCK"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_jpeg_for_print_is_encoded_anew_with_its_tables(kind: str, orientation: int) -> None:
    """What cannot be edited in place keeps its colours' kind and its tables; the face is hidden, the rest stays."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    out = io.BytesIO()
    Image.fromarray(PHOTOGRAPH).convert("CMYK").save(out, "JPEG", quality=83, exif=exif)
    content = out.getvalue()
    if kind == "YCCK":
        content = content.replace(b"Adobe\0\x64\0\0\0\0\0", b"Adobe\0\x64\0\0\0\0\2")
        assert simplejpeg.decode_jpeg_header(content)[2] == "YCCK"
    output = publish(content, FACE, RECIPE)
    assert output.way is Way.REENCODED
    found = opened(output.file_bytes)
    assert (found.mode, found.getexif()[0x0112]) == ("CMYK", orientation)
    assert tables_of(output.file_bytes) == tables_of(content)
    before, after = decode(content, RECIPE.reading), decode(output.file_bytes, RECIPE.reading)
    difference = np.abs(before.pixels.astype(int) - after.pixels)
    x1, y1, x2, y2 = FACE[0]
    assert difference[y1:y2, x1:x2].mean() > 20
    beyond = outside(np.array([[x1 - 24, y1 - 24, x2 + 24, y2 + 24]], np.int32).clip(0), difference.shape)
    assert difference[beyond].mean() < 4


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_jpeg_that_cannot_be_edited_is_encoded_anew(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the editing refuses a sound file, its tables and colours still stay, and the face is still hidden."""
    content = source("JPEG", PHOTOGRAPH if mode == "RGB" else GREY, quality=83)
    monkeypatch.setattr(jpeg, "read_layout", _refuse)
    output = publish(content, FACE, RECIPE)
    assert output.way is Way.REENCODED
    assert opened(output.file_bytes).mode == mode
    assert tables_of(output.file_bytes) == tables_of(content)
    x1, y1, x2, y2 = FACE[0]
    difference = np.abs(np.asarray(opened(output.file_bytes)).astype(int) - np.asarray(opened(content)))
    assert difference[y1:y2, x1:x2].mean() > 20
    assert difference[:, :8].mean() < 4


def _refuse(_: bytes) -> jpeg.Layout:
    raise ValueError("cannot be edited")


@pytest.mark.parametrize("file_format", LOSSLESS)
def test_the_outline_of_a_cut_out_is_hidden(file_format: str) -> None:
    """Where a face is hidden nothing stays transparent: the shape of a cut-out head would tell who it is."""
    content = source(file_format, np.dstack([PHOTOGRAPH, ALPHA]))
    alpha = np.asarray(opened(published(content, FACE)))[:, :, 3]
    x1, y1, x2, y2 = FACE[0]
    assert (alpha[y1:y2, x1:x2] == 255).all()
    assert np.array_equal(alpha[outside(FACE, alpha.shape)], ALPHA[outside(FACE, alpha.shape)])


@pytest.mark.parametrize("file_format", FORMATS)
def test_hidden_areas_are_hidden_in_the_file(file_format: str) -> None:
    """The file itself, decoded by another program, has lost the face and kept the rest."""
    found = np.asarray(opened(published(source(file_format), FACE))).astype(int)
    x1, y1, x2, y2 = FACE[0]
    difference = np.abs(found - PHOTOGRAPH)
    assert difference[y1:y2, x1:x2].mean() > 20
    beyond = outside(np.array([[x1 - 16, y1 - 16, x2 + 16, y2 + 16]], np.int32), found.shape)
    assert difference[beyond].mean() < 4


def test_the_key_does_not_show() -> None:
    """What a log may print of a recipe does not hold the key."""
    assert "kkkk" not in repr(RECIPE)
    assert "secret" in repr(RECIPE)


@given(data=st.data(), orientation=st.integers(1, 8), sampling=st.sampled_from(["444", "422", "420", "440", "411"]))
@settings(max_examples=60, deadline=None)
def test_every_jpeg_is_published_and_verified(data: st.DataObject, orientation: int, sampling: str) -> None:
    """Whatever size, sampling, turn and areas at any border: edited in place, and the verification finds no fault."""
    width, height = data.draw(st.integers(1, 112)), data.draw(st.integers(1, 140))
    turn = Image.Exif()
    turn[0x0112] = orientation
    segment = b"Exif\0\0" + turn.tobytes().removeprefix(b"Exif\0\0")
    plain = simplejpeg.encode_jpeg(np.ascontiguousarray(PHOTOGRAPH[:height, :width]), 85, "RGB", sampling)
    content = plain[:2] + b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment + plain[2:]
    picture = decode(content, RECIPE.reading)
    assert picture.orientation == orientation
    areas = []
    for _ in range(data.draw(st.integers(0, 3))):
        x1 = data.draw(st.integers(0, picture.width - 1))
        y1 = data.draw(st.integers(0, picture.height - 1))
        x2, y2 = data.draw(st.integers(x1 + 1, picture.width)), data.draw(st.integers(y1 + 1, picture.height))
        areas.append((x1, y1, x2, y2))
    hidden = np.array(areas, np.int32).reshape(-1, 4)
    output = publish(content, hidden, RECIPE, picture)
    assert output.way is Way.IN_PLACE
    verify_output(picture, content, output, hidden, RECIPE)
