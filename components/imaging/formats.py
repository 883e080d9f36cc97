"""The kinds of files that are read and written, told by their first bytes and never by their names."""

from __future__ import annotations

from typing import Literal

from components.errors import ImageFault, Reason

Format = Literal["JPEG", "PNG", "WEBP", "TIFF"]


def sniff(source_bytes: bytes) -> Format:
    """The format that the first bytes declare.

    Raises:
        ImageFault: the file is empty or of no supported format.
    """
    if not source_bytes:
        raise ImageFault(Reason.EMPTY, "the file has no bytes; copy it again from its source")
    if source_bytes.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if source_bytes.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if source_bytes[:4] == b"RIFF" and source_bytes[8:12] == b"WEBP":
        return "WEBP"
    if source_bytes[:4] in (b"II*\0", b"MM\0*"):
        return "TIFF"
    raise ImageFault(Reason.UNSUPPORTED_FORMAT, "not a JPEG, PNG, WebP or TIFF file; convert it or leave it out")
