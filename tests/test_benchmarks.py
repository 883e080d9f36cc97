"""The benchmarks' own arithmetic: what they divide by what, what they count, and what their tables say."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import deface, growth, tables
from benchmarks.floors import FLOORS, Cost, recorded
from benchmarks.floors import table as floors_table
from benchmarks.machine import machine
from benchmarks.pictures import picture
from components.dataset.labels import LabelledImage
from components.detection.openvino_runtime import OpenVinoSession
from components.detections import FACE, Detections
from components.errors import StreetveilError
from tests.toy_model import toy_onnx

FLOOR_MS = dict(zip(FLOORS, (10.0, 70.0, 8.0, 10.0, 2.0), strict=True))


def cost(verify_ms: float) -> Cost:
    """An image whose floors are 100 ms and whose other stages cost 92 ms."""
    return Cost({"decode": 11, "detect": 71, "publish": 9, "verify": verify_ms, "read, hash, write, note": 1}, FLOOR_MS)


def test_an_image_is_divided_by_the_sum_of_its_floors_and_each_stage_has_its_own() -> None:
    """The ratio is whole ÷ floors, what is beyond them adds up to the difference, and the verdict names the miss."""
    one = cost(verify_ms=28)
    assert (one.whole_ms, one.least_ms, one.ratio) == (120, 100, 1.2)
    assert [one.beyond(stage) for stage in one.stage_ms] == [1, 1, 1, 18, -1]
    told = floors_table([one, cost(28), cost(28)])
    assert "| **the whole image** | 120.0 | 120.0–120.0 | 120.0% |" in told
    assert "1.200 (25–75 %: 1.200–1.200); target 1.10: missed by 0.10." in told
    assert "reached" in floors_table([cost(18)])


def test_runs_of_networks_are_recorded_with_what_they_saw() -> None:
    """Within the block each run's input is kept as it was, also if its owner changes it afterwards; not outside."""
    session = OpenVinoSession("toy", toy_onnx((0.5, -1.0, 0.5)))
    blob = np.zeros((1, 3, 32, 32), np.float32)
    with recorded() as runs:
        session.run(blob, ("537",))
    session.run(blob, ("538",))
    blob[:] = 1
    ((where, seen, outputs),) = runs
    assert where is session
    assert outputs == ("537",)
    assert not seen.any()


def test_pictures_have_the_size_that_is_asked_for() -> None:
    """Within two per cent of the megapixels, 4:3, the same each time, and with something on it for each object."""
    made = picture(3, 1.0, 5)
    assert made.shape[0] * made.shape[1] == pytest.approx(1e6, rel=0.02)
    assert made.shape[1] / made.shape[0] == pytest.approx(4 / 3, rel=0.01)
    assert np.array_equal(made, picture(3, 1.0, 5))
    empty = picture(3, 1.0, 0)
    assert (np.abs(made.astype(int) - empty).max(axis=2) > 30).mean() > 0.01


def test_a_face_counts_as_found_from_three_quarters_on() -> None:
    """Objects, pixels and images per second are counted over all pictures; other classes are left out."""
    boxes = np.array([[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10]], np.float32)
    objects = Detections.of(boxes, np.ones(3, np.float32), np.array([FACE, FACE, 1]))
    truth = LabelledImage("a.jpg", 60, 20, "test", objects, np.zeros((0, 4), np.float32), frozenset())
    hidden = np.zeros((20, 60), bool)
    hidden[:8, :10], hidden[:7, 20:30] = True, True
    score = deface.Score()
    score.add(0.5, hidden, truth)
    score.add(0.3, np.zeros_like(hidden), truth)
    assert (score.found, score.faces) == (1, 4)
    assert (score.covered_px, score.labelled_px) == (150, 400)
    assert score.images_per_s == pytest.approx(2.5)
    slower = deface.Score([2.0, 2.0])
    told = deface.lines("street", {"Streetveil": score, "deface": slower})
    assert "| 2.50 | 1 |" in told[0]
    assert "| 0.250 | 0.375 |" in told[0]
    assert "| 0.50 | 5.00 |" in told[1]


def test_what_deface_hides_is_its_ellipse() -> None:
    """The box grows as deface grows it, and the middle of each side is hidden, the corners are not."""
    package = SimpleNamespace(
        deface=SimpleNamespace(scale_bb=lambda x1, y1, x2, y2, scale: np.array([x1 - 4, y1 - 6, x2 + 4, y2 + 6]))
    )
    hidden = deface.ellipses(package, (100, 120, 3), np.array([[20, 30, 40, 60, 0.9]], np.float32))  # type: ignore[arg-type]
    assert hidden[45, 30]
    assert hidden[27, 30]
    assert not hidden[25, 17]
    assert not hidden[:24].any()
    assert hidden.sum() == pytest.approx(np.pi * 14 * 21, rel=0.1)


def test_a_missing_deface_is_one_line_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it cannot be imported, the benchmark says what to install, and nothing else is loaded."""
    monkeypatch.setitem(sys.modules, "deface.deface", None)
    with pytest.raises(StreetveilError, match="install it with what it needs"):
        deface.load_deface()


def test_a_day_of_links_has_as_many_names_as_asked_for_and_few_files(tmp_path: Path) -> None:
    """2,005 pictures in folders of a thousand take the room of twenty."""
    growth.fill_with_links(tmp_path, 2005)
    files = list((tmp_path / "day").rglob("*.jpg"))
    assert len(files) == 2005
    assert len({file.stat().st_ino for file in files}) == 20
    assert sorted(folder.name for folder in (tmp_path / "day").iterdir())[-1] == "camera-002"


def test_tables_and_spreads_are_markdown() -> None:
    """A head, a line and the rows; a single value is its own spread; and a machine is one line."""
    assert tables.table(("a", "b"), [(1, "x")]) == "| a | b |\n|---|---|\n| 1 | x |\n"
    assert tables.spread([1, 2, 3, 4, 5]) == "3 (2–4)"
    assert tables.spread([1.25], 2) == "1.25 (1.25–1.25)"
    assert machine("no-such-package").count("\n") == 1
    assert "no-such-package –" in machine("no-such-package")
