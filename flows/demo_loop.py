"""`make demo-loop`: the whole monthly loop in a project of its own, with a scripted labeller.

python -m flows.demo_loop [--data FOLDER [--labels sound|broken] [--pictures N] [--test-pictures N] [--epochs N]
    [--override REASON]]

Without a folder, on rendered pictures, in minutes: it ends at a candidate that waits for its review, and its figures
mean nothing. With a folder of real labelled pictures (the sets of `dataset` in params.yaml), in most of an hour, judged
on the whole test part: it ends at a new @champion, or at what the gate has stopped; with --override the scripted
reviewer promotes that too, and what was overridden is stored with his name and the reason. The project is a copy below
`data/demo_loop`, so that neither your labelled sets nor your chain are touched; its models have names of their own in
your registry.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

from rich.console import Console

from components.dataset.demo_month import Month
from components.errors import StreetveilError
from components.registry.candidate import Status
from components.registry.models import Registry
from components.settings import Environment, load_params
from flows import demo_people as people
from flows.demo_project import DAY, PROJECT, Real, answers, make_project, write_rendered_day
from flows.pages import PREFECT_HOME, prefect_server

_INSIDE = "STREETVEIL_DEMO_PREFECT_HOME"
_OVERRIDE = "STREETVEIL_DEMO_OVERRIDE"  # the reason; none if it is empty
_REVIEW_WAIT_DAYS = 1 / 24  # for the scripted reviewer, who needs seconds


def main() -> int:
    """Make the project and run the loop in it."""
    real, override = _arguments()
    month = make_project(real)
    if month is not None and real is not None:
        print(_told(month, real), flush=True)
    environment = Environment()
    variables = {
        "PYTHONPATH": str(PROJECT),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "MLFLOW_TRACKING_URI": environment.mlflow_tracking_uri,
        "STREETVEIL_MLFLOW_ARTIFACTS": environment.mlflow_artifacts,
        "STREETVEIL_PARAMS": str(PROJECT / "params.yaml"),
        _INSIDE: str(PREFECT_HOME),
        _OVERRIDE: override,
    }
    command = [sys.executable, "-m", "flows.demo_loop"]
    return subprocess.run(command, cwd=PROJECT, env={**os.environ, **variables}, check=False).returncode


def _arguments() -> tuple[Real | None, str]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder of real labelled pictures")
    parser.add_argument("--labels", choices=("sound", "broken"), default="sound")
    parser.add_argument("--pictures", type=int, default=400, help="labelled before, beside the test part")
    parser.add_argument("--test-pictures", type=int, help="of the test part; all by default")
    parser.add_argument("--epochs", type=int, default=1, help="of stage 1")
    parser.add_argument("--override", default="", metavar="REASON", help="promote what the gate has stopped, and why")
    given = parser.parse_args()
    if given.data is None:
        return None, ""
    broken = given.labels == "broken"
    return Real(given.data.absolute(), given.pictures, given.test_pictures, given.epochs, broken), given.override


def _told(month: Month, real: Real) -> str:
    state = "all without the faces, but for the test part's" if real.broken else "all of them sound"
    return (
        f"{month.begun_with} labelled pictures to begin with, {month.tested_on[0]} of {month.tested_on[1]} in the test "
        f"part, {month.day} in a day that nobody has labelled yet; labels: {state}"
    )


def run_inside() -> int:
    """A night and the loop; on rendered pictures also a second night, in which the candidate is the shadow.

    Returns:
        0 if the loop has come to its end, on rendered pictures at a candidate that waits.
    """
    console, known = Console(), answers()
    with prefect_server(Path(os.environ[_INSIDE])) as api:
        # The run's page gets all lines, the terminal only warnings.
        os.environ.update(PREFECT_API_URL=api, PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL="WARNING")
        from flows.daily_blur import daily_blur  # Prefect reads its settings when it is imported
        from flows.monthly_retraining import monthly_retraining
        from flows.monthly_steps import STOPPED

        registry = Registry.of(load_params().registry.model_name)
        if not known:
            for day in (DAY, DAY + timedelta(days=1)):
                write_rendered_day(day)
        console.print(f"A night with {registry.name} …")
        daily_blur(day=DAY)
        people.start(lambda: people.label(console, known))
        if known:
            people.start(lambda: people.review(console, registry))
        console.print("The monthly loop: sample, labels, chain, evaluation, gate …")
        outcome = monthly_retraining(shadow_wait_days=0, review_wait_days=_REVIEW_WAIT_DAYS if known else 0)
        console.print(f"[bold]The loop: {outcome}.[/]")
        if known and outcome == STOPPED and os.environ.get(_OVERRIDE):
            people.override(console, registry, os.environ[_OVERRIDE])
        if not known and outcome != STOPPED:
            console.print("The next night, with the candidate in its shadow …")
            daily_blur(day=DAY + timedelta(days=1))
    return _show(console, registry, bool(known))


def _show(console: Console, registry: Registry, is_real: bool) -> int:
    """The candidate with the gate's table, what a person may do with it, and where to look."""
    from components.registry.review import reviewed
    from flows import review

    candidate = reviewed(registry)[0]
    review.show(candidate.version)
    if not is_real:
        console.print("Minutes on rendered pictures teach less than the gate asks for, and it says so.")
    waits = candidate.review_status == Status.PENDING
    told = [
        f"[bold]Version {candidate.version} of {registry.name} waits for its review[/] (docs/review.md):",
        f"  STREETVEIL_PARAMS=data/demo_loop/params.yaml streetveil review show {candidate.version}",
    ]
    told = [
        *(told if waits else []),
        "[bold]Look at it[/]",
        f"  make pages, then the run monthly-retraining on http://127.0.0.1:4200, and {registry.name} on http://127.0.0.1:5000",
        f"  report: data/demo_loop/{load_params().retraining.folder}/*/evaluation/report.html",
    ]
    console.print("\n".join(["", *told]), highlight=False, soft_wrap=True)
    return 0 if waits or is_real else 1


if __name__ == "__main__":
    try:
        sys.exit(run_inside() if _INSIDE in os.environ else main())
    except StreetveilError as error:
        sys.exit(f"error: {error}")
