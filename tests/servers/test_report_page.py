"""The evaluation report as a reviewer opens it: a file on disk, in a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from components.evaluation.report.files import write_report
from components.settings import PROJECT_ROOT, Params
from tests.evaluation.report.small_report import small_report

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]
SCREENSHOTS = PROJECT_ROOT / "data" / "screenshots"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, params: Params) -> Path:
    """A written report."""
    folder = tmp_path_factory.mktemp("report")
    write_report(small_report(folder, params), params.gate, folder / "out")
    return folder / "out" / "report.html"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_opens_offline(browser: Browser, report: Path, scheme: str) -> None:
    """From file:// nothing but data is asked for, nothing is refused, every picture shows, and links lead somewhere."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page = browser.new_page(viewport={"width": 1280, "height": 1000}, color_scheme=scheme)  # type: ignore[arg-type]
    asked, said = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.goto(report.as_uri())
    expect(page.get_by_role("heading", name="Gate: failed")).to_be_visible()
    assert [url for url in asked if not url.startswith("data:")] == [report.as_uri()]
    assert said == []
    assert page.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
    page.screenshot(path=SCREENSHOTS / f"report-{scheme}.png", full_page=True)
    page.get_by_role("link", name="The worst misses").click()
    expect(page.get_by_role("heading", name="The worst misses")).to_be_in_viewport()
    page.get_by_role("link", name="0.png").first.click()
    page.wait_for_url(lambda url: url.endswith("/0.png"))
    page.close()


def test_light_and_dark_differ_and_can_be_read(browser: Browser, report: Path) -> None:
    """Text, charts and verdicts have a contrast of 4.5 and more to their ground in both (WCAG 2.2, 1.4.3)."""
    for scheme in ("light", "dark"):
        page = browser.new_page(color_scheme=scheme)  # type: ignore[arg-type]
        page.goto(report.as_uri())
        colours = page.evaluate(
            """() => { const style = getComputedStyle(document.documentElement);
            return Object.fromEntries(['paper', 'card', 'ink', 'soft', 'good', 'bad', 'unsure', 'good-wash', 'bad-wash',
            'unsure-wash'].map(name => [name, style.getPropertyValue('--' + name).trim()])) }"""
        )
        pairs = [(ink, ground) for ink in ("ink", "soft", "good", "bad", "unsure") for ground in ("paper", "card")]
        pairs += [(name, f"{name}-wash") for name in ("good", "bad", "unsure")]
        poor = [pair for pair in pairs if _contrast(*(colours[name] for name in pair)) < 4.5]
        assert poor == [], scheme
        page.close()


@pytest.mark.parametrize("width", [420, 1280])
def test_the_page_fits_screens(browser: Browser, report: Path, width: int) -> None:
    """Neither a telephone nor a desk has to scroll the page sideways."""
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto(report.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


def test_the_report_prints(browser: Browser, report: Path) -> None:
    """On paper it is black on white, also where the screen is dark, and a file of a few pages."""
    page = browser.new_page(color_scheme="dark")
    page.goto(report.as_uri())
    page.emulate_media(media="print", color_scheme="dark")
    ground, ink = page.evaluate("(style => [style.backgroundColor, style.color])(getComputedStyle(document.body))")
    assert (ground, ink) == ("rgb(255, 255, 255)", "rgb(0, 0, 0)")
    printed = page.pdf(path=SCREENSHOTS / "report.pdf", format="A4")
    assert printed.startswith(b"%PDF")
    page.close()


def _contrast(first: str, second: str) -> float:
    """The contrast of two colours, #rrggbb or #rgb, by WCAG's relative luminance."""
    light, dark = sorted((_luminance(colour) for colour in (first, second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    digits = colour.lstrip("#")
    digits = "".join(2 * digit for digit in digits) if len(digits) == 3 else digits
    shares = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    red, green, blue = (s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
