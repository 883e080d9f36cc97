"""The nightly flow, run by a real Prefect engine against a real (temporary) server."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
import yaml
from prefect.client.orchestration import get_client
from prefect.testing.utilities import prefect_test_harness

from components.batch.audit import audit
from components.batch.manifest import ImageRow, read_rows
from components.batch.places import locked
from components.batch.run import Run, commit_shard
from components.batch.shadow import read_shadow
from components.batch.shards import Shard
from components.batch.storage import LocalStorage
from components.detection.bundle import Bundle
from components.errors import ModelError
from components.monitoring.history import History
from components.registry import champion
from components.registry.champion import Champion
from components.registry.entries import set_tag
from components.registry.models import CHALLENGER, CHAMPION, PREVIOUS, Registry
from components.settings import PROJECT_ROOT, Environment, Params
from flows import daily_shadow
from flows.backfill import backfill
from flows.daily_blur import daily_blur
from tests.archives import publish_day, write_scenes
from tests.toy_model import model_file, toy_onnx

backfill_module = sys.modules["flows.backfill"]
daily_blur_module = sys.modules["flows.daily_blur"]
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


@pytest.mark.slow
def test_a_run_under_way_keeps_its_model_and_its_shadow_publishes_nothing(
    tmp_path: Path, params: Params, fill: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If @champion moves, the night keeps its model and the next has the new; a shadow publishes and costs nothing."""
    told = yaml.safe_load((PROJECT_ROOT / "params.yaml").read_text())
    told["registry"]["model_name"], told["batch"]["shard_size"], told["shadow"]["share"] = "toy", 2, 1
    told["drift"] |= {"folder": str(tmp_path / "drift"), "least_values": 1}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(told))
    monkeypatch.setenv("STREETVEIL_PARAMS", str(tmp_path / "params.yaml"))
    monkeypatch.setattr(champion, "check_sanity", lambda *_: None)
    registry = Registry.of("toy", Environment())
    magenta = model_file(tmp_path / "magenta.onnx", toy_onnx((0.5, -1.0, 0.5)))
    cyan = model_file(tmp_path / "cyan.onnx", toy_onnx((-1.0, 0.5, 0.5)), "license_plate")
    registry.register([magenta], alias=CHAMPION)
    registry.register([magenta, cyan], alias=CHALLENGER)
    fill(tmp_path / "in", 6)

    def commit_and_move(run: Run, shard: Shard, rows: list[ImageRow]) -> str:
        registry.set_alias(CHAMPION, "2")
        return commit_shard(run, shard, rows)

    monkeypatch.setattr(daily_blur_module, "commit_shard", commit_and_move)
    run(tmp_path / "in", tmp_path / "first")
    first = LocalStorage(tmp_path / "first" / "2026-02-28")
    assert {row.model_version for row in read_rows(first).values()} == {"1"}
    seen = read_shadow(first, "2")
    assert set(seen) == set(read_rows(first))
    assert sum(row.blurred("license_plate") for row in seen.values()) > 0
    assert "Version 2 beside version 1, on 6 images" in artifacts()["daily-shadow"]
    assert [(one.day, one.images) for one in History(tmp_path / "drift").nights("2")] == [("2026-02-28", 6)]
    assert list(audit(first)) == []
    set_tag(registry, "2", "gate_verdict", "failed")
    assert daily_shadow.challenger_of(registry, "1") is None
    monkeypatch.setattr(daily_shadow, "cast_shadow", lambda *_: 1 / 0)
    registry.set_alias(CHALLENGER, "1")
    assert run(tmp_path / "in", tmp_path / "next").published == 6
    assert {row.model_version for row in read_rows(LocalStorage(tmp_path / "next" / "2026-02-28")).values()} == {"2"}


@pytest.mark.slow
def test_the_backfill_flow_looks_at_all_archives_within_its_limits(
    tmp_path: Path, params: Params, toy: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The latest archive comes first, a busy one is passed over, the next run does the rest, and the page says so."""
    magenta = model_file(tmp_path / "magenta.onnx", toy_onnx((0.5, -1.0, 0.5)))
    for seed, day in enumerate(("2026-01-01", "2026-01-02", "2026-01-03")):
        write_scenes(tmp_path / "in" / day, [(1, 1), (0, 1)], seed)
        publish_day(tmp_path / "in" / day, tmp_path / "out" / day, Bundle("toy-detector", "1", (magenta,)), params)
    newer = Champion(replace(toy, version="2"))
    monkeypatch.setattr(backfill_module, "current_champion", lambda *_: newer)
    pattern = str(tmp_path / "out" / "*")
    with locked(tmp_path / "out" / "2026-01-02", lambda: None):
        told = backfill(folders=pattern, max_images=3, workers=1)
    assert {day: (one.images, one.left) for day, one in told.items()} == {"2026-01-03": (2, 0), "2026-01-01": (1, 1)}
    told = backfill(folders=pattern, workers=1)
    assert {day: one.images for day, one in told.items()} == {"2026-01-03": 0, "2026-01-02": 2, "2026-01-01": 1}
    assert "| 2026-01-02 | 2 | 2 |" in artifacts()["backfill"]
