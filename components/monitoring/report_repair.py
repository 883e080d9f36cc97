"""A confirmed report of something missed ends in a published image that hides it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from components.batch.drawn_regions import hide_drawn
from components.batch.lookup import find_published, is_blurring_id
from components.batch.storage import written_destination
from components.errors import StreetveilError
from components.monitoring.user_reports import Kind, Place, Report, ReportBook, State
from components.settings import Params


class NoSuchImageError(StreetveilError):
    """What is reported is not published here."""


def place_of(root: Path | None, image: str, kind: Kind, class_name: str, box: tuple[float, ...]) -> Place:
    """What somebody reports, with the place where the image is published.

    Args:
        root: a folder that a run has written, or one that holds such folders; None where nothing is published.
        image: a path below it, or the blurring id that the file carries.
        kind: what is wrong.
        class_name: face or license_plate.
        box: x1, y1, x2, y2, px of the upright picture.

    Raises:
        NoSuchImageError: nothing of this name is published.
        StreetveilError: the box is empty or outside of the image.
    """
    x1, y1, x2, y2 = box
    found = find_published(root, image) if root is not None else None
    if found is None and not is_blurring_id(image):
        raise NoSuchImageError(f"no published image {image!r}: name its path, or the id in its EXIF ImageUniqueID")
    width, height = (found[1].width, found[1].height) if found else (None, None)
    if not (x1 < x2 and y1 < y2) or x2 <= 0 or y2 <= 0 or (width and x1 >= width) or (height and y1 >= height):
        raise StreetveilError(f"the box {x1:g},{y1:g},{x2:g},{y2:g} holds no pixel of the image: x1 < x2, y1 < y2")
    if found is None:
        return Place(None, image, kind, class_name, x1, y1, x2, y2)
    return Place(str(found[0].resolve()), found[1].path, kind, class_name, x1, y1, x2, y2)


def repair(book: ReportBook, report: Report, params: Params, on_wait: Callable[[], None] = lambda: None) -> Report:
    """Hide what a confirmed report shows, if it is not hidden; a report that is fixed already is looked after, too.

    A wrong blur stays: what it hides is gone for good, and only a better model does without it.

    Returns:
        The report as it is now: fixed, or as it was where there is nothing that can be done.

    Raises:
        StreetveilError: the image is gone or changed; the report stays confirmed, and can be tried again.
    """
    place = report.place
    can_be = report.state in (State.CONFIRMED, State.FIXED) and place.kind == Kind.MISSED and place.folder is not None
    if not can_be:
        return report
    storage = written_destination(Path(str(place.folder)))
    hide_drawn(storage, place.image, place.drawn(), params, f"report-{report.id}", on_wait)
    return book.fixed(report.id)
