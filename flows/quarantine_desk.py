"""`streetveil quarantine desk`: from two places to a page, and to the worker behind it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import typer

from components.batch.engines.local import local_engine
from components.batch.exemption_book import ExemptionBook
from components.batch.index import valid_rows
from components.batch.places import place_of, written
from components.batch.quarantine import waiting
from components.batch.quarantine_desk.page import Desktop, desk_app, desk_page
from components.batch.quarantine_desk.publication import Busy, Desk, destination_held, finish_interrupted
from components.batch.run import check_folders, code_revision
from components.batch.storage import Storage
from components.batch.work_order import WorkOrder
from components.errors import StreetveilError
from components.local_page.server import listen, run_page
from components.monitoring.run_record import recount
from components.settings import Environment, load_params
from flows.browser import opened_in_browser
from flows.one_folder import current_champion
from flows.terminal import err

_WORKERS = 2  # one may look ahead while the other publishes
_KEY_BYTES = 32


def run_desk(
    source: str, destination: str, by: str, region: str | None, device: str, port: int, open_browser: bool
) -> None:
    """Serve the page until Ctrl-C.

    Raises:
        StreetveilError: nobody decides, the places cannot be used, there is no usable model, or the port is taken.
    """
    if not by.strip():
        raise StreetveilError("nothing is decided without a name: add --by")
    with opened_desk(source, destination, by, region, device) as desktop, listen(port) as listener:
        page = desk_page(secrets.token_urlsafe(32), listener.getsockname()[1])
        typer.echo(f"{len(waiting(valid_rows(desktop.desk.storage)))} pictures wait. Ctrl-C stops; open")
        typer.echo(page.address)
        with TemporaryDirectory() as private, opened_in_browser(page.address, Path(private), wanted=open_browser):
            run_page(desk_app(page, desktop), listener)


@contextmanager
def opened_desk(source: str, destination: str, by: str, region: str | None, device: str) -> Iterator[Desktop]:
    """A desk with its worker processes, after what one that died had begun has come to its end."""
    params = load_params()
    region_name = params.region(region)[0] if region else None
    originals, outputs = place_of(source), place_of(destination)
    check_folders(originals, outputs)
    storage, book = written(outputs), ExemptionBook(Environment().exemptions)
    _finish(storage)
    champion = current_champion(params, region_name, device)  # type: ignore[arg-type]
    if champion.fallback_reason:
        err.print(f"@previous is used: {champion.fallback_reason}")
    order = WorkOrder(
        originals.resolve() if isinstance(originals, Path) else originals, storage, region_name, params,
        champion.bundle, secrets.token_bytes(_KEY_BYTES), code_revision(), device, book.granted(),  # type: ignore[arg-type]
    )  # fmt: skip
    with local_engine(order, _WORKERS) as engine:
        yield Desktop(Desk(engine, outputs, book, by), lambda: recount(storage))


def _finish(storage: Storage) -> None:
    """Bring to its end what a desk that died had begun; a run that holds the destination does not keep anybody out."""
    try:
        with destination_held(storage):
            ended = finish_interrupted(storage)
    except Busy as busy:
        err.print(f"{busy}; until then you can look and draw")
        return
    if ended:
        err.print(f"{ended} pictures that a desk before had begun to publish are published")
