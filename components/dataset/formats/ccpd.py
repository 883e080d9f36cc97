"""CCPD: Chinese parking; everything that is known of a picture stands in its file's name.

`area-tilt-box-corners-plate-brightness-blur.jpg`, for example
`025-95_113-154&383_386&473-386&473_177&454_154&383_363&402-0_0_22_27_27_33_16-37-15.jpg`. The plate's text is not kept
apart; who passes the names on passes it on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from components.dataset.annotation import picture_size, whole_box
from components.dataset.labels import LabelledBox, LabelledImage, labelled_image
from components.errors import StreetveilError

_POINT = r"(\d+)&(\d+)"
_NAME = re.compile(
    rf"(?P<area>\d+)-(?P<horizontal>\d+)_(?P<vertical>\d+)-{_POINT}_{_POINT}"
    rf"-(?P<corners>{'_'.join([r'[0-9]+&[0-9]+'] * 4)})-[0-9_]+-(?P<brightness>\d+)-(?P<blur>\d+)"
)
_WITHOUT_PLATES = "ccpd_np"  # the published folder of pictures that show no plate


def read_ccpd(pictures: Path, source: str = "ccpd") -> Iterator[LabelledImage]:
    """Read a folder of CCPD. One plate is labelled in each picture, so none is exhaustive but those without plates.

    Each plate has the marks `tilt_deg` (horizontal and vertical, −90 to 90; 0 is upright), `corners` (px, from the
    lower right one clockwise), `brightness` and `blur`.

    Args:
        pictures: the folder, with all below it.
        source: the name of the set.

    Raises:
        StreetveilError: there is no picture, one cannot be read, or its name is not of this form.
    """
    files = sorted(path for path in pictures.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg", ".png"})
    if not files:
        raise StreetveilError(f"{pictures}: no picture in it; give the folder of CCPD's pictures")
    for path in files:
        name = path.relative_to(pictures).as_posix()
        size = picture_size(path, str(path))
        if _WITHOUT_PLATES in (pictures.name, *Path(name).parts):
            yield labelled_image(name, size, source, [], exhaustive=frozenset({"license_plate"}), region="cn")
            continue
        read = _NAME.fullmatch(path.stem)
        if read is None:
            raise StreetveilError(
                f"{path}: the name does not say where the plate is; rename it as published, or move it out of the set"
            )
        marks = {
            "tilt_deg": [_tilt_deg(read["horizontal"]), _tilt_deg(read["vertical"])],
            "corners": [[int(side) for side in point.split("&")] for point in read["corners"].split("_")],
            "brightness": int(read["brightness"]),
            "blur": int(read["blur"]),
        }
        box = LabelledBox(whole_box(read.group(4, 5, 6, 7), size, str(path)), "license_plate", marks=marks)
        yield labelled_image(name, size, source, [box], region="cn")


def _tilt_deg(field: str) -> int:
    """Degrees from upright: CCPD writes 90 for upright, and 270 for the same when the corners were taken in turn."""
    return (int(field) % 180) - 90
