"""The page lets in whoever has the token and asks for it by its name, and shows nothing but the sample."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from components.errors import StreetveilError
from components.evaluation.hand_count.answers import AnswerBook, Missed
from components.evaluation.hand_count.page import Counting, page_app
from components.evaluation.hand_count.sample import Sample
from components.local_page.server import listen
from components.settings import Params
from tests.evaluation.hand_count.conftest import answer_to

SITE, TOKEN = "http://127.0.0.1:8642", "a-token-of-this-start"
FROM_PAGE = {"Origin": SITE}
PLACES = ("/", "/sample", "/picture/0/original", "/picture/0/published", "/browser/page.js", "/nothing")


@pytest.fixture
def counting(on_disk: tuple[Path, Sample], params: Params) -> Counting:
    """A start of the page over three pictures."""
    path, sample = on_disk
    return Counting(sample, AnswerBook.of(path, "ada"), "ada", TOKEN, 8642, params.reading)


@pytest.fixture
def stranger(counting: Counting) -> TestClient:
    """A client that has not entered."""
    return TestClient(page_app(counting), base_url=SITE)


@pytest.fixture
def client(stranger: TestClient) -> TestClient:
    """A client that has entered by the printed address."""
    reply = stranger.get("/enter", params={"token": TOKEN})
    assert reply.status_code == 200
    assert "HttpOnly; Path=/; SameSite=strict" in reply.headers["set-cookie"]
    return stranger


def body(sample: Sample, *marks: Missed, **changes: Any) -> dict[str, Any]:
    """An answer as the page sends it."""
    told = [{name: getattr(mark, name) for name in ("class_name", "x1", "y1", "x2", "y2")} for mark in marks]
    answer = {"sample_id": sample.sample_id, "path": "day/0.png", "revision": 1, "counted": True, "seconds": 2.0}
    return {**answer, "marks": told, **changes}


@pytest.mark.parametrize("place", PLACES)
def test_without_the_token_nothing_is_shown(stranger: TestClient, place: str) -> None:
    """Neither without a cookie, nor with a wrong one, nor with the token where the cookie belongs."""
    assert stranger.get(place).status_code == 403
    assert stranger.get(place, params={"token": TOKEN}).status_code == 403
    stranger.cookies.set("streetveil-handcount-8642", "a-wrong-token")
    assert stranger.get(place).status_code == 403
    assert stranger.get("/enter", params={"token": TOKEN[:-1]}).status_code == 403


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8642", "127.0.0.1", "127.0.0.1:80", "[::1]:8642", ""])
def test_another_host_name_is_refused(client: TestClient, host: str) -> None:
    """A name that was rebound to this machine gets nothing, even with the cookie."""
    for place in ("/enter?token=" + TOKEN, *PLACES):
        assert client.get(place, headers={"Host": host}).status_code == 403


@pytest.mark.parametrize(
    "origin", [None, "null", "http://evil.example", "http://127.0.0.1:5000", "https://127.0.0.1:8642"]
)
def test_answers_come_from_this_page_only(client: TestClient, counting: Counting, origin: str | None) -> None:
    """Another site, another port, or no origin at all cannot write, cookie or not."""
    headers = {"Origin": origin} if origin else {}
    assert client.post("/answer", json=body(counting.sample), headers=headers).status_code == 403
    assert counting.book.read() == {}


@pytest.mark.parametrize("place", [*PLACES, "/enter?token=" + TOKEN])
def test_every_reply_forbids_storing_and_foreign_content(client: TestClient, place: str) -> None:
    """Each reply, errors too, is not stored, not framed, not read across origins, and loads from itself alone."""
    headers = client.get(place).headers
    assert headers["cache-control"] == "no-store"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "place",
    [
        "/picture/3/original", "/picture/-1/original", "/picture/0/answers", "/picture/day%2F0.png/original",
        "/browser/page.py", "/browser/..%2Fpage.py", "/browser/%2e%2e/page.py", "/count.json", "/docs", "/openapi.json",
    ],
)  # fmt: skip
def test_only_the_sample_and_the_page_are_served(client: TestClient, place: str) -> None:
    """There is no path to anything else."""
    assert client.get(place).status_code in (404, 422)


def test_the_pictures_are_the_files_themselves(client: TestClient, on_disk: tuple[Path, Sample]) -> None:
    """Both sides come byte for byte; a changed one is an error that says so."""
    path, _ = on_disk
    for side, folder in (("original", "originals"), ("published", "published")):
        reply = client.get(f"/picture/1/{side}")
        assert reply.content == (path.parent / folder / "day" / "1.png").read_bytes()
        assert reply.headers["content-type"] == "image/png"
    (path.parent / "originals" / "day" / "1.png").write_bytes(b"changed")
    reply = client.get("/picture/1/original")
    assert reply.status_code == 500
    assert "has changed since the blur" in reply.text


def test_the_page_loads_from_nowhere_else(client: TestClient) -> None:
    """No address of another machine stands in what the browser gets."""
    texts = [client.get(place).text for place in ("/", "/browser/page.css", "/browser/page.js", "/browser/view.js",
                                                  "/browser/marks.js", "/browser/keep.js")]  # fmt: skip
    assert all(len(text) > 500 for text in texts)
    assert not any("http:" in text or "https:" in text or "//cdn" in text for text in texts)


def test_an_answer_is_on_the_disk_when_it_is_acknowledged(client: TestClient, counting: Counting) -> None:
    """It stands in the book, and in what the next page is told; a second one of this revision gets the first."""
    mark = Missed("face", 1, 2, 30, 40)
    sent = body(counting.sample, mark)
    assert client.post("/answer", json=sent, headers=FROM_PAGE).json() == {"kept": True}
    assert counting.book.read() == {"day/0.png": answer_to(counting.sample, 0, mark)}
    assert client.get("/sample").json()["answers"]["day/0.png"] == sent
    reply = client.post("/answer", json=body(counting.sample), headers=FROM_PAGE)
    assert (reply.status_code, reply.json()) == (409, sent)


@pytest.mark.parametrize(
    "changes",
    [
        {"sample_id": "another"}, {"path": "../x"}, {"revision": 0}, {"surplus": 1}, {"seconds": -1},
        {"marks": [{"area": 9, "what": "wrong_blur"}]}, {"marks": [{"area": 0, "what": "fine"}]},
        {"marks": [{"class_name": "face", "x1": 0, "y1": 0, "x2": 1e9, "y2": 1}]}, {"marks": [{"area": 0}]},
    ],
)  # fmt: skip
def test_what_does_not_fit_is_no_answer(client: TestClient, counting: Counting, changes: dict[str, Any]) -> None:
    """Foreign, impossible and surplus values are refused, and nothing is written."""
    assert client.post("/answer", json=body(counting.sample, **changes), headers=FROM_PAGE).status_code == 422
    assert counting.book.read() == {}


def test_a_second_server_on_a_port_is_told_so() -> None:
    """It listens on loopback alone, and a taken port is an error with a remedy."""
    with listen(0) as listener:
        host, port = listener.getsockname()
        assert host == "127.0.0.1"
        with pytest.raises(StreetveilError, match="choose another with --port"):
            listen(port)
