"""Before and after, side by side, on one page that a person looks at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from components.packages import package_folder

_PAPER, _INK, _FAINT, _ALERT = (250, 250, 248), (30, 32, 36), (120, 124, 130), (176, 58, 30)
_CELL_PX, _GAP_PX, _CAPTION_PX, _HEAD_PX = (400, 300), 24, 30, 84
_PAIRS_A_ROW = 2
# Quarantined files may be hostile: no decoder is tried that publishing does not use (Pillow's EPS starts Ghostscript).
_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF")


@dataclass(frozen=True, slots=True)
class Pair:
    """One picture before and after.

    Attributes:
        name: its caption.
        before, after: the files; no `after` means that it was not published.
        note: what was done, or why not.
    """

    name: str
    before: Path
    after: Path | None
    note: str


def before_after_sheet(pairs: Sequence[Pair], title: str) -> Image.Image:
    """Draw the page. Originals are on it: it is as sensitive as they are."""
    pair_width = 2 * _CELL_PX[0] + 6
    row_height = _CELL_PX[1] + _CAPTION_PX + _GAP_PX
    rows = -(-len(pairs) // _PAIRS_A_ROW)
    size = _GAP_PX + _PAIRS_A_ROW * (pair_width + _GAP_PX), _HEAD_PX + rows * row_height + _GAP_PX
    sheet = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_GAP_PX, 24), title, _INK, _font(30, bold=True))
    for i, pair in enumerate(pairs):
        x = _GAP_PX + (i % _PAIRS_A_ROW) * (pair_width + _GAP_PX)
        y = _HEAD_PX + (i // _PAIRS_A_ROW) * row_height
        draw.text((x, y), pair.name, _INK, _font(16, bold=True))
        draw.text((x + pair_width, y), pair.note, _FAINT if pair.after else _ALERT, _font(15), anchor="ra")
        sheet.paste(_cell(pair.before, "cannot be decoded"), (x, y + _CAPTION_PX))
        sheet.paste(_cell(pair.after, "not published"), (x + _CELL_PX[0] + 6, y + _CAPTION_PX))
    return sheet


def _cell(file: Path | None, otherwise: str) -> Image.Image:
    cell = Image.new("RGB", _CELL_PX, (232, 232, 228))
    try:
        if file is None:
            raise OSError(otherwise)
        with Image.open(file, formats=_FORMATS) as image:
            picture = ImageOps.exif_transpose(image).convert("RGB")
    except (OSError, Image.DecompressionBombError):
        ImageDraw.Draw(cell).text((_CELL_PX[0] / 2, _CELL_PX[1] / 2), otherwise, _FAINT, _font(18), anchor="mm")
        return cell
    picture.thumbnail(_CELL_PX, Image.Resampling.LANCZOS)
    cell.paste(picture, ((_CELL_PX[0] - picture.width) // 2, (_CELL_PX[1] - picture.height) // 2))
    return cell


def _font(size_px: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(package_folder("matplotlib") / "mpl-data" / "fonts" / "ttf" / name), size_px)
