"""The evaluation says of each stage what it keeps and takes away, and writes one line for every object."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from components.dataset.labels import LabelledImage, write_labels
from components.detection.cascade import Proposals
from components.detections import CLASS_NAMES, FACE, LICENSE_PLATE, Detections
from components.evaluation import evaluate as module
from components.evaluation import looks
from components.evaluation.evaluate import evaluate, main, taken_away, with_tilts
from components.evaluation.sightings import read_sightings
from components.imaging.reading import Pixels
from components.settings import PROJECT_ROOT, Region, load_params

STRICT = load_params(PROJECT_ROOT / "params.yaml").regions["strict"]
NOTHING = np.zeros((0, 4), np.float32)
PX = 200
SMALL = [[10, 10, 30, 30], [50, 10, 70, 30], [90, 10, 110, 30]]


def region(threshold: float = 0.15) -> Region:
    """A region that hides boxes as they are."""
    rule = STRICT.face.model_copy(update={"threshold": threshold, "dilation": 0.0})
    return STRICT.model_copy(update={"face": rule, "license_plate": rule})


def picture(path: str, boxes: list[list[float]], exhaustive: tuple[str, ...] = CLASS_NAMES,
            ignored: list[list[float]] | None = None, class_id: int = FACE) -> LabelledImage:  # fmt: skip
    """A picture of 200 × 200 px."""
    objects = Detections.of(boxes, 1.0, class_id)
    ignored_boxes = np.array(ignored, np.float32) if ignored else NOTHING
    return LabelledImage(path, PX, PX, "s", objects, ignored_boxes, frozenset(exhaustive))


def said(boxes: list[list[float]], confidence: list[float], class_id: int = FACE) -> Detections:
    """Proposals with one stage's confidences."""
    return Detections.of(boxes, confidence, class_id)


def test_taken_away_by_hand() -> None:
    """Kept, lost and never found faces; false ones removed and left; ignored, overlapping and unlabelled places."""
    truth = [
        picture("a", SMALL, ignored=[[150, 150, 200, 200]]),
        picture("b", [[10, 10, 30, 30]], exhaustive=("face",)),
    ]
    places = [
        SMALL[0],  # kept
        SMALL[1],  # lost
        # SMALL[2] is found by nobody
        [120, 100, 140, 120],  # false, removed
        [20, 100, 40, 120],  # false, left
        [160, 160, 180, 180],  # ignored
        [95, 15, 105, 25],  # within a label: not false, but too small to hide it
        [0, 0, 60, 60],  # contains a label: not false
    ]
    before, after = [0.1] * 7, [0.9, 0.1, 0.05, 0.4, 0.9, 0.01, 0.02]
    stage1 = {"a": said(places, before), "b": said([[10, 10, 30, 30], [100, 100, 150, 150]], [0.3, 0.3])}
    stage2 = {"a": said(places, after), "b": said([[10, 10, 30, 30], [100, 100, 150, 150]], [0.5, 0.0001])}
    told = taken_away(truth, stage1, stage2, region(), "face")
    assert told == {
        "true_found": 3,
        "true_kept": 2,
        "kept_share": 2 / 3,
        "false_found": 2,
        "false_removed": 1,
        "removed_share": 0.5,
    }


def test_what_stage_2_is_quite_sure_to_be_nothing_was_removed() -> None:
    """A rejected proposal whose confidence of stage 2 is 0 on file still counts as found and removed."""
    truth = [picture("a", [])]
    stage1 = {"a": said([[10, 10, 30, 30], [50, 50, 90, 90]], [0.5, 0.5])}
    told = taken_away(truth, stage1, {"a": said([[50, 50, 90, 90]], [0.6])}, region(), "face")
    assert (told["false_found"], told["false_removed"], told["removed_share"]) == (2, 1, 0.5)


