"""What the verifier rejected is shown to other detectors in windows, and each answer returns to its own proposal."""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from components.detection.safety_check import answers, look_again
from components.detections import FACE, LICENSE_PLATE, Boxes, Detections
from components.imaging.reading import Pixels
from components.settings import Params, SafetyCheck
from tests.toy_model import CYAN, MAGENTA

WIDTH, HEIGHT = 320, 240
_window_px = st.sampled_from([128, 160, 320])


class Squares:
    """Finds magenta squares as faces and cyan ones as plates, to the pixel."""

    name, class_ids = "squares", (FACE, LICENSE_PLATE)

    def __init__(self) -> None:
        self.canvases: list[Pixels] = []

    def detect(self, pixels: Pixels, threshold: float) -> Detections:
        """The boxes of all connected pixels that are more of a colour than of grey."""
        self.canvases.append(pixels)
        red, green, _ = np.moveaxis(pixels.astype(int), 2, 0)
        boxes, classes = [], []
        for class_id, mask in ((FACE, red - green > 127), (LICENSE_PLATE, green - red > 127)):
            _, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
            for x, y, width, height, _ in stats[1:]:
                boxes.append([x, y, x + width, y + height])
                classes.append(class_id)
        return Detections.of(boxes, 0.75, classes)


class Scripted:
    """A detector that finds the same in every canvas."""

    name, class_ids = "scripted", (FACE, LICENSE_PLATE)

    def __init__(self, found: Detections) -> None:
        self.found = found
        self.thresholds: list[float] = []

    def detect(self, pixels: Pixels, threshold: float) -> Detections:
        """What it was told to."""
        self.thresholds.append(threshold)
        return self.found


def with_squares(*boxes: tuple[float, ...], colour: tuple[int, int, int] = MAGENTA) -> Pixels:
    """A grey picture with squares on it, cut at its border."""
    pixels = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    for x1, y1, x2, y2 in boxes:
        pixels[int(max(y1, 0)) : int(y2), int(max(x1, 0)) : int(x2)] = colour
    return pixels


def within(box: Boxes, share: float = 0.75) -> list[float]:
    """A box in the middle of another, of a share of its sides."""
    middle, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) * share / 2
    return [*(middle - half), *(middle + half)]


@pytest.fixture
def check(params: Params) -> Callable[..., SafetyCheck]:
    """The shipped settings with other windows."""
    return lambda window_px=160: params.detection.safety_check.model_copy(update={"window_px": window_px})


@given(
    x=st.integers(-20, WIDTH - 8),
    y=st.integers(-20, HEIGHT - 8),
    width=st.integers(8, 230),
    height=st.integers(8, 230),
    window_px=_window_px,
)
@settings(max_examples=150, deadline=None)
def test_what_is_seen_in_a_window_is_where_it_is_in_the_picture(
    params: Params, x: int, y: int, width: int, height: int, window_px: int
) -> None:
    """A square of any size anywhere, also cut by the border, returns to within a pixel of its window."""
    square = np.clip([x, y, x + width, y + height], 0, [WIDTH, HEIGHT] * 2).astype(np.float32)
    if (square[2:] - square[:2] < 4).any() or max(square[2:] - square[:2]) > 6 * min(square[2:] - square[:2]):
        return
    asked = Detections.of([within(square)], 0.1, FACE)
    settings = params.detection.safety_check.model_copy(update={"window_px": window_px})
    confidence, boxes = look_again((Squares(),), with_squares(tuple(square)), asked, settings)
    side = max(2 * 0.75 * float(max(square[2:] - square[:2])), 32)
    assert confidence.tolist() == [0.75]
    assert boxes[0] == pytest.approx(square, abs=side / window_px)


@pytest.mark.parametrize(("window_px", "canvases"), [(128, 2), (160, 2), (320, 8)])
def test_many_proposals_share_canvases_and_keep_their_answers(
    check: Callable[..., SafetyCheck], window_px: int, canvases: int
) -> None:
    """More proposals than one canvas holds each get their own square back, and those on nothing get none."""
    squares = np.array(
        [[14 + 50 * i, 12 + 45 * j, 26 + 50 * i + j, 26 + 45 * j + i] for j in range(5) for i in range(6)], np.float32
    )
    is_there = np.arange(len(squares)) % 7 != 3
    detector = Squares()
    asked = Detections.of([within(square) for square in squares], 0.1, FACE)
    confidence, boxes = look_again((detector,), with_squares(*map(tuple, squares[is_there])), asked, check(window_px))
    assert len(detector.canvases) == canvases
    assert all(max(canvas.shape) <= 640 for canvas in detector.canvases)
    assert (confidence > 0).tolist() == is_there.tolist()
    assert boxes[is_there] == pytest.approx(squares[is_there], abs=32 / window_px)
    assert boxes[~is_there].tolist() == asked.xyxy[~is_there].tolist()


