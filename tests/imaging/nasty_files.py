"""Files that carry a secret in every place for metadata, beside the place, time, camera and panorama to be kept.

They are put together byte by byte, so that no writer of ours or of a library decides what can be in them.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from components.imaging.reading import Format
from tests.conftest import encoded

FORMATS: list[Format] = ["JPEG", "PNG", "WEBP", "TIFF"]
SECRET = b"SECRET7f3a"
GPANO = "http://ns.google.com/photos/1.0/panorama/"
BLURRING_ID = "0123456789abcdef" * 2

Entry = tuple[int, int, int, bytes]

# What must survive, as Pillow reads it.
MAIN = {
    0x010F: "Veilcam",
    0x0110: "Street 360",
    0x0112: 6,
    0x011A: 300.0,
    0x011B: 300.0,
    0x0128: 2,
    0x0132: "2024:05:06 07:08:09",
}
CAMERA = {
    0x829A: 0.004,
    0x829D: 2.8,
    0x8827: 200,
    0x9003: "2024:05:06 07:08:09",
    0x9004: "2024:05:06 07:08:09",
    0x9010: "+02:00",
    0x9291: "123",
    0x9204: -0.5,
    0x920A: 4.25,
    0xA001: 1,
    0xA405: 26,
    0xA434: "Veilcam 4.25mm f/2.8",
}
GPS = {
    1: "N",
    2: (48.0, 8.0, 30.5),
    3: "E",
    4: (11.0, 34.0, 31.25),
    5: b"\x00",
    6: 519.5,
    7: (5.0, 8.0, 9.0),
    16: "T",
    17: 271.5,
    18: "WGS-84",
    29: "2024:05:06",
    31: 3.5,
}
PANORAMA = {
    "CaptureSoftware": "Stitch & Co 1.2",
    "CroppedAreaLeftPixels": "0",
    "FirstPhotoDate": "2024-05-06T07:08:09.5Z",
    "FullPanoHeightPixels": "4096",
    "FullPanoWidthPixels": "8192",
    "PoseHeadingDegrees": "271.5",
    "ProjectionType": "equirectangular",
    "UsePanoramaViewer": "True",
}


def secret(place: str) -> bytes:
    """The secret of one place."""
    return SECRET + place.encode()


def text(tag: int, content: bytes | str) -> Entry:
    """An entry of text."""
    content = (content.encode() if isinstance(content, str) else content) + b"\0"
    return tag, 2, len(content), content


def short(tag: int, *numbers: int) -> Entry:
    """An entry of short numbers, in big-endian order."""
    return tag, 3, len(numbers), struct.pack(f">{len(numbers)}H", *numbers)


def long(tag: int, *numbers: int) -> Entry:
    """An entry of long numbers, in big-endian order."""
    return tag, 4, len(numbers), struct.pack(f">{len(numbers)}I", *numbers)


def ratio(tag: int, *numbers: float, kind: int = 5) -> Entry:
    """An entry of fractions, in big-endian order."""
    form = "i" if kind == 10 else "I"
    return tag, kind, len(numbers), b"".join(struct.pack(f">2{form}", round(n * 1000), 1000) for n in numbers)


def opaque(tag: int, content: bytes, kind: int = 7) -> Entry:
    """An entry of bytes."""
    return tag, kind, len(content), content


def directory(entries: Iterable[Entry], offset: int, following: int = 0) -> bytes:
    """A directory that stands at an offset, in big-endian order."""
    listed = sorted(entries)
    table, outside, end = b"", b"", offset + 6 + 12 * len(listed)
    for tag, kind, count, content in listed:
        place = content.ljust(4, b"\0")
        if len(content) > 4:
            place = struct.pack(">I", end + len(outside))
            outside += content + b"\0" * (len(content) % 2)
        table += struct.pack(">HHI", tag, kind, count) + place
    return struct.pack(">H", len(listed)) + table + struct.pack(">I", following) + outside


def block(
    main: list[Entry], camera: list[Entry] | None, gps: list[Entry] | None, rest: list[Entry] | None = None
) -> bytes:
    """A TIFF structure: main directory, those it points to, and one (of a thumbnail) that follows it."""
    parts, end = [], 8 + len(directory([*main, long(0x8769, 0), long(0x8825, 0)], 8))
    for pointer, entries in ((0x8769, camera), (0x8825, gps)):
        main = [*main, long(pointer, end)]
        parts.append(directory(entries or [], end))
        end += len(parts[-1])
    if rest is not None:
        parts.append(directory(rest, end))
    return b"MM\0*\0\0\0\x08" + b"".join([directory(main, 8, end if rest is not None else 0), *parts])


def main_entries() -> list[Entry]:
    """The main directory, with secrets."""
    return [
        text(0x010E, secret("ImageDescription")),
        text(0x010F, str(MAIN[0x010F])),
        text(0x0110, str(MAIN[0x0110])),
        short(0x0112, 6),
        ratio(0x011A, 300),
        ratio(0x011B, 300),
        short(0x0128, 2),
        text(0x0131, secret("Software")),
        text(0x0132, str(MAIN[0x0132])),
        text(0x013B, secret("Artist")),
        text(0x013C, secret("HostComputer")),
        text(0x8298, secret("Copyright")),
        opaque(0x02BC, xmp_packet()),
        opaque(0x83BB, secret("IPTC")),
        opaque(0x8649, b"8BIM" + secret("Photoshop")),
        opaque(0x9C9C, secret("XPComment").decode().encode("utf-16-le"), kind=1),
        opaque(0x9C9D, secret("XPAuthor"), kind=1),
        opaque(0xC4A5, secret("PrintIM")),
        text(0xC62F, secret("CameraSerial")),
        opaque(0xFDE8, secret("private")),
    ]


def camera_entries() -> list[Entry]:
    """The camera directory, with secrets."""
    return [
        ratio(0x829A, 0.004),
        ratio(0x829D, 2.8),
        short(0x8827, 200),
        text(0x9003, "2024:05:06 07:08:09"),
        text(0x9004, "2024:05:06 07:08:09"),
        text(0x9010, "+02:00"),
        text(0x9291, "123"),
        ratio(0x9204, -0.5, kind=10),
        ratio(0x920A, 4.25),
        opaque(0x927C, b"Veilcam\0" + secret("MakerNote") + encoded(np.zeros((8, 8, 3), np.uint8), "JPEG")),
        opaque(0x9286, b"ASCII\0\0\0" + secret("UserComment")),
        short(0xA001, 1),
        long(0xA005, 8),
        short(0xA405, 26),
        text(0xA420, secret("ImageUniqueID")),
        text(0xA430, secret("CameraOwnerName")),
        text(0xA431, secret("BodySerialNumber")),
        text(0xA434, str(CAMERA[0xA434])),
        text(0xA435, secret("LensSerialNumber")),
        text(0xA436, secret("ImageTitle")),
    ]


def gps_entries() -> list[Entry]:
    """The GPS directory, with secrets."""
    return [
        text(1, "N"),
        ratio(2, 48, 8, 30.5),
        text(3, "E"),
        ratio(4, 11, 34, 31.25),
        opaque(5, b"\0", kind=1),
        ratio(6, 519.5),
        ratio(7, 5, 8, 9),
        text(16, "T"),
        ratio(17, 271.5),
        text(18, "WGS-84"),
        opaque(27, b"ASCII\0\0\0" + secret("GPSProcessingMethod")),
        opaque(28, b"ASCII\0\0\0" + secret("GPSAreaInformation")),
        text(29, "2024:05:06"),
        ratio(31, 3.5),
    ]


def thumbnail() -> bytes:
    """A JPEG of a face that nobody hid, with a comment."""
    return encoded(np.full((16, 16, 3), 200, np.uint8), "JPEG", comment=secret("thumbnail"))


def exif_block() -> bytes:
    """An EXIF block with everything, a thumbnail included."""
    small = thumbnail()
    rest = [short(0x0103, 6), long(0x0201, 0), long(0x0202, len(small)), text(0x010E, secret("IFD1"))]
    offset = len(block(main_entries(), camera_entries(), gps_entries(), rest))
    rest[1] = long(0x0201, offset)
    return block(main_entries(), camera_entries(), gps_entries(), rest) + small + secret("behind the thumbnail")


def xmp_packet() -> bytes:
    """An XMP packet: a panorama, as attributes and as elements, between names, previews and depth maps."""
    names = sorted(PANORAMA)
    escaped = {name: PANORAMA[name].replace("&", "&amp;") for name in names}
    attributes = " ".join(f'GPano:{name}="{escaped[name]}"' for name in names[::2])
    elements = "".join(f"<GPano:{name}> {escaped[name]} </GPano:{name}>" for name in names[1::2])
    hidden = {name: secret(f"xmp {name}").decode() for name in ("creator", "Thumbnails", "unknown", "depth", "number")}
    return f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:GPano="{GPANO}" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:xmpNote="http://ns.adobe.com/xmp/note/"
 xmlns:GDepth="http://ns.google.com/photos/1.0/depthmap/" xmpNote:HasExtendedXMP="00112233445566778899AABBCCDDEEFF"
 {attributes} GPano:Unknown="{hidden["unknown"]}" GPano:SourcePhotosCount="{hidden["number"]}"
 GDepth:Data="{hidden["depth"]}">{elements}
<dc:creator><rdf:Seq><rdf:li>{hidden["creator"]}</rdf:li></rdf:Seq></dc:creator>
<xmp:Thumbnails><rdf:Alt><rdf:li>{hidden["Thumbnails"]}</rdf:li></rdf:Alt></xmp:Thumbnails>
</rdf:Description></rdf:RDF></x:xmpmeta>{" " * 200}
<?xpacket end="w"?>""".encode()


