"""What is left of a day after one listing: counted, cut into shards, and put aside on disk until each shard's turn."""

from __future__ import annotations

import json
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO

from components.batch.shards import Finished, Shard, plan_shards
from components.batch.sources import ImageRef

_IN_MEMORY_BYTES = 32 * 2**20  # of compressed shards; more goes to a temporary file


@dataclass(frozen=True, slots=True)
class Plan:
    """What one listing of the day says.

    Attributes:
        shard_count: shards that are left to do.
        images_left: images in them.
        finished_before: images that an earlier run has finished.
        aside: the shards, each with its length before it.
    """

    shard_count: int
    images_left: int
    finished_before: int
    aside: IO[bytes]

    @property
    def shards(self) -> Iterator[Shard]:
        """The shards in the order of the listing, read one by one; by one reader at a time."""
        self.aside.seek(0)
        for _ in range(self.shard_count):
            length = int.from_bytes(self.aside.read(8))
            shard_id, images = json.loads(zlib.decompress(self.aside.read(length)))
            yield Shard(shard_id, tuple(ImageRef(*image) for image in images))


def plan_day(images: Iterable[ImageRef], finished: Finished, shard_size: int) -> Plan:
    """Read a listing to its end and put aside what is left to do.

    Args:
        images: the listing.
        finished, shard_size: see `plan_shards`.
    """
    listed = 0

    def counted() -> Iterator[ImageRef]:
        nonlocal listed
        for image in images:
            listed += 1
            yield image

    aside = tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES)  # noqa: SIM115 - goes with the plan
    shard_count = images_left = 0
    for shard in plan_shards(counted(), finished, shard_size):
        rows = [(image.path, image.size_bytes, image.modified_ns) for image in shard.images]
        packed = zlib.compress(json.dumps([shard.id, rows]).encode(), level=1)
        aside.write(len(packed).to_bytes(8) + packed)
        shard_count += 1
        images_left += len(rows)
    return Plan(shard_count, images_left, listed - images_left, aside)
