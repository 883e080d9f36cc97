"""`publish`: the one way from a source file to a published one, for flow, command line, service and video alike."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import simplejpeg
from PIL import Image

from components.imaging.noise import Area, NoiseSource
from components.imaging.obfuscation import obfuscate
from components.imaging.reading import EXIF_IFD, IMAGE_UNIQUE_ID, Format, Picture, Pixels, decode
from components.settings import Encoding, Obfuscation, Reading

_SOFTWARE = 0x0131


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything besides the file and the areas that decides what an output looks like."""

    obfuscation: Obfuscation
    encoding: Encoding
    reading: Reading
    run_key: bytes

    def __repr__(self) -> str:
        return f"Recipe({self.obfuscation!r}, run_key=<secret>)"

    def noise(self, picture: Picture) -> NoiseSource:
        """The noise of one picture."""
        return NoiseSource(self.run_key, picture.sha256)


def publish(source_bytes: bytes, areas: Area, recipe: Recipe, picture: Picture | None = None) -> bytes:
    """Hide the areas of a file and write it anew.

    The output has the format of the source, its upright pixels, and no metadata but a `blurring_id` (EXIF
    ImageUniqueID). It is never byte-identical to its source, not even when there is nothing to hide.

    Args:
        source_bytes: the file as it came.
        areas: int32 [n, 4] xyxy px of the upright picture; everything in them is destroyed.
        recipe: how.
        picture: the decoded file, where the caller has decoded it already.

    Raises:
        ImageFault: the file cannot be decoded.
    """
    picture = picture or decode(source_bytes, recipe.reading)
    noise = recipe.noise(picture)
    hidden = obfuscate(picture.pixels, areas, recipe.obfuscation, noise)
    stamp = _exif_stamp(noise.blurring_id(), picture.format)
    if picture.format == "JPEG":
        return _encode_jpeg(hidden, picture, recipe.encoding.jpeg_quality, stamp)
    return _encode_lossless(hidden, picture, stamp)


def _exif_stamp(blurring_id: str, file_format: Format) -> bytes:
    exif = Image.Exif()
    exif[_SOFTWARE] = "Streetveil"
    # libtiff cannot write a compressed TIFF with an EXIF directory, so there the id stands in the main one.
    directory = exif if file_format == "TIFF" else exif.get_ifd(EXIF_IFD)
    directory[IMAGE_UNIQUE_ID] = blurring_id
    return exif.tobytes()


def _encode_jpeg(pixels: Pixels, picture: Picture, quality: int, stamp: bytes) -> bytes:
    if picture.grey:
        luma = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[:, :, None]
        encoded = simplejpeg.encode_jpeg(luma, quality, "GRAY", "Gray")
    else:
        encoded = simplejpeg.encode_jpeg(pixels, quality, "RGB", _upright_subsampling(picture))
    segment = b"\xff\xe1" + (len(stamp) + 2).to_bytes(2, "big") + stamp
    return encoded[:2] + segment + encoded[2:]  # straight after the start-of-image marker


def _upright_subsampling(picture: Picture) -> str:
    """A picture that lay on its side has its horizontal subsampling upright now."""
    if picture.orientation < 5:
        return picture.subsampling
    return {"422": "440", "440": "422", "411": "420"}.get(picture.subsampling, picture.subsampling)


_LOSSLESS: dict[str, dict[str, Any]] = {
    "PNG": {},
    "WEBP": {"lossless": True, "exact": True},
    "TIFF": {"compression": "tiff_adobe_deflate"},
}


def _encode_lossless(pixels: Pixels, picture: Picture, stamp: bytes) -> bytes:
    if picture.grey:
        image = Image.fromarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY))
    elif picture.alpha is not None:
        image = Image.fromarray(np.dstack([pixels, picture.alpha]))
    else:
        image = Image.fromarray(pixels)
    out = io.BytesIO()
    image.save(out, format=picture.format, exif=stamp, **_LOSSLESS[picture.format])
    return out.getvalue()
