"""Strict reading of untrusted files: one decode that serves the detectors and the blur alike.

Decoders disagree about damaged files. What one shows to the detector another might draw differently for the public,
so everything that a strict decoder refuses is a fault of the image, and nobody guesses.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from dataclasses import dataclass

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from components.errors import ImageFault, Reason
from components.imaging import orientation
from components.imaging.formats import Format, sniff
from components.imaging.metadata.allow_list import Metadata, read_metadata
from components.imaging.metadata.exif_tags import ORIENTATION
from components.settings import Reading

Pixels = NDArray[np.uint8]
EXIF_IFD = 0x8769
IMAGE_UNIQUE_ID = 0xA420
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A decoded file.

    Attributes:
        format: the file's format, whatever its name says.
        pixels: uint8 [h, w, 3] RGB, upright (turned as the orientation asks).
        alpha: uint8 [h, w], or None.
        colorspace: "YCbCr", "RGB", "Gray", "CMYK" or "YCCK".
        orientation: EXIF orientation as the file declares it, 1 to 8; so will its output.
        metadata: what may be published of the file's metadata.
        is_panorama: its width goes round by 360°.
        sha256: hash of the file's bytes, hex.
    """

    format: Format
    pixels: Pixels
    alpha: NDArray[np.uint8] | None
    colorspace: str
    orientation: int
    metadata: Metadata
    is_panorama: bool
    sha256: str

    @property
    def is_grey(self) -> bool:
        """The file has one channel; so will its output."""
        return self.colorspace == "Gray"

    @property
    def width(self) -> int:
        """Width of the upright picture, px."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Height of the upright picture, px."""
        return int(self.pixels.shape[0])

    def brightness(self) -> float:
        """Mean luma (Rec. 601), 0 to 255."""
        return float(
            np.dot(cv2.mean(self.pixels)[:3], (0.299, 0.587, 0.114))
        )  # OpenCV's mean is a hundred times faster


def decode(source_bytes: bytes, limits: Reading) -> Picture:
    """Decode a whole file, strictly and within bounds.

    Declared size and format are checked before any pixel is decoded.

    Raises:
        ImageFault: the file is beyond the limits, or a strict decoder refuses it.
    """
    file_format = sniff(source_bytes)
    if len(source_bytes) > limits.max_file_mib * _MIB:
        size_mib = len(source_bytes) / _MIB
        raise ImageFault(Reason.TOO_LARGE, f"{size_mib:.0f} MiB; reading.max_file_mib allows {limits.max_file_mib:g}")
    try:
        read = _decode_jpeg if file_format == "JPEG" else _decode_lossless
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow, about metadata that we drop and sizes that are bounded here
            return read(source_bytes, file_format, limits)
    except ImageFault:
        raise
    except Image.DecompressionBombError as error:
        raise ImageFault(Reason.TOO_LARGE, f"declares too many pixels ({error})") from error
    except MemoryError as error:
        raise ImageFault(Reason.OUT_OF_MEMORY, "decoding needs more memory than batch.worker_memory_mib") from error
    except Exception as error:  # a decoder may raise anything on hostile bytes: all of it means "refused"
        detail = " ".join(str(error).split())[:200] or type(error).__name__
        raise ImageFault(Reason.DECODE_REFUSED, f"damaged or hostile {file_format}: {detail}") from error


def blurring_id_of(file_bytes: bytes) -> str | None:
    """The blurring id that a published file carries (EXIF ImageUniqueID), or None."""
    with Image.open(io.BytesIO(file_bytes)) as image:
        exif = image.getexif()
        value = exif.get_ifd(EXIF_IFD).get(IMAGE_UNIQUE_ID) or exif.get(IMAGE_UNIQUE_ID)
    return str(value).strip("\0 ") if value else None


def _check_declared_size(width: int, height: int, limits: Reading) -> None:
    megapixels = width * height / 1e6
    if max(width, height) > limits.max_side_px or megapixels > limits.max_megapixels:
        raise ImageFault(
            Reason.TOO_LARGE,
            f"declares {width}×{height} px ({megapixels:.0f} MP); reading allows "
            f"{limits.max_megapixels:g} MP and sides of {limits.max_side_px} px",
        )


def _decode_jpeg(source_bytes: bytes, file_format: Format, limits: Reading) -> Picture:
    try:
        height, width, colorspace, _ = simplejpeg.decode_jpeg_header(source_bytes, strict=True)
    except KeyError as error:  # how simplejpeg says that it knows the sampling and has no name for it
        what = "JPEG whose colours are sampled 4:4:1; convert it to 4:4:4, 4:2:2 or 4:2:0"
        raise ImageFault(Reason.UNSUPPORTED_FORMAT, what) from error
    _check_declared_size(width, height, limits)
    if colorspace in ("CMYK", "YCCK"):
        simplejpeg.decode_jpeg(source_bytes, "CMYK", strict=True)  # refuses what Pillow would let pass
        with _open(source_bytes, file_format) as image:
            pixels = np.asarray(image.convert("RGB"))
    else:
        pixels = simplejpeg.decode_jpeg(source_bytes, "RGB", strict=True)
    metadata = read_metadata(source_bytes, file_format)
    return _picture(source_bytes, file_format, pixels, None, colorspace, metadata, metadata.orientation, limits)


