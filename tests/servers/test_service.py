"""The service as people and programs meet it: a real server and browser, clients that misbehave, and its end."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from playwright.sync_api import Browser, Page, expect
from schemathesis.specs.openapi.checks import positive_data_acceptance

from components.imaging.reading import decode
from components.monitoring.user_reports import ReportBook
from components.settings import PROJECT_ROOT, load_params
from tests.conftest import encoded
from tests.toy_model import scene

pytestmark = [pytest.mark.servers, pytest.mark.timeout(600)]
SCREENSHOTS = PROJECT_ROOT / "data" / "screenshots"
_START = """
import sys
from pathlib import Path
from components.monitoring.user_reports import ReportBook
from components.service.app import Service
from components.service.server import listen, run_service
from components.service.tokens import Tokens
from components.service.worker import ServiceOrder, limited
from components.settings import load_params
from tests.toy_model import toy_bundle

if __name__ == "__main__":
    folder, params = Path(sys.argv[1]), load_params()
    limits = params.service.model_copy(update={"upload_s": 3})
    order = ServiceOrder(toy_bundle(folder), limited(params), "eu", "cpu", b"k" * 32)
    tokens = Tokens.of(["tests:" + sys.argv[2]])
    with listen("127.0.0.1", 0) as listener:
        print(listener.getsockname()[1], flush=True)
        book = ReportBook(folder / "reports.sqlite", 0.5)
        run_service(Service(order, 1, limits, tokens, book, None, "0"), listener)
"""
TOKEN = "t" * 40


@dataclass(frozen=True, slots=True)
class Started:
    """A server with the toy model."""

    address: str
    port: int
    process: subprocess.Popen[str]
    folder: Path

    @property
    def reports(self) -> ReportBook:
        """Its reports."""
        return ReportBook(self.folder / "reports.sqlite", 0.5)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """The service in a process of its own."""
    folder = tmp_path_factory.mktemp("service")
    (folder / "start.py").write_text(_START)
    process = subprocess.Popen(
        [sys.executable, folder / "start.py", folder, TOKEN], stdout=subprocess.PIPE, text=True, cwd=PROJECT_ROOT,
        env={**os.environ, "PYTHONPATH": str(PROJECT_ROOT)},
    )  # fmt: skip
    assert process.stdout is not None
    port = int(process.stdout.readline())
    address = f"http://127.0.0.1:{port}"
    while True:
        try:
            if httpx.get(f"{address}/health", timeout=60).status_code == 200:
                break
        except httpx.HTTPError:
            time.sleep(0.2)
    yield Started(address, port, process, folder)
    process.kill()
    process.wait()


def picture() -> tuple[np.ndarray, bytes]:
    """A street with something that the toy model finds, enlarged to be seen."""
    pixels = scene(np.random.default_rng(7), 640, 420)[0]
    return pixels, encoded(pixels, "JPEG", quality=95)


def opened(browser: Browser, server: Started, tmp_path: Path, dark: bool = False) -> Page:
    """The page with a picture dropped on it; whatever it complains of or loads from elsewhere fails the test."""
    page = browser.new_page(color_scheme="dark" if dark else "light", viewport={"width": 1200, "height": 760})
    page.on("pageerror", lambda error: pytest.fail(str(error)))
    page.on("console", lambda said: pytest.fail(said.text) if "Content Security" in said.text else None)
    page.on("request", lambda asked: _only_here(asked.url, server.address))
    page.goto(f"{server.address}/#token={TOKEN}")
    expect(page.locator("#model")).to_contain_text("toy-detector")
    (tmp_path / "street.jpg").write_bytes(picture()[1])
    page.locator("#file").set_input_files(tmp_path / "street.jpg")
    expect(page.locator("#status")).to_contain_text("hidden", timeout=30_000)
    return page


def _only_here(url: str, address: str) -> None:
    if not url.startswith((address, "blob:", "data:")):
        pytest.fail(f"loads {url}")


def shown(page: Page) -> np.ndarray:
    """The picture that the page offers to save."""
    with page.expect_download() as saved:
        page.locator("#save").click()
    return np.asarray(decode(Path(saved.value.path()).read_bytes(), load_params().reading).pixels, int)


def test_a_miss_is_drawn_hidden_and_reported(browser: Browser, server: Started, tmp_path: Path) -> None:
    """By keyboard and by mouse: what is marked is destroyed in the picture, and stands in the reports."""
    page = opened(browser, server, tmp_path)
    assert "token" not in page.url
    before = shown(page)
    for key in ("ArrowRight", "]", "f"):
        page.locator("#stage").press(key)
    frame = page.locator("#picture").bounding_box()
    assert frame is not None
    scale = frame["width"] / 640
    page.locator("#license_plate").click()
    page.mouse.move(frame["x"] + 20 * scale, frame["y"] + 300 * scale)
    page.mouse.down()
    page.mouse.move(frame["x"] + 100 * scale, frame["y"] + 340 * scale, steps=3)
    page.mouse.up()
    expect(page.locator("#count")).to_have_text("2")
    page.locator("#stage").press("Enter")
    expect(page.locator("#status")).to_have_text("2 hidden and reported", timeout=30_000)
    after = shown(page)
    reports = server.reports.reports()
    assert sorted(report.place.class_name for report in reports) == ["face", "license_plate"]
    for report in reports:
        x1, y1, x2, y2 = (int(getattr(report.place, side)) for side in ("x1", "y1", "x2", "y2"))
        assert np.abs(before[y1:y2, x1:x2] - after[y1:y2, x1:x2]).mean() > 10
        assert re.fullmatch(r"[0-9a-f]{32}", report.place.image)
    plate = next(report.place for report in reports if report.place.class_name == "license_plate")
    assert abs(plate.x1 - 20) <= 3
    assert abs(plate.y2 - 340) <= 3

    page.keyboard.press("n")
    expect(page.locator("#drop")).to_be_visible()
    page.close()


def test_without_a_token_the_page_asks_for_it(browser: Browser, server: Started, tmp_path: Path) -> None:
    """Who opens the bare address is asked; a wrong token is told, the right one works."""
    page = browser.new_page()
    page.goto(server.address)
    file = tmp_path / "street.jpg"
    file.write_bytes(picture()[1])
    page.locator("#file").set_input_files(file)
    expect(page.locator("#problem")).to_contain_text("Authorization")
    page.locator("#token").fill(TOKEN)
    page.keyboard.press("Enter")
    page.locator("#file").set_input_files(file)
    expect(page.locator("#status")).to_contain_text("hidden", timeout=30_000)
    page.close()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_how_it_looks(browser: Browser, server: Started, tmp_path: Path, dark: bool) -> None:
    """Light and dark follow the system, nothing is cut off at 1200 px; the screenshots are for a person to look at."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page = opened(browser, server, tmp_path, dark)
    page.keyboard.press("f")
    page.screenshot(path=SCREENSHOTS / f"service-{'dark' if dark else 'light'}.png")
    for name in ("hide", "another", "picture"):
        box = page.locator(f"#{name}").bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= 1200
        assert box["y"] + box["height"] <= 760
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", ground)[:3])) < 200) == dark
    page.close()


