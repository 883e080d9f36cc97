"""GPano: the XMP properties that make a viewer show a picture as a panorama, and nothing else of an XMP packet.

Google's Photo Sphere schema, https://developers.google.com/streetview/spherical-metadata.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.etree.ElementTree import Element
from xml.sax.saxutils import quoteattr

from defusedxml import ElementTree  # type: ignore[import-untyped]

NAMESPACE = "http://ns.google.com/photos/1.0/panorama/"
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
# A JPEG's packet has at most 64 KiB. The histories that editors write into other formats can be larger, up to here.
MAX_PACKET_BYTES = 1024 * 1024

_BOOLEAN = r"True|False|true|false"
_WHOLE = r"-?\d{1,9}(\.0{1,6})?"  # some stitchers write pixels as 8192.0
_REAL = r"[+-]?\d{1,9}(\.\d{1,20})?([eE][+-]?\d{1,3})?"
_DATE = r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?)?"
_SOFTWARE = r"[\x21-\x7e]([\x20-\x7e]{0,62}[\x21-\x7e])?"
_PROJECTION = "equirectangular|cylindrical|rectilinear|cubemap|fisheye"

_PROPERTIES = {
    name: re.compile(pattern, re.ASCII)
    for pattern, names in {
        _BOOLEAN: ["UsePanoramaViewer", "ExposureLockUsed"],
        _SOFTWARE: ["CaptureSoftware", "StitchingSoftware"],
        _PROJECTION: ["ProjectionType"],
        _DATE: ["FirstPhotoDate", "LastPhotoDate"],
        _REAL: [
            "PoseHeadingDegrees",
            "PosePitchDegrees",
            "PoseRollDegrees",
            "InitialViewHeadingDegrees",
            "InitialViewPitchDegrees",
            "InitialViewRollDegrees",
            "InitialHorizontalFOVDegrees",
            "InitialVerticalFOVDegrees",
            "InitialCameraDolly",
        ],
        _WHOLE: [
            "SourcePhotosCount",
            "SourceImageCount",
            "CroppedAreaImageWidthPixels",
            "CroppedAreaImageHeightPixels",
            "FullPanoWidthPixels",
            "FullPanoHeightPixels",
            "CroppedAreaLeftPixels",
            "CroppedAreaTopPixels",
            "LargestValidInteriorRectLeft",
            "LargestValidInteriorRectTop",
            "LargestValidInteriorRectWidth",
            "LargestValidInteriorRectHeight",
        ],
    }.items()
    for name in names
}


def read(packet: bytes) -> dict[str, str]:
    """The GPano properties of an XMP packet, as attributes or as elements; empty if it is broken or has none.

    A value that is not of its property's type is dropped. Of a doubled property the first counts.
    """
    if not packet or len(packet) > MAX_PACKET_BYTES:
        return {}
    try:
        root = ElementTree.fromstring(packet.strip(b"\0 \t\r\n"), forbid_dtd=True)
    except Exception:  # a parser may raise anything on hostile bytes: all of it means that there is nothing to keep
        return {}
    found: dict[str, str] = {}
    for description in root.iter(f"{{{_RDF}}}Description"):
        for name, text in _stated(description):
            pattern = _PROPERTIES.get(name)
            if pattern is not None and name not in found and pattern.fullmatch(text.strip()):
                found[name] = text.strip()
    return dict(sorted(found.items()))


def write(properties: Mapping[str, str]) -> bytes | None:
    """The one XMP packet that says this; None if there is nothing to say."""
    if not properties:
        return None
    attributes = "".join(f"\n GPano:{name}={quoteattr(text)}" for name, text in sorted(properties.items()))
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{_RDF}">'
        f'<rdf:Description rdf:about="" xmlns:GPano="{NAMESPACE}"{attributes}/>'
        '</rdf:RDF></x:xmpmeta>\n<?xpacket end="r"?>'
    ).encode()


def _stated(description: Element) -> list[tuple[str, str]]:
    prefix = f"{{{NAMESPACE}}}"
    attributes = [(name, text) for name, text in description.attrib.items() if name.startswith(prefix)]
    elements = [(str(child.tag), child.text or "") for child in description if str(child.tag).startswith(prefix)]
    return [(name.removeprefix(prefix), text) for name, text in attributes + elements]
