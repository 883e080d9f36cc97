"""The pages for one machine alone, as a person opens them: the command's own server, and a browser that remembers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright

from components.settings import PROJECT_ROOT

SCREENSHOTS = PROJECT_ROOT / "data" / "screenshots"
SIZE = {"width": 1440, "height": 860}

Served = tuple[str, subprocess.Popen[str]]  # the address that it prints, and its process


@contextmanager
def page_served(*arguments: object) -> Iterator[Served]:
    """A command of `streetveil` that serves a page, under way."""
    command = [sys.executable, "-m", "flows.cli", *map(str, arguments), "--no-open"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=PROJECT_ROOT, env=environment)
    try:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(2)]
        yield lines[1].strip(), process
    finally:
        process.terminate()
        process.wait(timeout=60)


@contextmanager
def chromium(profile: Path, dark: bool = False) -> Iterator[BrowserContext]:
    """A headless Chromium of the system whose storage outlives it, as a person's does."""
    quiet = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            profile, executable_path="/usr/bin/chromium", args=[*quiet, "--disable-sync"], viewport=SIZE,  # type: ignore[arg-type]
            color_scheme="dark" if dark else "light",
        )  # fmt: skip
        yield context
        context.close()


def opened(context: BrowserContext, address: str, is_picture: bool = True) -> Page:
    """The page, loaded, with its help closed; whatever it complains of fails the test."""
    page = context.new_page()
    page.on("pageerror", lambda error: pytest.fail(str(error)))
    page.on("console", lambda message: pytest.fail(message.text) if "Content Security" in message.text else None)
    page.goto(address)
    expect(page.locator("#kept")).to_have_text("saved")
    if is_picture:  # what cannot be decoded comes to no size
        expect(page.locator("#zoom")).to_contain_text("%")
    if page.locator("#help").is_visible():
        page.keyboard.press("Escape")
    return page


def point_at(page: Page, x: float, y: float, side: str = "published") -> None:
    """Put the cursor on a pixel of the picture."""
    image = page.locator(f'.pane[data-side="{side}"] img')
    box, width = image.bounding_box(), int(image.get_attribute("width") or 0)
    assert box is not None
    page.mouse.move(box["x"] + x * box["width"] / width, box["y"] + y * box["width"] / width)
