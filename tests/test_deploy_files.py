"""What deploy/ and docs/deploy.md name is there: commands, paths, units, variables, secrets."""

from __future__ import annotations

import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from components.settings import PROJECT_ROOT

DEPLOY = PROJECT_ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").iterdir())
BINARIES = Path(sys.executable).parent


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What scripts/make-secrets writes."""
    folder = tmp_path_factory.mktemp("machine") / "secrets"
    subprocess.run([sys.executable, PROJECT_ROOT / "scripts" / "make-secrets", folder], check=True, capture_output=True)
    return folder


@pytest.mark.parametrize("file", [*UNITS, DEPLOY / "compose.yaml", PROJECT_ROOT / "docs" / "deploy.md"], ids=str)
def test_every_path_and_command_that_is_named_exists(file: Path, secrets: Path) -> None:
    """Programs of the environment, files of the project, secrets and units are there under the names that are used."""
    text = file.read_text(encoding="utf-8")
    for program in re.findall(r"\.venv/bin/([a-z-]+)", text):
        assert (BINARIES / program).exists(), program
    for path in re.findall(r"(?:/opt/streetveil/|[\s`(])((?:scripts|deploy|docs|adr)/[\w./-]*\w)", text):
        assert any((root / path).exists() for root in (PROJECT_ROOT, PROJECT_ROOT / "docs")), path
    for secret in re.findall(r"/etc/streetveil/secrets/([\w.]+)", text):
        assert (secrets / secret).exists(), secret
    for unit in re.findall(r"streetveil[a-z0-9-]*\.(?:service|timer)", text):
        assert (DEPLOY / "systemd" / unit).exists(), unit


def test_every_variable_that_a_unit_uses_is_in_the_example(secrets: Path) -> None:
    """No unit leaves a variable empty: each one stands in environment.example."""
    example = set(re.findall(r"^(\w+)=", (DEPLOY / "environment.example").read_text(encoding="utf-8"), re.MULTILINE))
    used = {name for unit in UNITS for name in re.findall(r"\$\{(\w+)\}", unit.read_text(encoding="utf-8"))}
    assert len(used) > 5
    assert used <= example


def test_every_address_is_on_loopback() -> None:
    """No shipped file makes a server listen, or a client ask, anywhere else."""
    for file in [*UNITS, DEPLOY / "environment.example", DEPLOY / "mlflow-auth.ini", DEPLOY / "compose.yaml"]:
        text = file.read_text(encoding="utf-8")
        assert set(re.findall(r"\d+\.\d+\.\d+\.\d+", text)) <= {"127.0.0.1"}
        for command in re.findall(r"(?:mlflow|prefect) server .*", text):
            assert "--host 127.0.0.1" in command
        assert set(re.findall(r"-ip(?:\.bind)?=(\S+)", text)) <= {"127.0.0.1"}


def test_containers_run_what_the_units_run() -> None:
    """compose.yaml reads as YAML, and each of its servers mounts the secrets that its unit names."""
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]
    assert set(services) == {"postgresql", "s3", "mlflow", "prefect", "streetveil"}
    for name in ("mlflow", "prefect"):
        unit = (DEPLOY / "systemd" / f"streetveil-{name}.service").read_text(encoding="utf-8")
        assert services[name]["env_file"] == re.findall(r"^EnvironmentFile=(.*)$", unit, re.MULTILINE)


def test_secrets_are_their_owners_alone_and_are_never_written_over(secrets: Path) -> None:
    """Every file is of mode 0600; a second run changes nothing and says so; PostgreSQL gets no plain password."""
    before = {path.name: path.read_bytes() for path in secrets.iterdir()}
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets.iterdir()} == {0o600}
    command = [sys.executable, PROJECT_ROOT / "scripts" / "make-secrets", secrets]
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (again.returncode, again.stderr.startswith("error: ")) == (1, True)
    assert {path.name: path.read_bytes() for path in secrets.iterdir()} == before
    for line in before["pgpass"].decode().splitlines():
        password = line.rsplit(":", 1)[1].encode()
        assert len(password) >= 32
        assert password not in before["roles.sql"]


@pytest.mark.servers
@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_systemd_understands_every_unit(unit: Path, tmp_path: Path) -> None:
    """The check of systemd itself finds nothing wrong in a unit, with the programs where this machine has them."""
    for file in UNITS:
        text = file.read_text(encoding="utf-8").replace("/opt/streetveil/.venv/bin", str(BINARIES))
        (tmp_path / file.name).write_text(text, encoding="utf-8")
    command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(tmp_path / unit.name)]
    verified = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stderr) == (0, "")
