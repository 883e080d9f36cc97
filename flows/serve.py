"""All schedules of `prefect.yaml`, served from one process: enough for a single machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml
from prefect import Flow, serve
from prefect.client.schemas.objects import ConcurrencyLimitConfig
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import PrefectHTTPStatusError
from prefect.flows import load_flow_from_entrypoint
from prefect.schedules import Cron

from components.errors import StreetveilError
from components.settings import PROJECT_ROOT


def serve_schedules(prefect_yaml: Path = PROJECT_ROOT / "prefect.yaml") -> None:
    """Serve every deployment of the file until the process is stopped.

    Raises:
        StreetveilError: the file cannot be used, or no server answers.
    """
    if not os.environ.get("PREFECT_API_URL"):
        raise StreetveilError(
            "no Prefect server is named: start one (`make pages`), then set PREFECT_API_URL=http://127.0.0.1:4200/api"
        )
    served = deployments(prefect_yaml)
    try:
        serve(*served)
    except PrefectHTTPStatusError as error:
        if error.response.status_code != 401:
            raise
        raise StreetveilError(
            f"the Prefect server at {os.environ['PREFECT_API_URL']} does not let us in: set PREFECT_API_AUTH_STRING "
            "as its server has it, see docs/deploy.md"
        ) from error


def deployments(prefect_yaml: Path) -> list[RunnerDeployment]:
    """The deployments as Prefect objects; the file stays the one place where schedules stand.

    Raises:
        StreetveilError: the file is missing or lacks a key.
    """
    try:
        entries = yaml.safe_load(prefect_yaml.read_text(encoding="utf-8"))["deployments"]
        return [_deployment(entry, prefect_yaml.parent) for entry in entries]
    except (OSError, KeyError, TypeError, yaml.YAMLError) as error:
        raise StreetveilError(f"{prefect_yaml}: cannot be used ({type(error).__name__}: {error})") from error


def _deployment(entry: dict[str, Any], root: Path) -> RunnerDeployment:
    limit = entry["concurrency_limit"]
    flow: Flow[..., Any] = load_flow_from_entrypoint(f"{root}/{entry['entrypoint']}")
    return RunnerDeployment.from_flow(
        flow,
        name=entry["name"],
        description=entry["description"],
        parameters=entry["parameters"],
        schedules=[Cron(schedule["cron"], timezone=schedule["timezone"]) for schedule in entry.get("schedules", ())],
        concurrency_limit=ConcurrencyLimitConfig(limit=limit["limit"], collision_strategy=limit["collision_strategy"]),
        tags=entry["tags"],
        triggers=entry.get("triggers", []),
    )