def icc_profile() -> bytes:
    """The sRGB profile, with a secret in a private tag, in the copyright, and between the tags."""
    whole = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    (count,) = struct.unpack(">I", whole[128:132])
    tags = {
        tag: whole[offset : offset + size]
        for tag, offset, size in struct.iter_unpack(">4sII", whole[132 : 132 + 12 * count])
    }
    copied = secret("copyright").decode().encode("utf-16-be")
    tags[b"cprt"] = b"mluc" + struct.pack(">III2s2sII", 0, 1, 12, b"en", b"US", len(copied), 28) + copied
    tags[b"prVt"] = b"data" + secret("icc tag")
    tags[b"wtpt"] += secret("behind a white point")
    table, elements, offset = b"", b"", 132 + 12 * len(tags)
    for tag, element in tags.items():
        between = secret("between tags").ljust(32, b"\0")
        table += struct.pack(">4sII", tag, offset + len(elements) + len(between), len(element))
        elements += between + element + bytes(-len(element) % 4)
    header = bytearray(whole[:128])
    header[48:56] = secret("icc")[:8]
    content = bytes(header[4:]) + struct.pack(">I", len(tags)) + table + elements
    return struct.pack(">I", len(content) + 4) + content


def jpeg_segment(marker: int, content: bytes) -> bytes:
    """A segment's bytes."""
    return bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2, "big") + content


