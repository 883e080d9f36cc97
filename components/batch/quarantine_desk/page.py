"""The quarantine desk's page: pictures are addressed by a name made from their path, and only those that wait."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

from fastapi import Body, FastAPI, HTTPException, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from components.batch.index import valid_rows
from components.batch.manifest import PUBLISHED, ImageRow
from components.batch.quarantine import discard, waiting
from components.batch.quarantine_desk.drafts import DRAFT, Conflict, Draft, drafts_of, keep_draft
from components.batch.quarantine_desk.looking import Look, look_at, look_at_output
from components.batch.quarantine_desk.publication import Desk, forget, publish, refuse_to_wait, waiting_row
from components.errors import ImageFault, Reason
from components.local_page.server import LocalPage, local_app

FOLDER = Path(__file__).parent / "browser"
_LOOKS = 3  # kept in memory: the picture before, this one, the next


class Discarded(BaseModel):
    """A decision to give a picture up."""

    model_config = ConfigDict(extra="forbid")
    path: str
    why: Annotated[str, Field(min_length=1, max_length=500)]


@dataclass(slots=True)
class Desktop:
    """What the page has in hand: the rows that wait, by name, and the last looks.

    Attributes:
        desk: who decides, with what.
        on_decided: called after each decision.
        rows: pictures that wait, and those that were decided on since the page was loaded, by name.
        looks: the latest looks, by name.
        looking, deciding: looks come one after another, and so do decisions and what is kept for them.
    """

    desk: Desk
    on_decided: Callable[[], None] = lambda: None
    rows: dict[str, ImageRow] = field(default_factory=dict)
    looks: OrderedDict[str, Look | ImageFault] = field(default_factory=OrderedDict)
    looking: threading.Lock = field(default_factory=threading.Lock)
    deciding: threading.Lock = field(default_factory=threading.Lock)

    def reload(self) -> list[ImageRow]:
        """Read what waits now."""
        found = waiting(valid_rows(self.desk.storage))
        self.rows = {name_of(row.path): row for row in found}
        self.looks.clear()
        return found

    def row(self, name: str) -> ImageRow:
        """The row of a picture.

        Raises:
            HTTPException: there is none of this name.
        """
        if name not in self.rows:
            raise HTTPException(404, "no such picture in quarantine: reload the page")
        return self.rows[name]

    def look(self, name: str) -> Look | ImageFault:
        """A look at a picture, from memory if it was looked at a moment ago."""
        row = self.row(name)
        with self.looking:
            if name not in self.looks:
                self.looks[name] = look_at(self.desk.engine, row)
                while len(self.looks) > _LOOKS:
                    self.looks.popitem(last=False)
            return self.looks[name]

    def decided(self, row: ImageRow) -> None:
        """Take note of a picture's new row."""
        self.rows[name_of(row.path)] = row
        self.on_decided()


def name_of(path: str) -> str:
    """The name of a picture in the page's addresses."""
    return hashlib.sha256(path.encode()).hexdigest()[:24]


def desk_page(token: str, port: int) -> LocalPage:
    """Where the page is reached."""
    return LocalPage("desk", "streetveil quarantine desk", FOLDER, token, port)


def desk_app(page: LocalPage, desktop: Desktop) -> FastAPI:
    """The application; nothing is served before it runs."""
    app = local_app(page)
    _add_pictures(app, desktop)
    _add_drafts(app, desktop)
    _add_decisions(app, desktop)
    return app


def _add_pictures(app: FastAPI, desktop: Desktop) -> None:
    @app.get("/desk")
    def told() -> dict[str, Any]:
        rows = desktop.reload()
        drafts = drafts_of(desktop.desk.storage, rows)
        return {
            "destination": str(desktop.desk.destination),
            "by": desktop.desk.by,
            "images": [_row_json(row) for row in rows],
            "drafts": {path: asdict(draft) for path, draft in drafts.items()},
        }

    @app.get("/look/{name}")
    def look(name: str) -> dict[str, Any]:
        seen = desktop.look(name)
        if isinstance(seen, ImageFault):
            return {"why": str(seen.detail)}
        found = [asdict(one.region) | {"confidence": one.confidence, "before": one.only_before} for one in seen.found]
        size = {"width": seen.width, "height": seen.height, "input_sha256": seen.input_sha256}
        return size | {"why": None, "blind": seen.blind, "found": found}

    @app.get("/picture/{name}/original")
    def original(name: str) -> Response:
        seen = desktop.look(name)
        if isinstance(seen, ImageFault):
            raise HTTPException(422, seen.detail)
        return Response(seen.picture, media_type="image/jpeg")

    @app.get("/picture/{name}/published")
    def published(name: str) -> Response:
        row = desktop.row(name)
        if row.state != PUBLISHED:
            raise HTTPException(404, "it is not published")
        seen = look_at_output(desktop.desk.engine, row)
        if isinstance(seen, ImageFault):
            raise HTTPException(422, seen.detail)
        return Response(seen, media_type="image/jpeg")


def _add_drafts(app: FastAPI, desktop: Desktop) -> None:
    @app.post("/draft")
    def draft(given: Annotated[Draft, Body()]) -> dict[str, bool]:
        _check(given)
        with desktop.deciding:
            row = desktop.rows.get(name_of(given.path))
            if row is None or row.state == PUBLISHED or row.reason == Reason.DISCARDED:
                return {"kept": False}  # it was decided on: there is nothing left to keep it for
            keep_draft(desktop.desk.storage, given)
        return {"kept": True}

    @app.exception_handler(Conflict)
    def conflict(_: Request, error: Conflict) -> Response:
        return Response(DRAFT.dump_json(error.stands), 409, media_type="application/json")


def _add_decisions(app: FastAPI, desktop: Desktop) -> None:
    desk = desktop.desk

    @app.post("/publish")
    def published(given: Annotated[Draft, Body()]) -> dict[str, Any]:
        _check(given)
        with desktop.deciding:
            seen = desktop.look(name_of(given.path))
            if isinstance(seen, ImageFault):
                raise HTTPException(422, seen.detail)
            row = publish(desk, given, seen)
            desktop.decided(row)
        return _row_json(row)

    @app.post("/discard")
    def discarded(given: Discarded) -> dict[str, Any]:
        with desktop.deciding:
            waiting_row(desk.storage, desktop.row(name_of(given.path)).path)
            (row,) = discard(desk.storage, [given.path], desk.by, given.why, refuse_to_wait)
            forget(desk.storage, given.path)
            desktop.decided(row)
        return _row_json(row)


def _check(draft: Draft) -> None:
    for region in (*draft.drawn, *draft.removed):
        if region.x1 >= region.x2 or region.y1 >= region.y2:
            raise HTTPException(422, "a region holds nothing")


def _row_json(row: ImageRow) -> dict[str, Any]:
    hidden = {name: row.blurred(name) for name in ("face", "license_plate")}
    return {
        "name": name_of(row.path), "path": row.path, "state": row.state, "reason": row.reason, "detail": row.detail,
        "hidden": hidden, "spared": len([one for one in row.proposals if one.exemption]),
    }  # fmt: skip
