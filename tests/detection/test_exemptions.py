"""An exemption leaves visible what somebody has named, for as long as it holds, and nothing beside it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.detection.exemptions import Exemption, in_force, spare
from components.detection.region_rules import Outcome
from components.detections import FACE, LICENSE_PLATE, Detections
from components.settings import ExemptionLimits

LIMITS = ExemptionLimits(max_area_share=0.02, max_days=366)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SHA = "a" * 64
STATUE = Exemption(
    "0123456789ab", "street/a.jpg", SHA, 1000, 800, (100, 100, 200, 200), "face", "anna", "a statue",
    NOW - timedelta(days=1), date(2026, 4, 1),
)  # fmt: skip
VAN = replace(STATUE, id="ba9876543210", pattern="camera-7/*.jpg", input_sha256=None, class_name="license_plate")


def held(exemption: Exemption, path: str = "street/a.jpg", sha256: str = SHA, now: datetime = NOW) -> bool:
    """Whether an exemption holds for a picture."""
    return bool(in_force([exemption], path, sha256, now, LIMITS))


def test_one_file_is_one_file() -> None:
    """The exemption of a picture speaks of its very bytes at its very path, whatever signs the path has."""
    assert held(STATUE)
    assert not held(STATUE, sha256="b" * 64)
    assert not held(STATUE, path="street/b.jpg")
    starred = replace(STATUE, pattern="street/*.jpg")
    assert not held(starred, path="street/a.jpg")
    assert held(starred, path="street/*.jpg")


def test_a_camera_is_one_folder() -> None:
    """The exemption of a camera speaks of the files in its folder, and of no other folder's."""
    assert held(VAN, path="camera-7/0001.jpg")
    for path in (
        "camera-8/0001.jpg",
        "camera-7/day/0001.jpg",
        "day/camera-7/0001.jpg",
        "camera-7/0001.png",
        "0001.jpg",
    ):
        assert not held(VAN, path=path), path


@pytest.mark.parametrize(
    ("now", "holds"),
    [
        (datetime(2026, 4, 1, 23, 59, tzinfo=UTC), True),
        (datetime(2026, 4, 2, 0, 0, tzinfo=UTC), False),
        (datetime(2027, 1, 1, tzinfo=UTC), False),
        (STATUE.granted_at - timedelta(seconds=1), False),
    ],
)
def test_it_holds_from_its_grant_to_the_end_of_its_last_day(now: datetime, holds: bool) -> None:
    """An expired exemption, and one of the future, leave nothing visible."""
    assert held(STATUE, now=now) is holds


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"box": (0, 0, 1000, 800)}, "100.0% of the picture"),
        ({"box": (0, 0, 200, 100)}, "2.5% of the picture"),
        ({"box": (-500, -500, -100, -100)}, "holds nothing"),
        ({"box": (200, 200, 100, 100)}, "holds nothing"),
        ({"box": (100, 100, 100, 200)}, "holds nothing"),
        ({"box": (950, 100, 1050, 200)}, "holds nothing"),
        ({"box": (float("nan"), 0, 10, 10)}, "holds nothing"),
        ({"until": date(2999, 1, 1)}, "max_days"),
        ({"until": date(2026, 1, 1)}, "max_days"),
        ({"by": " "}, "names nobody or no reason"),
        ({"why": ""}, "names nobody or no reason"),
        ({"class_name": "everything"}, "is about 'everything'"),
        ({"pattern": "*.jpg", "input_sha256": None}, "names no folder"),
        ({"pattern": "*/*.jpg", "input_sha256": None}, "leaves the folder open"),
        ({"pattern": "**", "input_sha256": None}, "names no folder"),
        ({"pattern": "camera-?/a.jpg", "input_sha256": None}, "leaves the folder open"),
        ({"pattern": "../camera-7/*.jpg", "input_sha256": None}, "no path below the source"),
        ({"pattern": "/camera-7/*.jpg", "input_sha256": None}, "no path below the source"),
        ({"pattern": "camera-7/", "input_sha256": None}, "no path below the source"),
    ],
)
def test_what_could_mean_too_much_holds_for_nothing(change: dict[str, object], fault: str) -> None:
    """Whole pictures, open folders, no end, no name: each is told, and holds for no picture, book or not."""
    wrong = replace(STATUE, **change)  # type: ignore[arg-type]
    assert fault in (wrong.fault(LIMITS) or "")
    paths = {wrong.pattern, "street/a.jpg", "camera-7/a.jpg", "a.jpg"}
    assert not any(held(wrong, path=path) for path in paths)