def raw(server: Started, sent: bytes) -> socket.socket:
    """A connection that has said so much and no more."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    connection.sendall(sent)
    return connection


def test_bad_clients_leave_it_healthy(server: Started) -> None:
    """Aborted, slow, lying and garbled requests end by themselves; right answers go on beside them."""
    content = picture()[1]
    head = (
        f"POST /blur/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\n"
    ).encode()
    part = b'--b\r\nContent-Disposition: form-data; name="picture"; filename="a"\r\n\r\n' + content[:300]
    for _ in range(40):  # more than may be under way at once
        raw(server, head + b"Content-Length: 5000\r\n\r\n" + part).close()
    slow = [raw(server, head + b"Content-Length: 5000\r\n\r\n" + part) for _ in range(3)]
    assert b" 413 " in raw(server, head + b"Content-Length: 99999999999\r\n\r\n").recv(4096)
    assert b" 400 " in raw(server, b"\x00\x01garbage\r\n\r\n").recv(4096)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    first = httpx.post(f"{server.address}/blur/", files={"picture": content}, headers=headers, timeout=60)
    assert first.status_code == 200
    assert all(b" 408 " in connection.recv(4096) for connection in slow)
    again = httpx.post(f"{server.address}/blur/", files={"picture": content}, headers=headers, timeout=60)
    assert again.content == first.content
    told = httpx.get(f"{server.address}/metrics", headers=headers).text
    assert "streetveil_service_requests_under_way 1.0" in told


def test_generated_requests_get_described_answers(server: Started) -> None:
    """Whatever a generator makes of the description, right or wrong, gets a described status and body, and no 500."""
    schema = schemathesis.openapi.from_url(f"{server.address}/openapi.json")
    accepts_all = positive_data_acceptance  # generated bytes are no picture, so a 422 is right
    tried = 0
    for found in schema.get_all_operations():
        operation = found.ok()

        @settings(max_examples=20, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def is_as_described(case: schemathesis.Case) -> None:
            nonlocal tried
            tried += 1
            case.call_and_validate(headers={"Authorization": f"Bearer {TOKEN}"}, excluded_checks=[accepts_all])

        is_as_described()
    assert tried >= 20


def test_what_is_under_way_is_finished_before_it_ends(server: Started) -> None:
    """SIGTERM in the middle of an upload: the picture is still answered, then the process ends (so it comes last)."""
    content = cv2.imencode(".png", picture()[0])[1].tobytes()
    body = b'--b\r\nContent-Disposition: form-data; name="picture"; filename="a"\r\n\r\n' + content + b"\r\n--b--\r\n"
    head = (
        f"POST /blur/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n"
        f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    connection = raw(server, head + body[:100])
    time.sleep(0.3)
    server.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    connection.sendall(body[100:])
    answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"\x89PNG" in answer
    server.process.wait(timeout=60)