def behind_app0(jpeg_bytes: bytes, extra: bytes) -> bytes:
    """A JPEG (as Pillow writes it) with more segments behind its JFIF header."""
    end = 4 + int.from_bytes(jpeg_bytes[4:6], "big")
    return jpeg_bytes[:end] + extra + jpeg_bytes[end:]


def nasty_segments() -> dict[str, bytes]:
    """The segments of a nasty JPEG, by name."""
    profile = icc_profile()
    half = len(profile) // 2
    return {
        "JFXX": jpeg_segment(0xE0, b"JFXX\0\x10" + secret("JFXX")),
        "Exif": jpeg_segment(0xE1, b"Exif\0\0" + exif_block()),
        "XMP": jpeg_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp_packet()),
        "extended XMP": jpeg_segment(
            0xE1, b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 32 + bytes(8) + secret("extended XMP")
        ),
        "second Exif": jpeg_segment(0xE1, b"Exif\0\0MM\0*" + secret("second Exif")),
        "ICC": jpeg_segment(0xE2, b"ICC_PROFILE\0\2\2" + profile[half:])
        + jpeg_segment(0xE2, b"ICC_PROFILE\0\1\2" + profile[:half]),
        "MPF": jpeg_segment(0xE2, b"MPF\0MM\0*\0\0\0\x08" + secret("MPF")),
        "APP4": jpeg_segment(0xE4, secret("APP4")),
        "JUMBF": jpeg_segment(0xEB, b"JP\0\1" + secret("C2PA")),
        "IPTC": jpeg_segment(0xED, b"Photoshop 3.0\08BIM\x04\x04\0\0" + secret("IPTC")),
        "Adobe": jpeg_segment(0xEE, b"Adobe\0\x64\0\0\0\0\1" + secret("Adobe")),
        "comment": jpeg_segment(0xFE, secret("comment")),
    }


