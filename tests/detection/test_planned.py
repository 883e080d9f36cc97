"""A network is loaded for each shape that it is shown, within bounds."""

from __future__ import annotations

import weakref

import numpy as np
import pytest

from components.detection.onnx_runtime import Session
from components.detection.planned import Planned
from components.detection.shipped import shipped_files
from components.errors import OutOfMemoryError


@pytest.fixture
def loaded() -> list[int]:
    """What has been loaded, numbered."""
    return []


def counted(loaded: list[int], most: int) -> Planned[int]:
    """A network whose loads are counted."""

    def load() -> int:
        loaded.append(len(loaded))
        return loaded[-1]

    return Planned(load(), load, most)


def test_every_shape_has_its_own_and_keeps_it(loaded: list[int]) -> None:
    """In turns, two shapes cost two loads, of which the first was there already."""
    planned = counted(loaded, 2)
    assert [planned.of(shape) for shape in [(1, 8), (2, 8), (1, 8), (2, 8)]] == [0, 1, 0, 1]
    assert loaded == [0, 1]


def test_the_shape_that_was_shown_longest_ago_makes_room(loaded: list[int]) -> None:
    """No more are kept than there may be; which goes is decided by the last time, not by the first."""
    planned = counted(loaded, 2)
    shown = [(1,), (2,), (1,), (3,), (1,), (2,)]
    assert [planned.of(shape) for shape in shown] == [0, 1, 0, 2, 0, 3]


def test_all_but_one_shape_are_forgotten_when_memory_runs_out(loaded: list[int]) -> None:
    """What is in use stays; it is told whether anything was let go, so that nobody tries again for nothing."""
    planned = counted(loaded, 4)
    for shape in [(1,), (2,), (3,)]:
        planned.of(shape)
    assert planned.forget_others((2,))
    assert not planned.forget_others((2,))
    assert [planned.of(shape) for shape in [(2,), (1,)]] == [1, 3]


def test_a_shape_that_cannot_even_be_loaded_makes_others_go(loaded: list[int]) -> None:
    """The load itself may be what has no room; after it the others are gone, and the next try loads again."""
    planned = counted(loaded, 4)
    planned.of((1,))
    planned.of((2,))
    assert planned.forget_others((3,))
    assert not planned.forget_others((3,))
    assert planned.of((3,)) == 2


def test_what_made_room_is_held_by_nobody() -> None:
    """The session of the first shape ends with it, and its memory with that."""

    class Held:
        pass

    planned = Planned(Held(), Held, 1)
    first = weakref.ref(planned.of((1,)))
    assert first() is not None
    planned.of((2,))
    assert first() is None


def test_a_device_that_plans_for_all_shapes_loads_once(loaded: list[int]) -> None:
    """On a CPU every shape has the same, and there is nothing to let go."""
    planned = counted(loaded, 0)
    assert [planned.of(shape) for shape in [(1,), (2,)]] == [0, 0]
    assert not planned.forget_others((1,))


def test_a_run_without_room_is_tried_again_when_other_shapes_have_made_some(monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory of the small shape is what the large one lacks; with nothing left to let go, the caller is told."""
    (file,) = (file for file in shipped_files() if file.detector == "street")
    session = Session("street", file.read())
    session._planned._most = 4
    small, large = np.zeros((1, 3, 32, 32), np.float32), np.zeros((2, 3, 32, 32), np.float32)
    session.run(small, session.output_names)
    run, tries, is_full = session._run, [], [True]

    def crowded(shown: np.ndarray, outputs: list[str]) -> list[np.ndarray]:
        tries.append(shown.shape)
        answer = run(shown, outputs)
        if is_full[0] or len(session._planned._of_shape) > 1:
            is_full[0] = always
            raise OutOfMemoryError("street: no room")
        return answer

    monkeypatch.setattr(session, "_run", crowded)
    always = False
    assert len(session.run(large, session.output_names)[0]) == 2
    assert tries == [large.shape] * 2
    always = is_full[0] = True
    with pytest.raises(OutOfMemoryError):
        session.run(large, session.output_names)
    assert tries == [large.shape] * 3
