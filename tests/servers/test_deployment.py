"""The servers of docs/deploy.md, as their unit files start them: passwords, addresses, databases and objects."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError

from components.dataset import versions
from components.detection.bundle import Bundle
from components.detection.shipped import shipped_files
from components.errors import StreetveilError
from components.registry.champion import bootstrap, resolve_champion
from components.registry.models import Registry
from components.settings import PROJECT_ROOT, Params
from tests.servers.machine import Machine
from tests.servers.object_store import client
from tests.servers.postgresql import cluster, psql
from tests.servers.units import settings_of

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]


@pytest.fixture
def registry(machine: Machine, registry_server: str, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """The registry of somebody who has the password."""
    for name, value in machine.client().items():
        if name.startswith("MLFLOW_TRACKING"):
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    return Registry.of("streetveil-detector")


def test_the_champion_comes_through_the_server_from_the_object_store(
    registry: Registry, object_store: Any, machine: Machine
) -> None:
    """A client with the password bootstraps and gets the shipped files, hash by hash; they lie in S3 alone."""
    bootstrap(registry)
    champion = registry.bundle("champion")
    assert champion.version == "1"
    assert {hashlib.sha256(file.read()).hexdigest() for file in champion.files} == {
        file.sha256 for file in shipped_files()
    }
    assert {Path(key).name for key in keys_of(object_store)} >= {file.path.name for file in champion.files}
    assert not list(machine.folder.rglob("*.onnx"))


@pytest.mark.parametrize("password", [None, "wrong"])
def test_without_the_password_nobody_comes_in_and_the_message_says_how(
    registry: Registry, password: str | None, monkeypatch: pytest.MonkeyPatch, params: Params
) -> None:
    """No password and a wrong one are told as such, with the variables to set, and not as a missing model."""
    monkeypatch.delenv("MLFLOW_TRACKING_PASSWORD")
    if password:
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", password)
    with pytest.raises(StreetveilError, match=r"does not let us in.*MLFLOW_TRACKING_PASSWORD"):
        bootstrap(registry)
    with pytest.raises(StreetveilError, match=r"nothing is published.*does not let us in"):
        resolve_champion(registry, params, "eu")


def test_an_alias_that_two_clients_move_points_at_one_version_for_all(registry: Registry, toy: Bundle) -> None:
    """Two clients that move an alias at once leave one of their two versions, and every client sees the same one."""
    pair = replace(registry, name="moved")
    versions = [pair.register(toy.files), pair.register(toy.files)]

    def move(version: str) -> None:
        mine = replace(pair)
        for _ in range(5):
            mine.set_alias("champion", version)

    with ThreadPoolExecutor(2) as clients:
        list(clients.map(move, versions))
    seen = {replace(pair).bundle("champion").version for _ in range(2)}
    assert len(seen) == 1
    assert seen <= set(versions)
    for version in versions:
        pair.set_alias("champion", version)
        assert replace(pair).bundle("champion").version == version


def test_a_labelled_set_is_pushed_and_pulled(
    machine: Machine, object_store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A snapshot that is pushed to the object store comes back byte for byte, and nothing comes without the keys."""
    for name, value in machine.client().items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    labelled = tmp_path / "data" / "labelled"
    labelled.mkdir(parents=True)
    (labelled / "boxes.json").write_text('{"boxes": [[1, 2, 3, 4]]}')
    (labelled / "picture.bin").write_bytes(bytes(range(256)) * 100)
    before = {path.name: path.read_bytes() for path in labelled.iterdir()}
    versions.begin(tmp_path)
    dvc("remote add --local --default store s3://streetveil-dvc/labels", tmp_path)
    dvc(f"remote modify --local store endpointurl {machine.environment['AWS_ENDPOINT_URL']}", tmp_path)
    revision = versions.snapshot([labelled], tmp_path)
    versions.push(tmp_path)
    shutil.rmtree(labelled)
    shutil.rmtree(tmp_path / ".dvc" / "cache")
    with monkeypatch.context() as stranger:
        stranger.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
        with pytest.raises(StreetveilError, match=r"^dvc pull failed: .*; mend it, and run again$"):
            versions.pull(tmp_path)
    assert not labelled.exists()
    versions.pull(tmp_path)
    assert {path.name: path.read_bytes() for path in labelled.iterdir()} == before
    assert versions.revision([labelled], tmp_path) == versions.snapshot([labelled], tmp_path) == revision


def test_each_key_opens_its_own_bucket_alone(machine: Machine, object_store: Any) -> None:
    """Whoever may version labelled sets cannot read, write or list the registry's objects, and the other way round."""
    for who, foreign in (("client", "streetveil-mlflow"), ("mlflow", "streetveil-dvc")):
        with pytest.raises(ClientError, match="AccessDenied"):
            client(machine, who).list_objects_v2(Bucket=foreign)
        with pytest.raises(ClientError, match="AccessDenied"):
            client(machine, who).put_object(Bucket=foreign, Key="x", Body=b"")