def test_many_small_ones_are_no_way_around_the_limit() -> None:
    """Exemptions that together cover more than the limit hold for nothing, not even the first of them."""
    strips = [replace(STATUE, id=f"{i:012x}", box=(0, 10 * i, 1000, 10 * i + 10)) for i in range(3)]
    for strip in strips:
        assert held(strip)
    assert in_force(strips[:1], "street/a.jpg", SHA, NOW, LIMITS) == strips[:1]
    assert in_force(strips, "street/a.jpg", SHA, NOW, LIMITS) == []


def spared(boxes: list[tuple[float, ...]], class_id: int = FACE, size: tuple[int, int] = (1000, 800)) -> list[bool]:
    """Which boxes the statue's exemption leaves visible."""
    outcomes = [Outcome.BLURRED] * len(boxes)
    told, by = spare(Detections.of(boxes, 0.9, class_id), outcomes, [STATUE], *size)
    assert [one == STATUE.id for one in by] == [outcome is Outcome.EXEMPT for outcome in told]
    return [outcome is Outcome.EXEMPT for outcome in told]


def test_only_what_lies_wholly_in_the_place_is_spared() -> None:
    """A face that reaches out of the box, surrounds it or lies beside it is hidden; so is a plate in it."""
    boxes = [(100, 100, 200, 200), (120, 130, 150, 160), (99, 100, 200, 200), (0, 0, 300, 300), (300, 300, 340, 340)]
    assert spared(boxes) == [True, True, False, False, False]
    assert spared(boxes, LICENSE_PLATE) == [False] * 5


def test_a_picture_of_another_size_is_of_another_camera() -> None:
    """Coordinates mean something in pictures of the registered size alone."""
    assert spared([(120, 130, 150, 160)], size=(1000, 800)) == [True]
    assert spared([(120, 130, 150, 160)], size=(800, 1000)) == [False]
    assert spared([(120, 130, 150, 160)], size=(2000, 1600)) == [False]


def test_other_outcomes_stay_what_they_are() -> None:
    """What was not to be blurred is not said to be exempt."""
    outcomes = [Outcome.BELOW_THRESHOLD, Outcome.TOO_SMALL, Outcome.BLURRED]
    found = Detections.of([(120, 130, 150, 160)] * 3, 0.9, FACE)
    assert spare(found, outcomes, [STATUE], 1000, 800) == ([*outcomes[:2], Outcome.EXEMPT], [None, None, STATUE.id])


@given(st.lists(st.tuples(*[st.floats(-50, 1100)] * 4), max_size=12), st.tuples(*[st.integers(0, 1000)] * 4))
def test_nothing_outside_of_the_limit_is_ever_spared(boxes: list[tuple[float, ...]], box: tuple[int, ...]) -> None:
    """Whatever box is registered, what it spares lies in it, and it is no larger than the limit allows."""
    exemption = replace(STATUE, box=box)  # type: ignore[arg-type]
    held_now = in_force([exemption], "street/a.jpg", SHA, NOW, LIMITS)
    told, _ = spare(Detections.of(boxes, 0.9, FACE), [Outcome.BLURRED] * len(boxes), held_now, 1000, 800)
    x1, y1, x2, y2 = box
    for (left, top, right, bottom), outcome in zip(boxes, told, strict=True):
        if outcome is Outcome.EXEMPT:
            assert x1 - 0.01 <= left and y1 - 0.01 <= top and right <= x2 + 0.01 and bottom <= y2 + 0.01  # noqa: PT018
            assert (x2 - x1) * (y2 - y1) <= 0.02 * 1000 * 800
