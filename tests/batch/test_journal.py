"""Attempts are counted before the decode, and finished rows are never lost."""

from __future__ import annotations

from pathlib import Path

from components.batch.journal import Journal
from components.batch.storage import LocalStorage
from tests.batch.test_manifest import row


def test_attempts_count_up_until_the_row_stands(tmp_path: Path) -> None:
    """An image that is begun three times and then done is a suspect until it is done."""
    journal = Journal(LocalStorage(tmp_path), "shard")
    assert [journal.begin("a.jpg") for _ in range(3)] == [1, 2, 3]
    assert journal.attempts() == {"a.jpg": 3}
    journal.end(row("a.jpg", attempts=3))
    assert journal.attempts() == {}
    assert journal.rows() == {"a.jpg": row("a.jpg", attempts=3)}


def test_shards_do_not_mix_and_a_cleared_one_is_empty(tmp_path: Path) -> None:
    """Clearing one shard's journal leaves the other's."""
    storage = LocalStorage(tmp_path)
    one, two = Journal(storage, "one"), Journal(storage, "two")
    one.begin("a")
    two.begin("b")
    one.clear()
    assert (one.attempts(), two.attempts()) == ({}, {"b": 1})


def test_a_torn_entry_counts_as_never_begun(tmp_path: Path) -> None:
    """What a power cut tore is begun anew instead of stopping the run."""
    storage = LocalStorage(tmp_path)
    journal = Journal(storage, "shard")
    journal.begin("a")
    (file,) = storage.list(".streetveil/journal/shard")
    (tmp_path / file).write_bytes(b'{"path": "a", "att')
    assert journal.rows() == {}
    assert journal.begin("a") == 1