def test_classes_are_taken_away_apart() -> None:
    """Another class's proposals and objects are in no figure of this one; nothing found is no share."""
    truth = [picture("a", [[10, 10, 30, 30]], class_id=LICENSE_PLATE)]
    seen = {"a": said([[10, 10, 30, 30], [100, 100, 150, 150]], [0.9, 0.9], LICENSE_PLATE)}
    told = taken_away(truth, seen, seen, region(), "face")
    assert (told["true_found"], told["kept_share"], told["false_found"], told["removed_share"]) == (0, None, 0, None)
    plates = taken_away(truth, seen, seen, region(), "license_plate")
    assert (plates["true_found"], plates["true_kept"], plates["false_found"], plates["false_removed"]) == (1, 1, 1, 0)


@pytest.mark.parametrize("boxes", [[], SMALL])
def test_the_bound_is_the_peers_own(boxes: list[list[float]]) -> None:
    """Where the peers hide no background, ours is compared with none hidden, and not with all of it allowed."""
    truth = [picture("a", boxes)]
    own = {"a": said([*boxes, [100, 100, 150, 150]], [*[0.9] * len(boxes), 0.5])}
    peers = {"a": said(boxes, [0.9] * len(boxes))}
    told = evaluate(own, own, own, peers, truth, region())
    assert told["peers"]["pixel_fpr"] == 0
    assert told["cascade"]["pixel_fpr"] > 0
    assert told["cascade_at_peers_fpr"]["pixel_fpr"] == 0
    if boxes:
        assert told["cascade_at_peers_fpr"]["face"]["object_recall"] == 1
    assert "peers" not in evaluate(own, own, own, None, truth, region())


def test_peers_may_hide_as_much_as_we_do() -> None:
    """Their threshold falls until the next proposal would hide more background than ours does, and no further."""
    truth, false = [picture("a", SMALL)], [100.0, 100.0, 150.0, 150.0]
    own = {"a": said([SMALL[0], false], [0.9, 0.9])}
    peers = {"a": said([*SMALL, false, [0, 100, 100, 200]], [0.9, 0.12, 0.04, 0.08, 0.06])}
    told = evaluate(own, own, own, peers, truth, region())
    assert told["peers"]["face"]["object_recall"] == pytest.approx(1 / 3)
    assert told["peers_at_own_fpr"]["face"]["object_recall"] == pytest.approx(2 / 3)
    assert told["peers_at_own_fpr"]["pixel_fpr"] == told["cascade"]["pixel_fpr"]


def test_peers_without_a_rate_set_no_bound() -> None:
    """On pictures of which none is labelled completely, the comparison is made without a bound."""
    truth, seen = [picture("a", SMALL, exhaustive=("face",))], {"a": said(SMALL, [0.05] * 3)}
    told = evaluate(seen, seen, seen, seen, truth, region())
    assert told["peers"]["pixel_fpr"] is None
    assert told["cascade_at_peers_fpr"]["face"]["object_recall"] == 1
    assert told["cascade"]["face"]["object_recall"] == 0


