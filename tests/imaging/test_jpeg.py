"""In a JPEG only the blocks of the hidden areas change, of every kind of JPEG that can be edited in place."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from components.imaging import turbojpeg
from components.imaging.jpeg import Areas, Layout, changed_blocks, coefficients, read_layout, replace_areas
from components.packages import package_folder

PHOTOGRAPH: NDArray[np.uint8] = np.asarray(
    Image.open(package_folder("skimage") / "data" / "astronaut.png").convert("RGB").crop((140, 0, 301, 219))
)
SAMPLINGS = ["444", "422", "420", "440", "411", "grey", "rgb"]
RED = (200, 40, 30)


def jpeg(
    pixels: NDArray[np.uint8] = PHOTOGRAPH, sampling: str = "420", progressive: bool = False, restart: int = 0
) -> bytes:
    """A JPEG of any kind that can be edited in place."""
    if sampling == "grey":
        content = simplejpeg.encode_jpeg(np.ascontiguousarray(pixels[:, :, 1:2]), 88, "GRAY", "Gray")
    elif sampling == "rgb" or restart:
        names = {"444": "4:4:4", "422": "4:2:2", "420": "4:2:0"}
        options: dict[str, Any] = {"keep_rgb": True} if sampling == "rgb" else {"subsampling": names[sampling]}
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, "JPEG", quality=88, restart_marker_blocks=restart, **options)
        content = out.getvalue()
    else:
        content = simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), 88, "RGB", sampling)
    return turbojpeg.rewrite(content, lambda *_: None, True) if progressive else content


def opened(content: bytes, layout: Layout, areas: Areas, colour: tuple[int, int, int] = RED) -> bytes:
    """The file with its areas in one colour."""
    pixels = simplejpeg.decode_jpeg(content, "RGB").copy()
    for x1, y1, x2, y2 in areas:
        pixels[y1:y2, x1:x2] = colour
    colorspace = simplejpeg.decode_jpeg_header(content)[2]
    return replace_areas(content, layout, colorspace, pixels, areas)


def changed_outside(content: bytes, output: bytes, areas: Areas) -> int:
    """How many blocks that no area reaches have other coefficients."""
    layout = read_layout(content)
    planes = zip(layout.components, coefficients(content, layout), coefficients(output, layout), strict=True)
    count = 0
    for component, before, after in planes:
        changed = (before != after).any(axis=2) & ~layout.touched(component, areas)
        count += int(changed.sum())
    return count


def areas_of(*areas: tuple[int, int, int, int]) -> Areas:
    """Areas as the product holds them."""
    return np.array(areas, np.int32).reshape(-1, 4)


KINDS = [(sampling, progressive, 0) for sampling in SAMPLINGS for progressive in (False, True)]
WITH_RESTARTS = [(sampling, False, 3) for sampling in ("444", "422", "420", "rgb")]


@pytest.mark.parametrize(("sampling", "progressive", "restart"), KINDS + WITH_RESTARTS)
@given(data=st.data())
@settings(max_examples=8, deadline=None)
def test_no_block_outside_changes(sampling: str, progressive: bool, restart: int, data: st.DataObject) -> None:
    """Whatever size, sampling, coding and boxes: 0 changed coefficients outside, and the area shows red."""
    width, height = data.draw(st.integers(1, 150)), data.draw(st.integers(1, 150))
    areas = []
    for _ in range(data.draw(st.integers(0, 3))):
        x1, y1 = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
        areas.append((x1, y1, data.draw(st.integers(x1 + 1, width)), data.draw(st.integers(y1 + 1, height))))
    content = jpeg(PHOTOGRAPH[:height, :width], sampling, progressive, restart)
    layout = read_layout(content)
    assert (layout.width, layout.height, layout.progressive) == (width, height, progressive)
    output = opened(content, layout, areas_of(*areas))
    assert changed_outside(content, output, areas_of(*areas)) == 0
    shown = simplejpeg.decode_jpeg(output, "RGB", strict=True).astype(int)
    assert shown.shape == (height, width, 3)
    for x1, y1, x2, y2 in areas:
        # blocks at the rim also hold what is around; where the area fills them, its colour is pure
        x, y = (8 * max(getattr(plane, step) for plane in layout.components) for step in ("step_x", "step_y"))
        middle = shown[y1 + y : max(0, y2 - y), x1 + x : max(0, x2 - x)].reshape(-1, 3)
        wanted = np.array(RED) if sampling != "grey" else np.full(3, RED) @ [0.299, 0.587, 0.114]
        if len(middle):
            assert np.abs(middle - wanted).max() < 12


@pytest.mark.parametrize(("sampling", "progressive", "restart"), KINDS + WITH_RESTARTS)
def test_changed_blocks_are_those_whose_coefficients_differ(sampling: str, progressive: bool, restart: int) -> None:
    """Compared row by row as they are read, the same blocks differ as between two whole sets of coefficients."""
    content = jpeg(sampling=sampling, progressive=progressive, restart=restart)
    layout = read_layout(content)
    output = opened(content, layout, areas_of((11, 20, 60, 70), (90, 100, 97, 107)))
    planes = zip(coefficients(content, layout), coefficients(output, layout), strict=True)
    for told, (before, after) in zip(changed_blocks(content, output, layout), planes, strict=True):
        assert (told == (before != after).any(axis=2)).all()
        assert told.any()
    assert not any(plane.any() for plane in changed_blocks(content, content, layout))


def test_blocks_that_the_other_file_lacks_have_changed() -> None:
    """A row that never comes by counts as changed, not as the same."""
    content, lower = jpeg(), jpeg(np.ascontiguousarray(PHOTOGRAPH[:40]))
    layout = read_layout(content)
    assert all(plane[-1].all() for plane in changed_blocks(content, lower, layout))


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_new_blocks_are_those_of_an_encoder(sampling: str) -> None:
    """Replacing every block by the picture's own pixels gives that picture again: transform and tables are right."""
    content = jpeg(sampling=sampling)
    pixels = simplejpeg.decode_jpeg(content, "RGB")
    height, width = pixels.shape[:2]
    colorspace = simplejpeg.decode_jpeg_header(content)[2]
    output = replace_areas(content, read_layout(content), colorspace, pixels, areas_of((0, 0, width, height)))
    difference = np.abs(simplejpeg.decode_jpeg(output, "RGB").astype(int) - pixels)
    assert difference.mean() < 1.5