def test_the_canvas_is_no_larger_than_its_windows(check: Callable[..., SafetyCheck]) -> None:
    """Few proposals cost a small canvas: one window, a row of them, or as many rows as are needed."""
    for count, shape in ((1, (160, 160, 3)), (3, (160, 480, 3)), (5, (320, 640, 3)), (16, (640, 640, 3))):
        detector = Squares()
        asked = Detections.of([[100, 100, 120, 120]] * count, 0.1, FACE)
        look_again((detector,), with_squares(), asked, check())
        assert [canvas.shape for canvas in detector.canvases] == [shape]


@pytest.mark.parametrize("place", range(4))
def test_what_lies_in_a_neighbours_window_counts_for_nobody_else(check: Callable[..., SafetyCheck], place: int) -> None:
    """A detection belongs to the window in which its middle lies, though it reaches over all the others' proposals."""
    asked = Detections.of([[20 + 60 * i, 100, 60 + 60 * i, 140] for i in range(4)], 0.1, FACE)
    x, y = 20 if place % 2 else -20, 20 if place // 2 else -20
    reaching = Detections.of([x, y, 640 + x, 640 + y], 0.75, FACE)  # two by two windows of 320 px
    confidence, boxes = look_again((Scripted(reaching),), with_squares(), asked, check(320))
    assert np.flatnonzero(confidence).tolist() == [place]
    others = np.arange(4) != place
    assert boxes[others].tolist() == asked.xyxy[others].tolist()
    left, top = 60 * place + (x - 320 * (place % 2)) / 4, 80 + (y - 320 * (place // 2)) / 4
    assert boxes[place].tolist() == [left, top, left + 160, top + 160]


def test_beyond_the_border_there_is_grey(check: Callable[..., SafetyCheck]) -> None:
    """A window that reaches over the picture's corner shows the picture where it is, and grey around it."""
    detector = Squares()
    look_again((detector,), with_squares((0, 0, WIDTH, HEIGHT)), Detections.of([0, 0, 40, 40], 0.1, FACE), check())
    (canvas,) = detector.canvases
    assert (canvas[:38] == 114).all()
    assert (canvas[:, :38] == 114).all()
    assert (canvas[42:, 42:] == MAGENTA).all()


def test_each_class_is_looked_for_among_its_own_proposals(check: Callable[..., SafetyCheck]) -> None:
    """A face where a plate was proposed is no answer, and the windows of one class show nothing of the other's."""
    asked = Detections.of([[50, 50, 80, 80], [200, 100, 240, 120], [50, 50, 80, 80]], 0.1, [0, 1, 1])
    pixels = with_squares((45, 45, 85, 85))
    pixels[95:125, 195:245] = CYAN
    detector = Squares()
    confidence, _ = look_again((detector,), pixels, asked, check())
    assert confidence.tolist() == [0.75, 0.75, 0]
    assert [canvas.shape[1] for canvas in detector.canvases] == [160, 320]


def test_each_detector_is_asked_for_its_own_class_only(check: Callable[..., SafetyCheck]) -> None:
    """A plate in question costs no look for faces, and the other way round; what is of nobody's class has no answer."""
    asked = Detections.of([[50, 50, 80, 80], [200, 100, 240, 120]], 0.1, [FACE, LICENSE_PLATE])
    pixels = with_squares((45, 45, 85, 85))
    pixels[95:125, 195:245] = CYAN
    faces, plates = Squares(), Squares()
    faces.class_ids, plates.class_ids = (FACE,), (LICENSE_PLATE,)  # type: ignore[assignment]
    confidence, _ = look_again((faces, plates), pixels, asked, check())
    assert confidence.tolist() == [0.75, 0.75]
    assert [[int(canvas[80, 80].argmax()) for canvas in seen.canvases] for seen in (faces, plates)] == [[0], [1]]
    assert look_again((plates,), pixels, asked, check())[0].tolist() == [0, 0.75]


def test_the_surest_of_several_detectors_answers(check: Callable[..., SafetyCheck]) -> None:
    """Every detector is asked for all that is not below doubt_from, and the surest one's box is joined to the own."""
    asked = Detections.of([100, 100, 140, 140], 0.1, FACE)
    unsure, sure = (
        Scripted(Detections.of(box, confidence, FACE))
        for box, confidence in (([0, 0, 160, 160], 0.25), ([30, 40, 120, 126], 0.5))
    )
    for detectors in ((unsure, sure), (sure, unsure)):
        confidence, boxes = look_again(detectors, with_squares(), asked, check())
        assert confidence.tolist() == [0.5]
        assert boxes.tolist() == [[95, 100, 140, 143]]
    assert set(unsure.thresholds + sure.thresholds) == {check().doubt_from}


def test_nobody_is_asked_of_nothing(check: Callable[..., SafetyCheck]) -> None:
    """Without proposals no detector is run, and there are no answers."""
    detector = Squares()
    confidence, boxes = look_again((detector,), with_squares(), Detections.empty(), check())
    assert (confidence.shape, boxes.shape) == ((0,), (0, 4))
    assert not detector.canvases


@pytest.mark.parametrize(
    ("seen", "is_answer"),
    [
        ([10, 10, 30, 30], True),
        ([14, 10, 34, 30], True),
        ([24, 10, 44, 30], False),
        ([0, 0, 200, 200], True),
        ([18, 0, 200, 200], True),
        ([21, 0, 200, 200], False),
        ([100, 100, 120, 120], False),
    ],
)
def test_an_answer_overlaps_a_proposal_or_covers_most_of_it(seen: list[float], is_answer: bool) -> None:
    """An overlap of 0.2, or more than half of the proposal, makes an answer; others leave the proposal as it is."""
    asked = Detections.of([10, 10, 30, 30], 0.1, FACE)
    confidence, boxes, is_free = answers(Detections.of(seen, 0.5, FACE), asked)
    assert confidence.tolist() == [0.5 if is_answer else 0]
    low, high = np.minimum(seen, [10, 10, 30, 30]), np.maximum(seen, [10, 10, 30, 30])
    assert boxes[0].tolist() == ([*low[:2], *high[2:]] if is_answer else [10, 10, 30, 30])
    assert is_free.tolist() == [not is_answer]
    assert answers(Detections.of(seen, 0.5, LICENSE_PLATE), asked)[2].all()


def test_what_is_nobodys_answer_is_free() -> None:
    """Only the surest detection at a proposal's place is taken: a second one there, and one elsewhere, stay free."""
    seen = Detections.of([[10, 10, 30, 30], [16, 10, 36, 30], [80, 80, 90, 90]], [0.5, 0.75, 0.9], FACE)
    confidence, boxes, is_free = answers(seen, Detections.of([[12, 10, 32, 30], [12, 10, 32, 30]], 0.1, FACE))
    assert confidence.tolist() == [0.75, 0.75]
    assert boxes.tolist() == [[12, 10, 36, 30]] * 2
    assert is_free.tolist() == [True, False, True]


@pytest.mark.parametrize(("seen", "asked"), [(0, 0), (0, 3), (3, 0)])
def test_nothing_answers_nothing(seen: int, asked: int) -> None:
    """Without detections nobody is answered, and without proposals every detection is free."""
    some = Detections.of([[10, 10, 30, 30]] * 3, 0.5, FACE)
    confidence, boxes, is_free = answers(some.select(np.arange(seen)), some.select(np.arange(asked)))
    assert confidence.tolist() == [0] * asked
    assert boxes.tolist() == [[10, 10, 30, 30]] * asked
    assert is_free.tolist() == [True] * seen


@given(count=st.integers(1, 60), window_px=_window_px)
@settings(max_examples=30, deadline=None)
def test_the_number_of_canvases_is_the_least_possible(params: Params, count: int, window_px: int) -> None:
    """A canvas is filled before the next one is begun, whatever the size of windows."""
    detector = Scripted(Detections.empty())
    asked = Detections.of([[100, 100, 120, 120]] * count, 0.1, FACE)
    look_again(
        (detector,),
        with_squares(),
        asked,
        params.detection.safety_check.model_copy(update={"window_px": window_px}),
    )
    assert len(detector.thresholds) == math.ceil(count / (640 // window_px) ** 2)


@pytest.mark.parametrize("class_name", ["face", "license_plate"])
def test_what_is_sure_must_be_seen(params: Params, class_name: str) -> None:
    """Settings by which a sure detection would not even be listed are refused."""
    values = params.detection.safety_check.model_dump()
    values["sure_from"][class_name] = values["doubt_from"]
    SafetyCheck.model_validate(values)
    values["sure_from"][class_name] -= 0.01
    with pytest.raises(ValidationError, match="doubt_from must not be above sure_from"):
        SafetyCheck.model_validate(values)
