"""A run that died together with its server holds up no later night."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from components.settings import PROJECT_ROOT
from tests.servers.machine import Machine
from tests.servers.units import command, environment_of, free_port

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.timeout(900)]
UNIT = "streetveil-prefect.service"

# The deployment is the nightly one, of which only the flow's body is another.
_SERVE = """
import sys
from pathlib import Path
from prefect import serve
from flows.serve import deployments
serve(*deployments(Path(sys.argv[1])))
"""
_NIGHT = """
import time
from prefect import flow
@flow(name="daily-blur")
def daily_blur(seconds: float = 0) -> None:
    time.sleep(seconds)
"""


@dataclass(frozen=True, slots=True)
class Server:
    """The server as its clients see it.

    Attributes:
        address: of its API.
        user, password: to it.
    """

    address: str
    user: str
    password: str

    def ask(self, path: str, **query: Any) -> Any:
        """What it answers to a question."""
        answer = requests.post(f"{self.address}/{path}", json=query, auth=(self.user, self.password), timeout=60)
        answer.raise_for_status()
        return answer.json()

    def wait_for(self, path: str, is_there: Callable[[Any], bool], patience_s: float = 240, **query: Any) -> Any:
        """Its answer, once it is the one that is waited for."""
        answer: Any = None
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            with suppress(requests.RequestException):
                answer = self.ask(path, **query)
                if is_there(answer):
                    return answer
            time.sleep(1)
        pytest.fail(f"{path} has not come to what is waited for: {answer}")

    def start(self, deployment: str, seconds: float) -> str:
        """Begin a run that takes so long; its id. A database that is busy is asked again, and begins no second one."""
        wanted = {"parameters": {"seconds": seconds}, "idempotency_key": f"a run of {seconds} s"}
        return str(self.wait_for(f"deployments/{deployment}/create_flow_run", bool, **wanted)["id"])

    def wait_until(self, run: str, state: str) -> None:
        """Wait for a run to be in a state; a dead one's lease of five minutes may have to run out before."""
        run_itself = {"id": {"any_": [run]}}
        self.wait_for("flow_runs/filter", lambda runs: runs[0]["state_type"] == state, 480, flow_runs=run_itself)


@pytest.fixture
def environment(machine: Machine, tmp_path: Path) -> dict[str, str]:
    """Of a server with a home, a port and a database of its own."""
    told = environment_of(UNIT, machine.environment, machine.secrets) | machine.client()
    del told["PREFECT_SERVER_DATABASE_CONNECTION_URL"]
    port = str(free_port())
    (tmp_path / "home").mkdir()
    return {
        **os.environ,
        **told,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PREFECT_PORT": port,
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_HOME": str(tmp_path / "home"),
        "PYTHONPATH": str(PROJECT_ROOT),
    }


@contextmanager
def powered(words: list[str], environment: dict[str, str], log: Path) -> Iterator[None]:
    """A command under way; at the end of the block it and all that it has started die at once."""
    with log.open("ab") as out:
        process = subprocess.Popen(words, env=environment, stdout=out, stderr=out, start_new_session=True)
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def night(environment: dict[str, str], secrets: Path, folder: Path) -> Iterator[tuple[Server, str]]:
    """The server with the nightly deployment beside it, and the deployment's id."""
    user, _, password = environment["PREFECT_API_AUTH_STRING"].partition(":")
    server = Server(environment["PREFECT_API_URL"], user, password)
    serving = [sys.executable, str(folder / "serving.py"), str(folder / "prefect.yaml")]
    with powered(command(UNIT, environment, secrets), environment, folder / "server.log"):
        server.wait_for("deployments/filter", lambda _: True)
        with powered(serving, environment, folder / "serving.log"):
            (one,) = server.wait_for("deployments/filter", lambda found: found and found[0]["status"] == "READY")
            yield server, one["id"]


def test_a_run_that_died_with_its_server_makes_no_later_one_wait_for_ever(
    environment: dict[str, str], machine: Machine, tmp_path: Path
) -> None:
    """After a power cut in mid-run, the next run waits until the dead one's lease is over, and then does its work."""
    entries = yaml.safe_load((PROJECT_ROOT / "prefect.yaml").read_text())["deployments"]
    (nightly,) = (entry for entry in entries if entry["name"] == "nightly")
    nightly |= {"entrypoint": "night.py:daily_blur", "parameters": {}}
    (tmp_path / "prefect.yaml").write_text(yaml.safe_dump({"deployments": [nightly]}))
    (tmp_path / "night.py").write_text(_NIGHT)
    (tmp_path / "serving.py").write_text(_SERVE)

    with night(environment, machine.secrets, tmp_path) as (server, deployment):
        server.wait_until(server.start(deployment, seconds=3600), "RUNNING")
    with night(environment, machine.secrets, tmp_path) as (server, deployment):
        server.wait_until(server.start(deployment, seconds=0), "COMPLETED")
