"""What the monthly loop puts on its run's page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from components.loop_journal import Result

_STAGE = "Running stage '"


def step_markdown(name: str, result: Result) -> str:
    """What a step came to, as a person reads it."""
    lines = [f"# {name}", "", "| | |", "|---|---|"]
    texts = []
    for key, value in result.items():
        if isinstance(value, str) and "\n" in value:
            texts += ["", f"## {key}", "", "```", value, "```"]
        else:
            lines.append(f"| {key.replace('_', ' ')} | {_shown(value)} |")
    return "\n".join(lines + texts)


def chain_lines() -> Callable[[str], None]:
    """Put each line of the chain into the run's log, and its stages on the run's page as they begin."""
    from prefect import get_run_logger
    from prefect.artifacts import create_markdown_artifact

    begun: list[str] = []

    def told(line: str) -> None:
        get_run_logger().info("%s", line)
        if line.startswith(_STAGE):
            begun.append(line.removeprefix(_STAGE).rstrip("':"))
            stages = "\n".join(f"{number}. {stage}" for number, stage in enumerate(begun, 1))
            create_markdown_artifact(
                f"# Stages of the chain\n\n{stages}\n\nThe last one is under way.", "monthly-stages"
            )

    return told


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "<br>".join(f"{key}: {_shown(entry)}" for key, entry in value.items()) or "none"
    if isinstance(value, list):
        return "<br>".join(map(_shown, value)) or "none"
    return str(value).replace("|", "\\|")
