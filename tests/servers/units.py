"""What the unit files in deploy/systemd say, run as systemd would, with folders and ports of the tests' own."""

from __future__ import annotations

import os
import re
import shlex
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from components.settings import PROJECT_ROOT
from flows.pages import running

SYSTEMD = PROJECT_ROOT / "deploy" / "systemd"
INSTALLED, SECRETS = "/opt/streetveil", "/etc/streetveil/secrets"


def settings_of(file: Path) -> dict[str, str]:
    """The variables of an environment file."""
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def told(unit: str, key: str) -> list[str]:
    """Every value of a key in a unit file, in its order."""
    text = (SYSTEMD / unit).read_text(encoding="utf-8").replace("\\\n", " ")
    return re.findall(rf"^{key}=(.*)$", text, re.MULTILINE)


def here(text: str, secrets: Path) -> str:
    """A path of an installed machine, on this one."""
    binaries = str(Path(sys.executable).parent)
    text = text.replace(f"{INSTALLED}/.venv/bin", binaries).replace(INSTALLED, str(PROJECT_ROOT))
    return text.replace(SECRETS, str(secrets))


def command(unit: str, environment: Mapping[str, str], secrets: Path) -> list[str]:
    """The command line of a unit, with its variables filled in."""
    (line,) = told(unit, "ExecStart")
    words = shlex.split(here(line, secrets))
    return [re.sub(r"\$\{(\w+)\}", lambda name: environment[name[1]], word) for word in words]


def environment_of(unit: str, machine: Mapping[str, str], secrets: Path) -> dict[str, str]:
    """The variables that systemd gives to a unit: the machine's, then those of the secrets that it names."""
    files = [Path(here(file, secrets)) for file in told(unit, "EnvironmentFile") if file.startswith(SECRETS)]
    return {**machine, **{name: value for file in files for name, value in settings_of(file).items()}}


@contextmanager
def started(unit: str, machine: Mapping[str, str], secrets: Path, health: str, log: Path) -> Iterator[None]:
    """A unit under way, healthy from the start of the block and gone at its end."""
    environment = environment_of(unit, machine, secrets)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    with running(command(unit, environment, secrets), {**environment, "PATH": path}, log, health):
        yield


def free_port(beside: int = 0) -> int:
    """A loopback port that nobody listens on, whose neighbour at a distance is free as well."""
    for _ in range(100):
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = int(first.getsockname()[1])
            try:
                second.bind(("127.0.0.1", port + beside if beside else 0))
            except (OSError, OverflowError):
                continue
            return port
    raise OSError("no two free ports")
