"""Reports over HTTP: make one, and see what became of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Response
from fastapi import Path as InPath
from pydantic import BaseModel, ConfigDict, Field

from components.errors import StreetveilError
from components.monitoring.report_repair import NoSuchImageError, place_of
from components.monitoring.user_reports import Kind, Report, ReportBook, State
from components.service.problems import Refusal, documented
from components.service.upload import Box, ClassName


class ReportMade(BaseModel):
    """What somebody reports.

    Attributes:
        image: the published image's path, or the id that its file carries (EXIF ImageUniqueID, `blurring_id`).
        kind: `missed`, what is not hidden, or `wrong_blur`, what hides neither a face nor a plate.
        class_name: of what is there.
        box: x1, y1, x2, y2 in px of the upright picture.
    """

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    image: str = Field(min_length=1, max_length=1024)
    kind: Kind = Kind.MISSED
    class_name: ClassName = Field(alias="class")
    box: Box


class ReportTold(BaseModel):
    """A report as its reporter sees it: `times` counts everybody who has reported the place."""

    id: str
    state: State
    times: int


def add_reports(app: FastAPI, book: ReportBook, published: Path | None, asks: list[Any]) -> None:
    """The routes of reports."""

    @app.post(
        "/reports",
        status_code=201,
        dependencies=asks,
        responses={
            200: {"model": ReportTold, "description": "The place was reported before"},
            **documented(401, 404, 408, 413, 422, 429, 500, 503),
        },
    )
    def report(made: ReportMade, response: Response) -> ReportTold:
        """Report something that is not hidden, or hidden by mistake; a person decides."""
        try:
            place = place_of(published, made.image, made.kind, made.class_name, made.box)
        except NoSuchImageError as error:
            raise Refusal(404, "not_found", str(error)) from error
        except StreetveilError as error:
            raise Refusal(422, "invalid", str(error)) from error
        kept, is_new = book.add(place)
        response.status_code = 201 if is_new else 200
        return _told(kept)

    @app.get("/reports/{report_id}", dependencies=asks, responses=documented(401, 404, 422, 429, 500, 503))
    def state(report_id: Annotated[str, InPath(pattern=r"^[0-9a-f]{12}$")]) -> ReportTold:
        """What became of a report."""
        try:
            return _told(book.get(report_id))
        except StreetveilError as error:
            raise Refusal(404, "not_found", "there is no such report") from error


def _told(report: Report) -> ReportTold:
    return ReportTold(id=report.id, state=report.state, times=report.times)
