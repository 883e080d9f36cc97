"""What every test of a server or a page needs: a browser, and the servers, each made in a room of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.servers.flow_server import flow_server
from tests.servers.label_studio import label_studio
from tests.servers.machine import machine
from tests.servers.object_store import object_store
from tests.servers.postgresql import postgresql
from tests.servers.registry_server import registry_server

__all__ = ["flow_server", "label_studio", "machine", "object_store", "postgresql", "registry_server"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium of the system."""
    with sync_playwright() as playwright:
        quiet = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=[*quiet, "--disable-sync"])
        yield browser
        browser.close()
