"""The service as its clients know it, over a real pool with one worker and the toy model."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from email import message_from_bytes
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from components.blurring import Blurring
from components.detections import FACE, STAGE_PERSON, Detections
from components.errors import StreetveilError
from components.imaging.reading import blurring_id_of, decode
from components.service.app import Service
from components.service.server import guarded, is_loopback, listen
from components.service.worker import answer
from tests.conftest import encoded
from tests.toy_model import scene


def parts_of(response: Any) -> dict[str, tuple[str, bytes]]:
    """Media type and content of each part of a multipart answer, by name."""
    head = f"Content-Type: {response.headers['content-type']}\r\n\r\n".encode()
    message = message_from_bytes(head + response.content)
    return {
        str(part.get_param("name", header="content-disposition")): (
            part.get_content_type(),
            part.get_payload(decode=True),  # type: ignore[dict-item]
        )
        for part in message.get_payload()  # type: ignore[union-attr]
    }


def test_an_answer_is_what_the_library_makes_of_the_picture(
    client: TestClient, blurring: Blurring, street: bytes
) -> None:
    """`POST /blur/` gives, byte for byte, what a run publishes; the id stands in its header and in the file."""
    expected = answer(blurring, street, Detections.empty(), keeps_key=True)
    got = client.post("/blur/", files={"picture": ("street.jpg", street, "image/jpeg")})
    assert (got.status_code, got.headers["content-type"]) == (200, "image/jpeg")
    assert got.content == expected.output != street
    assert got.headers["x-blurring-id"] == expected.blurring_id == blurring_id_of(got.content)
    assert {hidden.class_name for hidden in expected.hidden} == {"face", "license_plate"}


@pytest.mark.parametrize("how", [{"params": {"keep": "1"}}, {"headers": {"Accept": "multipart/form-data"}}])
def test_who_asks_is_told_what_is_hidden(client: TestClient, street: bytes, how: dict[str, Any]) -> None:
    """`keep=1`, and Panoramax' Accept header, give image and metadata; the shapes lie where something was hidden."""
    got = client.post("/blur/", files={"picture": street}, **how)
    parts = parts_of(got)
    metadata = json.loads(parts["metadata"][1])
    assert set(metadata) == {"blurring_id", "service_name", "annotations"}
    assert metadata["service_name"] == "Streetveil"
    assert metadata["blurring_id"] == blurring_id_of(parts["image"][1])
    tags = [{tag["key"]: tag["value"] for tag in found["semantics"]} for found in metadata["annotations"]]
    assert {tag["streetveil|blurred"] for tag in tags} == {"face", "license_plate"}
    before, after = (np.asarray(decode(file, _reading()).pixels, int) for file in (street, parts["image"][1]))
    for found in metadata["annotations"]:
        x1, y1, x2, y2 = found["shape"]
        assert np.abs(before[y1:y2, x1:x2] - after[y1:y2, x1:x2]).mean() > 15


def _reading() -> Any:
    from components.settings import load_params

    return load_params().reading


def test_what_a_person_has_drawn_is_hidden_too(client: TestClient, blurring: Blurring, street: bytes) -> None:
    """A drawn region is destroyed although no detector sees anything there, and told as a person's."""
    box = [4, 90, 40, 116]
    regions = json.dumps([{"class": "face", "box": box}])
    got = client.post("/blur/?keep=1", files={"picture": street}, data={"regions": regions})
    parts = parts_of(got)
    drawn = Detections.of([box], 1.0, FACE, STAGE_PERSON)
    assert parts["image"][1] == answer(blurring, street, drawn, keeps_key=True).output
    before, after = (np.asarray(decode(file, _reading()).pixels, int) for file in (street, parts["image"][1]))
    assert np.abs(before[90:116, 4:40] - after[90:116, 4:40]).mean() > 10
    last = json.loads(parts["metadata"][1])["annotations"][-1]
    assert last["shape"] == box
    assert {"key": "detection_model[streetveil|blurred=face]", "value": "person"} in last["semantics"]


def test_without_a_key_file_no_two_answers_share_their_noise(blurring: Blurring, street: bytes) -> None:
    """Each picture has a key of its own, so two answers to one picture carry different ids."""
    first, second = (answer(blurring, street, Detections.empty(), keeps_key=False) for _ in range(2))
    assert first.blurring_id != second.blurring_id
    assert first.output != second.output


WIDE = encoded(np.zeros((1000, 1200, 3), np.uint8))


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"files": {"picture": b"GIF89a"}}, 422, "unsupported_format"),
        ({"files": {"picture": b""}}, 422, "empty"),
        ({"files": {"picture": b"\xff\xd8\xff\xe0" + b"x" * 500}}, 422, "decode_refused"),
        ({"files": {"picture": WIDE}}, 413, "too_large"),
        ({"files": {"picture": b"x" * (5 * 2**20)}}, 413, "too_large"),
        ({"files": {"photo": b"x"}}, 422, "invalid"),
        ({"data": {"picture": "text"}}, 422, "invalid"),
        ({"json": {"picture": "x"}}, 422, "invalid"),
        ({"content": b"--x\r\nno", "headers": {"Content-Type": "multipart/form-data; boundary=x"}}, 422, "invalid"),
        ({"content": b"", "headers": {"Content-Type": "multipart/form-data"}}, 422, "invalid"),
        ({"files": [("picture", b"a"), ("picture", b"b")]}, 422, "invalid"),
        ({"params": {"keep": "2"}, "files": {"picture": b"x"}}, 422, "invalid"),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_reason(
    client: TestClient, body: dict[str, Any], status: int, code: str
) -> None:
    """Every kind of wrong body has its status, a code and a line; never a 500, never the picture."""
    got = client.post("/blur/", **body)
    assert (got.status_code, got.json()["code"]) == (status, code)
    assert set(got.json()) == {"code", "detail"}
    assert got.json()["detail"]


