"""Figures are sums over objects and pixels that can be checked by hand, and a bound on false blur is a bound."""

from __future__ import annotations

import numpy as np
import pytest

from components.dataset.labels import LabelledImage
from components.detections import CLASS_NAMES, FACE, LICENSE_PLATE, Detections
from components.evaluation.detector_metrics import at_fpr, figures
from components.evaluation.intervals import wilson
from components.evaluation.object_table import with_threshold
from components.settings import PROJECT_ROOT, Region, load_params

STRICT = load_params(PROJECT_ROOT / "params.yaml").regions["strict"]
NOTHING = np.zeros((0, 4), np.float32)
PX = 100
Box = tuple[float, float, float, float]


def region(threshold: float = 0.15) -> Region:
    """A region that hides boxes as they are."""
    rule = STRICT.face.model_copy(update={"threshold": threshold, "dilation": 0.0})
    return STRICT.model_copy(update={"face": rule, "license_plate": rule})


def picture(path: str, boxes: list[Box], class_id: list[int], exhaustive: tuple[str, ...] = CLASS_NAMES,
            **more: object) -> LabelledImage:  # fmt: skip
    """A picture of 100 × 100 px."""
    objects = Detections.of(boxes, 1.0, class_id)
    values = {"ignored": NOTHING, "exhaustive": frozenset(exhaustive), **more}
    return LabelledImage(path, PX, PX, str(values.pop("source", "s")), objects, **values)  # type: ignore[arg-type]


def test_figures_by_hand() -> None:
    """Two faces and a plate in two pictures: recall of objects and pixels, false blur and slices are as counted."""
    truth = [
        picture("a", [(0, 0, 10, 10), (50, 50, 90, 90)], [FACE, LICENSE_PLATE], marks=({"mask": "with"}, {})),
        picture("b", [(0, 0, 20, 20)], [FACE], source="t", marks=({"mask": "without"},)),
        picture("c", [(0, 0, 20, 20)], [LICENSE_PLATE], exhaustive=("license_plate",)),
    ]
    seen = {
        "a": Detections.of([(0, 0, 10, 8), (50, 50, 90, 70), (0, 90, 10, 100)], [0.9, 0.8, 0.7], [0, 1, 0]),
        "b": Detections.of([(0, 0, 20, 20), (30, 30, 60, 60)], [0.15, 0.14], [FACE, FACE]),
        "c": Detections.of([(60, 0, 100, 100)], 0.9, FACE),
    }
    told = figures(truth, seen, region())
    face, plate = told["face"], told["license_plate"]
    assert (told["images"], told["thresholds"]) == (3, {"face": 0.15, "license_plate": 0.15})
    assert (face["objects"], face["object_recall"]) == (2, 1.0)
    assert face["object_recall_interval"] == wilson(2, 2)
    assert face["pixel_recall"] == (80 + 400) / 500
    assert (plate["objects"], plate["object_recall"]) == (2, 0)
    assert plate["pixel_recall"] == 800 / 2000
    assert face["slices"]["mask"]["with"]["pixel_recall"] == 0.8
    assert face["slices"]["mask"]["without"]["pixel_recall"] == 1.0
    assert {name: rows["objects"] for name, rows in face["slices"]["source"].items()} == {"s": 1, "t": 1}
    assert {name: rows["objects"] for name, rows in face["slices"]["size"].items()} == {"8–16 px": 1, "16–32 px": 1}
    assert "mask" not in plate["slices"]
    background = PX * PX * 2 - 100 - 1600 - 400  # picture c cannot tell
    assert told["pixel_fpr"] == 100 / background
    assert told["background_images"] == 2
    assert told["false_blur_share"] == 100 / (80 + 800 + 100 + 400)


def test_pixels_under_two_labels_count_once() -> None:
    """Of faces that overlap, the class's pixel recall counts the union."""
    truth = [picture("a", [(0, 0, 10, 10), (0, 0, 10, 20)], [FACE, FACE])]
    told = figures(truth, {"a": Detections.of([(0, 0, 10, 10)], 0.9, FACE)}, region())
    assert told["face"]["pixel_recall"] == 0.5


