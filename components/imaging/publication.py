"""`publish`: the one way from a source file to a published one, for flow, command line, service and video alike."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import simplejpeg
import tifffile
from numpy.typing import NDArray
from PIL import Image

from components.imaging.noise import Area, NoiseSource
from components.imaging.obfuscation import obfuscate
from components.imaging.reading import EXIF_IFD, IMAGE_UNIQUE_ID, Format, Picture, Pixels, decode
from components.settings import Encoding, Obfuscation, Reading

_SOFTWARE = 0x0131
_SOFTWARE_NAME = "Streetveil"


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
    blurring_id = noise.blurring_id()
    if picture.format == "JPEG":
        return _encode_jpeg(hidden, picture, recipe.encoding.jpeg_quality, _exif_stamp(blurring_id))
    if picture.format == "TIFF":
        return _encode_tiff(_bands(hidden, picture), blurring_id)
    return _encode_lossless(_bands(hidden, picture), picture.format, _exif_stamp(blurring_id))


def _exif_stamp(blurring_id: str) -> bytes:
    exif = Image.Exif()
    exif[_SOFTWARE] = _SOFTWARE_NAME
    exif.get_ifd(EXIF_IFD)[IMAGE_UNIQUE_ID] = blurring_id
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


def _bands(pixels: Pixels, picture: Picture) -> NDArray[np.uint8]:
    """The bands that the source had: grey [h, w], RGB [h, w, 3] or RGBA [h, w, 4]."""
    if picture.grey:
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)
    return pixels if picture.alpha is None else np.dstack([pixels, picture.alpha])


def _encode_lossless(bands: NDArray[np.uint8], file_format: Format, stamp: bytes) -> bytes:
    options: dict[str, Any] = {"lossless": True, "exact": True} if file_format == "WEBP" else {}
    out = io.BytesIO()
    Image.fromarray(bands).save(out, format=file_format, exif=stamp, **options)
    return out.getvalue()


def _encode_tiff(bands: NDArray[np.uint8], blurring_id: str) -> bytes:
    # Not through Pillow: its libtiff pads odd strips with whatever stood in memory, and writes no EXIF directory when
    # it compresses. The id stands in the main directory.
    out = io.BytesIO()
    tifffile.imwrite(
        out,
        bands,
        photometric="minisblack" if bands.ndim == 2 else "rgb",
        extrasamples=["unassalpha"] if bands.ndim == 3 and bands.shape[2] == 4 else None,
        compression="zlib",
        metadata=None,
        software=_SOFTWARE_NAME,
        extratags=[(IMAGE_UNIQUE_ID, "s", None, blurring_id, True)],
    )
    return out.getvalue()
