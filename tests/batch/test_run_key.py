"""The key is secret, apart, shared by runs of one day, and gone afterwards."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from components.batch.run_key import RunKey, acquire_run_key
from components.errors import StreetveilError


def test_a_key_is_private_stable_and_different_for_each_destination(tmp_path: Path) -> None:
    """The same open day gets the same 32 bytes, readable by the owner alone; another day gets others."""
    keys = tmp_path / "keys"
    first = acquire_run_key(keys, tmp_path / "a")
    assert first.path.stat().st_mode & 0o777 == 0o600
    assert keys.stat().st_mode & 0o777 == 0o700
    assert len(first.secret) == 32
    assert acquire_run_key(keys, tmp_path / "a").secret == first.secret
    assert acquire_run_key(keys, tmp_path / "b").secret != first.secret


def test_a_closed_day_leaves_no_key(tmp_path: Path) -> None:
    """Destroying removes the file, and the next key of the same destination is a new one."""
    key = acquire_run_key(tmp_path / "keys", tmp_path / "a")
    key.destroy()
    assert list((tmp_path / "keys").iterdir()) == []
    assert acquire_run_key(tmp_path / "keys", tmp_path / "a").secret != key.secret


def test_the_key_file_is_overwritten_before_it_goes(tmp_path: Path) -> None:
    """Another link to the key's blocks does not hold the secret any more."""
    key = acquire_run_key(tmp_path / "keys", tmp_path / "a")
    (tmp_path / "copy").hardlink_to(key.path)
    key.destroy()
    assert (tmp_path / "copy").read_bytes() != key.secret


def test_of_runs_that_start_together_all_get_one_key(tmp_path: Path) -> None:
    """Twenty simultaneous starts agree on a single key."""
    found: list[bytes] = []
    barrier = threading.Barrier(20)

    def start() -> None:
        barrier.wait()
        found.append(acquire_run_key(tmp_path / "keys", tmp_path / "a").secret)

    threads = [threading.Thread(target=start) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 20
    assert len(set(found)) == 1
    assert len(list((tmp_path / "keys").iterdir())) == 1


def test_a_users_own_key_is_kept(tmp_path: Path) -> None:
    """A key that the user brought survives the day."""
    file = tmp_path / "mine.key"
    file.write_bytes(b"s" * 32)
    file.chmod(0o600)
    key = acquire_run_key(tmp_path / "keys", tmp_path / "a", file)
    key.destroy()
    assert file.read_bytes() == b"s" * 32


@pytest.mark.parametrize(("content", "mode", "words"), [(b"short", 0o600, "32"), (b"s" * 32, 0o644, "chmod 600")])
def test_a_weak_key_is_refused(tmp_path: Path, content: bytes, mode: int, words: str) -> None:
    """A short key, or one that others can read, is an error that says what to do."""
    file = tmp_path / "mine.key"
    file.write_bytes(content)
    file.chmod(mode)
    with pytest.raises(StreetveilError, match=words):
        acquire_run_key(tmp_path / "keys", tmp_path / "a", file)


def test_keys_never_lie_in_the_destination(tmp_path: Path) -> None:
    """A keys folder that would be published along is refused."""
    with pytest.raises(StreetveilError, match="STREETVEIL_KEYS_DIR"):
        acquire_run_key(tmp_path / "a" / "keys", tmp_path / "a")


def test_a_key_does_not_show_in_logs() -> None:
    """What a log would print of a key does not hold the secret."""
    assert "s3cret" not in repr(RunKey(b"s3cret" * 6, Path("x")))
