"""An output that still shows something, or is not what it should be, is found before anybody sees it."""

from __future__ import annotations

import io
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from components.errors import ImageFault, Reason
from components.imaging import jpeg
from components.imaging.metadata.allow_list import jpeg_segments, stamped
from components.imaging.orientation import stored
from components.imaging.publication import Output, Recipe, Way, publish
from components.imaging.reading import decode
from components.imaging.verification import _smoothed, verify_output
from components.packages import package_folder
from components.settings import PROJECT_ROOT, load_params
from tests.conftest import encoded
from tests.imaging.nasty_files import nasty

PARAMS = load_params(PROJECT_ROOT / "params.yaml")
RECIPES = {
    name: Recipe(region.obfuscation, PARAMS.encoding, PARAMS.reading, b"k" * 32)
    for name, region in PARAMS.regions.items()
}
RECIPE = RECIPES["strict"]
FORMATS = ["JPEG", "PNG", "WEBP", "TIFF"]
NOTHING = np.zeros((0, 4), np.int32)
PHOTOGRAPH: NDArray[np.uint8] = np.asarray(
    Image.open(package_folder("skimage") / "data" / "astronaut.png").convert("RGB").crop((140, 0, 300, 220))
)
FACE = (50, 60, 120, 170)
PATCHES = [FACE, (0, 180, 40, 220), (130, 190, 160, 220), (60, 70, 72, 82), (0, 100, 160, 130)]


def areas_of(*areas: tuple[int, int, int, int]) -> NDArray[np.int32]:
    """Areas as the product holds them."""
    return np.array(areas, np.int32).reshape(-1, 4)


def source(file_format: str, pixels: NDArray[np.uint8] = PHOTOGRAPH) -> bytes:
    """A source file."""
    return encoded(pixels, file_format, **({"lossless": True} if file_format == "WEBP" else {}))


def verify(content: bytes, output: bytes, areas: NDArray[np.int32]) -> None:
    """Check an output as the worker does."""
    way = Way.IN_PLACE if content[:2] == b"\xff\xd8" else Way.LOSSLESS
    verify_output(decode(content, RECIPE.reading), content, Output(output, way), areas, RECIPE)


def published(content: bytes, areas: NDArray[np.int32], recipe: Recipe = RECIPE) -> bytes:
    """The bytes of an output."""
    return publish(content, areas, recipe).file_bytes


def refusal(content: bytes, output: bytes, areas: NDArray[np.int32] = NOTHING) -> str:
    """What is wrong with an output, in words."""
    with pytest.raises(ImageFault) as raised:
        verify(content, output, areas)
    assert raised.value.reason is Reason.VERIFICATION_FAILED
    return raised.value.detail


def compressed_more(output: bytes, quality: int) -> bytes:
    """The same JPEG once more, at another quality, with its metadata."""
    image = Image.open(io.BytesIO(output))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality, exif=image.info["exif"])
    return out.getvalue()


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("region", RECIPES)
def test_a_correct_output_passes(file_format: str, region: str) -> None:
    """Whatever a region asks for, its output is found hidden, everywhere, with small areas and with none."""
    content = source(file_format)
    for areas in (areas_of(*PATCHES), areas_of((5, 5, 6, 6), (20, 30, 31, 33), (70, 80, 73, 83)), NOTHING):
        verify(content, published(content, areas, RECIPES[region]), areas)


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("area", PATCHES)
def test_an_untouched_area_is_found(file_format: str, area: tuple[int, int, int, int]) -> None:
    """An area that the blur has forgotten is named, also when it is the only one of many."""
    content = source(file_format)
    others = [other for other in PATCHES[:3] if other != area]
    others = [other for other in others if other[2] <= area[0] or area[2] <= other[0] or other[3] <= area[1]]
    output = published(content, areas_of(*others), RECIPE)
    assert str(list(area)) in refusal(content, output, areas_of(*others, area))


