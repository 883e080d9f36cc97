"""Sessions of ONNX Runtime, each for one shape of input.

On a GPU a session keeps its plans for the shape that it has seen last. For every other one, each convolution is planned
anew, which takes a network a tenth of a second up to several; batches of one and of two in turns would do nothing else.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

Loaded = TypeVar("Loaded")


class Planned(Generic[Loaded]):
    """A network, loaded once for each of the shapes that it is shown.

    Args:
        first: loaded already; for the first shape.
        load: loads it again.
        most: of the shapes that are kept, those shown last; each holds memory of the device. 0 for a device that plans
            for all shapes alike, and needs it once.
    """

    def __init__(self, first: Loaded, load: Callable[[], Loaded], most: int) -> None:
        self._unused: Loaded | None = first
        self._load, self._most = load, most
        self._of_shape: OrderedDict[tuple[int, ...], Loaded] = OrderedDict()

    def of(self, shape: tuple[int, ...]) -> Loaded:
        """The one for a shape."""
        shape = self._planned_for(shape)
        if shape not in self._of_shape:
            while len(self._of_shape) >= max(self._most, 1):
                self._of_shape.popitem(last=False)
            first, self._unused = self._unused, None  # held twice, its memory would outlive its shape
            self._of_shape[shape] = self._load() if first is None else first
        self._of_shape.move_to_end(shape)
        return self._of_shape[shape]

    def forget_others(self, shape: tuple[int, ...]) -> bool:
        """Let go of the memory of all other shapes; whether there were any."""
        shape = self._planned_for(shape)
        own = self._of_shape.pop(shape, None)
        had_others = bool(self._of_shape)
        self._of_shape.clear()
        if own is not None:
            self._of_shape[shape] = own
        return had_others

    def _planned_for(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape if self._most else ()
