"""The desk's page shows what waits, keeps what is drawn, and decides by its two posts alone."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from components.batch.lookup import valid_row
from components.batch.quarantine_desk.page import Desktop, desk_app, desk_page, name_of
from components.batch.quarantine_desk.publication import Desk

SITE, TOKEN = "http://127.0.0.1:8643", "a-token-of-this-start"
FROM_PAGE = {"Origin": SITE}
A = name_of("a.jpg")


@pytest.fixture
def desktop(desk: Desk) -> Desktop:
    """The page's state."""
    return Desktop(desk)


@pytest.fixture
def client(desktop: Desktop) -> TestClient:
    """A client that has entered and loaded the page."""
    entered = TestClient(desk_app(desk_page(TOKEN, 8643), desktop), base_url=SITE)
    assert entered.get("/enter", params={"token": TOKEN}).status_code == 200
    assert [one["path"] for one in entered.get("/desk").json()["images"]] == ["broken.jpg", "a.jpg", "b.jpg"]
    return entered


def body(client: TestClient, **changes: Any) -> dict[str, Any]:
    """A draft as the page sends it."""
    drawn = [{"class_name": "face", "x1": 600, "y1": 500, "x2": 700, "y2": 560}]
    sha256 = client.get(f"/look/{A}").json()["input_sha256"]
    return {"path": "a.jpg", "input_sha256": sha256, "revision": 1, "drawn": drawn, "removed": [], **changes}


@pytest.mark.parametrize("place", ["/", "/desk", f"/look/{A}", f"/picture/{A}/original", "/browser/page.js"])
def test_strangers_see_nothing(desktop: Desktop, place: str) -> None:
    """Without the token of this start every address is refused."""
    assert TestClient(desk_app(desk_page(TOKEN, 8643), desktop), base_url=SITE).get(place).status_code == 403


@pytest.mark.parametrize("address", ["/draft", "/publish", "/discard"])
@pytest.mark.parametrize("origin", [None, "http://evil.example"])
def test_only_the_page_itself_decides(client: TestClient, desk: Desk, address: str, origin: str | None) -> None:
    """Another site cannot keep, publish or discard, cookie or not."""
    headers = {"Origin": origin} if origin else {}
    assert client.post(address, json=body(client), headers=headers).status_code == 403
    assert not desk.storage.exists("a.jpg")


def test_looking_and_drawing_publish_nothing(client: TestClient, desk: Desk) -> None:
    """Every page, picture and draft can be asked for, and the picture still waits."""
    assert client.get(f"/picture/{A}/original").headers["content-type"] == "image/jpeg"
    assert client.get(f"/picture/{A}/published").status_code == 404
    sent = body(client)
    assert client.post("/draft", json=sent, headers=FROM_PAGE).json() == {"kept": True}
    assert client.get("/desk").json()["drafts"]["a.jpg"] == sent
    newer = client.post("/draft", json={**sent, "drawn": []}, headers=FROM_PAGE)
    assert (newer.status_code, newer.json()) == (409, sent)
    assert not desk.storage.exists("a.jpg")


def test_a_damaged_file_says_why(client: TestClient) -> None:
    """There is no picture, there is a reason, and it cannot be published."""
    name = name_of("broken.jpg")
    assert "JPEG" in client.get(f"/look/{name}").json()["why"]
    assert client.get(f"/picture/{name}/original").status_code == 422
    sent = body(client, path="broken.jpg")
    assert client.post("/publish", json=sent, headers=FROM_PAGE).status_code == 422


def test_publish_and_discard_are_told(client: TestClient, desk: Desk, desktop: Desktop) -> None:
    """The reply is the new row; the published picture can be seen; late drafts are dropped, later decisions refused."""
    told = []
    desktop.on_decided = lambda: told.append(1)
    sent = body(client)
    reply = client.post("/publish", json=sent, headers=FROM_PAGE).json()
    assert (reply["state"], reply["hidden"]["face"] >= 3) == ("published", True)
    assert client.get(f"/picture/{A}/published").status_code == 200
    assert client.post("/draft", json={**sent, "revision": 9}, headers=FROM_PAGE).json() == {"kept": False}
    assert client.post("/publish", json=sent, headers=FROM_PAGE).status_code == 500
    assert client.post("/discard", json={"path": "b.jpg", "why": ""}, headers=FROM_PAGE).status_code == 422
    gone = client.post("/discard", json={"path": "b.jpg", "why": "sent twice"}, headers=FROM_PAGE).json()
    assert (gone["state"], gone["reason"]) == ("quarantined", "discarded")
    assert len(told) == 2
    row = valid_row(desk.storage, "b.jpg")
    assert row is not None
    assert "ada" in (row.detail or "")


@pytest.mark.parametrize(
    "changes",
    [
        {"path": "../x"}, {"input_sha256": "x"}, {"revision": 0}, {"surplus": 1},
        {"drawn": [{"class_name": "face", "x1": 9, "y1": 0, "x2": 9, "y2": 5}]},
        {"drawn": [{"class_name": "dog", "x1": 1, "y1": 0, "x2": 9, "y2": 5}]},
        {"drawn": [{"class_name": "face", "x1": -1, "y1": 0, "x2": 9, "y2": 5}]},
    ],
)  # fmt: skip
def test_what_does_not_fit_is_not_published(client: TestClient, desk: Desk, changes: dict[str, Any]) -> None:
    """Foreign, impossible and surplus values are refused."""
    reply = client.post("/publish", json=body(client, **changes), headers=FROM_PAGE)
    assert reply.status_code in (404, 422)
    assert not list(desk.storage.root.glob("*.jpg"))


def test_the_page_loads_from_nowhere_else(client: TestClient) -> None:
    """No address of another machine stands in what the browser gets."""
    files = ("page.css", "desk.css", "page.js", "regions.js", "view.js", "keep.js")
    texts = [client.get(place).text for place in ("/", *(f"/browser/{name}" for name in files))]
    assert all(len(text) > 500 for text in texts)
    assert not any("http:" in text or "https:" in text or "//cdn" in text for text in texts)
