"""Cutting a day into shards: the unit that is retried, verified and committed as a whole."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from components.batch.sources import ImageRef


@dataclass(frozen=True, slots=True)
class Shard:
    """Some images of a day.

    Attributes:
        id: made from the images' names and sizes, so equal work has an equal id.
        images: in the order of the listing.
    """

    id: str
    images: tuple[ImageRef, ...]


class Original(Protocol):
    """What a row says of the file that it speaks of."""

    @property
    def input_size_bytes(self) -> int:
        """Its size."""
        ...

    @property
    def input_modified_ns(self) -> int:
        """Its modification time."""
        ...


class Finished(Protocol):
    """What is finished, by path."""

    def get(self, path: str, /) -> Original | None:
        """The original of a finished image; None if there is work to do."""
        ...


def plan_shards(images: Iterable[ImageRef], finished: Finished, shard_size: int) -> Iterator[Shard]:
    """Cut what is left to do into shards.

    Finished shards are always whole runs of `shard_size` images in the listing's order, so taking them out of an
    unchanged day and cutting again gives the same shards as before: nothing else has to be remembered.

    Args:
        images: the listing, in an order that never changes.
        finished: an image is left out if what stands here speaks of the very same file.
        shard_size: images in a shard.
    """
    left = (image for image in images if not _is_finished(image, finished.get(image.path)))
    while batch := tuple(islice(left, shard_size)):
        names = "\n".join(f"{image.path}\0{image.size_bytes}" for image in batch)
        yield Shard(hashlib.sha256(names.encode()).hexdigest()[:16], batch)


def _is_finished(image: ImageRef, row: Original | None) -> bool:
    return row is not None and (row.input_size_bytes, row.input_modified_ns) == (
        image.size_bytes,
        image.modified_ns,
    )
