"""What the monthly loop puts on its run's page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast
from uuid import UUID

from components.evaluation.gate_text import verdict_markdown
from components.evaluation.verdict import Verdict
from components.loop_journal import Result

_STAGE = "Running stage '"
_CHARACTERS = 20_000  # of the verdict's table: all of it
_IN_SHORT: dict[str, Callable[[Result], str]] = {
    "snapshot": lambda result: "the labelled set of before",
    "sample": lambda result: f"{result['images']} pictures for people to label",
    "labels": lambda result: result["difference"].partition("\n")[0],
    "chain": lambda result: f"{len(result['networks'])} networks",
    "evaluate": lambda result: f"on {result['test_images']} test pictures, beside version {result['champion']}",
    "bias": lambda result: f"{_groups(len(result['missed_more_often']))} missed more often",
    "drift": lambda result: f"drift: {result['level']}",
    "gate": lambda result: f"the gate: {result['overall']}",
    "register": lambda result: f"version {result['version']} is @challenger",
    "shadow": lambda result: f"{result['images']} images of the nights since",
    "promote": lambda result: result["outcome"],
}


def step_line(name: str, result: Result) -> str:
    """What a step came to, in a few words."""
    return _IN_SHORT[name](result)


def outcome_markdown(key: str, outcome: str, version: str, verdict: Verdict, report: Path) -> str:
    """What a loop has come to, with the gate's table: what a person looks for on the run's page.

    Args:
        key: the loop's.
        outcome: in its own word.
        version: that it has registered.
        verdict: the gate's.
        report: the page of the evaluation.
    """
    return "\n".join(
        [
            f"# Loop {key}: {outcome}", "",
            f"Version {version} of the model; its report: `{report}`. Look closer: `streetveil review show {version}`.",
            "", verdict_markdown(verdict, _CHARACTERS),
        ]
    )  # fmt: skip


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
    """Put each line of the chain into the run's log, and its stages into one list on the run's page as they begin."""
    from prefect import get_run_logger
    from prefect.artifacts import create_markdown_artifact

    begun: list[str] = []
    shown: list[UUID] = []

    def told(line: str) -> None:
        get_run_logger().info("%s", line)
        if not line.startswith(_STAGE):
            return
        begun.append(line.removeprefix(_STAGE).rstrip("':"))
        stages = "\n".join(f"{number}. {stage}" for number, stage in enumerate(begun, 1))
        text, words = f"# Stages of the chain\n\n{stages}", f"{len(begun)} stages have begun, {begun[-1]} is the last"
        if shown:
            _replace(shown[0], text, words)
        else:
            shown.append(cast(UUID, create_markdown_artifact(text, "monthly-stages", words)))

    return told


def _replace(artifact: UUID, text: str, words: str) -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import ArtifactUpdate

    with get_client(sync_client=True) as client:
        client.update_artifact(artifact, ArtifactUpdate(data=text, description=words))


def _groups(number: int) -> str:
    return {0: "no group is", 1: "1 group is"}.get(number, f"{number} groups are")


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "<br>".join(f"{key}: {_shown(entry)}" for key, entry in value.items()) or "none"
    if isinstance(value, list):
        return "<br>".join(map(_shown, value)) or "none"
    return str(value).replace("|", "\\|")
