"""A machine of the tests' own: an environment file and secrets as docs/deploy.md has them made, on free ports."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from components.settings import PROJECT_ROOT
from tests.servers.units import free_port, settings_of

_BESIDE = {"S3_PORT": 10_000, "S3_MASTER_PORT": 10_000, "S3_VOLUME_PORT": 10_000, "S3_FILER_PORT": 10_000}


@dataclass(frozen=True, slots=True)
class Machine:
    """Where its files lie.

    Attributes:
        folder: for data and logs.
        secrets: what scripts/make-secrets has written.
        environment: deploy/environment.example with this machine's ports and folders.
    """

    folder: Path
    secrets: Path
    environment: dict[str, str]

    def client(self) -> dict[str, str]:
        """The environment of somebody who has the passwords."""
        return {**self.environment, **settings_of(self.secrets / "client.env")}


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """Files only; the servers have rooms of their own."""
    folder = tmp_path_factory.mktemp("machine")
    secrets = folder / "secrets"
    subprocess.run([sys.executable, PROJECT_ROOT / "scripts" / "make-secrets", secrets], check=True)
    example = settings_of(PROJECT_ROOT / "deploy" / "environment.example")
    names = [name for name in example if name.endswith("_PORT") or name == "PGPORT"]
    ports = {name: str(free_port(_BESIDE.get(name, 0))) for name in names}
    environment = {name: _moved(value, example, ports, folder) for name, value in example.items()} | ports
    accounts = Path(environment["MLFLOW_AUTH_CONFIG_PATH"])
    shipped = (PROJECT_ROOT / "deploy" / "mlflow-auth.ini").read_text(encoding="utf-8")
    accounts.write_text(shipped.replace(example["PGPORT"], ports["PGPORT"]), encoding="utf-8")
    return Machine(folder, secrets, environment)


def _moved(value: str, example: dict[str, str], ports: dict[str, str], folder: Path) -> str:
    """A value with its ports and folders replaced."""
    for name, port in ports.items():
        value = value.replace(f"127.0.0.1:{example[name]}", f"127.0.0.1:{port}")
    value = value.replace("/opt/streetveil/deploy", str(folder)).replace("/etc/streetveil/secrets", f"{folder}/secrets")
    return value.replace("/var/lib/streetveil", str(folder)).replace("/var/backups/streetveil", f"{folder}/backups")