def test_tilts_fall_into_two_halves() -> None:
    """30° is the last of the first half; lines are named, and other marks stay."""
    marks = tuple({"tilt_deg": tilt, "square": tilt > 30, "light": "day"} for tilt in (0, 30, 30.1, 80))
    image = LabelledImage("a", PX, PX, "s", Detections.of([[0, 0, 9, 9]] * 4, 1.0, 1), NOTHING, marks=marks)
    (told,) = with_tilts([image])
    assert [mark["tilt"] for mark in told.marks] == ["0–30°", "0–30°", "30–90°", "30–90°"]
    assert [mark["square"] for mark in told.marks] == ["one line", "one line", "two lines", "two lines"]
    assert [(mark["tilt_deg"], mark["light"]) for mark in told.marks] == [(t, "day") for t in (0, 30, 30.1, 80)]
    assert with_tilts([picture("b", SMALL)])[0].marks == ()


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Run the command on two pictures and a rendered slice; a stand-in sees faces by day alone."""
    for folder, name, marks in (("p", "a", ()), ("p", "b", ()), ("slices", "s", ({"tilt_deg": 40, "square": True},))):
        (tmp_path / folder).mkdir(exist_ok=True)
        Image.new("RGB", (PX, PX), (200, 200, 200)).save(tmp_path / folder / f"{name}.png")
        path = f"{name}.png" if folder == "slices" else str(tmp_path / folder / f"{name}.png")
        box = [[10, 10, 30, 30]]
        if folder == "slices":
            plate = LabelledImage(path, PX, PX, "r", Detections.of(box, 1.0, 1), NOTHING, frozenset(CLASS_NAMES))
            plate = LabelledImage(path, PX, PX, "r", plate.objects, NOTHING, plate.exhaustive, marks=marks)
            write_labels(tmp_path / folder / "labels.json", [plate])
    faces = [picture(str(tmp_path / "p" / f"{name}.png"), [[10, 10, 30, 30]]) for name in "ab"]
    write_labels(tmp_path / "p" / "test.json", faces)

    def examine(pixels: Pixels, _region: object) -> Proposals:
        if pixels.mean() < 100:
            return Proposals.of_stage1(Detections.empty())
        found = said([[10, 10, 30, 30]], [0.9])
        return Proposals(found, found.confidence, np.full(1, 0.05, np.float32), np.full(1, 0.9, np.float32))

    def models(*paths: Path | None) -> tuple[SimpleNamespace, ...]:
        return (SimpleNamespace(role="stage1", sha256=str(paths), path=Path("toy.onnx")),)

    monkeypatch.setattr(looks, "load_cascade", lambda *_: SimpleNamespace(examine=examine))
    monkeypatch.setattr(module, "own_files", models)
    monkeypatch.setattr(module, "peer_files", models)

    def run(*more: str) -> Path:
        line = ["evaluate", "--prepared", str(tmp_path / "p"), "--stage1", "s.onnx", "--verifier", "v.onnx"]
        monkeypatch.setattr(sys, "argv", [*line, "--out", str(tmp_path / "out"), *more])
        main()
        return tmp_path / "out"

    return run


def test_the_command_writes_figures_and_objects(command: Callable[..., Path], tmp_path: Path) -> None:
    """Stages, night, tilted plates and peers are told apart, and every labelled object has a line."""
    out = command("--slices", str(tmp_path / "slices"))
    told = json.loads((out / "metrics.json").read_text())
    recall = {name: told[name]["face"]["object_recall"] for name in ("cascade", "stage_1", "stages_1_and_2", "peers")}
    assert recall == {"cascade": 1, "stage_1": 1, "stages_1_and_2": 0, "peers": 1}
    assert told["night_simulated"]["face"]["object_recall"] == 0
    assert told["verifier"]["face"]["true_found"] == 2
    assert told["verifier"]["face"]["true_kept"] == 0
    for name in ("own_tilted", "peers_tilted"):
        assert set(told[name]["license_plate"]["slices"]["tilt"]) == {"30–90°"}
    rows = pd.read_csv(out / "objects.csv")
    assert rows["hidden"].tolist() == [True, True]
    assert sorted(path.name for path in out.iterdir()) == [
        "curves", "metrics.json", "objects.csv", "report.html", "slices.csv", "verdict.json",
    ]  # fmt: skip
    assert sorted(path.name for path in (out / "curves").iterdir()) == [
        f"{model}_{name}.csv" for model in ("own", "peers") for name in ("face", "license_plate")
    ]
    assert told["gate"]["own"]["face.object_recall"] == {"measured": 1.0, "bound": 0.9, "verdict": "too few to say"}
    (kept,) = (tmp_path / "out.work").rglob("own_night.jsonl")
    assert len(read_sightings(kept)) == 2


def test_peers_and_slices_can_be_left_out(command: Callable[..., Path]) -> None:
    """Without them nothing is said of them."""
    told = json.loads((command("--without-peers") / "metrics.json").read_text())
    assert set(told) == {
        "cascade",
        "stages_1_and_2",
        "stage_1",
        "verifier",
        "verifier_and_check",
        "night_simulated",
        "gate",
    }
    assert set(told["gate"]) == {"own"}
