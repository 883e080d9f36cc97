"""Runs on Ray's actors: from the flow and from the command's steps, with the same outputs as on local processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest
from prefect.testing.utilities import prefect_test_harness

from components.batch.audit import audit
from components.batch.manifest import comparable, read_rows
from components.batch.storage import LocalStorage
from components.detection.bundle import Bundle
from components.registry.champion import Champion
from components.settings import Params
from flows.daily_blur import daily_blur
from flows.one_folder import blur_folder
from tests.batch.conftest import tree

ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")


@pytest.fixture
def _prefect() -> Iterator[None]:
    with prefect_test_harness(server_startup_timeout=300):
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("_prefect")
def test_the_nightly_flow_runs_on_ray(day: Path, tmp_path: Path) -> None:
    """With `engine="ray"` the flow publishes, quarantines and commits as ever, and its manifests stand every check."""
    summary = daily_blur(
        day=date(2026, 2, 28),
        source=str(day),
        destination=str(tmp_path / "out"),
        region="eu",
        workers=2,
        engine="ray",
    )
    storage = LocalStorage(tmp_path / "out")
    assert (summary.inputs, summary.published, summary.quarantined) == (3, 2, {"decode_refused": 1})
    assert set(read_rows(storage)) == {"face.jpg", "plate.jpg", "broken.jpg"}
    assert list(audit(storage)) == []
    assert not ray.is_initialized()


@pytest.mark.slow
def test_several_shards_on_ray_are_those_of_local_processes_bit_for_bit(
    tmp_path: Path, fill: Callable, toy: Bundle, params: Params
) -> None:
    """The same key, the same day, two engines: outputs and manifests' rows are equal."""
    fill(tmp_path / "in", 45)
    key = tmp_path / "key"
    key.write_bytes(b"k" * 32)
    key.chmod(0o600)
    for engine in ("local", "ray"):
        blur_folder(
            tmp_path / "in",
            tmp_path / engine,
            params,
            "eu",
            Champion(toy),
            workers=2,
            engine=engine,  # type: ignore[arg-type]
            key_file=key,
        )
    local, rays = LocalStorage(tmp_path / "local"), LocalStorage(tmp_path / "ray")
    assert len(tree(local)) == 45
    assert tree(rays) == tree(local)
    assert comparable(read_rows(rays).values()) == comparable(read_rows(local).values())
