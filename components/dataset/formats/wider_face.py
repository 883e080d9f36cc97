"""WIDER FACE: `wider_face_*_bbx_gt.txt`, the faces of crowds.

A picture's path, the number of its faces, and a line for each face:
`x y w h blur expression illumination invalid occlusion pose`. A picture without a face has one line of zeros.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from components.dataset.annotation import Size, numbers, picture_size, text_of, whole_box
from components.dataset.labels import LabelledBox, LabelledImage, labelled_image
from components.errors import StreetveilError

PLACE = "place"  # the mark of a face's place among those of its picture, from 0
_HEAVY = 2  # of blur and occlusion: 0 none, 1 some, 2 heavy
_PICTURE_ENDINGS = (".jpg", ".jpeg", ".png")
_REMEDY = "take the annotation file as it was published"


def read_wider_face(
    labels: Path,
    pictures: Path,
    source: str = "wider-face",
    ignored_blur: int = _HEAVY,
    ignored_occlusion: int = _HEAVY,
) -> Iterator[LabelledImage]:
    """Read the faces of one part of WIDER FACE; all faces of its pictures are labelled.

    Faces that are marked as invalid, blurred or occluded become ignored boxes. So do the few that have no width or no
    height in the published files: one pixel is ignored where they are said to be.

    Args:
        labels: the `wider_face_*_bbx_gt.txt`.
        pictures: the folder that its paths start from (`WIDER_train/images`).
        source: the name of the set.
        ignored_blur, ignored_occlusion: from which value on a face is ignored; 3 keeps all.

    Raises:
        StreetveilError: the file is not of this form, or a picture is missing.
    """
    lines = text_of(labels).rstrip().splitlines()
    if not lines:
        raise StreetveilError(f"{labels}: is empty; {_REMEDY}")
    at = 0
    while at < len(lines):
        where = f"{labels}:{at + 1}"
        name = lines[at].strip()
        if not name.lower().endswith(_PICTURE_ENDINGS):
            raise StreetveilError(f"{where}: {name[:60]!r} is no picture's path; {_REMEDY}")
        faces = _count(lines, at + 1, f"{labels}:{at + 2}")
        size = picture_size(pictures / name, where)
        first, at = at + 2, at + 2 + faces
        boxes = [
            _face(lines, row, row - first, size, f"{labels}:{row + 1}", ignored_blur, ignored_occlusion)
            for row in range(first, at)
        ]
        if faces == 0 and at < len(lines) and set(lines[at].split()) == {"0"}:
            at += 1
        yield labelled_image(name, size, source, boxes, exhaustive=frozenset({"face"}))


def _count(lines: list[str], at: int, where: str) -> int:
    text = lines[at].strip() if at < len(lines) else ""
    if not text.isdecimal():
        raise StreetveilError(f"{where}: a number of faces is needed, not {text[:60]!r}; {_REMEDY}")
    return int(text)


def _face(
    lines: list[str], at: int, place: int, size: Size, where: str, ignored_blur: int, ignored_occlusion: int
) -> LabelledBox:
    fields = lines[at].split() if at < len(lines) else []
    if len(fields) != 10:
        raise StreetveilError(f"{where}: a face has ten numbers, not {len(fields)}; {_REMEDY}")
    x, y, width, height, blur, expression, illumination, invalid, occlusion, pose = numbers(fields, where)
    degenerate = width <= 0 or height <= 0
    if degenerate:
        x, y = min(max(x, 0), size[0] - 1), min(max(y, 0), size[1] - 1)
        width, height = max(width, 1), max(height, 1)
    ignored = bool(invalid) or degenerate or blur >= ignored_blur or occlusion >= ignored_occlusion
    marks = {
        PLACE: place,
        "blur": int(blur),
        "expression": int(expression),
        "illumination": int(illumination),
        "occlusion": int(occlusion),
        "pose": int(pose),
    }
    return LabelledBox(whole_box((x, y, x + width, y + height), size, where), "face", ignored, marks)
