"""MLflow's server with passwords, on PostgreSQL and the object store, as its unit file starts it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.servers.machine import Machine
from tests.servers.units import started


@pytest.fixture(scope="session")
def registry_server(machine: Machine, postgresql: Path, object_store: Any) -> Iterator[str]:
    """Its address."""
    address = machine.environment["MLFLOW_TRACKING_URI"]
    log = machine.folder / "mlflow.log"
    with started("streetveil-mlflow.service", machine.environment, machine.secrets, f"{address}/health", log):
        yield address
