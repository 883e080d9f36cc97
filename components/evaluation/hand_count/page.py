"""The page on which a person counts: pictures are addressed by their number in the sample, never by a path."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from fastapi import Body, FastAPI, HTTPException, Request, Response

from components.evaluation.hand_count.answers import ANSWER, Answer, AnswerBook, Conflict, fault
from components.evaluation.hand_count.pictures import Side, for_browser, read_picture
from components.evaluation.hand_count.sample import Sample
from components.local_page.server import LocalPage, local_app
from components.settings import Reading


@dataclass(frozen=True, slots=True)
class Counting:
    """What one start of the page is about.

    Attributes:
        sample: the pictures.
        book: where the answers go.
        counter: who counts.
        token: random, new with every start; whoever has it sees the originals.
        port: on which the page is reached.
        limits: on what is decoded.
    """

    sample: Sample
    book: AnswerBook
    counter: str
    token: str
    port: int
    limits: Reading

    @property
    def page(self) -> LocalPage:
        """Where it is reached."""
        folder = Path(__file__).parent / "browser"
        return LocalPage("handcount", "streetveil handcount serve", folder, self.token, self.port)


def page_app(counting: Counting) -> FastAPI:
    """The application; nothing is served before it runs."""
    app = local_app(counting.page)
    sample = counting.sample

    @app.get("/sample")
    def told() -> dict[str, Any]:
        shown = ("path", "width", "height", "areas")
        images = [{key: value for key, value in asdict(image).items() if key in shown} for image in sample.images]
        answers = {path: asdict(answer) for path, answer in counting.book.read().items()}
        return {"sample_id": sample.sample_id, "counter": counting.counter, "images": images, "answers": answers}

    @app.get("/picture/{number}/{side}")
    def picture(number: int, side: Side) -> Response:
        if not 0 <= number < len(sample.images):
            raise HTTPException(404)
        image = sample.images[number]
        content, media_type = for_browser(read_picture(sample, image, side), image, counting.limits)
        return Response(content, media_type=media_type)

    @app.post("/answer")
    def answer(given: Annotated[Answer, Body()]) -> dict[str, bool]:
        if (why := fault(given, sample)) is not None:
            raise HTTPException(422, why)
        counting.book.append(given)
        return {"kept": True}

    @app.exception_handler(Conflict)
    def conflict(_: Request, error: Conflict) -> Response:
        return Response(ANSWER.dump_json(error.stands), 409, media_type="application/json")

    return app
