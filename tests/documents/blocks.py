"""The commands of the documentation, one by one, as a shell would see them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from components.settings import PROJECT_ROOT

DOCUMENTS = (PROJECT_ROOT / "README.md", *sorted((PROJECT_ROOT / "docs").glob("*.md")))
_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_SHELLS = {"sh", "bash", "shell", "console", "zsh"}
_BETWEEN = {"&&", "||", ";", "|", "&"}


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a document.

    Attributes:
        document: its path in the project.
        words: as the shell splits them, without what is redirected.
    """

    document: str
    words: tuple[str, ...]

    @property
    def text(self) -> str:
        """The command in one line, quoted as needed."""
        return shlex.join(self.words)


def fenced(text: str) -> Iterator[str]:
    """The blocks of a document that are meant for a shell."""
    return (body for language, body in _FENCE.findall(text) if language in _SHELLS)


def spans(text: str) -> Iterator[str]:
    """What stands between single backticks, outside of all blocks."""
    return iter(_SPAN.findall(_FENCE.sub("", text)))


def split(block: str) -> Iterator[tuple[str, ...]]:
    """The commands of a block: lines are joined where a quote or a backslash leaves them open, and cut at operators.

    Raises:
        ValueError: a quote is never closed.
    """
    open_line = ""
    for line in block.splitlines():
        open_line += line
        if open_line.endswith("\\"):
            open_line = open_line[:-1]
            continue
        try:
            yield from _cut(open_line)
        except ValueError:  # a quote is still open
            open_line += "\n"
            continue
        open_line = ""
    if open_line.strip():
        raise ValueError(f"a quote is never closed: {open_line[:60]!r}")


def commands(documents: tuple[Path, ...] = DOCUMENTS) -> list[Command]:
    """Every command of every block."""
    return [
        Command(path.relative_to(PROJECT_ROOT).as_posix(), words)
        for path in documents
        for block in fenced(path.read_text(encoding="utf-8"))
        for words in split(block)
    ]


def _cut(line: str) -> Iterator[tuple[str, ...]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|<>")
    lexer.whitespace_split = True
    words: list[str] = []
    redirected = False
    for word in [*lexer, ";"]:
        if word in _BETWEEN:
            if words:
                yield tuple(words)
            words = []
        elif word in ("<", ">", ">>"):
            redirected = True
        elif redirected:
            redirected = False
        else:
            words.append(word)
