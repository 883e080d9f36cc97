"""The kept epoch is the one with the highest recall where the model will be used."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ultralytics.utils.metrics import ap_per_class, box_iou

from components.dataset.labels import LabelledImage
from components.detections import Detections
from components.training.operating_point import OperatingPoint, Pairs, best_index, operating_point

BOTH = frozenset({"face", "license_plate"})


def truth(boxes: list[list[float]], classes: list[int], exhaustive: frozenset[str] = BOTH) -> LabelledImage:
    """A labelled picture of 200 × 100 px."""
    return LabelledImage(
        "a.jpg", 200, 100, "test", Detections.of(boxes, 1.0, classes), np.zeros((0, 4), np.float32), exhaustive
    )


def mean_average_precision(pairs: Pairs) -> float:
    """Mean average precision at IoU 0.5 to 0.95, by ultralytics' own function, over the classes together."""
    thresholds = torch.linspace(0.5, 0.95, 10)
    hits, confidence, predicted, labelled = [], [], [], []
    for image, found in pairs:
        overlaps = box_iou(torch.tensor(image.objects.xyxy), torch.tensor(found.xyxy))
        same = torch.tensor(image.objects.class_id)[:, None] == torch.tensor(found.class_id)[None]
        hits.append(((overlaps * same).max(0).values[:, None] >= thresholds).numpy())
        confidence.append(found.confidence)
        predicted.append(found.class_id)
        labelled.append(image.objects.class_id)
    rows = [np.concatenate(values) for values in (hits, confidence, predicted, labelled)]
    return float(ap_per_class(*rows, plot=False)[5].mean())


def test_the_epoch_of_best_recall_is_not_the_one_of_best_map() -> None:
    """Of one model with exact boxes for half of the faces and one that covers all loosely, recall takes the second."""
    faces = [[20, 20, 40, 40], [60, 20, 80, 40], [100, 20, 120, 40], [140, 20, 160, 40]]
    image = truth(faces, [0, 0, 0, 0])
    exact = Detections.of(faces[:2], 0.9, 0)
    loose = Detections.of([[x1 - 4, y1 - 4, x2 + 4, y2 + 4] for x1, y1, x2, y2 in faces], 0.3, 0)
    epochs = [[(image, exact)], [(image, loose)]]
    by_map = max(range(2), key=lambda i: mean_average_precision(epochs[i]))
    by_recall = best_index([operating_point(pairs, 0.15, 0.1) for pairs in epochs])
    assert (by_map, by_recall) == (0, 1)


def test_the_threshold_is_the_usual_one_where_the_bound_is_kept() -> None:
    """If little background is hidden, the threshold of production stays, and weaker detections are left out."""
    image = truth([[0, 0, 10, 10], [50, 0, 60, 10]], [0, 0])
    found = Detections.of([[0, 0, 10, 10], [50, 0, 60, 10]], [0.9, 0.14], 0)
    point = operating_point([(image, found)], 0.15, 0.02)
    assert point.threshold == 0.15
    assert point.pixel_recall == point.object_recall == 0.5
    assert point.pixel_false_positive_rate == 0


def test_the_threshold_rises_until_the_bound_is_kept() -> None:
    """A large false detection of 0.4 lifts the threshold just above it, at the price of what is weaker."""
    image = truth([[0, 0, 10, 10], [50, 0, 60, 10]], [0, 0])
    found = Detections.of([[0, 0, 10, 10], [50, 0, 60, 10], [100, 0, 200, 100]], [0.9, 0.3, 0.4], 0)
    point = operating_point([(image, found)], 0.15, 0.02)
    assert 0.4 < point.threshold < 0.42
    assert point.pixel_recall == 0.5
    assert operating_point([(image, found)], 0.15, 0.6).pixel_recall == 1


def test_a_model_that_cannot_keep_the_bound_is_worth_nothing() -> None:
    """False detections of confidence 1 leave no threshold at which anything may be hidden."""
    image = truth([[0, 0, 10, 10]], [0])
    point = operating_point([(image, Detections.of([[0, 0, 200, 100]], 1.0, 0))], 0.15, 0.02)
    assert (point.pixel_recall, point.pixel_false_positive_rate) == (0, 0)


