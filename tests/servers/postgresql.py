"""PostgreSQL as Debian packages it, in a cluster of the tests' own, with the roles that scripts/make-secrets writes."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.servers.machine import Machine

_AS_POSTGRES = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []  # it refuses to run as root


def psql(folder: Path, machine: Machine, statements: str, database: str = "postgres") -> str:
    """Statements run by the cluster's owner through its socket; they come by stdin, as passwords do."""
    command = [*_AS_POSTGRES, "psql", "-qAt", "-v", "ON_ERROR_STOP=1", "-h", str(folder), "-d", database]
    command += ["-p", machine.environment["PGPORT"]]
    return subprocess.run(
        command, input=statements, capture_output=True, text=True, check=True, cwd=folder
    ).stdout.strip()


@pytest.fixture(scope="session")
def postgresql(machine: Machine) -> Iterator[Path]:
    """The cluster's folder, which holds its socket and its log, while it runs."""
    with cluster(machine) as folder:
        yield folder


@contextmanager
def cluster(machine: Machine) -> Iterator[Path]:
    """A new cluster with the machine's roles and empty databases."""
    binaries = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    folder = Path(tempfile.mkdtemp(prefix="streetveil-postgresql-"))  # pytest's own folders are closed to other users
    if _AS_POSTGRES:
        shutil.chown(folder, "postgres", "postgres")
    data, log = folder / "data", folder / "log"
    control = [*_AS_POSTGRES, str(binaries / "pg_ctl"), "-D", str(data), "-w", "-t", "120"]
    options = f"-h 127.0.0.1 -p {machine.environment['PGPORT']} -k {folder} -c fsync=off"
    try:
        made = [*_AS_POSTGRES, str(binaries / "initdb"), "-D", str(data), "--auth-local=peer", "--no-sync"]
        subprocess.run([*made, "--auth-host=scram-sha-256"], check=True, capture_output=True, cwd=folder)
        subprocess.run([*control, "-l", str(log), "-o", options, "start"], check=True, capture_output=True, cwd=folder)
        psql(folder, machine, (machine.secrets / "roles.sql").read_text(encoding="utf-8"))
        yield folder
    finally:
        subprocess.run([*control, "-m", "fast", "stop"], check=False, capture_output=True, cwd=folder)
        shutil.rmtree(folder)
