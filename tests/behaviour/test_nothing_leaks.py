"""Promises 3 and 4: what is hidden is gone from the whole file, and nothing else of it changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from components.batch.audit import audit
from components.batch.manifest import ImageRow, read_rows
from components.batch.storage import LocalStorage
from components.detection.bundle import Bundle
from components.imaging.metadata.inspection import find_forbidden
from components.imaging.orientation import stored
from components.imaging.reading import decode
from components.registry.champion import Champion
from components.settings import Params
from flows.one_folder import blur_folder
from tests.conftest import encoded
from tests.imaging.nasty_files import FORMATS, GPS, MAIN, PANORAMA, SECRET, nasty, opened
from tests.toy_model import MAGENTA, SQUARE_PX, scene

GPANO = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:GPano="http://ns.google.com/photos/1.0/panorama/" '
    b'GPano:ProjectionType="equirectangular"/></rdf:RDF></x:xmpmeta>'
)


def blurred(
    folder: Path, files: dict[str, bytes], params: Params, model: Bundle
) -> tuple[dict[str, bytes], dict[str, ImageRow]]:
    """Blur a folder of these files; their outputs and manifest rows."""
    source, destination = folder / "in", folder / "out"
    for name, content in files.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(content)
    blur_folder(source, destination, params, "eu", Champion(model), workers=1)
    storage = LocalStorage(destination)
    assert list(audit(storage)) == []
    return {name: storage.read(name) for name in files if storage.exists(name)}, read_rows(storage)


def test_a_file_with_copies_of_the_original_everywhere_leaks_none(
    tmp_path: Path, params: Params, toy: Bundle, rng: np.random.Generator
) -> None:
    """Thumbnail, preview, second picture, maker note, names: none is in any output; place, time and GPano are."""
    pixels, _ = scene(rng, faces=2, plates=1)
    files = {f"nasty.{name.lower()}": nasty(name, pixels) for name in FORMATS}
    outputs, rows = blurred(tmp_path, files, params, toy)
    assert outputs.keys() == files.keys()
    for name, output in outputs.items():
        assert SECRET in files[name]
        assert SECRET not in output
        kind = decode(output, params.reading)
        assert find_forbidden(output, kind.format) == []
        exif = opened(output).getexif()
        assert {tag: exif[tag] for tag in MAIN} == MAIN
        assert dict(exif.get_ifd(0x8825)) == GPS
        assert kind.metadata.gpano == PANORAMA
        assert rows[name].blurred("face") > 0
    assert {name: row.written for name, row in rows.items()} == {
        "nasty.jpeg": "in_place",
        "nasty.png": "lossless",
        "nasty.webp": "lossless",
        "nasty.tiff": "lossless",
    }


def panorama(at: tuple[int, int]) -> NDArray[np.uint8]:
    """A grey panorama of 320 × 160 px with one square, whose corner may lie beyond the right border."""
    pixels = np.repeat(np.random.default_rng(3).integers(90, 110, (160, 320, 1), np.uint8), 3, axis=2)
    columns = (at[0] + np.arange(SQUARE_PX)) % 320
    pixels[at[1] : at[1] + SQUARE_PX, columns] = MAGENTA
    return pixels


def magenta(pixels: NDArray[np.uint8]) -> int:
    """How many pixels are still those of a square."""
    red, green, blue = pixels.astype(int).transpose(2, 0, 1)
    return int(((red > 200) & (green < 80) & (blue > 200)).sum())


def test_a_face_across_the_seam_of_a_panorama_is_hidden_on_both_sides(
    tmp_path: Path, params: Params, toy: Bundle
) -> None:
    """Wherever a square stands, also half at either border, nothing of it is left, and the manifest says why."""
    files = {}
    for x in (200, 308, 314):
        files[f"{x}.png"] = encoded(panorama((x, 70)))
        files[f"{x}.jpg"] = encoded(panorama((x, 70)), "JPEG", quality=95, subsampling=0, xmp=GPANO)
    wide = params.reading.model_copy(update={"treat_2_to_1_as_panorama": True})
    outputs, rows = blurred(tmp_path, files, params.model_copy(update={"reading": wide}), toy)
    assert all(row.is_panorama for row in rows.values())
    assert {name: magenta(decode(output, params.reading).pixels) for name, output in outputs.items()} == dict.fromkeys(
        files, 0
    )


def test_only_declared_panoramas_are_searched_across_the_seam(tmp_path: Path, params: Params, toy: Bundle) -> None:
    """Without a word in the file and without the setting, a picture is taken to end at its borders."""
    _, rows = blurred(tmp_path, {"p.png": encoded(panorama((308, 70)))}, params, toy)
    assert not rows["p.png"].is_panorama


def test_a_face_is_found_and_hidden_however_the_picture_lies(tmp_path: Path, params: Params, toy: Bundle) -> None:
    """The detectors see the picture upright, and the square is gone from a file that lies as it did."""
    lying, files = {}, {}
    for turn in range(1, 9):
        lying[f"{turn}.jpg"] = np.ascontiguousarray(stored(panorama((40, 20)), turn))
        exif = Image.Exif()
        exif[0x0112] = turn
        files[f"{turn}.jpg"] = encoded(lying[f"{turn}.jpg"], "JPEG", quality=95, subsampling=0, exif=exif)
    outputs, rows = blurred(tmp_path, files, params, toy)
    for name, content in outputs.items():
        output = opened(content)
        assert output.size == lying[name].shape[1::-1]
        assert output.getexif()[0x0112] == rows[name].orientation == int(name[0])
        assert magenta(lying[name]) == SQUARE_PX**2
        assert magenta(np.asarray(output)) == 0
        found = next(p for p in rows[name].proposals if p.outcome == "blurred")
        assert (found.x1 + found.x2) / 2 == pytest.approx(52, abs=6)
