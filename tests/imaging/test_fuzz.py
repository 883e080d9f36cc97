"""Files with flipped bytes end as a fault or as a hidden, clean picture; never as a crash or an original."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import as_completed
from pathlib import Path

import pytest
from pebble import ProcessPool

from components.batch.audit import audit
from components.batch.manifest import PUBLISHED, read_rows
from components.batch.storage import LocalStorage
from components.detection.bundle import Bundle
from components.errors import Reason
from components.imaging.publication import Recipe
from components.registry.champion import Champion
from components.settings import PROJECT_ROOT, Params, load_params
from flows.one_folder import blur_folder
from tests.imaging.mutated_files import mutants, outcome

_BATCH = 500


def _outcomes(seed: int) -> Counter[str]:
    """What became of a batch of mutated files."""
    params = load_params(PROJECT_ROOT / "params.yaml")
    recipe = Recipe(params.regions["strict"].obfuscation, params.encoding, params.reading, b"k" * 32)
    return Counter(outcome(content, recipe) for content in mutants(seed, _BATCH))


def _all_outcomes(files: int) -> Counter[str]:
    """The same in processes of their own: a decoder that crashes fails the test and not the tests."""
    with ProcessPool(max_workers=2) as pool:
        batches = [pool.schedule(_outcomes, args=(seed,), timeout=600) for seed in range(files // _BATCH)]
        return sum((batch.result() for batch in as_completed(batches)), Counter())


def test_two_thousand_mutated_files() -> None:
    """Each is refused, or published verified, hidden and clean; both happen."""
    found = _all_outcomes(2000)
    assert found.total() == 2000
    assert min(found["refused"], found["published"]) > 200


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_twenty_thousand_mutated_files() -> None:
    """The same ten times as long."""
    found = _all_outcomes(20_000)
    assert found.total() == 20_000
    assert min(found["refused"], found["published"]) > 2000


def test_a_run_over_mutated_files_ends_in_order(tmp_path: Path, params: Params, toy: Bundle) -> None:
    """A day of damaged files is published or quarantined file by file, no worker dies, and the audit finds nothing."""
    source, destination = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for i, content in enumerate(mutants(99, 300)):
        (source / f"{i:03d}.jpg").write_bytes(content)
    summary = blur_folder(source, destination, params, "strict", Champion(toy), workers=2)
    storage = LocalStorage(destination)
    rows = read_rows(storage)
    assert len(rows) == summary.inputs == 300
    assert list(audit(storage)) == []
    assert 30 < sum(row.state == PUBLISHED for row in rows.values()) < 270
    allowed = {Reason.DECODE_REFUSED, Reason.UNSUPPORTED_FORMAT, Reason.TOO_LARGE, Reason.EMPTY}
    assert {row.reason for row in rows.values() if row.reason} <= allowed
