"""Every command of README.md and docs/ can be typed, and none of them is silently left out."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.documents.blocks import DOCUMENTS, commands, fenced, spans, split
from tests.documents.checks import WrongCommandError, bare, check, options_of

# What no test can look at: by document and the beginning of the command, with the reason. An entry that is not needed
# any more fails.
_OF_THE_SYSTEM = "needs a machine of its own; tests/servers/test_deployment.py starts the same parts as its units do"
_OF_THE_SHELL = "a shell's own word; bash has looked at the block's syntax"
UNCHECKED = {
    ("docs/deploy.md", "apt-get install postgresql"): _OF_THE_SYSTEM,
    ("docs/deploy.md", "adduser "): _OF_THE_SYSTEM,
    ("docs/deploy.md", "install "): _OF_THE_SYSTEM,
    ("docs/deploy.md", "git clone YOUR-COPY"): "only the reader knows where their copy is",
    ("docs/deploy.md", "git -C /opt/streetveil pull"): "changes a repository",
    ("docs/deploy.md", "chown "): _OF_THE_SYSTEM,
    ("docs/deploy.md", "cp "): _OF_THE_SYSTEM,
    ("docs/deploy.md", "cat "): _OF_THE_SYSTEM,
    ("docs/deploy.md", "psql "): "needs PostgreSQL; tests/servers/postgresql.py feeds it the same file",
    ("docs/deploy.md", "-s"): _OF_THE_SHELL,
    ("docs/deploy.md", "cd "): _OF_THE_SHELL,
    ("docs/deploy.md", "set "): _OF_THE_SHELL,
    ("docs/deploy.md", ". "): _OF_THE_SHELL,
    ("docs/deploy.md", "exit"): _OF_THE_SHELL,
    ("docs/deploy.md", "ls "): _OF_THE_SYSTEM,
    ("docs/deploy.md", "/opt/streetveil/scripts/make-secrets "): "tests/test_deploy_files.py runs it",
    ("docs/deploy.md", ".venv/bin/mlflow db upgrade"): "another project's command on a server's database",
    (
        "docs/deploy.md",
        ".venv/bin/python -m mlflow.server.auth db upgrade",
    ): "another project's, on a database",
    ("docs/deploy.md", ".venv/bin/prefect server database upgrade"): "another project's command on a server's database",
    ("docs/labelling.md", "git "): "changes the repository",
    ("docs/monitoring.md", "apt-get install prometheus"): _OF_THE_SYSTEM,
    ("docs/monitoring.md", "chgrp "): _OF_THE_SYSTEM,
    ("docs/monitoring.md", "chmod "): _OF_THE_SYSTEM,
    ("docs/monitoring.md", "echo "): _OF_THE_SHELL,
    ("docs/monitoring.md", "tee "): _OF_THE_SYSTEM,
    ("docs/monitoring.md", "cd "): _OF_THE_SHELL,
    ("docs/monitoring.md", "install "): _OF_THE_SYSTEM,
    (
        "docs/monitoring.md",
        "promtool ",
    ): "needs Prometheus; tests/servers/test_monitoring.py checks the file with it",
    ("docs/operate.md", "export "): _OF_THE_SHELL,
    ("docs/operate.md", ".cache/uv/bin/uv pip install "): "changes the environment",
    ("docs/operate.md", ".cache/uv/bin/uv pip uninstall "): "changes the environment",
    ("docs/operate.md", ".venv/bin/ray start"): "another project's command; needs the extra `ray`",
    ("docs/service.md", "curl "): "another project's command; tests/servers/test_service.py sends the same request",
}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_block_is_a_shells(document) -> None:  # type: ignore[no-untyped-def]
    """Bash can read each block, and what is meant for a shell says so: no command hides in a block without a name."""
    text = document.read_text(encoding="utf-8")
    for block in fenced(text):
        read = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True, check=False)
        assert read.returncode == 0, read.stderr
    unnamed = re.findall(r"^```\n(.*?)^```$", _without_named(text), re.MULTILINE | re.DOTALL)
    assert not [block for block in unnamed if re.search(r"^(\.venv/bin/|streetveil |make |dvc |sudo )", block, re.M)]


@pytest.mark.parametrize("command", commands(), ids=lambda command: f"{command.document}: {command.text[:60]}")
def test_every_command_can_be_typed(command) -> None:  # type: ignore[no-untyped-def]
    """Its sub-commands, options, targets and units exist, or it stands in the list above with a reason."""
    listed = _reason(command.document, command.words)
    assert check(command.words) is (listed is None), "check it, or say in UNCHECKED why not; and only one of both"


def test_no_reason_outlives_its_command() -> None:
    """Each entry of the list is about a command that is still documented."""
    told = [(command.document, _text(command.words)) for command in commands()]
    for document, beginning in UNCHECKED:
        assert any(where == document and text.startswith(beginning) for where, text in told), (document, beginning)


def test_every_command_in_a_sentence_exists() -> None:
    """`streetveil …` between backticks names a command that there is, with options that it has."""
    looked_at = 0
    for document in DOCUMENTS:
        for span in spans(document.read_text(encoding="utf-8")):
            if re.match(r"streetveil( |$)", span):
                options_of(span)
                looked_at += 1
    assert looked_at > 20


@pytest.mark.parametrize(
    "wrong",
    [
        "streetveil blurr photos blurred",
        "streetveil blur photos blurred --regoin eu",
        "streetveil blur photos",
        "streetveil blur photos blurred --workers many",
        "streetveil quarantine lost blurred",
        "streetveil quarantine discard blurred a.jpg",
        "make demonstration",
        "sudo make -C /opt/streetveil enviroment",
        "dvc repro evaluate@half",
        "dvc reproduce",
        "python -m benchmarks.nothing",
        "OMP_NUM_THREADS=1 python -m benchmarks.video --second 3",
        ".venv/bin/python scripts/backup.py resotre FOLDER",
        "python -c 'import nothing_of_the_kind'",
        "sudo systemctl start streetveil-nothing",
        "prefect deployment run daily-blur/hourly",
        "prefect deployment run daily-blur/nightly --param night=1",
        "prefect gcl create streetveil-gpus --limit 1",
        "prefect gcl create streetveil-gpu --limit all",
    ],
)
def test_a_wrong_command_is_found(wrong: str) -> None:
    """The checks can fail: misspelt commands, options, targets, modules, units and deployments do."""
    (words,) = split(wrong)
    with pytest.raises((WrongCommandError, ImportError)):
        check(words)


@pytest.mark.parametrize("wrong", ["streetveil quarantine lost", "streetveil blur --regoin eu", "streetveil nothing"])
def test_a_wrong_command_in_a_sentence_is_found(wrong: str) -> None:
    """A sentence that names a command or an option that there is not fails, too."""
    with pytest.raises(WrongCommandError):
        options_of(wrong)


def test_a_program_that_nobody_knows_is_not_passed_over() -> None:
    """A command without a check is told apart from one that has passed it."""
    assert check(("frobnicate", "--all")) is False
    assert _reason("README.md", ("frobnicate", "--all")) is None


def test_blocks_are_split_as_a_shell_splits_them() -> None:
    """Comments, continued lines, quotes over two lines, operators and redirections."""
    block = "a -b 'c # d' && e;f | g > h # i\n# nothing\nk \\\n  l\nm 'n\no' >> p\n"
    assert list(split(block)) == [("a", "-b", "c # d"), ("e",), ("f",), ("g",), ("k", "l"), ("m", "n\no")]
    with pytest.raises(ValueError, match="never closed"):
        list(split("a 'b"))


def _text(words: tuple[str, ...]) -> str:
    return " ".join(bare(words))


def _reason(document: str, words: tuple[str, ...]) -> str | None:
    text = _text(words)
    reasons = (
        reason for (where, beginning), reason in UNCHECKED.items() if where == document and text.startswith(beginning)
    )
    return next(reasons, None)


def _without_named(text: str) -> str:
    return re.sub(r"^```\w+[^\n]*\n.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
