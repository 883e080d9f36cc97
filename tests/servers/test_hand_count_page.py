"""Hand counting as a person does it: a real server, a real browser, keys, and both of them dying."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import time
from contextlib import AbstractContextManager
from pathlib import Path

import cv2
import numpy as np
import pytest
from playwright.sync_api import expect
from skimage import data

from components.evaluation.hand_count.answers import Answer, AnswerBook, AreaMark
from components.evaluation.hand_count.sample import Area, Sample, SampledImage, make_sample, write_sample
from flows.pages import free_port
from tests.conftest import encoded
from tests.servers.local_pages import SCREENSHOTS, Served, chromium, opened, page_served, point_at

pytestmark = [pytest.mark.servers, pytest.mark.timeout(600)]
FACE, POSTER = Area("face", 172, 64, 276, 198), Area("face", 420, 40, 470, 110)


def street(number: int) -> np.ndarray:
    """A photograph; from the second on a motorcycle with a drawn plate."""
    if number == 0:
        return np.ascontiguousarray(data.astronaut())
    pixels = np.ascontiguousarray(data.stereo_motorcycle()[number % 2])
    cv2.rectangle(pixels, (40, 380), (150, 410), (240, 240, 240), -1)
    cv2.putText(pixels, "ST V 1984", (46, 402), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (20, 20, 20), 2)
    return pixels


@pytest.fixture
def count(tmp_path: Path) -> tuple[Path, Sample]:
    """A sample of four pictures: a face that is hidden, with a wrong blur beside it, and motorcycles."""
    images = []
    for number in range(4):
        pixels = street(number)
        areas = (FACE, POSTER) if number == 0 else ()
        hidden = pixels.copy()
        for area in areas:
            part = hidden[int(area.y1) : int(area.y2), int(area.x1) : int(area.x2)]
            part[:] = cv2.GaussianBlur(part, (0, 0), 22)
        files = [encoded(side, "JPEG", quality=92) for side in (pixels, hidden)]
        path = f"camera-{number % 2}/{number:04d}.jpg"
        for side, content in zip(("originals", "published"), files, strict=True):
            (tmp_path / side / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / side / path).write_bytes(content)
        digests = [hashlib.sha256(content).hexdigest() for content in files]
        height, width = pixels.shape[:2]
        images.append(SampledImage(path, *digests, "JPEG", width, height, 1, "toy 1", "eu", areas))  # type: ignore[arg-type]
    sample = make_sample(images, 40, 1, "nothing", tmp_path / "originals", tmp_path / "published")
    write_sample(sample, tmp_path / "count.json")
    return tmp_path / "count.json", sample


def served(sample_file: Path, port: int, counter: str = "ada") -> AbstractContextManager[Served]:
    """`streetveil handcount serve` under way."""
    return page_served("handcount", "serve", sample_file, "--counter", counter, "--port", port)


def read(sample_file: Path, counter: str = "ada") -> dict[str, Answer]:
    """What is on the disk."""
    return AnswerBook.of(sample_file, counter).read()


def wait_for_revision(sample_file: Path, path: str, revision: int) -> Answer:
    """The answer to a picture, as soon as it is on the disk."""
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        answer = read(sample_file).get(path)
        if answer and answer.revision >= revision:
            return answer
        time.sleep(0.05)
    raise AssertionError(f"no revision {revision} of {path}")


def test_counting_by_keyboard_survives_the_browser(count: tuple[Path, Sample], tmp_path: Path) -> None:
    """Each of the three marks lands where the cursor is, undo takes back, and another browser shows them all again."""
    file, sample = count
    first = sample.images[0].path
    with served(file, free_port()) as (address, _):
        with chromium(tmp_path / "profile") as context:
            page = opened(context, address)
            assert "token" not in page.url
            point_at(page, 100, 250)
            page.keyboard.press("f")
            point_at(page, 445, 80)
            page.keyboard.press("w")
            point_at(page, 220, 130, side="original")
            page.keyboard.press("r")
            page.keyboard.press("p")
            page.keyboard.press("z")
            answer = wait_for_revision(file, first, 5)
            page.mouse.move(5, 5)
            page.keyboard.press("w")
            expect(page.locator("#toast")).to_have_text("Put the cursor on the object first")
            page.keyboard.press("Space")
            expect(page.locator("#number")).to_have_text("2")
            point_at(page, 95, 395)
            page.keyboard.press("p")
            wait_for_revision(file, sample.images[1].path, 1)
        missed, wrong, recognisable = answer.marks
        assert (wrong, recognisable) == (AreaMark(1, "wrong_blur"), AreaMark(0, "recognisable"))
        assert (missed.class_name, (missed.x1 + missed.x2) // 2, (missed.y1 + missed.y2) // 2) == ("face", 100, 250)
        with chromium(tmp_path / "another-profile") as context:
            page = opened(context, address)
            expect(page.locator("#number")).to_have_text("2")  # the first that is not counted
            expect(page.locator("#tally-license_plate b")).to_have_text("1")
            page.keyboard.press("b")
            expect(page.locator("#counted")).to_be_visible()
            for name in ("face", "wrong_blur", "recognisable"):
                expect(page.locator(f"#tally-{name} b")).to_have_text("1")
            expect(page.locator('.pane[data-side="original"] .tag')).to_have_count(3)
            for _ in sample.images:
                page.keyboard.press("n")
            expect(page.locator("#finished")).to_be_visible()
            expect(page.locator("#kept")).to_have_text("saved")
        assert all(read(file)[image.path].counted for image in sample.images)


def test_marks_made_while_the_server_is_dead_are_not_lost(count: tuple[Path, Sample], tmp_path: Path) -> None:
    """SIGKILL the server, mark on, kill the browser too: a new start of both delivers what was marked."""
    file, sample = count
    first, port = sample.images[0].path, free_port()
    with served(file, port) as (address, process), chromium(tmp_path / "profile") as context:
        page = opened(context, address)
        point_at(page, 100, 250)
        page.keyboard.press("f")
        wait_for_revision(file, first, 1)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        page.keyboard.press("p")
        point_at(page, 445, 80)
        page.keyboard.press("w")
        expect(page.locator("#kept")).to_contain_text("server gone · 1 picture kept in this browser")
        page.screenshot(path=SCREENSHOTS / "handcount-server-gone.png")
    assert len(read(file)[first].marks) == 1
    with served(file, port) as (address, _), chromium(tmp_path / "profile") as context:
        page = opened(context, address)
        expect(page.locator("#tally-wrong_blur b")).to_have_text("1")
        assert len(wait_for_revision(file, first, 3).marks) == 3


def test_an_open_page_goes_on_when_the_server_is_back(count: tuple[Path, Sample], tmp_path: Path) -> None:
    """A page that was left open says that it needs the new address, and delivers once that was opened beside it."""
    file, sample = count
    port = free_port()
    with chromium(tmp_path / "profile") as context:
        with served(file, port) as (address, process):
            page = opened(context, address)
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            point_at(page, 100, 250)
            page.keyboard.press("f")
        with served(file, port) as (address, _):
            expect(page.locator("#kept")).to_contain_text("open the new address", timeout=15_000)
            opened(context, address)
            expect(page.locator("#kept")).to_have_text("saved", timeout=15_000)
    assert len(read(file)[sample.images[0].path].marks) == 1


def test_two_windows_join_their_marks(count: tuple[Path, Sample], tmp_path: Path) -> None:
    """Two tabs that mark the same picture lose nothing of each other's."""
    file, sample = count
    with served(file, free_port()) as (address, _), chromium(tmp_path / "profile") as context:
        one, other = opened(context, address), opened(context, address)
        for page, x in ((one, 100), (other, 400)):
            page.bring_to_front()
            point_at(page, x, 300)
            page.keyboard.press("f")
        answer = wait_for_revision(file, sample.images[0].path, 2)
        expect(other.locator("#toast")).to_contain_text("both are joined")
    assert sorted((mark.x1 + mark.x2) // 2 for mark in answer.missed()) == [100, 400]


def test_it_opens_from_a_file_and_fits_a_small_window(count: tuple[Path, Sample], tmp_path: Path) -> None:
    """The file that leads a browser in does so, and no button is cut off at 1100 px."""
    file, _ = count
    with served(file, free_port()) as (address, _), chromium(tmp_path / "profile") as context:
        way_in = tmp_path / "open.html"
        way_in.write_text(f'<meta http-equiv="refresh" content="0;url={address}">', encoding="utf-8")
        page = context.new_page()
        page.set_viewport_size({"width": 1100, "height": 760})
        page.goto(way_in.as_uri())
        expect(page.locator("#kept")).to_have_text("saved", timeout=15_000)
        page.keyboard.press("Escape")
        page.wait_for_timeout(300)
        page.screenshot(path=SCREENSHOTS / "handcount-small.png")
        for name in ("ask", "next"):
            box = page.locator(f"#{name}").bounding_box()
            assert box is not None
            assert box["x"] + box["width"] <= 1100
            assert box["y"] + box["height"] <= 760


def test_both_pictures_zoom_and_move_as_one(count: tuple[Path, Sample], tmp_path: Path) -> None:
    """The pixel under the cursor stays there, both views show the same part, and a mark shrinks with the zoom."""
    file, sample = count
    with served(file, free_port()) as (address, _), chromium(tmp_path / "profile") as context:
        page = opened(context, address)
        images = [page.locator(f'.pane[data-side="{side}"] img') for side in ("original", "published")]

        def transforms() -> list[str]:
            return [image.evaluate("image => image.style.transform") for image in images]

        whole = transforms()
        assert whole[0] == whole[1]
        point_at(page, 220, 130)
        page.keyboard.press("f")
        page.mouse.wheel(0, -800)
        page.keyboard.press("+")
        zoomed = transforms()
        assert zoomed[0] == zoomed[1] != whole[0]
        page.keyboard.press("f")
        page.keyboard.press("ArrowRight")
        assert transforms()[0] == transforms()[1] != zoomed[0]
        before, after = wait_for_revision(file, sample.images[0].path, 2).missed()
        assert abs(before.x1 + before.x2 - after.x1 - after.x2) <= 3
        assert abs(before.y1 + before.y2 - after.y1 - after.y2) <= 3
        assert after.x2 - after.x1 < (before.x2 - before.x1) / 3
        page.mouse.down()
        page.mouse.move(700, 300)
        page.mouse.up()
        assert transforms()[0] == transforms()[1]
        page.keyboard.press("0")
        assert transforms() == whole


def test_a_changed_original_is_not_shown_and_cannot_be_counted(count: tuple[Path, Sample], tmp_path: Path) -> None:
    """The page says why in place of the pictures, and the space bar leaves the picture uncounted."""
    file, sample = count
    path = sample.images[0].path
    (file.parent / "originals" / path).write_bytes(encoded(street(1), "JPEG"))
    with served(file, free_port()) as (address, _), chromium(tmp_path / "profile") as context:
        page = opened(context, address)
        expect(page.locator("#problem")).to_contain_text(f"the original of {path} has changed since the blur")
        page.keyboard.press("Space")
        expect(page.locator("#number")).to_have_text("2")
    assert path not in read(file)


def test_nobody_else_is_let_in_and_nothing_is_loaded_from_elsewhere(count: tuple[Path, Sample], tmp_path: Path) -> None:
    """A page under another name, or without the token, is refused by the real server; all requests stay on loopback."""
    file, _ = count
    port = free_port()
    with served(file, port) as (address, _), chromium(tmp_path / "profile") as context:
        asked: list[str] = []
        context.on("request", lambda request: asked.append(request.url))
        stranger = context.new_page()
        refused = stranger.goto(f"http://127.0.0.1:{port}/picture/0/original")
        assert refused is not None
        assert refused.status == 403
        opened(context, address)
        assert asked
        assert all(url.startswith((f"http://127.0.0.1:{port}/", "data:")) for url in asked)
        rebound = socket.create_connection(("127.0.0.1", port))
        rebound.sendall(f"GET /sample HTTP/1.1\r\nHost: evil.example:{port}\r\nConnection: close\r\n\r\n".encode())
        assert b" 403 " in rebound.recv(4096)
        rebound.close()
        listening = subprocess.run(["ss", "-ltnH", f"sport = :{port}"], capture_output=True, text=True, check=False)
        assert not listening.stdout or f"127.0.0.1:{port}" in listening.stdout


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_how_it_looks(count: tuple[Path, Sample], tmp_path: Path, dark: bool) -> None:
    """Light and dark follow the system; the screenshots are for a person to look at."""
    file, _ = count
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    name = "dark" if dark else "light"
    with served(file, free_port()) as (address, _), chromium(tmp_path / "profile", dark) as context:
        page = context.new_page()
        page.goto(address)
        expect(page.locator("#help")).to_be_visible()
        page.wait_for_timeout(500)
        page.screenshot(path=SCREENSHOTS / f"handcount-help-{name}.png")
        page.keyboard.press("Escape")
        point_at(page, 445, 80)
        page.keyboard.press("w")
        point_at(page, 90, 300)
        page.keyboard.press("f")
        point_at(page, 220, 130)
        page.wait_for_timeout(300)
        page.screenshot(path=SCREENSHOTS / f"handcount-{name}.png")
        page.keyboard.press("r")
        page.mouse.wheel(0, -900)
        page.wait_for_timeout(300)
        page.screenshot(path=SCREENSHOTS / f"handcount-zoomed-{name}.png")
        page.keyboard.press("Space")
        point_at(page, 95, 395)
        page.keyboard.press("p")
        page.wait_for_timeout(500)
        page.screenshot(path=SCREENSHOTS / f"handcount-plate-{name}.png")
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(json.loads(ground.replace("rgb(", "[").replace(")", "]"))) < 200) == dark
