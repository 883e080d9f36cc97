"""`publish`: the one way from a source file to a published one, for flow, command line, service and video alike."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from enum import StrEnum

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from components.imaging import jpeg, orientation
from components.imaging.jpeg_segments import APP0
from components.imaging.metadata.allow_list import (
    Metadata,
    exif_with_thumbnail,
    jpeg_segments,
    save_options,
    stamped,
    tiff_with_metadata,
)
from components.imaging.noise import NoiseSource
from components.imaging.obfuscation import Areas, obfuscate, ramp_windows
from components.imaging.reading import Picture, Pixels, decode
from components.settings import Encoding, Obfuscation, Reading

_THUMBNAIL_QUALITY = 75
_PILLOW_SUBSAMPLING = {(1, 1): "4:4:4", (2, 1): "4:2:2", (2, 2): "4:2:0"}


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


class Way(StrEnum):
    """How an output was written."""

    IN_PLACE = "in_place"  # JPEG: only the blocks that hide something are new
    REENCODED = "reencoded"  # JPEG that cannot be edited in place: all blocks are new, with the source's tables
    LOSSLESS = "lossless"  # PNG, WebP, TIFF


@dataclass(frozen=True, slots=True)
class Output:
    """A file that may be published once it is verified."""

    file_bytes: bytes
    way: Way


def publish(source_bytes: bytes, areas: Areas, recipe: Recipe, picture: Picture | None = None) -> Output:
    """Hide the areas of a file and write it anew.

    The output has the format of the source, its orientation, and of its metadata what is on the allow-list; its EXIF
    ImageUniqueID is a `blurring_id`. It is never byte-identical to its source, not even when nothing is to be hidden.

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
    metadata = stamped(picture.metadata, noise.blurring_id(), picture.orientation, picture.is_grey)
    if recipe.encoding.thumbnail_px:
        metadata = _with_thumbnail(metadata, orientation.stored(hidden, picture.orientation), recipe.encoding)
    if picture.format == "JPEG":
        changed = ramp_windows(areas, recipe.obfuscation, picture.width, picture.height)
        return _write_jpeg(source_bytes, hidden, changed, picture, metadata)
    bands = orientation.stored(_bands(hidden, areas, picture), picture.orientation)
    write = _write_tiff if picture.format == "TIFF" else _write_png_or_webp
    return Output(write(np.ascontiguousarray(bands), picture, metadata), Way.LOSSLESS)


def _with_thumbnail(metadata: Metadata, stored: Pixels, encoding: Encoding) -> Metadata:
    image = Image.fromarray(np.ascontiguousarray(stored))
    image.thumbnail((encoding.thumbnail_px, encoding.thumbnail_px))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=_THUMBNAIL_QUALITY)
    return replace(metadata, exif=exif_with_thumbnail(metadata.exif, out.getvalue()))


def _write_jpeg(source_bytes: bytes, hidden: Pixels, changed: Areas, picture: Picture, metadata: Metadata) -> Output:
    stored = orientation.stored(hidden, picture.orientation)
    stored_areas = orientation.stored_areas(changed, picture.orientation, picture.width, picture.height)
    try:
        layout = jpeg.read_layout(source_bytes)
        written = jpeg.replace_areas(source_bytes, layout, picture.colorspace, stored, stored_areas)
        way = Way.IN_PLACE
    except ValueError:  # a strict decoder has read it, so it is sound, but of a kind that cannot be edited
        written = _reencode_jpeg(source_bytes, np.ascontiguousarray(stored), stored_areas, picture)
        way = Way.REENCODED
    start = 2
    if written[3] == APP0:  # JFIF wants to be first
        start += 2 + int.from_bytes(written[4:6], "big")
    return Output(written[:start] + jpeg_segments(metadata) + written[start:], way)


def _reencode_jpeg(source_bytes: bytes, stored: Pixels, changed: Areas, picture: Picture) -> bytes:
    """The whole picture anew, with the quantisation tables of the source and a sampling that is no coarser."""
    with Image.open(io.BytesIO(source_bytes), formats=("JPEG",)) as source:
        tables = [table for _, table in sorted(source.quantization.items())]  # type: ignore[attr-defined]
        sampling, progressive = _sampling(source), "progressive" in source.info
        if source.mode == "CMYK":
            source.load()
            image = source.copy()
            for x1, y1, x2, y2 in changed.tolist():
                image.paste(Image.fromarray(stored[y1:y2, x1:x2]).convert("CMYK"), (x1, y1))
        else:
            image = Image.fromarray(stored).convert("L" if picture.is_grey else "RGB")
    out = io.BytesIO()
    is_rgb = picture.colorspace == "RGB"
    image.save(out, "JPEG", qtables=tables, subsampling=sampling, progressive=progressive, keep_rgb=is_rgb)
    return out.getvalue()


def _sampling(source: Image.Image) -> str:
    first, *others = [(h, v) for _, h, v, _ in source.layer]  # type: ignore[attr-defined]
    is_usual = all(factors == (1, 1) for factors in others[:2])
    return _PILLOW_SUBSAMPLING.get(first, "4:4:4") if is_usual else "4:4:4"


def _bands(hidden: Pixels, areas: Areas, picture: Picture) -> NDArray[np.uint8]:
    """The bands that the source had, upright: grey [h, w], RGB [h, w, 3] or RGBA [h, w, 4]."""
    if picture.is_grey:
        return np.asarray(cv2.cvtColor(hidden, cv2.COLOR_RGB2GRAY), np.uint8)
    if picture.alpha is None:
        return hidden
    alpha = picture.alpha.copy()
    for x1, y1, x2, y2 in areas:
        alpha[y1:y2, x1:x2] = 255  # the outline of a cut-out tells who it is, too
    return np.dstack([hidden, alpha])


def _write_png_or_webp(bands: NDArray[np.uint8], picture: Picture, metadata: Metadata) -> bytes:
    options = save_options(metadata, picture.format)
    if picture.format == "WEBP":
        options |= {"lossless": True, "exact": True}
    out = io.BytesIO()
    Image.fromarray(bands).save(out, picture.format, **options)
    return out.getvalue()


def _write_tiff(bands: NDArray[np.uint8], _: Picture, metadata: Metadata) -> bytes:
    # Not through Pillow: its libtiff pads odd strips with whatever stood in memory, and writes no EXIF directory when
    # it compresses.
    out = io.BytesIO()
    tifffile.imwrite(
        out,
        bands,
        photometric="minisblack" if bands.ndim == 2 else "rgb",
        extrasamples=["unassalpha"] if bands.ndim == 3 and bands.shape[2] == 4 else None,
        compression="zlib",
        metadata=None,
        software=None,
    )
    return tiff_with_metadata(out.getvalue(), metadata)
