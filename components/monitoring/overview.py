"""How the whole installation stands, from what lies on its disks and what its registry says; nothing is changed."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from components.batch.storage import STATE_FOLDER
from components.monitoring.drift import DriftReport
from components.monitoring.history import History
from components.monitoring.run_record import RunRecord, read_record
from components.monitoring.user_reports import ReportBook, ReportCounts
from components.registry.models import Registry
from components.registry.standing import Standing, standing_of
from components.settings import PROJECT_ROOT, Environment, Params


@dataclass(frozen=True, slots=True)
class Disk:
    """The disk that a folder of the installation lies on.

    Attributes:
        what: originals, published or state.
        free_bytes, size_bytes: of the disk.
    """

    what: str
    free_bytes: int
    size_bytes: int

    @property
    def free_share(self) -> float:
        """Of the disk, 0 to 1."""
        return self.free_bytes / self.size_bytes if self.size_bytes else 0.0


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything at one moment.

    Attributes:
        at_s: when, s since 1970.
        runs: the latest run over each of the latest destinations, with its folder; the last day first.
        waiting_days: with originals of past days that no run has brought to its end.
        standing: of the registry; None if it was not asked.
        drift: the last comparison; None if there was none.
        reports: what people have reported; None if nobody ever has.
        disks: where the installation's folders lie.
    """

    at_s: float
    runs: tuple[tuple[Path, RunRecord], ...]
    waiting_days: tuple[str, ...]
    standing: Standing | None
    drift: DriftReport | None
    reports: ReportCounts | None
    disks: tuple[Disk, ...]


def overview(
    params: Params, environment: Environment, published: Path | None = None, with_registry: bool = True
) -> Overview:
    """Look at everything.

    Args:
        params: all settings.
        environment: where registry and reports are.
        published: a destination, or a folder of them, instead of those of the nightly run.
        with_registry: ask the registry, too; that takes seconds.

    Raises:
        StreetveilError: the reports cannot be read.
    """
    folders = _below(published) if published else sorted(_days(params.daily.destination).values(), reverse=True)
    written = [folder for folder in folders if (folder / STATE_FOLDER).is_dir()]
    runs = ((folder, read_record(folder)) for folder in written[: params.monitoring.shown_runs])
    book = ReportBook(environment.reports, params.reports.same_place_iou)
    return Overview(
        time.time(),
        tuple((folder, record) for folder, record in runs if record is not None),
        tuple(_waiting_days(params)) if published is None else (),
        standing_of(Registry.of(params.registry.model_name, environment)) if with_registry else None,
        History(_absolute(params.drift.folder)).last_report(),
        book.counts() if environment.reports.is_file() else None,
        tuple(_disks(params, environment, published)),
    )


def _waiting_days(params: Params) -> Iterator[str]:
    """Past days whose originals lie there and whose destination is not done. Today's are still coming in."""
    if "://" in params.daily.destination:
        return  # no bucket is asked, so nobody can tell
    today = date.today().isoformat()
    for day in sorted(_days(params.daily.source)):
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", day) and day < today:
            destination = _absolute(params.daily.destination.replace("{day}", day))
            record = read_record(destination)
            if record is None:
                is_done = (destination / STATE_FOLDER).is_dir()  # of a release that kept no records
            else:
                is_done = record.state in ("finished", "running") or not (record.planned is None or record.left)
            if not is_done:
                yield day


def _days(pattern: str) -> dict[str, Path]:
    """The folders of a pattern in which `{day}` stands for any day, by the day."""
    root, relative = (Path("/"), pattern.lstrip("/")) if Path(pattern).is_absolute() else (PROJECT_ROOT, pattern)
    day = re.compile(re.escape(relative).replace(re.escape("{day}"), "([^/]+)", 1).replace(re.escape("{day}"), r"\1"))
    found = {}
    for path in root.glob(relative.replace("{day}", "*")):
        match = day.fullmatch(path.relative_to(root).as_posix())
        if match and match.groups() and path.is_dir():
            found[match[1]] = path
    return found


def _below(published: Path) -> list[Path]:
    if (published / STATE_FOLDER).is_dir():
        return [published]
    return sorted((path.parent for path in published.glob(f"*/{STATE_FOLDER}")), reverse=True)


def _disks(params: Params, environment: Environment, published: Path | None) -> Iterator[Disk]:
    folders = {
        "originals": _absolute(params.daily.source.partition("{day}")[0]),
        "published": published or _absolute(params.daily.destination.partition("{day}")[0]),
        "state": environment.reports.parent,
    }
    for what, folder in folders.items():
        there = next((one for one in (folder, *folder.absolute().parents) if one.is_dir()), Path("/"))
        told = shutil.disk_usage(there)
        yield Disk(what, told.free, told.total)


def _absolute(folder: str) -> Path:
    return Path(folder) if Path(folder).is_absolute() else PROJECT_ROOT / folder
