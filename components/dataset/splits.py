"""Which pictures train, choose and test a model: by group, never by frame, and for good.

A picture's own part follows from the hash of its key alone: its video, or its file's content. Nothing that is added
later changes that, so the test part only ever grows. Pictures that look the same form a group whatever their keys.
Where a group reaches into the test part, those of its pictures whose own part is another one are withheld: they train
nothing, and they do not move into the test part either, because a picture that comes later must not decide what an
earlier one is used for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from components.dataset.perceptual_hash import near_pairs

Part = Literal["train", "val", "test", "withheld"]
PARTS: tuple[Part, ...] = get_args(Part)


@dataclass(frozen=True, slots=True)
class Member:
    """What decides over a picture.

    Attributes:
        key: what pictures of one origin share and what never changes: the video, or the hash of the file.
        look: its perceptual hash; None if it is compared with nothing.
        part: the part that its data set was given as a whole.
        shares: of its data set's keys, those for test and validation, where the set has shares of its own.
    """

    key: str
    look: int | None = None
    part: Literal["test"] | None = None
    shares: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a picture belongs.

    Attributes:
        part: what it is used for.
        group: the smallest key of its group; no two groups share one.
    """

    part: Part
    group: str


def own_part(key: str, test_share: float, val_share: float) -> Part:
    """The part of a key by its hash. A key of the test part stays there whatever `val_share` is."""
    place = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") / 2**64
    return "test" if place < test_share else "val" if place < test_share + val_share else "train"


def split(members: Sequence[Member], test_share: float, val_share: float, duplicate_bits: int) -> list[Place]:
    """A place for each picture, in order. It depends neither on the pictures' order nor on when they came.

    Args:
        members: the pictures.
        test_share, val_share: of the keys, 0 to 1, of sets without shares of their own.
        duplicate_bits: pictures whose hashes differ in at most so many bits are near-duplicates.
    """
    groups = _groups(members, duplicate_bits)
    places: dict[int, Place] = {}
    for group in groups:
        shares = {i: members[i].shares or (test_share, val_share) for i in group}
        first = min(group, key=lambda i: (members[i].key, shares[i]))  # two sets may hold one file
        name = members[first].key
        own = {i: members[i].part or own_part(members[i].key, *shares[i]) for i in group}
        if "test" in own.values():
            parts: dict[int, Part] = {i: "test" if part == "test" else "withheld" for i, part in own.items()}
        else:  # between training and validation a group may move, as a whole
            parts = dict.fromkeys(group, own_part(name, *shares[first]))
        places.update((i, Place(part, name)) for i, part in parts.items())
    return [places[i] for i in range(len(members))]


def _groups(members: Sequence[Member], duplicate_bits: int) -> Iterable[list[int]]:
    """Pictures that share a key or look alike, over any number of steps."""
    parent = list(range(len(members)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    first: dict[str, int] = {}
    for i, member in enumerate(members):
        parent[root(i)] = root(first.setdefault(member.key, i))
    compared = [i for i, member in enumerate(members) if member.look is not None]
    looks = np.array([members[i].look for i in compared], np.uint64)
    for one, other in near_pairs(looks, duplicate_bits):
        parent[root(compared[one])] = root(compared[other])
    groups: dict[int, list[int]] = {}
    for i in range(len(members)):
        groups.setdefault(root(i), []).append(i)
    return groups.values()
