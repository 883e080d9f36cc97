"""Where the originals of samples wait for labels: a private folder a sample, erased on time.

`data/labelling/<sample id>/` holds `sample.json`, `originals/`, and later what was exported. Once people's labels have
landed it says so in `imported.json`, and once erasing has begun, in `erased.json`; that mark is written first, so
whoever is interrupted leaves originals that nobody imports any more and that the next call removes.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from components.dataset.labelling.files import make_private, write_whole
from components.dataset.labelling.sample import SAMPLE_FILE, Sample, read_sample, sample_json
from components.durable import sync
from components.errors import StreetveilError
from components.settings import PROJECT_ROOT, Labelling

State = Literal["waiting", "imported", "erased"]
ORIGINALS = "originals"
_IMPORTED, _ERASED = "imported.json", "erased.json"
_OUTLIVES = {SAMPLE_FILE, _IMPORTED, _ERASED}
_DRAFT = ".draft-"
_ABANDONED_AFTER_S = 24 * 3600  # no draw takes that long


@dataclass(frozen=True, slots=True)
class Standing:
    """How a sample stands.

    Attributes:
        sample_id: its id.
        state: whether labels have landed.
        images: how many pictures it has.
        originals: how many of them are still at the desk.
        drawn_at: when.
        erase_at: from when on its originals are erased.
    """

    sample_id: str
    state: State
    images: int
    originals: int
    drawn_at: datetime
    erase_at: datetime


def desk_of(sample_id: str, settings: Labelling, project: Path = PROJECT_ROOT) -> Path:
    """The folder of a sample."""
    return project / settings.folder / sample_id


def desks(settings: Labelling, project: Path = PROJECT_ROOT) -> list[Path]:
    """The folders of all samples that have one."""
    return sorted(path for path in (project / settings.folder).glob("[!.]*") if path.is_dir())


def records(settings: Labelling, project: Path = PROJECT_ROOT) -> Path:
    """The folder with the record of every sample: versioned, without pictures, and left when a desk is cleared."""
    return project / settings.labelled / "samples"


@contextmanager
def drafted(root: Path, sample_id: str) -> Iterator[Path]:
    """A new private folder that becomes the sample's desk at the end, whole, or vanishes.

    Raises:
        StreetveilError: it cannot be made, or the same sample has been laid out meanwhile.
    """
    try:
        make_private(root)
        draft = Path(tempfile.mkdtemp(prefix=f"{_DRAFT}{sample_id}-", dir=root))  # mode 0700
    except OSError as error:
        raise StreetveilError(f"cannot write to {root}: {error.strerror}; change labelling.folder") from error
    try:
        make_private(draft / ORIGINALS)
        yield draft
        draft.rename(root / sample_id)
        sync(root)
    except OSError as error:
        raise StreetveilError(f"{root / sample_id} cannot be laid out ({error.strerror}); look at it") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def record(sample: Sample, settings: Labelling, project: Path = PROJECT_ROOT) -> None:
    """Keep what a sample consists of; the same again changes nothing."""
    place = make_private(records(settings, project)) / f"{sample.sample_id}.json"
    if not place.is_file():
        write_whole(place, sample_json(sample))


def state(folder: Path) -> State:
    """Whether people's labels of a sample have landed; "erased": they have not, and no longer can."""
    if (folder / _IMPORTED).is_file():
        return "imported"
    return "erased" if (folder / _ERASED).is_file() or not folder.is_dir() else "waiting"


def is_erased(folder: Path) -> bool:
    """Erasing has begun."""
    return (folder / _ERASED).is_file()


def mark_imported(folder: Path, told: dict[str, object]) -> None:
    """From now on the sample's labels have landed."""
    write_whole(folder / _IMPORTED, json.dumps({"at": datetime.now(UTC).isoformat(), **told}) + "\n")


def erase(folder: Path) -> int:
    """Erase all that shows somebody; labels, and what the sample consisted of, stay. Calling it again goes on.

    Returns:
        How many originals were removed by this call.

    Raises:
        StreetveilError: something cannot be removed.
    """
    try:
        if not is_erased(folder):
            write_whole(folder / _ERASED, json.dumps({"at": datetime.now(UTC).isoformat()}) + "\n")
        removed = _originals(folder)
        for path in folder.iterdir():
            if path.name not in _OUTLIVES:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        sync(folder)
    except OSError as error:
        raise StreetveilError(f"{error.filename or folder} cannot be erased: {error.strerror}; remove it") from error
    return removed


def erase_due(settings: Labelling, project: Path = PROJECT_ROOT, now: datetime | None = None) -> dict[str, int]:
    """Erase the originals of every sample whose time is over, what an interruption has left of them, and lost drafts.

    Returns:
        How many originals were removed, by sample; those without any are left out.

    Raises:
        StreetveilError: something cannot be removed; all else has been.
    """
    now = now or datetime.now(UTC)
    removed, faults = {}, []
    _remove_drafts(project / settings.folder)
    for folder in desks(settings, project):
        if is_erased(folder) or now >= _erase_at(folder, settings):
            try:
                removed[folder.name] = erase(folder)
            except StreetveilError as error:
                faults.append(str(error))
    if faults:
        raise StreetveilError("; ".join(faults))
    return {name: count for name, count in removed.items() if count}


def standings(settings: Labelling, project: Path = PROJECT_ROOT) -> list[Standing]:
    """How every sample stands, oldest first.

    Raises:
        StreetveilError: a sample's file is damaged.
    """
    told = []
    for folder in desks(settings, project):
        sample = read_sample(folder)
        erase_at = sample.drawn_at + timedelta(days=_kept_days(sample, settings))
        counts = len(sample.images), _originals(folder)
        told.append(Standing(sample.sample_id, state(folder), *counts, sample.drawn_at, erase_at))
    return sorted(told, key=lambda standing: standing.drawn_at)


def _originals(folder: Path) -> int:
    return sum(path.is_file() for path in (folder / ORIGINALS).glob("*"))


def _erase_at(folder: Path, settings: Labelling) -> datetime:
    try:
        sample = read_sample(folder)
    except StreetveilError:  # a damaged file must not keep originals for good
        drawn_at = datetime.fromtimestamp(folder.stat().st_mtime, UTC)
        return drawn_at + timedelta(days=settings.kept_days())
    return sample.drawn_at + timedelta(days=_kept_days(sample, settings))


def _kept_days(sample: Sample, settings: Labelling) -> float:
    return settings.kept_days({image.region for image in sample.images})


def _remove_drafts(root: Path) -> None:
    for draft in root.glob(f"{_DRAFT}*"):
        if time.time() - draft.stat().st_mtime > _ABANDONED_AFTER_S:
            shutil.rmtree(draft, ignore_errors=True)
