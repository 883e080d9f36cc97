"""How every command ends when something is wrong: one line, and a status."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.markup import escape

from components.errors import StreetveilError

_err = Console(stderr=True)


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    """Tell an error in one line and leave with status 1; with 130 if it was stopped by hand.

    Raises:
        typer.Exit: in both cases.
    """
    try:
        yield
    except StreetveilError as error:
        _err.print(f"[bold red]error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        raise typer.Exit(1) from error
    except KeyboardInterrupt:
        _err.print("stopped; what is finished stays, run the same command again to go on")
        raise typer.Exit(130) from None
