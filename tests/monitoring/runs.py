"""Rows, records and runs for the tests of monitoring."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from components.batch.manifest import PUBLISHED, QUARANTINED, ImageRow, Proposal
from components.batch.run import Run
from components.batch.run_key import RunKey
from components.batch.storage import open_destination
from components.batch.work_order import WorkOrder
from components.detection.bundle import Bundle
from components.errors import Reason
from components.monitoring.run_figures import figures_of
from components.monitoring.run_record import RunRecord
from components.settings import Params


def proposal(stage: int = 1, outcome: str = "blurred") -> Proposal:
    """A face of which the three stages are sure by 0.3, 0.6 and 0.9."""
    return Proposal("face", 1, 1, 9, 9, stage, 0.3, 0.6, 0.9, outcome)


def row(
    number: int, *, reason: Reason | None = None, attempts: int = 1, detect_ms: float = 100, **more: Any
) -> ImageRow:
    """An image's row; published unless there is a reason."""
    state = PUBLISHED if reason is None else QUARANTINED
    times = {} if reason else {"read_ms": 1.0, "detect_ms": detect_ms}
    words = (reason and str(reason), reason and "why")
    fixed = ("eu", "toy", "1", "0" * 64, "test", 10, number)
    return ImageRow(f"anna-example/{number}.jpg", state, *words, attempts, *fixed, **times, **more)


def open_run_of(folder: Path, toy: Bundle, params: Params) -> Run:
    """A run that is open without a lock, over a destination below a folder."""
    storage = open_destination(folder / "2026-02-28")
    order = WorkOrder(folder / "in", storage, "eu", params, toy, b"k" * 32, "test")
    return Run(order, storage, folder / "2026-02-28", RunKey(b"k" * 32, folder / "key"))


def record(day: str = "2026-02-28", **changes: Any) -> RunRecord:
    """A finished nightly run of nine published images and one in quarantine, 10 s long."""
    figures = figures_of([*(row(i, proposals=(proposal(2),)) for i in range(9)), row(9, reason=Reason.DECODE_REFUSED)])
    values: dict[str, Any] = {
        "kind": "daily", "day": day, "model_version": "3", "region": "eu", "started_s": 1000.0, "updated_s": 1010.0,
        "planned": 10, "state": "finished", "figures": figures, "whole": dict(figures.images),
    }  # fmt: skip
    return RunRecord(**{**values, **changes})
