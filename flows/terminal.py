"""Where commands print, and how their errors look."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.markup import escape

from components.errors import StreetveilError
from components.event_log import REMEDY, is_json, log_event, log_failure

err = Console(stderr=True)
out = Console()


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    """What goes wrong is told in one line, with exit status 1; an interruption with 130.

    A log of JSON lines has the place and not the words, which name files.
    """
    try:
        yield
    except StreetveilError as error:
        if is_json():
            log_failure("command.failed", error, remedy=REMEDY, exit_status=1)
            raise typer.Exit(1) from error
        err.print(f"[bold red]error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        raise typer.Exit(1) from error
    except KeyboardInterrupt:
        if is_json():
            log_event("command.interrupted", exit_status=130)
            raise typer.Exit(130) from None
        err.print("stopped; what is finished stays, run the same command again to go on")
        raise typer.Exit(130) from None