@pytest.mark.parametrize(
    "regions",
    [
        "no JSON",
        "[{}]",
        '[{"class": "dog", "box": [1, 1, 9, 9]}]',
        '[{"class": "face", "box": [9, 1, 1, 9]}]',
        '[{"class": "face", "box": [1, 1, NaN, 9]}]',
        '[{"class": "face", "box": [900, 900, 910, 910]}]',
        json.dumps([{"class": "face", "box": [1, 1, 9, 9]}] * 4),
    ],
)
def test_a_region_that_hides_nothing_is_an_error(client: TestClient, street: bytes, regions: str) -> None:
    """A drawn region that is malformed, empty, outside of the picture or one too many is never ignored."""
    got = client.post("/blur/", files={"picture": street}, data={"regions": regions})
    assert (got.status_code, got.json()["code"]) == (422, "invalid")


def test_no_picture_touches_the_disk(client: TestClient, street: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body far above the size at which uploads are moved to a temporary file stays in memory."""

    def moved(_: object) -> None:
        raise AssertionError("moved to disk")

    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", moved)
    comment = b"\xff\xfe\xff\xff" + bytes(0xFFFF - 2)
    content = street[:2] + 24 * comment + street[2:]
    got = client.post("/blur/", files={"picture": content})
    assert got.status_code == 200
    assert len(content) > 1_500_000
    assert len(got.content) < 100_000


def test_strangers_are_told_nothing(client: TestClient, street: bytes) -> None:
    """Without a token, or with a wrong one, nothing but page, health and description is served."""
    for wrong in ("", "Bearer", "Bearer wrong", "Basic !!", "Basic cGFnZTp3cm9uZw=="):
        for method, path in (
            ("POST", "/blur/"),
            ("POST", "/reports"),
            ("GET", "/reports/0123456789ab"),
            ("GET", "/metrics"),
        ):
            got = client.request(method, path, headers={"Authorization": wrong}, content=street)
            assert (got.status_code, got.json()["code"]) == (401, "unauthorized"), (wrong, path)
    for path in ("/", "/health", "/openapi.json", "/pages/page.js"):
        got = client.get(path, headers={"Authorization": ""})
        assert got.status_code == 200, path
        assert "default-src 'none'" in got.headers["content-security-policy"]
    assert client.get("/pages/..%2Fapp.py").status_code == 404


def test_a_token_may_come_as_a_password(client: TestClient, street: bytes) -> None:
    """Clients that know nothing but an address send its user information; that works, too."""
    from tests.service.conftest import TOKEN

    got = client.post("/blur/", files={"picture": street}, headers={"Authorization": ""}, auth=("panoramax", TOKEN))
    assert got.status_code == 200


def test_health_and_metrics_say_what_was_done(client: TestClient, street: bytes) -> None:
    """Health names model and region; each request and each hidden object is counted, by route and status."""
    assert client.get("/health").json() == {
        "status": "ok", "model": "toy-detector version 1", "region": "eu", "workers": 1,
    }  # fmt: skip
    client.post("/blur/", files={"picture": street})
    client.post("/blur/", files={"picture": b"GIF89a"})
    told = client.get("/metrics").text
    lines = dict(line.rsplit(" ", 1) for line in told.splitlines() if not line.startswith("#"))
    assert float(lines['streetveil_service_requests_total{route="/blur/",status="200"}']) >= 1
    assert float(lines['streetveil_service_refused_total{reason="unsupported_format"}']) >= 1
    assert float(lines['streetveil_service_hidden_objects_total{by="model",class="face"}']) >= 1
    assert float(lines['streetveil_service_stage_seconds_count{stage="detect"}']) >= 1
    assert float(lines["streetveil_service_pictures_total"]) >= 1
    assert float(lines['streetveil_service_confidence_count{class="face"}']) >= 1
    assert lines['streetveil_service_refused_total{reason="decoder_crash"}'] == "0.0"  # told before the first one
    assert lines['streetveil_service_model_info{region="eu",version="1"}'] == "1.0"
    assert (lines["streetveil_service_workers"], lines["streetveil_service_fallback"]) == ("1.0", "0.0")
    assert lines['streetveil_reports{kind="missed",state="new"}'] == "0.0"
    assert float(lines["streetveil_service_requests_under_way"]) == 1.0  # this one


def test_a_picture_without_objects_is_written_anew(client: TestClient) -> None:
    """What holds nothing to hide is never handed back as it came."""
    content = encoded(scene(np.random.default_rng(3), faces=0, plates=0)[0], "JPEG")
    got = client.post("/blur/", files={"picture": content})
    assert got.status_code == 200
    assert got.content != content


def test_without_tokens_it_answers_to_its_own_name_only(service: Service) -> None:
    """Where no token is asked for, a page under another name (DNS rebinding) is refused."""
    app = guarded(replace(service, tokens=None))
    for host, status in (("127.0.0.1:8700", 200), ("localhost", 200), ("evil.example", 400)):
        assert TestClient(app, base_url=f"http://{host}").get("/metrics").status_code == status, host
    assert "securitySchemes" not in app.openapi().get("components", {})


@pytest.mark.parametrize(
    ("host", "expected"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("a.b", False)]
)
def test_loopback_is_known(host: str, expected: bool) -> None:
    """Only addresses of this machine alone may go without a token."""
    assert is_loopback(host) is expected


def test_a_taken_port_is_named() -> None:
    """Two services on one port: the second says which, in one line."""
    with listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(StreetveilError, match=f"port {port}"):
            listen("127.0.0.1", port)
