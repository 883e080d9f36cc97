"""The quarantine desk as a person uses it: a real server with the shipped model, a real browser, keys."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from contextlib import AbstractContextManager
from pathlib import Path

import cv2
import numpy as np
import pytest
from playwright.sync_api import BrowserContext, Page, expect
from skimage import data

from components.batch.audit import audit
from components.batch.lookup import history, valid_row
from components.batch.manifest import QUARANTINED, ImageRow, Proposal, commit_manifest
from components.batch.quarantine_desk.drafts import read_draft
from components.batch.storage import LocalStorage
from flows.pages import free_port
from tests.conftest import encoded
from tests.servers.local_pages import SCREENSHOTS, Served, chromium, opened, page_served, point_at

pytestmark = [pytest.mark.servers, pytest.mark.timeout(600)]
FACE = (172, 64, 276, 198)  # of the first picture


def street(number: int) -> np.ndarray:
    """A photograph with a face; a motorcycle with a drawn plate; and a cup of coffee."""
    if number == 0:
        return np.ascontiguousarray(data.astronaut())
    if number == 2:
        return np.ascontiguousarray(data.coffee())
    pixels = np.ascontiguousarray(data.stereo_motorcycle()[0])
    cv2.rectangle(pixels, (40, 380), (150, 410), (240, 240, 240), -1)
    cv2.putText(pixels, "ST V 1984", (46, 402), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (20, 20, 20), 2)
    return pixels


def quarantined(path: Path, name: str, reason: str, detail: str, proposals: tuple[Proposal, ...] = ()) -> ImageRow:
    """The row of a file that a night has not published."""
    status, digest = path.stat(), hashlib.sha256(path.read_bytes()).hexdigest()
    return ImageRow(
        name, QUARANTINED, reason, detail, 1, "eu", "toy", "1", "", "", status.st_size, status.st_mtime_ns, digest,
        proposals=proposals, region_by="default",
    )  # fmt: skip


@pytest.fixture
def night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, LocalStorage]:
    """A day of three pictures and a damaged file, none of which was published."""
    monkeypatch.setenv("STREETVEIL_EXEMPTIONS", str(tmp_path / "exemptions.jsonl"))
    photos, storage = tmp_path / "photos", LocalStorage(tmp_path / "blurred")
    (photos / "camera-0").mkdir(parents=True)
    rows = []
    for number in range(3):
        name = f"camera-0/{number:04d}.jpg"
        (photos / name).write_bytes(encoded(street(number), "JPEG", quality=92))
        detail = "not done after 900 s (batch.image_timeout_s); the file may be hostile"
        before = Proposal("license_plate", 40, 380, 150, 410, 1, 0.8, None, None, "blurred")
        rows.append(quarantined(photos / name, name, "timeout", detail, (before,) if number == 1 else ()))
    broken = photos / "camera-0" / "broken.jpg"
    broken.write_bytes((photos / "camera-0" / "0000.jpg").read_bytes()[:900])
    rows.append(quarantined(broken, "camera-0/broken.jpg", "decode_refused", "damaged or hostile JPEG"))
    commit_manifest(storage, "night", rows)
    return photos, storage


def served(photos: Path, storage: LocalStorage, port: int) -> AbstractContextManager[Served]:
    """`streetveil quarantine desk` under way."""
    return page_served(
        "quarantine", "desk", photos, storage.root, "--by", "ada", "--port", port, "--device", "cpu"
    )  # fmt: skip


def desk_opened(context: BrowserContext, address: str) -> Page:
    """The page, loaded; its looks take their time on a busy machine."""
    context.set_default_timeout(60_000)
    expect.set_options(timeout=60_000)
    return opened(context, address, is_picture=False)


def looked_at(page: Page, name: str) -> None:
    """Go on to a picture and wait until it can be seen."""
    for _ in range(4):
        if name in (page.locator("#path").text_content() or ""):
            break
        page.keyboard.press("n")
    expect(page.locator("#path")).to_contain_text(name)
    expect(page.locator("#zoom")).to_contain_text("%", timeout=120_000)


def part(pixels: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """What lies in a box."""
    x1, y1, x2, y2 = box
    return pixels[y1:y2, x1:x2].astype(np.float32)


def changed(storage: LocalStorage, name: str, original: np.ndarray, box: tuple[int, int, int, int]) -> float:
    """By how much a published picture differs from its original within a box, grey levels."""
    published = cv2.imdecode(np.frombuffer(storage.read(name), np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
    return float(np.abs(part(published, box) - part(original, box)).mean())


def test_drawing_and_publishing_by_keyboard(night: tuple[Path, LocalStorage], tmp_path: Path) -> None:
    """Draw, move, take back, publish: what was found and drawn is hidden, and the manifest says by whom."""
    photos, storage = night
    name = "camera-0/0000.jpg"
    with served(photos, storage, free_port()) as (address, _), chromium(tmp_path / "profile") as context:
        page = desk_opened(context, address)
        assert "token" not in page.url
        looked_at(page, "0000")
        expect(page.locator("#reason")).to_contain_text("timeout")
        expect(page.locator(".region.found")).not_to_have_count(0)
        point_at(page, 400, 300, side="original")
        page.keyboard.press("f")
        for _ in range(3):
            page.keyboard.press("Shift+ArrowRight")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("t")
        point_at(page, 60, 450, side="original")
        page.keyboard.press("p")
        expect(page.locator("#tally-drawn b")).to_have_text("2")
        page.keyboard.press("z")
        expect(page.locator("#tally-drawn b")).to_have_text("1")
        expect(page.locator("#kept")).to_have_text("saved")
        draft = read_draft(storage, name)
        assert draft is not None
        (drawn,) = draft.drawn
        assert drawn.class_name == "license_plate"
        assert not storage.exists(name)
        page.keyboard.press("Enter")
        expect(page.locator("#state")).to_have_text("published", timeout=120_000)
        expect(page.locator("#side")).to_have_text("Published")
    row = valid_row(storage, name)
    assert row is not None
    assert (row.state, row.reason) == ("published", None)
    assert row.detail is not None
    assert row.detail.startswith("ada, ")
    assert "1 drawn, 0 removed (was timeout" in row.detail
    by_person = [one for one in row.proposals if one.stage == 4]
    assert [(one.class_name, one.x1, one.y1, one.x2, one.y2) for one in by_person] == [
        ("license_plate", drawn.x1, drawn.y1, drawn.x2, drawn.y2)
    ]
    for box in (FACE, (drawn.x1, drawn.y1, drawn.x2, drawn.y2)):
        assert changed(storage, name, street(0), box) > 20
    assert changed(storage, name, street(0), (0, 440, 100, 500)) < 8
    assert read_draft(storage, name) is None
    assert [old.state for _, old in history(storage, name)] == ["quarantined", "published"]
    assert list(audit(storage)) == []


def test_what_was_found_is_hidden_unless_it_is_removed(night: tuple[Path, LocalStorage], tmp_path: Path) -> None:
    """A region that only the manifest knows is hidden as well; one that a person has removed stays, as an exemption."""
    photos, storage = night
    name = "camera-0/0001.jpg"
    with served(photos, storage, free_port()) as (address, _), chromium(tmp_path / "profile") as context:
        page = desk_opened(context, address)
        looked_at(page, "0001")
        expect(page.locator(".region.found")).not_to_have_count(0)
        page.keyboard.press("Tab")
        page.keyboard.press("Delete")
        expect(page.locator("#tally-visible b")).to_have_text("1")
        page.keyboard.press("Delete")
        expect(page.locator("#tally-visible b")).to_have_text("0")
        page.keyboard.press("Enter")
        expect(page.locator("#state")).to_have_text("published", timeout=120_000)
    assert changed(storage, name, street(1), (44, 384, 146, 406)) > 20


def test_a_picture_is_discarded_with_a_reason_asked_once(night: tuple[Path, LocalStorage], tmp_path: Path) -> None:
    """A damaged file says why nobody sees it and cannot be published; without a reason it is not discarded."""
    photos, storage = night
    with served(photos, storage, free_port()) as (address, _), chromium(tmp_path / "profile") as context:
        page = desk_opened(context, address)
        for _ in range(4):
            if "broken" in (page.locator("#path").text_content() or ""):
                break
            page.keyboard.press("n")
        expect(page.locator("#problem")).to_contain_text("damaged or hostile JPEG", timeout=120_000)
        page.screenshot(path=SCREENSHOTS / "desk-undecodable.png")
        page.keyboard.press("Enter")
        expect(page.locator("#toast")).to_have_text("A picture that nobody can see is not published")
        page.keyboard.press("d")
        page.keyboard.press("Enter")
        expect(page.locator("#give-up")).to_be_visible()
        page.keyboard.type("sent twice")
        page.screenshot(path=SCREENSHOTS / "desk-discard.png")
        page.keyboard.press("Enter")
        expect(page.locator("#left")).to_have_text("3 left")
        expect(page.locator("#path")).not_to_contain_text("broken")
    row = valid_row(storage, "camera-0/broken.jpg")
    assert row is not None
    assert (row.state, row.reason) == ("quarantined", "discarded")
    assert row.detail is not None
    assert "ada" in row.detail
    assert "sent twice" in row.detail
    assert not list(storage.root.glob("camera-0/*"))


def test_what_was_drawn_survives_reload_and_death(night: tuple[Path, LocalStorage], tmp_path: Path) -> None:
    """What was dragged stands again after a reload, and what was drawn without a server after its new start."""
    photos, storage = night
    port, name = free_port(), "camera-0/0000.jpg"
    with served(photos, storage, port) as (address, process), chromium(tmp_path / "profile") as context:
        page = desk_opened(context, address)
        looked_at(page, "0000")
        point_at(page, 300, 300, side="original")
        page.mouse.down()
        point_at(page, 380, 400, side="original")
        page.mouse.up()
        expect(page.locator("#tally-drawn b")).to_have_text("1")
        expect(page.locator("#kept")).to_have_text("saved")
        page.reload()
        expect(page.locator("#tally-drawn b")).to_have_text("1", timeout=60_000)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        point_at(page, 60, 450, side="original")
        page.keyboard.press("f")
        expect(page.locator("#kept")).to_contain_text("server gone · 1 picture kept in this browser")
        page.keyboard.press("Enter")
        expect(page.locator("#reason")).to_contain_text("nothing was decided")
    assert not storage.exists(name)
    with served(photos, storage, port) as (address, _), chromium(tmp_path / "profile") as context:
        page = desk_opened(context, address)
        looked_at(page, "0000")
        expect(page.locator("#tally-drawn b")).to_have_text("2", timeout=60_000)
        expect(page.locator("#kept")).to_have_text("saved")
    draft = read_draft(storage, name)
    assert draft is not None
    assert (draft.drawn[0].x1, draft.drawn[0].x2) == (pytest.approx(300, abs=3), pytest.approx(380, abs=3))
    assert len(draft.drawn) == 2


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_how_it_looks(night: tuple[Path, LocalStorage], tmp_path: Path, dark: bool) -> None:
    """Light and dark follow the system, all requests stay on loopback; the screenshots are for a person to look at."""
    photos, storage = night
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    mode, port = "dark" if dark else "light", free_port()
    with served(photos, storage, port) as (address, _), chromium(tmp_path / "profile", dark) as context:
        asked: list[str] = []
        context.on("request", lambda request: asked.append(request.url))
        expect.set_options(timeout=60_000)
        page = context.new_page()
        page.goto(address)
        expect(page.locator("#help")).to_be_visible()
        page.wait_for_timeout(500)
        page.screenshot(path=SCREENSHOTS / f"desk-help-{mode}.png")
        page.keyboard.press("Escape")
        looked_at(page, "0000")
        point_at(page, 420, 120, side="original")
        page.keyboard.press("p")
        page.keyboard.press("Tab")
        page.keyboard.press("x")
        point_at(page, 100, 300, side="original")
        page.keyboard.press("f")
        page.wait_for_timeout(300)
        page.screenshot(path=SCREENSHOTS / f"desk-{mode}.png")
        page.keyboard.press("Enter")
        expect(page.locator("#reason b")).to_have_text("not done", timeout=120_000)
        expect(page.locator("#reason")).to_contain_text("exemptions.max_area_share")
        page.screenshot(path=SCREENSHOTS / f"desk-refused-{mode}.png")
        page.keyboard.press("Tab")
        page.keyboard.press("x")
        page.keyboard.press("Enter")
        expect(page.locator("#state")).to_have_text("published", timeout=120_000)
        page.wait_for_timeout(500)
        page.screenshot(path=SCREENSHOTS / f"desk-published-{mode}.png")
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(json.loads(ground.replace("rgb(", "[").replace(")", "]"))) < 200) == dark
        assert all(url.startswith((f"http://127.0.0.1:{port}/", "data:")) for url in asked)
