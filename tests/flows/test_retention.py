"""The daily flow erases what is due in every archive of the pattern."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from components.batch.second_look import HELD_BACK
from components.batch.storage import open_destination
from components.settings import Params
from flows import retention as flow


def test_every_archive_loses_what_is_due(tmp_path: Path, params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two days the old one's held-back file goes, the new one's stays, and the old day is counted."""
    settings = params.model_copy(update={"backfill": params.backfill.model_copy(update={"folders": f"{tmp_path}/20*"})})
    monkeypatch.setattr(flow, "load_params", lambda: settings)
    for day, age_days in (("2026-01-01", 61), ("2026-03-01", 1)):
        storage = open_destination(tmp_path / day)
        storage.write(f"{HELD_BACK}/a.jpg", b"x")
        os.utime(storage.root / HELD_BACK / "a.jpg", (time.time() - age_days * 24 * 3600,) * 2)
    assert flow.erase_held_back.fn() == {"2026-01-01": 1}
    assert not (tmp_path / "2026-01-01" / HELD_BACK / "a.jpg").exists()
    assert (tmp_path / "2026-03-01" / HELD_BACK / "a.jpg").exists()
