"""A day from one bucket to another, on a real object store."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.batch import object_store as adapter
from components.batch.audit import audit
from components.batch.index import valid_rows
from components.batch.lease import Pace, leased
from components.batch.object_store import ObjectStore
from components.detection.bundle import Bundle
from components.monitoring.run_record import RECORD
from components.registry.champion import Champion
from components.settings import Params
from flows.one_folder import blur_folder
from tests.servers.machine import Machine
from tests.servers.units import settings_of

pytestmark = pytest.mark.servers
SOURCE, DESTINATION = ObjectStore("street", "incoming/"), ObjectStore("published", "2026-02-28/")


@pytest.fixture
def buckets(machine: Machine, object_store: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Two buckets, and the environment of somebody who may write to them."""
    environment = {**machine.environment, **settings_of(machine.secrets / "admin.env")}
    for name in ("AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, environment[name])
    adapter.client.cache_clear()
    for store in (SOURCE, DESTINATION):
        with contextlib.suppress(object_store.exceptions.BucketAlreadyOwnedByYou):  # the test before has made it
            object_store.create_bucket(Bucket=store.bucket)
    yield object_store
    adapter.client.cache_clear()


def test_a_bucket_is_blurred_to_another_and_verified(
    buckets: Any, fill: Callable, tmp_path: Path, params: Params, toy: Bundle
) -> None:
    """Everything is published or quarantined, audited, and left alone by a second run; no original leaves."""
    files = fill(tmp_path / "in", 9)
    files["street-0/broken.jpg"] = files["street-1/0001.jpg"][:700]
    files["street-0.jpg"] = files["street-1/0001.jpg"]  # a name that stores sort differently
    for path, content in files.items():
        SOURCE.write(path, content)
    summary = blur_folder(SOURCE, DESTINATION, params, "eu", Champion(toy), workers=2)
    assert (summary.published, summary.quarantined) == (10, {"decode_refused": 1})
    assert list(audit(DESTINATION)) == []
    assert {row.path for row in valid_rows(DESTINATION)} == set(files)
    outputs = {path: DESTINATION.read(path) for path in DESTINATION.list("")}
    assert not set(outputs.values()) & set(files.values())
    assert all("/manifests/" in path or path == RECORD for path in outputs if path.startswith(".streetveil"))
    again = blur_folder(SOURCE, DESTINATION, params, "eu", Champion(toy), workers=2)
    assert (again.inputs, again.finished_before) == (0, 11)
    told = subprocess.run(
        [sys.executable, "-m", "flows.cli", "verify", "s3://published/2026-02-28", "--json"],
        capture_output=True, text=True, env=os.environ, check=False,
    )  # fmt: skip
    assert (told.returncode, json.loads(told.stdout)) == (0, {"images": 11, "findings": []}), told.stderr


def test_the_store_knows_conditions_and_pages(buckets: Any) -> None:
    """What a lease and a long listing hang on: of two writers one wins, and no name is lost between pages."""
    names = {f"many/{i:05d}.jpg" for i in range(1203)}
    for name in names:
        SOURCE.write(name, b"")
    listed = list(SOURCE.list("many"))
    assert (len(listed), set(listed)) == (1203, names)
    pace = Pace(renewed_every_s=0.2, dead_after_s=3.0, looked_at_every_s=0.1)
    with leased(DESTINATION, pace=pace) as check:
        assert DESTINATION.put(".streetveil/lease", b"another", IfNoneMatch="*") is None
        check()
    assert not DESTINATION.exists(".streetveil/lease")
