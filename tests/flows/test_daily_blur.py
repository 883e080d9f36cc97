"""The nightly flow, run by a real Prefect engine against a real (temporary) server."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.testing.utilities import prefect_test_harness

from components.batch.audit import audit
from components.batch.manifest import read_rows
from components.batch.storage import LocalStorage
from components.errors import ModelError
from components.registry.models import CHAMPION, PREVIOUS, Registry
from components.settings import Environment
from flows.daily_blur import daily_blur
from tests.toy_model import model_file, toy_onnx

DAY = date(2026, 2, 28)


@pytest.fixture(scope="module", autouse=True)
def _prefect() -> Iterator[None]:
    with prefect_test_harness(server_startup_timeout=180):
        yield


def run(day: Path, out: Path):  # type: ignore[no-untyped-def]
    """One nightly run."""
    return daily_blur(day=DAY, source=str(day), destination=str(out / "{day}"), region="eu", workers=2)


def artifacts() -> dict[str, str]:
    """The latest artifacts by key."""
    with get_client(sync_client=True) as client:
        oldest_first = sorted(client.read_artifacts(), key=lambda artifact: artifact.created)
    return {artifact.key: str(artifact.data) for artifact in oldest_first if artifact.key}


def test_a_day_is_published_verified_and_reported(day: Path, tmp_path: Path) -> None:
    """The flow publishes what it can, quarantines the rest, and its report holds figures, latency and model."""
    summary = run(day, tmp_path)
    storage = LocalStorage(tmp_path / "2026-02-28")
    assert (summary.inputs, summary.published, summary.quarantined) == (3, 2, {"decode_refused": 1})
    assert {path: row.state for path, row in read_rows(storage).items()} == {
        "face.jpg": "published",
        "plate.jpg": "published",
        "broken.jpg": "quarantined",
    }
    assert list(audit(storage)) == []
    found = artifacts()
    assert "2 of 3 images published" in found["daily-blur"]
    assert "version 1" in found["daily-blur"]
    assert all(word in found["daily-latency"] for word in ("decode", "detect", "p50", "p95", "p99"))
    assert "broken.jpg" in found["daily-quarantine"]


@pytest.mark.slow
def test_a_second_night_over_the_same_day_has_nothing_to_do(day: Path, tmp_path: Path) -> None:
    """The flow is idempotent: run again, it publishes nothing anew and says what was finished before."""
    run(day, tmp_path)
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "2026-02-28").glob("*.jpg")}
    again = run(day, tmp_path)
    assert (again.inputs, again.finished_before) == (0, 3)
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps


def test_a_fall_back_is_loud_and_without_one_nothing_is_published(
    day: Path, tmp_path: Path, registry_folder: Path
) -> None:
    """A blind champion stops the night; with a sound @previous the night goes on and its report says so on top."""
    registry = Registry.of("streetveil-detector", Environment())
    blind = model_file(tmp_path / "blind.onnx", toy_onnx((0.5, -1.0, 0.5)))
    registry.register([blind], alias=CHAMPION)
    try:
        with pytest.raises(ModelError, match="nothing is published"):
            run(day, tmp_path / "stopped")
        assert not list((tmp_path / "stopped").rglob("*.jpg"))
        registry.set_alias(PREVIOUS, "1")
        summary = run(day, tmp_path)
    finally:
        registry.set_alias(CHAMPION, "1")
    assert "sanity picture" in (summary.fallback_reason or "")
    assert {row.model_version for row in read_rows(LocalStorage(tmp_path / "2026-02-28")).values()} == {"1"}
    assert artifacts()["daily-blur"].startswith("# FALL-BACK")
