"""The Prefect and MLflow pages of this machine, on loopback, until Ctrl-C."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from components.errors import StreetveilError
from components.settings import PROJECT_ROOT, Environment

_HOST = "127.0.0.1"
PREFECT_HOME = PROJECT_ROOT / "data" / "prefect"


@contextmanager
def prefect_server(home: Path = PREFECT_HOME, port: int | None = None) -> Iterator[str]:
    """A Prefect server with its database in a folder of ours.

    Yields:
        The address of its API, for PREFECT_API_URL.
    """
    port = port or free_port()
    home.mkdir(parents=True, exist_ok=True)
    environment = {
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": "",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        # In memory, which is the default, they die with the server, and what died with it would hold its slot for ever.
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
    }
    command = [*_module("prefect"), "server", "start", "--host", _HOST, "--port", str(port)]
    environment["PREFECT_UI_API_URL"] = f"http://{_HOST}:{port}/api"
    with running(command, environment, home / "server.log", f"http://{_HOST}:{port}/api/health"):
        yield f"http://{_HOST}:{port}/api"


@contextmanager
def mlflow_server(tracking_uri: str | None = None, port: int | None = None) -> Iterator[str]:
    """An MLflow page over a tracking store.

    Yields:
        Its address.
    """
    port = port or free_port()
    uri = tracking_uri or Environment().mlflow_tracking_uri
    log = PROJECT_ROOT / "mlruns" / "server.log"
    command = [
        *_module("mlflow"),
        "server",
        "--backend-store-uri",
        uri,
        "--host",
        _HOST,
        "--port",
        str(port),
        "--workers",
        "1",
    ]
    # Its queues for jobs are seven more processes, and nothing of ours is such a job.
    environment = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with running(command, environment, log, f"http://{_HOST}:{port}/health"):
        yield f"http://{_HOST}:{port}"


def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])


def _module(name: str) -> list[str]:
    return [sys.executable, "-m", name]


@contextmanager
def running(command: list[str], environment: dict[str, str], log: Path, health: str) -> Iterator[None]:
    """A server process in a group of its own, healthy from the start of the block, gone at its end."""
    with log.open("ab") as out:
        process = subprocess.Popen(
            command, env={**os.environ, **environment}, stdout=out, stderr=out, start_new_session=True
        )
        try:
            _wait_until_healthy(process, health, log)
            yield
        finally:
            _stop_group(process)


def _wait_until_healthy(process: subprocess.Popen, health: str, log: Path, timeout_s: float = 180) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(health, timeout=2):  # noqa: S310 - loopback
                return
        except OSError:
            time.sleep(0.3)
    raise StreetveilError(f"no answer from {health}: see {log}")


def _stop_group(process: subprocess.Popen) -> None:
    for wish in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, wish)
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            continue
        except ProcessLookupError:
            pass
        return


def main() -> None:
    """Open both pages and say where they are."""
    with ExitStack() as stack:
        print("starting the Prefect and MLflow servers (half a minute) …", flush=True)
        prefect = stack.enter_context(prefect_server(port=4200))
        mlflow = stack.enter_context(mlflow_server(port=5000))
        print(f"Prefect: {prefect.removesuffix('/api')}\nMLflow:  {mlflow}\nCtrl-C stops both", flush=True)
        signal.pause()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("stopped")
    except StreetveilError as error:
        sys.exit(f"error: {error}")