def nasty_jpeg(pixels: NDArray[np.uint8]) -> bytes:
    """A JPEG with secrets everywhere, and a second, larger picture behind its end."""
    whole = behind_app0(encoded(pixels, "JPEG", quality=95), b"".join(nasty_segments().values()))
    return whole + behind_app0(thumbnail(), jpeg_segment(0xE1, secret("second picture"))) + secret("trailer")


def png_chunk(name: bytes, content: bytes) -> bytes:
    """A chunk's bytes."""
    return len(content).to_bytes(4, "big") + name + content + zlib.crc32(name + content).to_bytes(4, "big")


def nasty_png_chunks() -> dict[str, bytes]:
    """The chunks of a nasty PNG, by name."""
    packed = zlib.compress(secret("zTXt"))
    return {
        "iCCP": png_chunk(b"iCCP", secret("ICC name") + b"\0\0" + zlib.compress(icc_profile())),
        "pHYs": png_chunk(b"pHYs", struct.pack(">IIB", 1234, 1234, 1)),
        "tEXt": png_chunk(b"tEXt", b"Author\0" + secret("tEXt")),
        "zTXt": png_chunk(b"zTXt", b"Comment\0\0" + packed),
        "iTXt": png_chunk(b"iTXt", b"Title\0\0\0\0\0" + secret("iTXt")),
        "XMP": png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0" + secret("language") + b"\0\0" + xmp_packet()),
        "eXIf": png_chunk(b"eXIf", exif_block()),
        "tIME": png_chunk(b"tIME", struct.pack(">H5B", 2024, 5, 6, 7, 8, 9)),
        "private": png_chunk(b"prVt", secret("private chunk")),
    }


def nasty_png(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG with secrets everywhere."""
    whole = encoded(pixels, "PNG")
    return whole[:33] + b"".join(nasty_png_chunks().values()) + whole[33:] + secret("trailer")


def riff_chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a WebP."""
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def with_riff_chunk(webp_bytes: bytes, name: bytes, content: bytes) -> bytes:
    """A WebP with one chunk more at its end."""
    body = webp_bytes[8:] + riff_chunk(name, content)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def nasty_webp(pixels: NDArray[np.uint8]) -> bytes:
    """A (lossless) WebP with secrets everywhere."""
    blocks = {"exif": exif_block(), "icc_profile": icc_profile(), "xmp": xmp_packet()}
    whole = encoded(pixels, "WEBP", lossless=True, exact=True, **blocks)
    return with_riff_chunk(whole, b"prVt", secret("private chunk")) + secret("trailer")


def nasty_tiff(pixels: NDArray[np.uint8]) -> bytes:
    """An uncompressed, big-endian TIFF with secrets everywhere, a reduced second picture included."""
    height, width = pixels.shape[:2]
    small = directory([text(0x010E, secret("sub-directory"))], 0)
    structure = [
        long(256, width),
        long(257, height),
        short(258, 8, 8, 8),
        short(259, 1),
        short(262, 2),
        long(273, 0),
        short(277, 3),
        long(278, height),
        long(279, height * width * 3),
        opaque(34675, icc_profile()),
        long(330, 0),
    ]
    main = [*main_entries(), *structure]
    start = len(block(main, camera_entries(), gps_entries()))
    place = {273: start, 330: start + pixels[:, :, :3].size}
    main = [long(tag, place[tag]) if tag in place else (tag, *rest) for tag, *rest in main]
    whole = block(main, camera_entries(), gps_entries())
    return whole + np.ascontiguousarray(pixels[:, :, :3]).tobytes() + small + secret("trailer")


def nasty(file_format: Format, pixels: NDArray[np.uint8]) -> bytes:
    """A nasty file of a format; its EXIF orientation is 6."""
    return {"JPEG": nasty_jpeg, "PNG": nasty_png, "WEBP": nasty_webp, "TIFF": nasty_tiff}[file_format](pixels)


def opened(content: bytes) -> Image.Image:
    """A file as another program sees it."""
    return Image.open(io.BytesIO(content))