@pytest.mark.parametrize("area", PATCHES)
def test_compression_does_not_disguise_an_untouched_area(area: tuple[int, int, int, int]) -> None:
    """An original that was only compressed anew, at quality 75, still counts as shown."""
    content = source("JPEG")
    output = compressed_more(published(content, NOTHING, RECIPE), 75)
    assert str(list(area)) in refusal(content, output, areas_of(area))


@pytest.mark.parametrize("change", ["brighter", "noisier"])
def test_a_faint_disguise_is_seen_through(change: str) -> None:
    """A face that was only made brighter, or got a little grain, is still shown."""
    x1, y1, x2, y2 = FACE
    disguised = PHOTOGRAPH.astype(float)
    grain = np.random.default_rng(1).normal(0, 5, (y2 - y1, x2 - x1, 3))
    disguised[y1:y2, x1:x2] = (
        disguised[y1:y2, x1:x2] * 0.7 + 60 if change == "brighter" else disguised[y1:y2, x1:x2] + grain
    )
    output = published(source("PNG", disguised.clip(0, 255).astype(np.uint8)), NOTHING, RECIPE)
    assert "still shows the original" in refusal(source("PNG"), output, areas_of(FACE))


@pytest.mark.parametrize("file_format", FORMATS)
def test_the_source_itself_is_no_output(file_format: str) -> None:
    """Byte for byte the same is refused, even if it is an output of an earlier run and nothing is to be hidden."""
    content = published(source(file_format), NOTHING, RECIPE)
    assert "byte for byte" in refusal(content, content)


@pytest.mark.parametrize("file_format", FORMATS)
def test_another_size_is_refused(file_format: str) -> None:
    """One row or column less, and a picture turned on its side, are not this picture."""
    content = source(file_format)
    for pixels in (PHOTOGRAPH[1:], PHOTOGRAPH[:, :-1], PHOTOGRAPH.swapaxes(0, 1)):
        other = published(source(file_format, np.ascontiguousarray(pixels)), NOTHING, RECIPE)
        assert "not like its source" in refusal(content, other)


@pytest.mark.parametrize("file_format", FORMATS)
def test_another_format_is_refused(file_format: str) -> None:
    """The right pixels in another kind of file are refused."""
    other = FORMATS[FORMATS.index(file_format) - 1]
    assert "not like its source" in refusal(source(file_format), published(source(other), NOTHING, RECIPE))


@pytest.mark.parametrize("file_format", FORMATS)
def test_an_output_without_an_id_is_refused(file_format: str) -> None:
    """A file that no blurring has written has no blurring id."""
    hidden = np.asarray(Image.open(io.BytesIO(published(source("PNG"), areas_of(FACE), RECIPE))))
    assert "no blurring id" in refusal(source(file_format), source(file_format, hidden), areas_of(FACE))


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
@pytest.mark.filterwarnings("ignore:Truncated File Read")
def test_an_output_that_breaks_off_is_refused(file_format: str, share: float) -> None:
    """An empty output and one without its end cannot be decoded."""
    content = source(file_format)
    output = published(content, areas_of(FACE), RECIPE)
    assert "cannot be decoded" in refusal(content, output[: int(share * len(output))], areas_of(FACE))


@pytest.mark.parametrize("side", [3, 5, 11])
def test_a_small_untouched_area_is_found(side: int) -> None:
    """Too small for a correlation, an area is shown if hardly a pixel of it has changed."""
    content = source("PNG")
    area = (70, 80, 70 + side, 82 + side)
    assert "still shows" in refusal(content, published(content, NOTHING, RECIPE), areas_of(area))


def test_an_area_without_content_shows_nothing() -> None:
    """In a plain white picture there is nothing to be seen, hidden or not."""
    content = source("PNG", np.full((60, 60, 3), 255, np.uint8))
    verify(content, published(content, NOTHING, RECIPE), areas_of((10, 10, 50, 50), (1, 1, 4, 4)))


