"""Whether a command could be typed: its program, sub-commands, options and targets exist."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import typer
import yaml

from components.settings import PROJECT_ROOT
from flows.cli import app
from flows.gpu_slots import LIMIT

UsageError = typer.BadParameter.__mro__[1]  # typer's own copy of click has no public name for it

_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL)
# Said before a command, and not what it does.
_PACKAGES = {"benchmarks", "components", "flows"}
_UNITS_OF_OTHERS = {"prometheus"}
_OF_PREFECT = {("deployment", "run"), ("gcl", "create")}
_BEFORE = {"sudo": {"-u": 1}, "taskset": {"-c": 1}}


class WrongCommandError(Exception):
    """What is wrong with a command."""


def bare(words: tuple[str, ...]) -> tuple[str, ...]:
    """A command without the variables, users and processors that stand before it."""
    left = list(words)
    while left:
        if _ASSIGNMENT.fullmatch(left[0]):
            left.pop(0)
        elif left[0] in _BEFORE:
            options = _BEFORE[left.pop(0)]
            while left and left[0] in options:
                del left[: 1 + options[left[0]]]
        else:
            break
    return tuple(left)


def check(words: tuple[str, ...]) -> bool:
    """Whether there is a check for a command; it has passed then.

    Raises:
        WrongCommandError: it cannot be typed like this.
    """
    program, *arguments = bare(words) or ("",)
    known: dict[str, Callable[[list[str]], object]] = {
        "streetveil": streetveil, "make": make, "dvc": dvc, "python": python, "systemctl": systemctl,
        "prefect": prefect,
    }  # fmt: skip
    checked = known.get(Path(program).name)
    if checked is None or (Path(program).name == "prefect" and tuple(arguments[:2]) not in _OF_PREFECT):
        return False
    return checked(arguments) is not False


def streetveil(arguments: list[str]) -> None:
    """Sub-commands, options, the number of arguments and their types are those of the command line itself."""
    command, left = _command(arguments)
    try:
        command.make_context(command.name, left)
    except typer.Exit:
        pass  # it was asked for help, or for its version
    except UsageError as error:
        raise WrongCommandError(f"streetveil {' '.join(arguments)}: {error.format_message()}") from error


def options_of(span: str) -> None:
    """The command in a sentence and its options exist; arguments may be left out there.

    Raises:
        WrongCommandError: one does not.
    """
    command, words = _command(span.split()[1:])
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    told = {word.split("=")[0] for word in words if word.startswith("--")}
    if told - known - {"--help"}:
        raise WrongCommandError(f"`{span}`: no option {', '.join(sorted(told - known))}")


def _command(words: list[str]) -> tuple[Any, list[str]]:
    """The command that words name, and the words after its name."""
    command, left = typer.main.get_command(app), list(words)
    while hasattr(command, "commands") and left and re.fullmatch(r"[a-z]+", left[0]):
        if left[0] not in command.commands:
            raise WrongCommandError(f"streetveil has no command {' '.join(words)}")
        command = command.commands[left.pop(0)]
    return command, left


def make(arguments: list[str]) -> None:
    """The Makefile knows how to make the targets."""
    left = [word for word in arguments if "=" not in word]
    if left[:1] == ["-C"]:
        left = left[2:]
    asked = subprocess.run(["make", "-n", *left], cwd=PROJECT_ROOT, capture_output=True, text=True, check=False)
    if asked.returncode:
        raise WrongCommandError(f"make {' '.join(left)}: {asked.stderr.strip()}")


def dvc(arguments: list[str]) -> None:
    """DVC's own parser takes it, and the stages stand in dvc.yaml."""
    from dvc.cli import DvcParserError
    from dvc.cli.parser import get_main_parser

    try:
        parsed = get_main_parser().parse_args(arguments)
    except (DvcParserError, SystemExit) as error:
        raise WrongCommandError(f"dvc {' '.join(arguments)}: {error}") from error
    stages = yaml.safe_load((PROJECT_ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    known = {name if "foreach" not in stage else f"{name}@{key}" for name, stage in stages.items() for key in
             stage.get("foreach", [""])}  # fmt: skip
    unknown = set(parsed.targets) - known if arguments[0] == "repro" else set()
    if unknown:
        raise WrongCommandError(f"dvc.yaml has no stage {', '.join(sorted(unknown))}")


def python(arguments: list[str]) -> bool:
    """A module or script of the project takes the options; a one-liner compiles, and what it imports is there."""
    first, *left = arguments
    if first == "-c":
        for node in ast.walk(ast.parse(left[0])):
            for alias in node.names if isinstance(node, ast.Import) else ():
                __import__(alias.name)
        return True
    if first == "-m" and left[0].partition(".")[0] not in _PACKAGES:
        return False
    if first == "-m":
        place = PROJECT_ROOT / left.pop(0).replace(".", "/")
        file = place / "__main__.py" if place.is_dir() else place.with_suffix(".py")
    else:
        file = PROJECT_ROOT / first
    if not file.is_file():
        raise WrongCommandError(f"there is no module or script {file.relative_to(PROJECT_ROOT)}")
    known = _literals_of_calls(file, "add_argument")
    options = {word.split("=")[0] for word in left if word.startswith("-")}
    if options - known:
        raise WrongCommandError(f"{file.name} has no option {', '.join(sorted(options - known))}")
    parts = _literals_of_calls(file, "add_parser")
    if parts and (not left or left[0] not in parts):
        raise WrongCommandError(f"{file.name} has no part {left[:1]}: {', '.join(sorted(parts))}")
    return True


def systemctl(arguments: list[str]) -> None:
    """The units are those of `deploy/systemd`, or of a package that the documents install."""
    verb, *units = [word for word in arguments if not word.startswith("-")]
    known = {path.name for path in (PROJECT_ROOT / "deploy" / "systemd").iterdir()} | _UNITS_OF_OTHERS
    unknown = [unit for unit in units if unit not in known and f"{unit}.service" not in known]
    if unknown or verb not in {"enable", "start", "stop", "restart", "daemon-reload", "status"}:
        raise WrongCommandError(f"no unit {', '.join(unknown)} in deploy/systemd, or no verb {verb}")


def prefect(arguments: list[str]) -> None:
    """The deployment stands in prefect.yaml, and its flow has the parameters; a limit is one that the flows ask for."""
    if arguments[0] == "gcl":
        if arguments[2:4] != [LIMIT, "--limit"] or not "".join(arguments[4:]).isdigit():
            raise WrongCommandError(f"no flow takes slots of {arguments[2]}, or it has no number of them")
        return
    flow_name, _, deployment = arguments[2].partition("/")
    known = yaml.safe_load((PROJECT_ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
    for one in known:
        file, _, function = one["entrypoint"].partition(":")
        tree = ast.parse((PROJECT_ROOT / file).read_text(encoding="utf-8"))
        flows = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == function]
        if one["name"] == deployment and f'name="{flow_name}"' in (PROJECT_ROOT / file).read_text(encoding="utf-8"):
            parameters = {argument.arg for argument in flows[0].args.args}
            told = {word.partition("=")[0] for before, word in pairwise(arguments) if before == "--param"}
            if told - parameters:
                raise WrongCommandError(f"{flow_name} has no parameter {', '.join(sorted(told - parameters))}")
            return
    raise WrongCommandError(f"prefect.yaml has no deployment {arguments[2]}")


def _literals_of_calls(file: Path, method: str) -> set[str]:
    """The texts in a file's calls of a method, and in those of the module that it has its `arguments` from."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    shared = [
        PROJECT_ROOT / f"{(node.module or '').replace('.', '/')}.py"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and any(alias.name == "arguments" for alias in node.names)
    ]
    of_others = (_literals_of_calls(other, method) for other in shared)
    return set().union(*of_others) | {
        argument.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == method
        for argument in node.args
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    }
