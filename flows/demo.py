"""`make demo`: a small day through the real nightly flow, and where to look at what it made."""

from __future__ import annotations

import os
import shutil
import sys
from datetime import date
from pathlib import Path

from rich.console import Console

from components.batch.audit import audit
from components.batch.manifest import PUBLISHED, ImageRow, manifest_paths, read_rows
from components.batch.storage import LocalStorage
from components.dataset.demo_day import write_demo_day
from components.errors import StreetveilError
from components.evaluation.sheet import Pair, before_after_sheet
from components.settings import PROJECT_ROOT
from flows.console import print_summary
from flows.pages import prefect_server

_FOLDER = PROJECT_ROOT / "data" / "demo"
_DAY = date(2024, 2, 29)


def main() -> int:
    """Make the day, blur it, check it, show it.

    Returns:
        0 if the demo's pictures were published and its two bad files quarantined.
    """
    console = Console()
    shutil.rmtree(_FOLDER, ignore_errors=True)
    source, destination = _FOLDER / "incoming" / str(_DAY), _FOLDER / "published" / str(_DAY)
    files = write_demo_day(source)
    console.print(f"A day of {len(files)} files is in {_shown(source)}. Starting a Prefect server …")
    with prefect_server() as api:
        os.environ.update(PREFECT_API_URL=api, PREFECT_LOGGING_LEVEL="WARNING")
        from flows.daily_blur import daily_blur  # Prefect reads its settings when it is imported

        console.print("Running the nightly flow (the first time it registers the model) …")
        summary = daily_blur(day=_DAY, source=str(source), destination=str(destination))
    print_summary(console, summary, _shown(destination))

    storage = LocalStorage(destination)
    rows = read_rows(storage)
    sheet = _FOLDER / "before_after.png"
    in_order = sorted(rows.values(), key=lambda row: (row.state != PUBLISHED, row.path))
    pairs = [_pair(row, source, destination) for row in in_order]
    before_after_sheet(pairs, f"Streetveil: {_DAY}, {summary.model}").save(sheet)
    findings = list(audit(storage))
    manifests = ", ".join(str(_shown(destination / path)) for path in manifest_paths(storage))
    console.print(
        f"\n[bold]Look at it[/]\n"
        f"  before and after   {_shown(sheet)}\n"
        f"  blurred pictures   {_shown(destination)}\n"
        f"  manifest           {manifests}\n"
        f"  checked            {len(rows)} images, {len(findings)} findings (streetveil verify {_shown(destination)})\n"
        f"  the run's page and the model's page: make pages, then http://127.0.0.1:4200 and http://127.0.0.1:5000",
        highlight=False,
        soft_wrap=True,
    )
    as_planned = not findings and {path for path, row in rows.items() if row.state != PUBLISHED} == {
        "bad/broken.jpg",
        "bad/hostile.png",
    }
    return 0 if as_planned else 1


def _pair(row: ImageRow, source: Path, destination: Path) -> Pair:
    if row.state != PUBLISHED:
        return Pair(row.path, source / row.path, None, f"quarantined: {row.reason}")
    note = f"{row.blurred('face')} faces, {row.blurred('license_plate')} plates"
    return Pair(row.path, source / row.path, destination / row.path, note)


def _shown(path: Path) -> Path:
    """A path as the user would type it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


if __name__ == "__main__":
    try:
        sys.exit(main())
    except StreetveilError as error:
        sys.exit(f"error: {error}")