def test_a_hidden_face_in_another_light_passes() -> None:
    """A dark and a bright source are hidden as well as any: their outputs pass."""
    for pixels in (PHOTOGRAPH // 6, 255 - PHOTOGRAPH // 6):
        for file_format in ("JPEG", "PNG"):
            content = source(file_format, pixels)
            verify(content, published(content, areas_of(*PATCHES), RECIPE), areas_of(*PATCHES))


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_faint_untouched_face_is_found(file_format: str) -> None:
    """A face with too little detail for a correlation, in the dark or out of focus, counts as shown if it is there."""
    content = source(file_format, PHOTOGRAPH // 10 + 20)
    assert "still shows" in refusal(content, published(content, NOTHING), areas_of(FACE))
    verify(content, published(content, areas_of(FACE)), areas_of(FACE))


def test_damage_outside_of_the_areas_is_found() -> None:
    """One block of a JPEG, or one pixel of a lossless file, that has changed where nothing is hidden is a finding."""
    content = source("JPEG")
    output = published(content, areas_of(FACE))
    picture = decode(output, RECIPE.reading)
    edited = jpeg.replace_areas(
        output, jpeg.read_layout(output), "YCbCr", picture.pixels ^ 64, areas_of((8, 8, 16, 16))
    )
    segments = jpeg_segments(stamped(picture.metadata, "0" * 32))
    output = edited[:20] + segments + edited[20:]
    assert "blocks outside of the areas have changed" in refusal(content, output, areas_of(FACE))
    for file_format in FORMATS[1:]:
        pixels = PHOTOGRAPH.copy()
        pixels[3, 4, 1] ^= 1
        other = published(source(file_format, pixels), areas_of(FACE))
        assert "1 pixels outside" in refusal(source(file_format), other, areas_of(FACE))


def test_a_jpeg_encoded_anew_must_still_be_the_same_picture() -> None:
    """Rounding passes where a file could not be edited in place, another picture of the same size does not."""
    content = source("JPEG")
    picture = decode(content, RECIPE.reading)
    for pixels, passes in ((picture.pixels, True), (picture.pixels[::-1], False)):
        again = published(source("JPEG", np.ascontiguousarray(pixels)), areas_of(FACE))
        output = Output(again, Way.REENCODED)
        if passes:
            verify_output(picture, content, output, areas_of(FACE), RECIPE)
        else:
            with pytest.raises(ImageFault, match="have moved by"):
                verify_output(picture, content, output, areas_of((0, 0, 20, 20)), RECIPE)


@pytest.mark.parametrize("file_format", FORMATS)
def test_forbidden_metadata_is_found(file_format: Any) -> None:
    """A hidden picture with the metadata of the original is refused, and the finding names what is there."""
    content = nasty(file_format, PHOTOGRAPH)
    hidden = decode(published(content, areas_of((50, 20, 120, 120))), RECIPE.reading)
    raw = np.ascontiguousarray(stored(hidden.pixels, hidden.orientation))
    other = nasty(file_format, raw)
    assert "still has" in refusal(content, other, areas_of((50, 20, 120, 120)))


def test_another_turn_is_refused() -> None:
    """The right pixels that declare another orientation would be shown on their side."""
    content = source("PNG", PHOTOGRAPH[:160, :160])
    exif = Image.Exif()
    exif[0x0112] = 3
    other = encoded(PHOTOGRAPH[:160, :160], "PNG", exif=exif)
    assert "not like its source" in refusal(content, published(other, NOTHING))


@pytest.mark.parametrize(("width", "height"), [(70, 90), (160, 220), (300, 411), (900, 640)])
def test_fine_detail_of_large_areas_is_what_a_gaussian_at_full_size_leaves(width: int, height: int) -> None:
    """The quick way of smoothing leaves the same residuals, so that no area is judged by others than before."""
    luma = cv2.resize(cv2.cvtColor(PHOTOGRAPH, cv2.COLOR_RGB2GRAY), (width, height)).astype(np.float32)
    sigma_px = min(luma.shape) / 8
    exact = luma - cv2.GaussianBlur(luma, (0, 0), sigma_px)
    quick = luma - _smoothed(luma, sigma_px)
    assert np.corrcoef(exact.ravel(), quick.ravel())[0, 1] > 0.999
    assert np.abs(exact - quick).mean() < 1
