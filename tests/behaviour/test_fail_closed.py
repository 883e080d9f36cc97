"""Promise 1: an image is published only if everything succeeded, and nothing of an original reaches the output."""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

from components.batch.manifest import PUBLISHED, QUARANTINED, read_rows
from components.batch.storage import LocalStorage
from components.detection.bundle import Bundle
from components.errors import Reason
from components.registry.champion import Champion
from components.settings import Params
from flows.one_folder import blur_folder
from tests.batch.conftest import tree
from tests.conftest import encoded


def _png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
    )


def test_bad_files_are_quarantined_with_a_reason_and_the_run_goes_on(
    tmp_path: Path, params: Params, toy: Bundle, fill: Callable[..., dict[str, bytes]]
) -> None:
    """Truncated, empty, non-image, huge, unreadable files and a pipe get their reasons; the rest is published."""
    source = tmp_path / "in"
    good = fill(source, 8)
    jpeg = good["street-1/0001.jpg"]
    huge_jpeg = bytearray(jpeg)
    frame = jpeg.index(b"\xff\xc0")
    huge_jpeg[frame + 5 : frame + 9] = struct.pack(">HH", 65000, 65000)
    bad = {
        "truncated.jpg": (jpeg[: len(jpeg) // 2], Reason.DECODE_REFUSED),
        "truncated.png": (good["street-0/0000.png"][:900], Reason.DECODE_REFUSED),
        "empty.jpg": (b"", Reason.EMPTY),
        "notes.txt": (b"not an image", Reason.UNSUPPORTED_FORMAT),
        "huge.png": (_png_header(60000, 60000), Reason.TOO_LARGE),
        "wide.png": (_png_header(45000, 10), Reason.TOO_LARGE),
        "huge.jpg": (bytes(huge_jpeg), Reason.TOO_LARGE),
        "bomb.gif": (b"GIF89a" + bytes(100), Reason.UNSUPPORTED_FORMAT),
    }
    for name, (content, _) in bad.items():
        (source / name).write_bytes(content)
    (source / "gone.jpg").symlink_to(source / "nowhere")
    os.mkfifo(source / "pipe.jpg")
    expected = {name: reason for name, (_, reason) in bad.items()}
    expected |= {"gone.jpg": Reason.UNREADABLE, "pipe.jpg": Reason.NOT_A_FILE}

    summary = blur_folder(source, tmp_path / "out", params, "eu", Champion(toy), workers=2)
    rows = read_rows(LocalStorage(tmp_path / "out"))
    assert {path: row.reason for path, row in rows.items() if row.state == QUARANTINED} == expected
    assert {path for path, row in rows.items() if row.state == PUBLISHED} == set(good) == set(tree_of(tmp_path))
    assert all(row.detail for row in rows.values() if row.state == QUARANTINED)
    assert (summary.inputs, summary.published, summary.exit_status) == (18, 8, 3)


def tree_of(tmp_path: Path) -> dict[str, bytes]:
    """Everything published."""
    return tree(LocalStorage(tmp_path / "out"))


def test_no_output_equals_its_input_not_even_without_a_detection(
    tmp_path: Path, params: Params, toy: Bundle, rng
) -> None:  # type: ignore[no-untyped-def]
    """A picture with nothing to hide is still written anew, and its original's bytes are nowhere in the output."""
    source = tmp_path / "in"
    source.mkdir()
    plain = rng.integers(90, 110, (64, 64, 1), "uint8").repeat(3, axis=2)
    originals = {name: encoded(plain, name.upper()) for name in ("png", "jpeg", "webp", "tiff")}
    for name, content in originals.items():
        (source / f"plain.{name}").write_bytes(content)
    summary = blur_folder(source, tmp_path / "out", params, "eu", Champion(toy), workers=1)
    assert (summary.published, summary.objects) == (4, {"face": 0, "license_plate": 0})
    hashes = {hashlib.sha256(content).hexdigest() for content in originals.values()}
    assert all(hashlib.sha256(content).hexdigest() not in hashes for content in tree_of(tmp_path).values())


def test_a_second_run_over_finished_work_rewrites_nothing(
    tmp_path: Path, params: Params, toy: Bundle, fill: Callable[..., dict[str, bytes]]
) -> None:
    """No file of the destination changes its bytes or its time when everything is done, quarantine included."""
    files = fill(tmp_path / "in", 10)
    (tmp_path / "in" / "broken.jpg").write_bytes(files["street-1/0001.jpg"][:700])
    first = blur_folder(tmp_path / "in", tmp_path / "out", params, "eu", Champion(toy), workers=1)

    def state() -> dict[str, tuple[bytes, int]]:
        found = (path for path in (tmp_path / "out").rglob("*") if path.is_file() and path.name != "lock")
        return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in found}

    before = state()
    second = blur_folder(tmp_path / "in", tmp_path / "out", params, "eu", Champion(toy), workers=1)
    assert state() == before
    assert (first.inputs, second.inputs, second.finished_before) == (11, 0, 11)


def test_a_changed_original_is_blurred_anew_and_a_spoilt_one_is_taken_back(
    tmp_path: Path, params: Params, toy: Bundle, fill: Callable[..., dict[str, bytes]]
) -> None:
    """A file that was replaced is published again; one that became unreadable loses its old output."""
    files = fill(tmp_path / "in", 6)
    blur_folder(tmp_path / "in", tmp_path / "out", params, "eu", Champion(toy), workers=1)
    before = tree_of(tmp_path)
    (tmp_path / "in" / "street-1" / "0001.jpg").write_bytes(files["street-2/0002.jpg"])
    (tmp_path / "in" / "street-0" / "0003.jpg").write_bytes(b"spoilt")
    summary = blur_folder(tmp_path / "in", tmp_path / "out", params, "eu", Champion(toy), workers=1)
    after = tree_of(tmp_path)
    assert (summary.inputs, summary.published, summary.finished_before) == (2, 1, 4)
    assert after["street-1/0001.jpg"] != before["street-1/0001.jpg"]
    assert set(before) - set(after) == {"street-0/0003.jpg"}


def test_the_key_is_destroyed_when_the_day_is_closed(
    tmp_path: Path, params: Params, toy: Bundle, fill: Callable[..., dict[str, bytes]]
) -> None:
    """After a finished run the keys folder is empty, and no key was ever in the destination."""
    fill(tmp_path / "in", 3)
    blur_folder(tmp_path / "in", tmp_path / "out", params, "eu", Champion(toy), workers=1)
    assert list(Path(os.environ["STREETVEIL_KEYS_DIR"]).iterdir()) == []
    assert not list((tmp_path / "out").rglob("*.key"))
