"""Label Studio in an environment of its own, as scripts/install-test-servers puts it there, with one account."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from components.settings import PROJECT_ROOT
from flows.pages import running
from tests.servers.units import free_port

PROGRAM = PROJECT_ROOT / ".cache" / "label-studio" / "bin" / "label-studio"
_TOKEN = "0123456789abcdef" * 2 + "01234567"
_ACCOUNT = ["--username", "ada@example.org", "--password", "only-for-tests", "--user-token", _TOKEN]


@dataclass(frozen=True, slots=True)
class LabelStudio:
    """The server as its API shows it.

    Attributes:
        address: of the server.
        served: the folder below which it serves local files.
    """

    address: str
    served: Path

    def ask(self, method: str, path: str, **more: Any) -> requests.Response:
        """An answer of the API, whatever it says."""
        return requests.request(
            method, f"{self.address}{path}", headers={"Authorization": f"Token {_TOKEN}"}, timeout=120, **more
        )

    def told(self, method: str, path: str, **more: Any) -> Any:
        """What the API says; it must agree."""
        answer = self.ask(method, path, **more)
        assert answer.ok, answer.text
        return answer.json()

    def project(self, label_config: Path, tasks: Path, pictures: Path) -> int:
        """A project with tasks, and a folder of pictures as its storage, as docs/labelling.md has it made."""
        interface = label_config.read_text(encoding="utf-8")
        number = int(self.told("POST", "/api/projects/", json={"title": tasks.name, "label_config": interface})["id"])
        storage = {"project": number, "title": "pictures", "path": str(pictures), "use_blob_urls": True}
        self.told("POST", "/api/storages/localfiles/", json=storage)
        self.told("POST", f"/api/projects/{number}/import", json=json.loads(tasks.read_text(encoding="utf-8")))
        return number

    def tasks(self, project: int) -> list[dict[str, Any]]:
        """The tasks of a project with everything in them, in their order."""
        tasks = self.told("GET", f"/api/tasks?project={project}&fields=all")["tasks"]
        return sorted(tasks, key=lambda task: int(task["id"]))

    def annotate(self, task: dict[str, Any], result: list[dict[str, Any]], **more: Any) -> None:
        """Submit an annotation that began from the task's prediction, as a person does."""
        begun = {"result": result, "parent_prediction": task["predictions"][0]["id"], "lead_time": 3.5, **more}
        self.told("POST", f"/api/tasks/{task['id']}/annotations/", json=begun)

    def export(self, project: int, to: Path) -> Path:
        """What Label Studio exports as JSON."""
        answer = self.ask("GET", f"/api/projects/{project}/export?exportType=JSON&download_all_tasks=true")
        assert answer.ok, answer.text
        to.write_text(answer.text, encoding="utf-8")
        return to


@pytest.fixture(scope="session")
def label_studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabelStudio]:
    """A server that serves the pictures below a folder of its own."""
    if not PROGRAM.exists():
        pytest.skip("Label Studio is not installed: scripts/install-test-servers label-studio does that")
    folder = tmp_path_factory.mktemp("label-studio")
    served = folder / "data" / "labelling"
    served.mkdir(parents=True)
    environment = {
        "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED": "true",
        "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": str(served),
        "COLLECT_ANALYTICS": "false",
        "LATEST_VERSION_CHECK": "false",
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
    }
    port = free_port()
    account = [*_ACCOUNT, "--enable-legacy-api-token"]
    command = [str(PROGRAM), "start", "--no-browser", "--internal-host", "127.0.0.1", "--port", str(port), *account]
    command += ["--data-dir", str(folder / "state")]
    # Its tables take a minute or two to make, which is no time for a server to be waited for.
    made = [str(PROGRAM), "init", "tables", *account, "--data-dir", str(folder / "state")]
    with (folder / "tables.log").open("wb") as log:
        own = {"PATH": "/usr/bin:/bin", "HOME": str(folder), **environment}
        subprocess.run(made, env=own, check=True, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    with running(command, {**environment, "HOME": str(folder)}, folder / "server.log", f"{address}/health"):
        yield LabelStudio(address, served)
