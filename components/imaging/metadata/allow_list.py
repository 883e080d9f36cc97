"""What is published of a file's metadata: place, time, camera, turn, colours and panorama, by allow-list, written anew.

Nothing of a source's metadata is copied as it stands. What can be understood and may be published is read out, and new
blocks are written from it; so what nobody thought of stays behind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from PIL import PngImagePlugin

from components.imaging.formats import Format
from components.imaging.jpeg_segments import APP1, APP2, MAX_PAYLOAD, segment
from components.imaging.metadata import containers, exif, gpano, icc, tiff
from components.imaging.metadata.exif_tags import ORIENTATION

# A JPEG's profile is split into numbered parts, behind a prefix and two bytes that number them.
_ICC_PART_BYTES = MAX_PAYLOAD - len(containers.ICC_PREFIX) - 2
_MAX_EXIF_BYTES = MAX_PAYLOAD - len(containers.EXIF_PREFIX)

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Metadata:
    """What may be published, as canonical blocks.

    Attributes:
        exif: a TIFF structure without the prefix that JPEG puts before it; empty if there is nothing to say.
        icc: a colour profile with nothing but its colours.
        xmp: an XMP packet with nothing but GPano.
    """

    exif: bytes = b""
    icc: bytes | None = None
    xmp: bytes | None = None

    @property
    def orientation(self) -> int:
        """EXIF orientation, 1 to 8; 1 where none is declared."""
        stated = exif.read(self.exif).main.get(ORIENTATION)
        return int(stated.content[0]) if stated else 1

    @property
    def gpano(self) -> dict[str, str]:
        """The panorama's properties by name, such as `ProjectionType`."""
        return gpano.read(self.xmp or b"")


def read_metadata(source_bytes: bytes, file_format: Format) -> Metadata:
    """What may be published of a source's metadata. What cannot be understood is dropped, and nothing is raised."""
    found = _or(containers.Blocks(), lambda: containers.blocks(source_bytes, file_format))
    return Metadata(
        exif=_or(b"", lambda: exif.write(exif.read(found.exif))),
        icc=_or(None, lambda: icc.rebuilt(found.icc)),
        xmp=_or(None, lambda: gpano.write(gpano.read(found.xmp))),
    )


def stamped(metadata: Metadata, blurring_id: str, orientation: int = 1, is_grey: bool = False) -> Metadata:
    """The metadata of one output: with our name, its id, and what the published pixels really are.

    Args:
        metadata: what the source said.
        blurring_id: 32 hex digits, for EXIF's ImageUniqueID.
        orientation: the turn that the published pixels need; 1 where they are upright.
        is_grey: the output has one channel. A profile for the other kind of pictures is left out.

    Raises:
        ValueError: the id or the orientation is none.
    """
    block = exif.write(exif.stamped(exif.read(metadata.exif), blurring_id, orientation))
    fits = metadata.icc is not None and icc.is_grey(metadata.icc) == is_grey
    return replace(metadata, exif=block, icc=metadata.icc if fits else None)


def exif_with_thumbnail(exif_block: bytes, thumbnail: bytes) -> bytes:
    """A (stamped) EXIF block with a thumbnail in it.

    Args:
        exif_block: as in `Metadata.exif`.
        thumbnail: a JPEG made from the published picture, without metadata of its own.

    Raises:
        ValueError: the thumbnail is no JPEG, or too large for a JPEG's EXIF segment.
    """
    block = exif.write(exif.read(exif_block, is_output=True), thumbnail)
    if not thumbnail.startswith(b"\xff\xd8\xff") or len(block) > _MAX_EXIF_BYTES:
        raise ValueError(f"a thumbnail of {len(thumbnail)} bytes that is no JPEG, or too large for EXIF")
    return block


def jpeg_segments(metadata: Metadata) -> bytes:
    """The segments for a JPEG, to stand after the start-of-image marker or after JFIF's segment."""
    parts = []
    if metadata.exif:
        parts.append(segment(APP1, containers.EXIF_PREFIX + metadata.exif))
    if metadata.xmp:
        parts.append(segment(APP1, containers.XMP_PREFIX + metadata.xmp))
    profile = metadata.icc or b""
    pieces = [profile[i : i + _ICC_PART_BYTES] for i in range(0, len(profile), _ICC_PART_BYTES)]
    for i, piece in enumerate(pieces):
        parts.append(segment(APP2, containers.ICC_PREFIX + bytes((i + 1, len(pieces))) + piece))
    return b"".join(parts)


def save_options(metadata: Metadata, file_format: Format) -> dict[str, Any]:
    """What Pillow's `save` needs to write the metadata into a PNG or WebP.

    Raises:
        ValueError: another format; JPEG has `jpeg_segments`, TIFF has `tiff_with_metadata`.
    """
    if file_format not in ("PNG", "WEBP"):
        raise ValueError(f"{file_format} is not written with options of Pillow's")
    options: dict[str, Any] = {}
    if metadata.exif:
        options["exif"] = metadata.exif
    if metadata.icc:
        options["icc_profile"] = metadata.icc
    if metadata.xmp and file_format == "WEBP":
        options["xmp"] = metadata.xmp
    if metadata.xmp and file_format == "PNG":
        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", metadata.xmp.decode())
    return options


def tiff_with_metadata(tiff_bytes: bytes, metadata: Metadata) -> bytes:
    """A TIFF of one page (as tifffile writes it) with the metadata in it; all that it had of its own is gone.

    Raises:
        ValueError: the TIFF is not as our encoder writes it.
    """
    return tiff.with_blocks(tiff_bytes, exif.read(metadata.exif, is_output=True), metadata.icc, metadata.xmp)


def _or(nothing: _T, read: Callable[[], _T]) -> _T:
    try:
        return read()
    except Exception:  # hostile metadata may raise anything: it is worth dropping, and never worth the picture
        return nothing
