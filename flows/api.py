"""`streetveil api`: the service under way, until it is stopped."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from components.errors import StreetveilError
from flows.terminal import errors_in_one_line

if TYPE_CHECKING:
    from components.service.tokens import Tokens

EPILOG = (
    "Example: `streetveil api --published data/published`, then "
    "`curl -H 'Authorization: Bearer TOKEN' -F picture=@street.jpg http://127.0.0.1:8700/blur/ -o blurred.jpg`. "
    "Tokens: STREETVEIL_API_TOKENS or STREETVEIL_API_TOKENS_FILE, `name:token`."
)


def api(
    host: Annotated[str, typer.Option(help="Where to listen; other machines need an address that is not loopback.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: a free one.")] = 8700,
    region: Annotated[
        str | None, typer.Option("--region", "-r", help="Whose rules apply; default: params.yaml.")
    ] = None,
    device: Annotated[str, typer.Option(help="Where the model runs: auto, cpu or cuda.")] = "auto",
    workers: Annotated[
        int | None, typer.Option("--workers", "-w", min=1, help="Processes; default: one a core.")
    ] = None,
    published: Annotated[
        Path | None,
        typer.Option(help="A destination, or a folder of them: what is reported is looked for here."),
    ] = None,
    key_file: Annotated[
        Path | None,
        typer.Option(help="Draw all noise from this key (32 bytes, mode 0600): equal pictures get equal answers."),
    ] = None,
    with_token: Annotated[
        bool, typer.Option("--token/--no-token", help="Ask for a token. Without one: on loopback only.")
    ] = True,
) -> None:
    """Blur pictures over HTTP: Panoramax's POST /blur/, reports, health, metrics, and a page."""
    from components.batch.run_key import read_key
    from components.monitoring.user_reports import ReportBook
    from components.service.app import Service
    from components.service.server import is_loopback, listen, run_service
    from components.service.worker import ServiceOrder, limited
    from components.settings import Environment, load_params
    from flows.one_folder import current_champion, default_workers

    with errors_in_one_line():
        if not with_token and not is_loopback(host):
            raise StreetveilError(f"{host} can be reached by others: leave --no-token out")
        params, environment = load_params(), Environment()
        region_name = params.region(region)[0] if region else None
        tokens, made = _tokens() if with_token else (None, None)
        key = read_key(key_file) if key_file is not None else None
        with listen(host, port) as listener:
            champion = current_champion(params, region_name, device)  # type: ignore[arg-type]
            order = ServiceOrder(champion.bundle, limited(params), region_name, device, key)  # type: ignore[arg-type]
            book = ReportBook(environment.reports, params.reports.same_place_iou)
            processes = workers or default_workers(device)  # type: ignore[arg-type]
            told = version("streetveil")
            is_fallback = champion.fallback_reason is not None
            service = Service(order, processes, params.service, tokens, book, published, told, is_fallback)
            if is_fallback:
                typer.echo(f"FALL-BACK: @previous is used: {champion.fallback_reason}", err=True)
            address = f"http://{host}:{listener.getsockname()[1]}/"
            typer.echo(f"region {order.region_words}, {processes} workers. Ctrl-C stops. The page:")
            typer.echo(address + (f"#token={made}" if made else ""))
            run_service(service, listener)


def _tokens() -> tuple[Tokens, str | None]:
    """The tokens that are set; where none is, one that is made for this start, and its text."""
    from components.service.tokens import Tokens
    from components.settings import Environment

    environment = Environment()
    tokens = Tokens.read(environment.api_tokens.get_secret_value(), environment.api_tokens_file)
    return (tokens, None) if tokens.digests else Tokens.made()
