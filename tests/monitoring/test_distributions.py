"""A day is counted from its manifests, all of it, and nothing else; a challenger's night from its own files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from components.batch.manifest import (
    LOOKED_AT,
    SHADOWS,
    ImageRow,
    Proposal,
    commit_manifest,
    encode_manifest,
    read_manifest,
)
from components.batch.storage import LocalStorage, open_destination
from components.errors import StreetveilError
from components.monitoring.distributions import (
    DayProfile,
    grid_of,
    profile_of,
    profile_of_folder,
    profile_of_shadow,
)

FACE = Proposal("face", 10, 10, 42, 42, 2, 0.5, 0.91, None, "blurred")
CLUTTER = replace(FACE, stage1_confidence=0.11, stage2_confidence=0.03, outcome="below_threshold")
PLATE = replace(FACE, class_name="license_plate", secondary_confidence=0.71, x2=74, y2=26)
ROW = ImageRow(
    path="a.jpg", state="published", reason=None, detail=None, attempts=1, region="eu", model_name="m",
    model_version="3", params_sha256="0", code_revision="0", input_size_bytes=1, input_modified_ns=1, brightness=100.0,
    proposals=(FACE, CLUTTER, PLATE), read_ms=1.0, detect_ms=62.0, write_ms=1.5,
)  # fmt: skip


def at(profile: DayProfile, name: str) -> dict[float, int]:
    """The bins of a distribution that are not empty, by their lower edge."""
    counts = profile.counts[name]
    return {round(float(grid_of(name).edges[i]), 6): counts[i] for i in np.flatnonzero(counts)}


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    """Two shards: in one an image of another region, in the other one that is quarantined and one without objects."""
    storage = open_destination(tmp_path / "2026-02-28")
    commit_manifest(storage, "s1", [ROW, replace(ROW, path="b.jpg", region="us", proposals=(FACE, FACE))])
    refused = replace(ROW, path="c.jpg", state="quarantined", reason="empty", brightness=None)
    commit_manifest(storage, "s2", [refused, replace(ROW, path="d.jpg", proposals=(), brightness=20.0)])
    return storage


def test_every_quantity_is_counted_by_class_stage_and_region(storage: LocalStorage) -> None:
    """Each value of each published image stands in the bin that it belongs to, and no other does."""
    day = profile_of_folder(storage.root)
    assert (day.day, day.model_version, day.images) == ("2026-02-28", "3", 3)
    assert at(day, "eu/face/stage1_confidence") == {0.1: 1, 0.5: 1}
    assert at(day, "us/face/stage2_confidence") == {0.9: 2}
    assert at(day, "eu/license_plate/secondary_confidence") == {0.7: 1}
    assert at(day, "eu/face/secondary_confidence") == {}
    assert at(day, "eu/face/objects_per_image") == {-0.5: 1, 0.5: 1}
    assert at(day, "us/face/objects_per_image") == {1.5: 1}
    assert at(day, "eu/face/size_px") == {32.0: 1}
    assert at(day, "eu/license_plate/size_px") == {32.0: 1}
    assert at(day, "eu/brightness") == {20.0: 1, 100.0: 1}
    assert at(day, "us/latency_ms") == {64.0: 1}


def test_a_day_of_two_models_is_the_ones_that_saw_most(storage: LocalStorage) -> None:
    """Confidences of two model versions are never mixed in one distribution."""
    commit_manifest(storage, "s3", [replace(ROW, path="e.jpg", model_version="4", proposals=(FACE,) * 9)])
    day = profile_of_folder(storage.root)
    assert (day.model_version, day.images) == ("3", 3)
    assert sum(day.counts["eu/face/stage1_confidence"]) == 2


def test_manifests_of_older_releases_are_read(storage: LocalStorage) -> None:
    """Where a column is missing its distribution is, and all others are there."""
    table = read_manifest(storage, ".streetveil/manifests/s1.parquet").drop_columns(["brightness", "verify_ms"])
    day = profile_of([table], "old")
    assert "eu/brightness" not in day.counts
    assert at(day, "us/latency_ms") == {64.0: 1}


def test_a_profile_survives_json_and_nothing_else_is_one(storage: LocalStorage) -> None:
    """What is written is read back equal; missing keys, other grids and negative counts are refused by name."""
    day = profile_of_folder(storage.root)
    values = day.to_dict()
    assert DayProfile.from_dict(values) == day
    for broken in ({}, {**values, "counts": {"eu/brightness": [1, 2]}}, {**values, "counts": {"eu/mood": [1]}},
                   {**values, "counts": {"eu/brightness": [-1] * 64}}, {**values, "counts": 5}):  # fmt: skip
        with pytest.raises(ValueError, match=r"profile|grid"):
            DayProfile.from_dict(broken)


def test_a_day_without_a_published_image_is_told(tmp_path: Path) -> None:
    """Neither a folder of others nor an empty day is taken for a day without drift."""
    with pytest.raises(StreetveilError, match="not written by streetveil"):
        profile_of_folder(tmp_path)
    open_destination(tmp_path / "day")
    (tmp_path / "day/.streetveil").mkdir(exist_ok=True)
    with pytest.raises(StreetveilError, match="no manifest lists a published image"):
        profile_of_folder(tmp_path / "day")


def test_a_challenger_that_sees_the_same_has_the_same_distributions(storage: LocalStorage) -> None:
    """What a challenger has seen is counted like a published day, but for the times, which it has not."""
    rows = [replace(ROW, path=path, state=LOOKED_AT, model_version="4") for path in ("a.jpg", "d.jpg")]
    storage.write(f"{SHADOWS}/4/part.parquet", encode_manifest("part", rows, 1))
    night = profile_of_shadow(storage, "4", "2026-02-28")
    commit_manifest(storage, "s3", [replace(row, path=f"4/{row.path}", state="published") for row in rows] * 3)
    published = profile_of([read_manifest(storage, ".streetveil/manifests/s3.parquet")], "2026-02-28")
    assert (night.model_version, night.images) == ("4", 2)
    same = {name: tuple(3 * count for count in counts) for name, counts in night.counts.items()}
    assert {**same, "eu/latency_ms": published.counts["eu/latency_ms"]} == published.counts
    with pytest.raises(StreetveilError, match="no manifest lists a looked_at image"):
        profile_of_shadow(storage, "5", "2026-02-28")
