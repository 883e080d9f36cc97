"""The benchmark: it measures the worker's own work, and its result survives a file."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from components.batch import image_cost
from components.batch.benchmark import STAGES, benchmark, read_benchmark
from components.batch.manifest import PUBLISHED
from components.batch.profile import OUTSIDE, profile_of
from components.batch.sources import list_images
from components.batch.summary import summarise
from components.batch.tally import tally_of
from components.batch.work_order import WorkOrder
from components.errors import StreetveilError
from tests.batch.test_manifest import row


def test_stages_add_up_and_the_result_survives_a_file(
    order: Callable[..., WorkOrder], fill: Callable[..., dict[str, bytes]], tmp_path: Path
) -> None:
    """Every image is measured in its round, stages sum to the total, and JSON gives back what was measured."""
    made = order()
    files = fill(made.source, 4)
    work_folder = tmp_path / "work"
    work_folder.mkdir()
    told: Counter[str] = Counter()
    result = benchmark(made, work_folder, 2, 0.02, 2, lambda step: told.update([step]))
    assert told == {"one core": 2, "all cores": 4}
    for pace in (result.one_core, result.all_cores):
        assert tuple(pace.stage_cpu_ms) == STAGES
        assert sum(cost.mean for cost in pace.stage_cpu_ms.values()) == pytest.approx(pace.cpu_ms.mean)
        assert pace.stage_cpu_ms["stage 1"].median > 0
    assert result.input_bytes == sum(map(len, files.values())) / 4
    assert result.second_look_ms > 0
    file = tmp_path / "benchmark.json"
    file.write_text(result.to_json())
    assert read_benchmark(file) == result

    file.write_text(result.to_json().replace('"processor"', '"prozessor"'))
    with pytest.raises(StreetveilError, match=r"processor.*again"):
        read_benchmark(file)
    with pytest.raises(StreetveilError, match="streetveil benchmark"):
        read_benchmark(tmp_path / "none.json")


def test_an_image_may_be_measured_as_often_as_one_likes(
    order: Callable[..., WorkOrder],
    fill: Callable[..., dict[str, bytes]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is measured is no attempt that is held against the image: it is published each time, and never given up."""
    made = order()
    fill(made.source, 1)
    (image,) = list_images(made.source, Path("/nowhere"))
    monkeypatch.setattr(image_cost, "_held", None)
    monkeypatch.setattr(image_cost.signal, "signal", lambda *_: None)  # the tests keep their Ctrl-C
    image_cost.start_measuring(made, tmp_path, image, threading.Barrier(1))
    costs = [image_cost.measure(image) for _ in range(made.params.batch.max_attempts + 2)]
    assert {(cost.row.state, cost.row.attempts) for cost in costs} == {(PUBLISHED, 1)}


def test_a_picture_that_is_not_published_is_no_measurement(order: Callable[..., WorkOrder], tmp_path: Path) -> None:
    """A benchmark over files that go to quarantine fails and names the reason."""
    made = order()
    (made.source / "broken.jpg").write_bytes(b"no picture")
    work_folder = tmp_path / "work"
    work_folder.mkdir()
    with pytest.raises(StreetveilError, match="unsupported_format"):
        benchmark(made, work_folder, 1, 0.02, 1)


def test_the_profile_names_the_stage_that_takes_most() -> None:
    """Shares add up to 1 over the workers' time, and waiting is a bottleneck too."""
    tally = tally_of([row(f"p{i}", "published", decode_ms=100.0, detect_ms=300.0) for i in range(5)])
    told = {"finished_before": 0, "model": "m", "region": "eu", "min_published_share": 0.99}
    busy = profile_of(summarise(tally, duration_s=1.0, **told), workers=2)  # type: ignore[arg-type]
    assert busy.bottleneck == "detect"
    assert busy.share("detect") > 0.7
    assert sum(map(busy.share, busy.stage_s)) == pytest.approx(1)
    assert profile_of(summarise(tally, duration_s=60.0, **told), workers=2).bottleneck == OUTSIDE  # type: ignore[arg-type]
