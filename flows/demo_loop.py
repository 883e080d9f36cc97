"""`make demo-loop`: the whole monthly loop on rendered pictures, in a project of its own, with a scripted labeller.

The project is a copy below `data/demo_loop`, so that neither your labelled sets nor your chain are touched; its model
has a name of its own in your registry. Budgets are so small that its figures mean nothing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from components.dataset import versions
from components.dataset.demo_day import write_demo_day
from components.errors import StreetveilError
from components.settings import PROJECT_ROOT, Environment, load_params
from flows.pages import PREFECT_HOME, prefect_server

_PROJECT = PROJECT_ROOT / "data" / "demo_loop"
_MODEL = "streetveil-demo"
_PROFILE = "rendered"
_DAY = date(2024, 2, 29)
_INSIDE = "STREETVEIL_DEMO_PREFECT_HOME"


def main() -> int:
    """Make the project and run the loop in it."""
    _make_project()
    environment = Environment()
    variables = {
        "PYTHONPATH": str(_PROJECT),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "MLFLOW_TRACKING_URI": environment.mlflow_tracking_uri,
        "STREETVEIL_MLFLOW_ARTIFACTS": environment.mlflow_artifacts,
        "STREETVEIL_PARAMS": str(_PROJECT / "params.yaml"),
        _INSIDE: str(PREFECT_HOME),
    }
    command = [sys.executable, "-m", "flows.demo_loop"]
    return subprocess.run(command, cwd=_PROJECT, env={**os.environ, **variables}, check=False).returncode


def _make_project() -> None:
    shutil.rmtree(_PROJECT, ignore_errors=True)
    for folder in ("components", "flows", "data/hand_labels"):
        shutil.copytree(PROJECT_ROOT / folder, _PROJECT / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (_PROJECT / "data" / "labelled_by_us").mkdir()
    for name, changed in (("params.yaml", small_params), ("dvc.yaml", small_chain)):
        told = yaml.safe_load((PROJECT_ROOT / name).read_text(encoding="utf-8"))
        (_PROJECT / name).write_text(yaml.safe_dump(changed(told), sort_keys=False, allow_unicode=True))
    versions.begin(_PROJECT)


def small_params(told: dict[str, Any]) -> dict[str, Any]:
    """A model of its own, one epoch, and all of a day's pictures for labels and shadow."""
    told["registry"]["model_name"] = _MODEL
    told["profiles"][_PROFILE] |= {"epochs": 1, "short_images": 8}
    told["optimisation"] |= {"calibration_images": 16, "epochs": 1}
    told["verifier"] |= {"epochs": 2}
    told["verifier"]["examples"]["canvases"] |= {"train": 24, "val": 8}
    told["retraining"] |= {"check_s": 2, "profile": _PROFILE, "target": f"bias@{_PROFILE}"}
    told["labelling"]["random_share"] = 1
    told["shadow"]["share"] = 1
    return told


def small_chain(told: dict[str, Any]) -> dict[str, Any]:
    """Without the tables that a person reads: what each feature is worth, peers, tilted plates."""
    stages = told["stages"]
    stages["train_stage2"]["do"]["cmd"] = stages["train_stage2"]["do"]["cmd"].replace("--ablate", "")
    evaluate = stages["evaluate"]["do"]
    evaluate["cmd"] = evaluate["cmd"].replace("--slices data/plate_slices", "--without-peers")
    evaluate["deps"].remove("data/plate_slices")
    return told


def run_inside() -> int:
    """A night, the loop, and a second night in which the candidate is the shadow.

    Returns:
        0 if a candidate waits for its review.
    """
    console = Console()
    with prefect_server(Path(os.environ[_INSIDE])) as api:
        os.environ.update(PREFECT_API_URL=api, PREFECT_LOGGING_LEVEL="WARNING")
        from flows.daily_blur import daily_blur  # Prefect reads its settings when it is imported
        from flows.monthly_retraining import monthly_retraining

        for day in (_DAY, _DAY + timedelta(days=1)):
            write_demo_day(_incoming(day))
        console.print(f"A night with {_MODEL} …")
        daily_blur(day=_DAY)
        threading.Thread(target=_label, args=(console,), daemon=True).start()
        console.print("The monthly loop: sample, labels, chain, evaluation, gate …")
        outcome = monthly_retraining(shadow_wait_days=0, review_wait_days=0)
        console.print(f"The loop: {outcome}. The next night, with the candidate in its shadow …")
        daily_blur(day=_DAY + timedelta(days=1))
    return _show(console)


def _label(console: Console) -> None:
    """The scripted labeller: takes for true what was blurred."""
    from components.dataset.labelling import desk
    from components.dataset.labelling.exports import export
    from components.dataset.labelling.import_ import import_labels

    settings = load_params().labelling
    while not (waiting := [place for place in desk.desks(settings) if desk.state(place) == "waiting"]):
        time.sleep(1)
    for place in waiting:
        told = import_labels(place, export(place, "coco"), empty_ok=True, rest="give_up")
        console.print(f"The scripted labeller has labelled {told.labelled} pictures: {told.boxes}")


def _show(console: Console) -> int:
    from components.registry.models import Registry
    from components.registry.review import pending

    waiting = pending(Registry.of(_MODEL))
    if any(one.verdict and not one.verdict.passed for one in waiting):
        console.print(
            "The gate asks for more than minutes on rendered pictures can teach, and says so. A person decides."
        )
    for one in waiting:
        reasons = "\n".join(f"  {reason}" for reason in (one.verdict.reasons if one.verdict else ()))
        console.print(f"[bold]Version {one.version} of {_MODEL} waits for its review.[/] The gate: {one.gate_verdict}")
        console.print(reasons, highlight=False, soft_wrap=True)
    console.print(
        f"\n[bold]Look at it[/]\n"
        f"  make pages, then the run monthly-retraining on http://127.0.0.1:4200, and {_MODEL} on http://127.0.0.1:5000\n"
        f"  report: data/demo_loop/{load_params().retraining.folder}/*/evaluation/report.html",
        highlight=False,
        soft_wrap=True,
    )
    return 0 if waiting else 1


def _incoming(day: date) -> Path:
    return PROJECT_ROOT / load_params().daily.source.format(day=day.isoformat())


if __name__ == "__main__":
    try:
        sys.exit(run_inside() if _INSIDE in os.environ else main())
    except StreetveilError as error:
        sys.exit(f"error: {error}")