@pytest.mark.parametrize("progressive", [False, True])
def test_the_coding_is_kept(progressive: bool) -> None:
    """A progressive file stays progressive, a baseline one stays one, and both keep their tables."""
    content = jpeg(progressive=progressive)
    before, after = read_layout(content), read_layout(opened(content, read_layout(content), areas_of((20, 20, 60, 60))))
    assert after.progressive == progressive
    for one, other in zip(before.components, after.components, strict=True):
        assert np.array_equal(one.quantisation, other.quantisation)


def test_an_edit_writes_no_metadata() -> None:
    """Whatever segments the source had, the edited file has only what a decoder needs."""
    out = io.BytesIO()
    Image.fromarray(PHOTOGRAPH).save(out, "JPEG", comment=b"SECRET", exif=b"Exif\0\0SECRET", icc_profile=b"SECRET" * 99)
    content = out.getvalue() + b"SECRET"
    output = opened(content, read_layout(content), areas_of((20, 20, 60, 60)))
    assert b"SECRET" in content
    assert b"SECRET" not in output


def _patched(content: bytes, marker: int, offset: int, value: int) -> bytes:
    at = content.index(bytes((0xFF, marker))) + 4 + offset
    return content[:at] + bytes([value]) + content[at + 1 :]


CANNOT_BE_EDITED = {
    "12 bits": _patched(jpeg(), 0xC0, 0, 12),
    "arithmetic coding": jpeg().replace(b"\xff\xc0", b"\xff\xc9", 1),
    "no whole step": _patched(_patched(jpeg(sampling="444"), 0xC0, 7, 0x31), 0xC0, 10, 0x21),
    "a table is missing": _patched(jpeg(), 0xC0, 8, 3),
    "a step of zero": _patched(jpeg(), 0xDB, 9, 0),
    "no frame": jpeg()[:2] + b"\xff\xd9",
    "not a JPEG": b"GIF89a",
}


@pytest.mark.parametrize("kind", CANNOT_BE_EDITED)
def test_what_cannot_be_edited_in_place_says_so(kind: str) -> None:
    """Files that the editing does not understand are refused before anything is written."""
    with pytest.raises(ValueError, match=r"\w"):
        read_layout(CANNOT_BE_EDITED[kind])


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_file_that_breaks_off_is_refused(share: float, progressive: bool) -> None:
    """A damaged file is never half edited."""
    content = jpeg(progressive=progressive)
    layout = read_layout(content)
    broken = content[: int(share * len(content))]
    with pytest.raises(ValueError, match=r"\w"):
        replace_areas(broken, layout, "YCbCr", PHOTOGRAPH, areas_of((20, 20, 60, 60)))


def test_an_error_in_the_callback_stops_the_file() -> None:
    """If a row cannot be replaced no file comes out: the library would have written the row as it was."""

    def fail(*_: Any) -> None:
        raise ArithmeticError("row")

    with pytest.raises(ArithmeticError, match="row"):
        turbojpeg.rewrite(jpeg(), fail, False)


def test_rows_that_do_not_come_by_are_noticed() -> None:
    """An edit of more rows than the file has fails, instead of leaving them as they were."""
    tall, flat = jpeg(), jpeg(PHOTOGRAPH[:100])
    with pytest.raises(ValueError, match="did not come by"):
        replace_areas(flat, read_layout(tall), "YCbCr", PHOTOGRAPH, areas_of((0, 150, 40, 190)))


def test_a_file_of_too_many_scans_is_refused() -> None:
    """A progressive file with thousands of scans costs a bounded time."""
    content = jpeg(progressive=True)
    first = content.index(b"\xff\xda")
    second = content.index(b"\xff\xda", first + 2)
    many = content[:second] + content[first:second] * 600 + content[second:]
    with pytest.raises(ValueError, match=r"\w"):
        turbojpeg.read_rows(many, lambda *_: None)
