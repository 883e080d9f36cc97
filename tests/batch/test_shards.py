"""A day is cut the same way however far it has come."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from components.batch.shards import plan_shards
from components.batch.sources import ImageRef
from tests.batch.test_manifest import row


def images(count: int) -> list[ImageRef]:
    """A listing."""
    return [ImageRef(f"{i:05d}.jpg", 10 + i, 1000 + i) for i in range(count)]


@given(count=st.integers(0, 60), size=st.integers(1, 9), data=st.data())
def test_a_resumed_day_has_the_same_shards_less_the_finished_ones(count: int, size: int, data: st.DataObject) -> None:
    """Whichever shards are finished, planning again gives exactly the others, image by image."""
    plan = list(plan_shards(images(count), {}, size))
    assert [image for shard in plan for image in shard.images] == images(count)
    done = data.draw(st.sets(st.sampled_from(plan))) if plan else set()
    finished = {
        image.path: row(image.path, input_size_bytes=image.size_bytes, input_modified_ns=image.modified_ns)
        for shard in done
        for image in shard.images
    }
    assert list(plan_shards(images(count), finished, size)) == [shard for shard in plan if shard not in done]


def test_a_changed_file_is_work_again() -> None:
    """A file with another size or time is planned although its name is finished."""
    finished = {"00000.jpg": row("00000.jpg", input_size_bytes=10, input_modified_ns=999)}
    (shard,) = plan_shards(images(1), finished, 5)
    assert shard.images == tuple(images(1))


def test_shards_of_different_images_have_different_names() -> None:
    """No two shards of a day share a name."""
    plan = list(plan_shards(images(50), {}, 5))
    assert len({shard.id for shard in plan}) == 10
