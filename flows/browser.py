"""Opening a page whose address holds a secret."""

from __future__ import annotations

import os
import sys
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path


@contextmanager
def opened_in_browser(address: str, folder: Path, wanted: bool) -> Iterator[None]:
    """Open an address while the block runs, if there is a screen to open it on.

    Everybody on a machine can read the arguments of a browser, so it is given a file that only its owner can read and
    that leads to the address.
    """
    has_screen = sys.platform == "darwin" or bool({"DISPLAY", "WAYLAND_DISPLAY"} & set(os.environ))
    if not (wanted and has_screen):
        yield
        return
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    way_in = folder / "open.html"
    way_in.unlink(missing_ok=True)
    way_in.touch(mode=0o600)
    way_in.write_text(f'<meta http-equiv="refresh" content="0;url={escape(address)}">', encoding="utf-8")
    try:
        webbrowser.open(way_in.resolve().as_uri())
        yield
    finally:
        way_in.unlink(missing_ok=True)
