"""No group straddles, and nothing that is added moves what is already there between training and test."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.dataset.splits import Member, own_part, split

BITS = 2
SHARES = (0.3, 0.2, BITS)

# Few keys and looks that lie close together, so that groups grow over several steps.
members = st.lists(
    st.builds(
        Member,
        key=st.integers(0, 30).map(str),
        look=st.one_of(st.none(), st.integers(0, 63).map(lambda low: low << 20)),
        part=st.sampled_from([None, None, None, "test"]),
        shares=st.sampled_from([None, None, (0.5, 0.2)]),
    ),
    max_size=25,
)


def near(a: Member, b: Member) -> bool:
    """The two belong to one group without a third."""
    if a.key == b.key:
        return True
    return a.look is not None and b.look is not None and (a.look ^ b.look).bit_count() <= BITS


@settings(deadline=None)
@given(members)
def test_no_group_straddles(some: list[Member]) -> None:
    """Two pictures of one video or of one look are never used in two parts, and they know that they are one group."""
    places = split(some, *SHARES)
    for a, place_a in zip(some, places, strict=True):
        for b, place_b in zip(some, places, strict=True):
            if near(a, b):
                assert place_a.group == place_b.group
                assert len({place_a.part, place_b.part} - {"withheld"}) <= 1
    parts = defaultdict(set)
    for place in places:
        parts[place.group].add(place.part)
    assert all(part <= {"test", "withheld"} or len(part) == 1 for part in parts.values())


@settings(deadline=None)
@given(members, members)
def test_adding_pictures_moves_none_between_training_and_test(some: list[Member], more: list[Member]) -> None:
    """What was tested stays tested, and what was trained on is never tested, however groups grow together."""
    before = split(some, *SHARES)
    after = split([*more, *some], *SHARES)[len(more) :]
    for old, new in zip(before, after, strict=True):
        assert (old.part == "test") == (new.part == "test")
        if old.part == "withheld":
            assert new.part == "withheld"


def test_one_file_in_two_sets_has_one_part() -> None:
    """Sets with shares of their own that hold the same file agree on its part, whichever is named first."""
    twins = [Member("14"), Member("14", shares=(0.5, 0.2))]
    assert {place.part for place in split(twins, *SHARES)} == {place.part for place in split(twins[::-1], *SHARES)}


@settings(deadline=None)
@given(members, st.randoms(use_true_random=False))
def test_the_order_decides_nothing(some: list[Member], random: object) -> None:
    """The same pictures in any order have the same places."""
    order = list(range(len(some)))
    random.shuffle(order)  # type: ignore[attr-defined]
    places = split(some, *SHARES)
    assert split([some[i] for i in order], *SHARES) == [places[i] for i in order]


@settings(deadline=None)
@given(members)
def test_nothing_is_withheld_without_a_test_picture_in_its_group(some: list[Member]) -> None:
    """Pictures are given up only where the test part would otherwise be known in advance."""
    places = split(some, *SHARES)
    tested = {place.group for place in places if place.part == "test"}
    assert all(place.group in tested for place in places if place.part == "withheld")


def test_the_shares_are_kept() -> None:
    """Of many single pictures the stated shares are tested and validated."""
    keys = [f"file {i}" for i in range(5000)]
    counts = Counter(own_part(key, 0.2, 0.1) for key in keys)
    assert counts["test"] / 5000 == pytest.approx(0.2, abs=0.02)
    assert counts["val"] / 5000 == pytest.approx(0.1, abs=0.015)


TESTED = [4, 6]  # written down once; another list would mean that models have been trained on what is tested now


def test_the_test_part_is_fixed() -> None:
    """The hash is the same on every machine and in every release, and the validation share does not touch it."""
    parts = [own_part(f"file {i}", 0.2, 0.1) for i in range(12)]
    assert [i for i, part in enumerate(parts) if part == "test"] == TESTED
    assert [i for i in range(12) if own_part(f"file {i}", 0.2, 0.7) == "test"] == TESTED


def test_frames_stay_together_whatever_they_look_like() -> None:
    """Pictures with one key share one part, although they differ in every bit."""
    places = split([Member("video a", i * 0x1111_1111_1111_1111) for i in range(16)], 0.5, 0.0, 0)
    assert len({place.part for place in places}) == 1


def test_a_set_given_to_the_test_part_takes_its_near_duplicates_from_training() -> None:
    """A training picture that looks like one of a test set is withheld; without the test set it trains."""
    key = next(f"file {i}" for i in range(99) if own_part(f"file {i}", 0.2, 0.1) == "train")
    training, testing = Member(key, 0b1011), Member("file of the set", 0b1000, "test")
    assert [place.part for place in split([training, testing], 0.2, 0.1, BITS)] == ["withheld", "test"]
    assert [place.part for place in split([training, testing], 0.2, 0.1, BITS - 1)] == ["train", "test"]
    assert [place.part for place in split([training, replace(testing, look=None)], 0.2, 0.1, BITS)] == ["train", "test"]


def test_a_set_may_have_shares_of_its_own() -> None:
    """Its pictures follow them whatever the others' are, and the others follow theirs."""
    own = [Member(f"file {i}", shares=(0.5, 0.25)) for i in range(400)]
    others = [Member(f"file {i}") for i in range(400, 800)]
    places = split([*own, *others], 0.0, 0.1, BITS)
    for first, last, wanted in ((0, 400, (0.5, 0.25)), (400, 800, (0.0, 0.1))):
        counts = Counter(place.part for place in places[first:last])
        assert counts["test"] / 400 == pytest.approx(wanted[0], abs=0.06)
        assert counts["val"] / 400 == pytest.approx(wanted[1], abs=0.06)


def test_nothing_has_no_places() -> None:
    """An empty set is split into nothing."""
    assert split([], *SHARES) == []