def test_a_backup_brings_databases_and_objects_back(
    registry: Registry, machine: Machine, flow_server: str, object_store: Any, toy: Bundle
) -> None:
    """Restored into an empty cluster and over lost objects, a backup holds the aliases, the users and the files."""
    kept = replace(registry, name="kept")
    others = keys_of(object_store)
    kept.register(toy.files, alias="champion")
    admin = {**machine.environment, **settings_of(machine.secrets / "admin.env")}
    saved = Path(backup(admin, "save", machine.folder / "backups").strip())
    for key in keys_of(object_store) - others:
        object_store.delete_object(Bucket="streetveil-mlflow", Key=key)
    with pytest.raises(StreetveilError, match=r"cannot be (fetched|read)"):
        kept.bundle("champion").files[0].read()
    fresh = replace(machine, environment={**admin, "PGPORT": str(int(machine.environment["PGPORT"]) + 1)})
    with cluster(fresh) as folder:
        backup(fresh.environment, "restore", saved)
        aliases = psql(folder, fresh, "SELECT name, alias FROM registered_model_aliases", "mlflow")
        assert "kept|champion" in aliases.splitlines()
        assert psql(folder, fresh, "SELECT username FROM users", "mlflow_auth") == "admin"
        assert int(psql(folder, fresh, "SELECT count(*) FROM alembic_version", "prefect")) == 1
    assert {file.read() for file in kept.bundle("champion").files} == {file.read() for file in toy.files}


def test_everything_listens_on_loopback_and_no_secret_is_told(
    machine: Machine, registry_server: str, flow_server: str, postgresql: Path
) -> None:
    """No server takes a connection from outside, and no password stands in a log or on a command line."""
    ours = [process for process in psutil.process_iter() if _is_ours(process, machine, postgresql)]
    listening = {
        (process.name(), socket.laddr.ip)
        for process in ours
        for socket in process.net_connections("inet")
        if socket.status == psutil.CONN_LISTEN
    }
    assert {name for name, _ in listening} >= {"weed", "postgres"}
    assert len(listening) >= 3
    assert {address for _, address in listening} == {"127.0.0.1"}
    told = [" ".join(process.cmdline()) for process in ours]
    logs = [*machine.folder.glob("*.log"), postgresql / "log"]
    assert len(logs) >= 4
    told += [log.read_text(encoding="utf-8", errors="replace") for log in logs]
    for secret in secrets_of(machine):
        assert not any(secret in text for text in told)


def keys_of(store: Any) -> set[str]:
    """The names of the registry's objects."""
    return {entry["Key"] for entry in store.list_objects_v2(Bucket="streetveil-mlflow")["Contents"]}


def dvc(line: str, project: Path) -> None:
    """A setting of DVC's own, as docs/labelling.md has it made."""
    subprocess.run([sys.executable, "-m", "dvc", *line.split(), "--quiet"], cwd=project, check=True)


def backup(environment: dict[str, str], *arguments: str | Path) -> str:
    """scripts/backup.py as its unit runs it."""
    command = [sys.executable, PROJECT_ROOT / "scripts" / "backup.py", *arguments]
    return subprocess.run(
        command, env={"PATH": "/usr/bin:/bin", **environment}, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def secrets_of(machine: Machine) -> Iterator[str]:
    """Every password and secret key, as plain text."""
    for line in (machine.secrets / "pgpass").read_text(encoding="utf-8").splitlines():
        yield line.rsplit(":", 1)[1]
    for file in machine.secrets.glob("*.env"):
        for name, value in settings_of(file).items():
            if name not in ("MLFLOW_AUTH_ADMIN_USERNAME", "MLFLOW_TRACKING_USERNAME", "AWS_ACCESS_KEY_ID"):
                yield value.removeprefix("streetveil:")
    for identity in json.loads((machine.secrets / "s3.json").read_text(encoding="utf-8"))["identities"]:
        yield identity["credentials"][0]["secretKey"]


def _is_ours(process: psutil.Process, machine: Machine, postgresql: Path) -> bool:
    """Whether a process, or one that started it, names a port or a folder of this machine's."""
    marks = [*(f"={machine.environment[name]}" for name in ("S3_PORT",)), str(postgresql), *_ports(machine)]
    try:
        lineage = [process, *process.parents()]
        return any(mark in " ".join(one.cmdline()) for one in lineage for mark in marks)
    except psutil.Error:
        return False


def _ports(machine: Machine) -> list[str]:
    return [f"--port {machine.environment[name]}" for name in ("MLFLOW_PORT", "PREFECT_PORT")]