def test_without_complete_labels_objects_decide() -> None:
    """Where no picture can tell a false positive, the epoch with more objects covered is better."""
    image = truth([[0, 0, 40, 40], [50, 0, 60, 10], [80, 0, 90, 10]], [0, 0, 0], frozenset())
    one_large = operating_point([(image, Detections.of([[0, 0, 40, 40]], 0.9, 0))], 0.15, 0.02)
    two_small = operating_point([(image, Detections.of([[50, 0, 60, 10], [80, 0, 90, 10]], 0.9, 0))], 0.15, 0.02)
    assert one_large.pixel_false_positive_rate is None
    assert one_large.pixel_recall > two_small.pixel_recall
    assert best_index([two_small, one_large]) == 0


def test_each_class_is_bounded_where_its_labels_are_complete() -> None:
    """In a picture labelled for faces alone, false faces count and plates do not; the classes' rates are added."""
    faces = truth([[0, 0, 100, 50]], [0], frozenset({"face"}))  # leaves 15 000 px of background
    plates = truth([], [], frozenset({"license_plate"}))
    wrong = Detections.of([[140, 0, 170, 100], [0, 50, 100, 100]], 0.9, [0, 1])
    rates = [
        operating_point(pairs, 0.15, 1.0).pixel_false_positive_rate
        for pairs in ([(faces, wrong)], [(plates, wrong)], [(faces, wrong), (plates, wrong)])
    ]
    assert rates == [0.2, 0.25, 0.45]
    assert operating_point([(faces, wrong), (plates, wrong)], 0.15, 0.44).threshold > 0.9


def test_a_box_somewhat_too_large_is_no_false_positive() -> None:
    """What is hidden within a quarter of a label's sides around it does not count; what is hidden beyond it does."""
    image = truth([[80, 40, 120, 60]], [0])
    close = operating_point([(image, Detections.of([[72, 36, 128, 64]], 0.9, 0))], 0.15, 0.02)
    far = operating_point([(image, Detections.of([[60, 36, 128, 64]], 0.9, 0))], 0.15, 1.0)
    assert close.pixel_false_positive_rate == 0
    assert far.pixel_false_positive_rate == pytest.approx(10 * 28 / (200 * 100 - 40 * 20))


def test_the_rarer_class_counts_as_much() -> None:
    """Recall is the mean over classes, however many objects each has; a class without labels is left out."""
    image = truth([[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10], [60, 0, 80, 10]], [0, 0, 0, 1])
    point = operating_point([(image, Detections.of([[0, 0, 50, 10]], 0.9, 0))], 0.15, 1.0)
    assert point.class_pixel_recall == {"face": 1.0, "license_plate": 0.0}
    assert point.pixel_recall == point.object_recall == 0.5
    only_faces = truth([[0, 0, 10, 10]], [0])
    point = operating_point([(only_faces, Detections.of([[0, 0, 10, 10]], 0.9, 0))], 0.15, 1.0)
    assert point.class_pixel_recall == {"face": 1.0, "license_plate": None}
    assert point.pixel_recall == 1


@pytest.mark.parametrize(("worths", "best"), [([0.1, 0.3, 0.2], 1), ([0.0, 0.0, 0.0], 2), ([0.5, 0.5, 0.1], 1)])
def test_the_last_of_equal_epochs_is_kept(worths: list[float], best: int) -> None:
    """The highest recall wins; of equals, the one that has learnt longest."""
    assert best_index([OperatingPoint(0.15, worth, worth, 0.0, {}) for worth in worths]) == best


def test_of_equal_recall_the_one_that_hides_less_is_better() -> None:
    """Between two epochs of equal recall, the lower false-positive rate decides."""
    assert best_index([OperatingPoint(0.15, 0.9, 0.9, rate, {}) for rate in (0.01, 0.02)]) == 0
