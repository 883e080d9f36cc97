"""The drift page as people open it: in a real browser, without a network, in light and dark."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser

from components.monitoring.distributions import DayProfile
from components.monitoring.drift import compare
from components.monitoring.drift_report import write_page
from components.monitoring.reference import Reference
from components.settings import Drift
from tests.monitoring.conftest import reference, settings, undisturbed

__all__ = ["reference", "settings", "undisturbed"]
pytestmark = [pytest.mark.servers, pytest.mark.timeout(600)]
_LEAST_CONTRAST = 4.5  # WCAG 2, AA
_COLOURS = "e => [getComputedStyle(e).color, getComputedStyle(document.body).backgroundColor]"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_our_verdict_can_be_read_above_evidentlys_page(
    browser: Browser, undisturbed: list[DayProfile], reference: Reference, settings: Drift, tmp_path: Path,
    scheme: Literal["light", "dark"],
) -> None:  # fmt: skip
    """Whichever colours the reader's machine asks for, the verdict has those of the page around it, with contrast."""
    days = undisturbed[settings.reference_days :][:2]
    write_page(reference, days[-1], compare(reference, days, settings), tmp_path / "drift.html")
    page = browser.new_page(color_scheme=scheme)
    page.goto((tmp_path / "drift.html").as_uri(), wait_until="commit", timeout=120_000)
    page.get_by_text("Drift in column").first.wait_for(timeout=120_000)  # Evidently has drawn, and chosen its colours
    text, ground = page.locator(".verdict").evaluate(_COLOURS)
    page.close()
    light, dark = sorted((luminance(text), luminance(ground)), reverse=True)
    assert (luminance(ground) > 0.5) == (scheme == "light")
    assert (light + 0.05) / (dark + 0.05) >= _LEAST_CONTRAST


def luminance(colour: str) -> float:
    """Relative luminance of "rgb(r, g, b)", as WCAG 2 has it."""
    shares = [int(level) / 255 for level in re.findall(r"\d+", colour)[:3]]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
