"""The index says what the manifests say, whatever their order, in memory that does not grow."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.batch.audit import audit
from components.batch.index import indexed, valid_rows
from components.batch.manifest import PUBLISHED, QUARANTINED, ImageRow, encode_manifest, read_rows
from components.batch.plan import plan_day
from components.batch.sources import ImageRef
from components.batch.storage import LocalStorage
from tests.batch.test_manifest import row

SHARD_SIZE = 250


@dataclass(frozen=True, slots=True)
class Simulated(LocalStorage):
    """A destination whose manifests are made when they are read."""

    images: int

    def read(self, path: str) -> bytes:
        """The manifest with this number."""
        first = int(path.rsplit("/", 1)[-1].removesuffix(".parquet")) * SHARD_SIZE
        rows = [_row(image) for image in _images(first, first + SHARD_SIZE)]
        return encode_manifest("simulated", rows, first)

    def list(self, prefix: str) -> Iterator[str]:
        """The manifests, or everything that is published."""
        if prefix:
            return (f"{prefix}/{i}.parquet" for i in range(self.images // SHARD_SIZE))
        return (image.path for image in _images(0, self.images))


def _images(first: int, end: int) -> Iterator[ImageRef]:
    return (ImageRef(f"street/{i:08d}.jpg", i, i) for i in range(first, end))


def _row(image: ImageRef) -> ImageRow:
    return row(image.path, input_size_bytes=image.size_bytes, input_modified_ns=image.modified_ns)


@settings(deadline=None, max_examples=50)
@given(
    commits=st.lists(
        st.tuples(st.integers(0, 5), st.sets(st.integers(0, 7)), st.sampled_from([PUBLISHED, QUARANTINED])), max_size=6
    )
)
def test_the_index_agrees_with_all_rows_in_memory(
    tmp_path_factory: pytest.TempPathFactory, commits: list[tuple[int, set[int], str]]
) -> None:
    """However often and in whatever order an image was committed, its latest row is the valid one, once."""
    storage = LocalStorage(tmp_path_factory.mktemp("index"))
    for number, (order, paths, state) in enumerate(commits):
        rows = [row(f"{path}.jpg", state, input_size_bytes=number) for path in sorted(paths)]
        manifest = encode_manifest(str(number), rows, committed_ns=order * 100 + number)
        storage.write(f".streetveil/manifests/{number}.parquet", manifest)
    expected = read_rows(storage)
    found = list(valid_rows(storage))
    assert len(found) == len(expected)
    assert {one.path: one for one in found} == expected
    with indexed(storage) as index:
        assert len(index) == len(expected)
        for path, valid in expected.items():
            known = index.get(path)
            assert known is not None
            assert (known.state, known.input_size_bytes) == (valid.state, valid.input_size_bytes)
            assert known.is_finished == (valid.state != PUBLISHED)
        index.note_there([*expected, "unknown.jpg"])
        assert all(index.get(path).is_finished for path in expected)  # type: ignore[union-attr]
        assert index.get("unknown.jpg") is None


def _plan_new(images: int, root: Path) -> None:
    plan = plan_day(_images(0, images), {}, SHARD_SIZE)
    assert sum(len(shard.images) for shard in plan.shards) == plan.images_left == images


def _plan_finished(images: int, root: Path) -> None:
    storage = Simulated(root, images)
    with indexed(storage) as index:
        index.note_there(storage.list(""))
        plan = plan_day(_images(0, images), index, SHARD_SIZE)
    assert (plan.images_left, plan.finished_before) == (0, images)


def _audit(images: int, root: Path) -> None:
    assert list(audit(Simulated(root, images), fault_of=lambda storage, row: None)) == []


@pytest.mark.parametrize("step", [_plan_new, _plan_finished, _audit])
def test_memory_does_not_grow_with_the_day(
    step: Callable[[int, Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten times the images need the same peak of memory, where a list of their paths alone would show."""
    monkeypatch.setattr("components.batch.plan._IN_MEMORY_BYTES", 2**14)
    peaks = []
    for images in (1000, 10_000):
        step(SHARD_SIZE, tmp_path)  # what is loaded once is loaded
        tracemalloc.start()
        step(images, tmp_path)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 200_000, peaks


def test_a_plan_gives_its_shards_as_often_as_it_is_asked() -> None:
    """What was put aside on disk comes back image by image, in the listing's order, whatever the names hold."""
    names = ["é/ü.jpg", 'q"uote.jpg', "new\nline.jpg", "\\x2e\\x2e/x.jpg", *map(str, range(10))]
    images = [ImageRef(name, size, size * 3) for size, name in enumerate(names, start=-1)]
    plan = plan_day(images, {}, 4)
    for _ in range(2):
        assert [image for shard in plan.shards for image in shard.images] == images
    assert plan.shard_count == len(list(plan.shards)) == 4
