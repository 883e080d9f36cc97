"""The challenger's look at the nightly run: beside it, never in it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.batch import shadow
from components.batch.audit import audit
from components.batch.manifest import ImageRow, read_rows
from components.batch.shadow import ClassComparison, cast_shadow, chosen, read_comparison, read_shadow
from components.batch.storage import LocalStorage
from components.batch.work_order import WorkOrder
from components.detection.bundle import Bundle
from components.settings import Params, Shadow
from tests.batch.conftest import tree

EVERY = Shadow(share=1, max_images=100)


def order_over(folder: Path, order: Callable[..., WorkOrder]) -> WorkOrder:
    """The order of the run that has made the archive."""
    champion = Bundle("toy-detector", "1", ())
    return order(source=folder / "in", destination=LocalStorage(folder / "out"), bundle=champion)


def test_a_challenger_looks_and_nothing_of_it_is_published(
    archive: tuple[Path, dict[str, int]], newer: Bundle, order: Callable[..., WorkOrder]
) -> None:
    """What only the challenger sees is counted and kept, outputs and manifests stay, a changed original is a fault."""
    folder, plates = archive
    storage = LocalStorage(folder / "out")
    before, rows = tree(storage), read_rows(storage)
    (folder / "in" / "0.jpg").write_bytes(b"something else")
    told = cast_shadow(order_over(folder, order), newer, EVERY, 1)
    seen = read_shadow(storage, "2")
    assert (told.champion, told.challenger, told.images, told.faults) == ("1", "2", 5, {"unreadable": 1})
    assert {row.model_version for row in seen.values()} == {"2"}
    assert {path: row.blurred("license_plate") > 0 for path, row in seen.items()} == {
        path: count > 0 for path, count in plates.items() if path != "0.jpg"
    }
    faces = sum(row.blurred("face") for path, row in rows.items() if path in seen)
    plates_seen = sum(row.blurred("license_plate") for row in seen.values())
    assert told.classes == {
        "face": ClassComparison(faces, 0, 0),
        "license_plate": ClassComparison(0, 0, plates_seen),
    }
    assert read_comparison(storage, "2") == told
    assert read_comparison(storage, "3") is None
    assert {path: row.brightness for path, row in seen.items()} == {path: rows[path].brightness for path in seen}
    assert (tree(storage), read_rows(storage)) == (before, rows)
    assert list(audit(storage)) == []


def test_an_interrupted_shadow_goes_on(
    archive: tuple[Path, dict[str, int]],
    newer: Bundle,
    order: Callable[..., WorkOrder],
    in_process: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a challenger has said is not asked again, and another challenger is asked anew."""
    folder, plates = archive
    looked: list[str] = []
    real = shadow.look
    monkeypatch.setattr(shadow, "look", lambda row: looked.append(row.path) or real(row))
    work = order_over(folder, order)
    assert cast_shadow(work, newer, Shadow(share=1, max_images=2), 1).images == 2
    assert cast_shadow(work, newer, EVERY, 1).images == 6
    assert sorted(looked) == sorted(plates)
    cast_shadow(work, replace(newer, version="3"), Shadow(share=1, max_images=1), 1)
    assert len(looked) == 7


@settings(max_examples=25, deadline=None)
@given(st.floats(0, 1), st.floats(0, 1))
def test_the_sample_is_the_same_for_all_and_grows_with_its_share(one: float, other: float) -> None:
    """A smaller share is a part of a larger one, a sample has about its size, and nothing quarantined is in it."""
    rows = [_row(f"{i}", "published", hashlib.sha256(str(i).encode()).hexdigest()) for i in range(400)]
    small, large = sorted((one, other))
    paths = [{row.path for row in chosen(rows, share)} for share in (small, large)]
    assert paths[0] <= paths[1]
    assert abs(len(paths[1]) / 400 - large) < 0.15
    assert chosen([replace(row, state="quarantined") for row in rows[:20]], 1) == []


def _row(path: str, state: str, sha256: str) -> ImageRow:
    return ImageRow(path, state, None, None, 1, "eu", "m", "1", "p", "c", 1, 1, input_sha256=sha256)


def test_the_shipped_share_is_what_the_docs_promise(params: Params) -> None:
    """Between 0.5 and 1 % of a night's images are looked at twice."""
    assert 0.005 <= params.shadow.share <= 0.01
