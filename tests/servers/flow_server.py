"""Prefect's server with a password, on PostgreSQL, as its unit file starts it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.machine import Machine
from tests.servers.units import started


@pytest.fixture(scope="session")
def flow_server(machine: Machine, postgresql: Path) -> Iterator[str]:
    """Its API's address."""
    address = machine.environment["PREFECT_API_URL"]
    log = machine.folder / "prefect.log"
    with started("streetveil-prefect.service", machine.environment, machine.secrets, f"{address}/health", log):
        yield address
