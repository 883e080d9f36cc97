"""One flipped bit is found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from components.batch.audit import audit
from components.batch.manifest import MANIFESTS, commit_manifest
from components.batch.storage import LocalStorage
from components.detection.bundle import Bundle
from components.registry.champion import Champion
from components.settings import Params
from flows.one_folder import blur_folder


@pytest.fixture
def published(tmp_path: Path, params: Params, toy: Bundle, fill) -> LocalStorage:  # type: ignore[no-untyped-def]
    """A finished run with one quarantined file."""
    files = fill(tmp_path / "in", 6)
    (tmp_path / "in" / "bad.jpg").write_bytes(files["street-1/0001.jpg"][:500])
    summary = blur_folder(tmp_path / "in", tmp_path / "out", params, "eu", Champion(toy), workers=1)
    assert (summary.published, summary.quarantined) == (6, {"decode_refused": 1})
    return LocalStorage(tmp_path / "out")


def test_a_sound_destination_has_no_findings(published: LocalStorage) -> None:
    """What was just published is what its manifest says."""
    assert list(audit(published)) == []


def test_any_flipped_bit_of_any_output_is_found(published: LocalStorage, rng: np.random.Generator) -> None:
    """Thirty random single bits, each in some output: each is found and named."""
    outputs = [path for path in published.list("") if not path.startswith(".streetveil")]
    for _ in range(30):
        path = str(rng.choice(outputs))
        content = published.read(path)
        bit = int(rng.integers(len(content) * 8))
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        published.write(path, bytes(flipped))
        assert [finding.path for finding in audit(published)] == [path]
        published.write(path, content)


def test_missing_foreign_and_uncommitted_files_are_found(published: LocalStorage) -> None:
    """A deleted output, a stranger's file, and a file in a quarantined image's place each have a finding."""
    published.delete("street-0/0000.png")
    published.write("stranger.jpg", b"x")
    published.write("bad.jpg", b"x")
    assert {finding.path for finding in audit(published)} == {"street-0/0000.png", "stranger.jpg", "bad.jpg"}


def test_a_changed_manifest_is_found(published: LocalStorage) -> None:
    """A manifest whose rows were swapped for others no longer fits the outputs."""
    (path,) = published.list(MANIFESTS)
    published.delete(path)
    commit_manifest(published, "forged", [])
    assert len(list(audit(published))) == 6