def _decode_lossless(source_bytes: bytes, file_format: Format, limits: Reading) -> Picture:
    with _open(source_bytes, file_format) as image:
        _check_declared_size(image.width, image.height, limits)
        frames = getattr(image, "n_frames", 1)
        if frames > 1:
            raise ImageFault(Reason.UNSUPPORTED_FORMAT, f"has {frames} frames or pages; split it into single pictures")
        _refuse_what_cannot_be_kept(image, source_bytes)
        metadata = read_metadata(source_bytes, file_format)
        # Pillow turns TIFFs, and only these, while it loads them, by what it reads itself.
        turn = _orientation_for_pillow(image) if file_format == "TIFF" else metadata.orientation
        image.load()
        mode = "RGBA" if "transparency" in image.info else _MODES[image.mode]
        bands = np.asarray(image if image.mode == mode else image.convert(mode))
    is_grey = bands.ndim == 2
    pixels = np.repeat(bands[:, :, None], 3, axis=2) if is_grey else bands[:, :, :3]
    alpha = bands[:, :, 3] if not is_grey and bands.shape[2] == 4 else None
    colorspace = "Gray" if is_grey else "RGB"
    return _picture(source_bytes, file_format, pixels, alpha, colorspace, metadata, turn, limits)


# Pixel formats that are kept without loss, and what they become.
_MODES = {"L": "L", "1": "L", "RGB": "RGB", "RGBA": "RGBA", "LA": "RGBA", "P": "RGB"}


def _refuse_what_cannot_be_kept(image: Image.Image, source_bytes: bytes) -> None:
    """Refuse deep colours, which Pillow would halve without a word, and JPEG in a TIFF, which it reads leniently."""
    tags = getattr(image, "tag_v2", {})
    bits = (
        source_bytes[_PNG_BIT_DEPTH_AT] if image.format == "PNG" else max(np.atleast_1d(tags.get(_BITS_PER_SAMPLE, 8)))
    )
    compression = str(image.info.get("compression", ""))
    if image.mode not in _MODES or bits > 8:
        what = f"pixel format {image.mode} with {bits} bits cannot be kept; convert to 8-bit grey, RGB or RGBA"
    elif "jpeg" in compression:
        what = f"TIFF with {compression} data; convert it to a plain TIFF or JPEG"
    else:
        return
    raise ImageFault(Reason.UNSUPPORTED_FORMAT, what)


_PNG_BIT_DEPTH_AT = 24  # after the signature, the header chunk's length and name, width and height
_BITS_PER_SAMPLE = 258


def _open(source_bytes: bytes, file_format: Format) -> Image.Image:
    """Pillow's view of the header; only the decoder of the sniffed format is tried, no pixel is decoded yet."""
    return Image.open(io.BytesIO(source_bytes), formats=(file_format,))


def _orientation_for_pillow(image: Image.Image) -> int:
    value = image.getexif().get(ORIENTATION, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _picture(
    source_bytes: bytes,
    file_format: Format,
    pixels: Pixels,
    alpha: NDArray[np.uint8] | None,
    colorspace: str,
    metadata: Metadata,
    turn: int,
    limits: Reading,
) -> Picture:
    left_to_turn = 1 if file_format == "TIFF" else turn
    upright = orientation.upright(pixels, left_to_turn)
    return Picture(
        format=file_format,
        pixels=upright,
        alpha=None if alpha is None else orientation.upright(alpha, left_to_turn),
        colorspace=colorspace,
        orientation=turn,
        metadata=metadata,
        is_panorama=_is_panorama(metadata, upright.shape[1], upright.shape[0], limits),
        sha256=hashlib.sha256(source_bytes).hexdigest(),
    )


def _is_panorama(metadata: Metadata, width: int, height: int, limits: Reading) -> bool:
    """Whether the picture says that it goes all the way round, or has the shape of those that do."""
    stated = metadata.gpano
    if stated and stated.get("ProjectionType", "equirectangular") == "equirectangular":  # the schema's default
        whole = stated.get("FullPanoWidthPixels", "")
        cropped = stated.get("CroppedAreaImageWidthPixels", whole)
        return not whole or float(cropped) >= float(whole)
    return limits.treat_2_to_1_as_panorama and width == 2 * height
