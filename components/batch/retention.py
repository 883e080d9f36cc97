"""What Streetveil itself keeps of pictures that are not published, beside the manifests, and erases on time.

Originals stay where they are: whoever holds them erases them. What lies here is what a backfill has held back, a
published file that shows somebody it cannot hide, and what was drawn at the quarantine desk and never decided.
"""

from __future__ import annotations

import time
from pathlib import Path

from components.batch.quarantine_desk.drafts import DRAFTS
from components.batch.second_look import HELD_BACK
from components.batch.storage import written_destination
from components.durable import sync
from components.errors import StreetveilError

_DAY_S = 24 * 3600


def erase_due(published: Path, kept_days: float, now_s: float | None = None) -> int:
    """Erase the held-back files and drafts of a destination whose time is over; calling it again goes on.

    Rows stay: the pictures wait in quarantine as before, and are blurred again from their originals.

    Args:
        published: a folder that a run has written.
        kept_days: how long they are kept after they were last written.
        now_s: the moment that counts, seconds since 1970; by default the present.

    Returns:
        How many files were erased.

    Raises:
        StreetveilError: one cannot be erased; all else has been.
    """
    root = written_destination(published).root
    now_s, erased, faults = time.time() if now_s is None else now_s, 0, []
    for folder in (root / HELD_BACK, root / DRAFTS):
        for file in sorted(path for path in folder.rglob("*") if not path.is_dir()):
            try:
                if now_s - file.lstat().st_mtime >= kept_days * _DAY_S:
                    file.unlink()
                    sync(file.parent)
                    erased += 1
            except FileNotFoundError:
                pass  # it was decided on in this moment
            except OSError as error:
                faults.append(f"{file} cannot be erased: {error.strerror}; remove it")
    if faults:
        raise StreetveilError("; ".join(faults))
    return erased
