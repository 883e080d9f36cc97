"""The shipped detectors see, and a model that does not see is found out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from components.detection.bundle import Bundle, load_cascade
from components.detection.cascade import Cascade
from components.detection.sanity import SANITY_PICTURES, check_sanity
from components.detection.shipped import shipped_files
from components.detections import FACE, LICENSE_PLATE, Boxes, Detections, iou
from components.errors import ModelError
from components.imaging.reading import Pixels
from components.settings import Params
from tests.toy_model import SQUARE_PX, scene


@pytest.fixture(scope="module")
def shipped(params: Params) -> Cascade:
    """The detectors that come with the installation."""
    return load_cascade(Bundle("shipped", "1", shipped_files()), params.detection)


class Fixed:
    """A detector that finds the same in every picture it is shown."""

    def __init__(self, name: str, found: Detections) -> None:
        self.name = name
        self.found = found
        self.shown: list[tuple[int, ...]] = []
        self.thresholds: set[float] = set()

    def detect(self, pixels: Pixels, threshold: float) -> Detections:
        """Remember what was shown."""
        self.shown.append(pixels.shape)
        self.thresholds.add(threshold)
        return self.found


def box_of(*box: float) -> Boxes:
    """One box."""
    return np.array([box], np.float32)


def test_the_shipped_detectors_pass(shipped: Cascade, params: Params) -> None:
    """The real networks find the face and the plate of the sanity pictures by the highest thresholds of all regions."""
    highest = max(params.regions.values(), key=lambda region: (region.face.threshold, region.license_plate.threshold))
    assert all(
        highest.rule(name).threshold >= region.rule(name).threshold
        for region in params.regions.values()
        for name in ("face", "license_plate")
    )
    check_sanity(shipped, highest, params.reading)


def test_a_blind_model_is_found_out(toy: Bundle, params: Params) -> None:
    """The toy model sees only magenta and cyan and must not work."""
    with pytest.raises(ModelError, match="does not find the face of the sanity picture"):
        check_sanity(load_cascade(toy, params.detection), params.regions["strict"], params.reading)


@pytest.mark.parametrize(("kept", "missed"), [(0, "license_plate"), (1, "face")])
def test_a_model_blind_to_one_class_is_found_out(shipped: Cascade, params: Params, kept: int, missed: str) -> None:
    """One of the two networks alone does not pass, whichever it is."""
    half = Cascade((shipped.detectors[kept],), shipped.settings)
    with pytest.raises(ModelError, match=f"does not find the {missed} "):
        check_sanity(half, params.regions["strict"], params.reading)


@pytest.mark.parametrize("found", ["nothing", "elsewhere", "unsure", "another class", "everything"])
def test_only_the_object_itself_counts(params: Params, found: str) -> None:
    """No box, one in the wrong place, too unsure, of the other class or around everything: none of them is a find."""
    region = params.regions["eu"]
    x1, y1, x2, y2 = SANITY_PICTURES[0].box
    wrong = {
        "nothing": Detections.empty(),
        "elsewhere": Detections.of([0, 0, 60, 60], 0.9, FACE),
        "unsure": Detections.of([x1, y1, x2, y2], region.face.threshold - 0.01, FACE),
        "another class": Detections.of([x1, y1, x2, y2], 0.9, LICENSE_PLATE),
        "everything": Detections.of([0, 0, 5000, 5000], 0.9, FACE),
    }
    for detections, sees in (
        (wrong[found], False),
        (Detections.of([x1, y1, x2, y2], region.face.threshold, FACE), True),
    ):
        cascade = Cascade((Fixed("centerface", detections),), params.detection)
        if sees:
            check_sanity(cascade, region, params.reading, SANITY_PICTURES[:1])
        else:
            with pytest.raises(ModelError, match=r"face\.jpg"):
                check_sanity(cascade, region, params.reading, SANITY_PICTURES[:1])


def test_every_object_is_proposed_once(toy: Bundle, params: Params, rng: np.random.Generator) -> None:
    """Faces and plates of a scene are found, each covered by one sure proposal, strongest first."""
    cascade = load_cascade(toy, params.detection)
    region = params.regions["strict"]
    pixels, _ = scene(rng, 160, 120, faces=0, plates=0)
    for x, colour in ((20, (255, 0, 255)), (100, (0, 255, 255))):
        pixels[40 : 40 + SQUARE_PX, x : x + SQUARE_PX] = colour
    found = cascade.propose(pixels, region)
    assert (np.diff(found.confidence) <= 0).all()
    assert (found.confidence >= params.detection.proposal_threshold).all()
    for class_id, x in ((FACE, 20), (LICENSE_PLATE, 100)):
        overlap = iou(found.of_class(class_id).xyxy, box_of(x, 40, x + SQUARE_PX, 40 + SQUARE_PX))
        assert (overlap > 0.5).sum() == 1


def test_every_detector_is_shown_the_picture_in_its_own_tiles(params: Params) -> None:
    """Tile size and overlap are those of the settings, per detector; a cut picture is shown as a whole too."""
    detection = params.detection.model_copy(update={"tile_px": {"fine": 100, "coarse": 400}, "tile_overlap_px": 20})
    fine, coarse = (Fixed(name, Detections.empty()) for name in ("fine", "coarse"))
    Cascade((fine, coarse), detection).propose(np.zeros((100, 180, 3), np.uint8), params.regions["eu"])
    assert fine.shown == [(100, 100, 3), (100, 100, 3), (56, 100, 3)]
    assert coarse.shown == [(100, 180, 3)]
    assert fine.thresholds == coarse.thresholds == {detection.proposal_threshold}


def test_duplicates_that_would_be_blurred_widen_and_others_do_not(params: Params) -> None:
    """The region's thresholds say which duplicates must stay covered."""
    region = params.regions["eu"]
    boxes = [[10, 10, 30, 30], [14, 10, 34, 30], [10, 14, 30, 34]]
    found = Detections.of(boxes, [0.9, region.face.threshold, region.face.threshold - 0.05], FACE)
    merged = Cascade((Fixed("centerface", found),), params.detection).propose(np.zeros((60, 60, 3), np.uint8), region)
    assert merged.xyxy.tolist() == [[10, 10, 34, 30]]
    strict = region.model_copy(update={"face": region.face.model_copy(update={"threshold": 0.1})})
    merged = Cascade((Fixed("centerface", found),), params.detection).propose(np.zeros((60, 60, 3), np.uint8), strict)
    assert merged.xyxy.tolist() == [[10, 10, 34, 34]]


def test_a_network_that_cannot_be_trusted_stops_the_cascade(params: Params) -> None:
    """The fault of one of several detectors is not passed over."""

    class Broken(Fixed):
        def detect(self, pixels: Pixels, threshold: float) -> Detections:
            raise ModelError("broken: output is not finite")

    sound = Fixed("platedet", Detections.of([0, 0, 9, 9], 0.9, LICENSE_PLATE))
    cascade = Cascade((sound, Broken("centerface", Detections.empty())), params.detection)
    with pytest.raises(ModelError, match="not finite"):
        cascade.propose(np.zeros((60, 60, 3), np.uint8), params.regions["eu"])


def test_a_sanity_picture_that_is_missing_is_an_error(shipped: Cascade, params: Params) -> None:
    """Without its picture the check does not pass."""
    missing = replace(SANITY_PICTURES[0], file="nowhere.jpg")
    with pytest.raises(FileNotFoundError):
        check_sanity(shipped, params.regions["eu"], params.reading, (missing,))