def test_nothing_labelled_is_no_recall() -> None:
    """Without objects recall is None and not 0 or 1; without complete pictures there is no false-positive rate."""
    empty = figures([picture("a", [], [])], {"a": Detections.of([(0, 0, 10, 10)], 0.9, FACE)}, region())
    assert empty["face"]["object_recall"] is empty["face"]["pixel_recall"] is None
    assert empty["face"]["objects"] == 0
    assert empty["pixel_fpr"] == 0.01
    partly = figures([picture("a", [(0, 0, 9, 9)], [FACE], ("face",))], {"a": Detections.empty()}, region())
    assert partly["pixel_fpr"] is partly["pixel_fpr_interval"] is partly["false_blur_share"] is None
    assert figures([], {}, region())["images"] == 0


def many(rng: np.random.Generator, count: int = 12) -> tuple[list[LabelledImage], dict[str, Detections]]:
    """Pictures with a face each, which is found, and false proposals of all confidences."""
    truth, seen = [], {}
    for i in range(count):
        truth.append(picture(str(i), [(0, 0, 30, 30)], [FACE]))
        low = rng.uniform(30, 85, (8, 2))
        boxes = [(0, 0, 30, 30), *np.hstack([low, low + 12]).tolist()]
        seen[str(i)] = Detections.of(boxes, [0.3, *rng.uniform(0.02, 1, 8)], [0, *rng.integers(0, 2, 8)])
    return truth, seen


def odds(share: float) -> float:
    """For one of something, so many against."""
    return share / (1 - share)


def with_odds(value: float) -> float:
    """The share of which these are the odds."""
    return value / (1 + value)


@pytest.mark.parametrize("bound", [0.0, 0.005, 0.02, 0.05, 0.1, 1.0])
def test_the_bound_on_false_blur_holds_at_the_lowest_threshold(bound: float, rng: np.random.Generator) -> None:
    """The rate is never above the bound, and one step lower it would be, unless there is no lower step."""
    truth, seen = many(rng)
    told = at_fpr(truth, seen, region(), bound)
    assert told["pixel_fpr"] <= bound
    threshold = told["thresholds"]["face"]
    assert threshold == told["thresholds"]["license_plate"]
    step = (10_000 / 0.1) ** (1 / 79)
    if threshold > 1:
        lower = with_odds(odds(0.15) * 10_000)
    elif odds(threshold) > odds(0.15) * 0.1 * step**0.5:
        lower = with_odds(odds(threshold) / step)
    else:
        assert bound == 1.0
        return
    at_lower = figures(truth, seen, with_threshold(region(), dict.fromkeys(CLASS_NAMES, lower)))
    assert at_lower["pixel_fpr"] > bound


def test_a_certainty_of_1_does_not_break_the_bound() -> None:
    """Where false proposals have a confidence of 1, nothing at all is hidden, rather than too much."""
    truth, seen = [picture("a", [], [])], {"a": Detections.of([(0, 0, 50, 50)], 1.0, FACE)}
    told = at_fpr(truth, seen, region(), 0.01)
    assert told["pixel_fpr"] == 0


def test_thresholds_of_classes_keep_the_ratio_of_their_odds() -> None:
    """One factor moves the odds of both classes' thresholds, so none comes to 1."""
    uneven = with_threshold(region(), {"face": 0.2, "license_plate": 0.1})
    truth = [picture("a", [], [])]
    told = at_fpr(truth, {"a": Detections.of([(0, 0, 50, 50)], 0.25, LICENSE_PLATE)}, uneven, 0.01)["thresholds"]
    assert odds(told["face"]) / odds(told["license_plate"]) == pytest.approx(odds(0.2) / odds(0.1))
    assert 0.25 < told["license_plate"] < with_odds(odds(0.25) * 1.16)


def test_pictures_that_cannot_tell_set_no_threshold() -> None:
    """What is hidden in pictures that are not labelled completely is no false blur; without others all is allowed."""
    truth, seen = [picture("a", [], [], ("face",))], {"a": Detections.of([(0, 0, 50, 50)], 0.5, FACE)}
    told = at_fpr(truth, seen, region(), 0.01)
    assert told["pixel_fpr"] is None
    assert told["thresholds"]["face"] == pytest.approx(with_odds(odds(0.15) / 10))
