"""Reports over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from components.monitoring.user_reports import State
from components.service.app import Service

ID = "0123456789abcdef0123456789abcdef"
MADE = {"image": ID, "class": "face", "box": [10, 10, 30, 30]}


def test_a_report_is_kept_joined_and_followed(client: TestClient, service: Service) -> None:
    """The first is created (201), the second joins it (200), and its reporter sees what a person decides."""
    first = client.post("/reports", json=MADE)
    assert (first.status_code, first.json()["state"], first.json()["times"]) == (201, "new", 1)
    again = client.post("/reports", json={**MADE, "box": [11, 10, 31, 30]})
    assert (again.status_code, again.json()["id"], again.json()["times"]) == (200, first.json()["id"], 2)
    service.book.confirm(first.json()["id"], "ada")
    followed = client.get(f"/reports/{first.json()['id']}").json()
    assert followed == {"id": first.json()["id"], "state": "confirmed", "times": 2}
    assert service.book.reports((State.CONFIRMED,))[0].place.image == ID
    assert 'streetveil_reports{kind="missed",state="confirmed"} 1.0' in client.get("/metrics").text


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"image": "2026-02-28/nowhere.jpg"}, 404),
        ({"image": "../../etc/passwd"}, 404),
        ({"image": ""}, 422),
        ({"class": "dog"}, 422),
        ({"kind": "ugly"}, 422),
        ({"box": [10, 10, 10, 30]}, 422),
        ({"box": [-9, -9, 0, 0]}, 422),
        ({"box": [10, 10, 30]}, 422),
        ({"box": [10, 10, 30, 1e9]}, 422),
        ({"name": "somebody"}, 422),
        ({"image": "x" * 70_000}, 413),
    ],
)
def test_a_report_that_is_about_nothing_is_refused(client: TestClient, changes: dict[str, Any], status: int) -> None:
    """Unknown images, empty boxes, names of reporters and bodies beyond 64 KiB are not kept."""
    got = client.post("/reports", json={**MADE, **changes})
    assert got.status_code == status
    assert set(got.json()) == {"code", "detail"}
    assert client.get("/reports/ffffffffffff").status_code == 404


def test_a_broken_book_is_the_services_own_fault(client: TestClient, service: Service) -> None:
    """The client is told that it is not to blame, and nothing of the service's files."""
    service.book.file.rename(service.book.file.with_suffix(".away"))
    service.book.file.write_bytes(b"no database" * 100)
    try:
        got = client.post("/reports", json=MADE)
    finally:
        service.book.file.with_suffix(".away").replace(service.book.file)
    assert (got.status_code, got.json()["code"]) == (500, "failed")
    assert str(service.book.file.parent) not in got.text
