"""The shipped detectors see, a model that does not see is found out, and each of the three looks has its say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from components.detection.bundle import Bundle, load_cascade
from components.detection.cascade import Cascade
from components.detection.region_rules import Outcome, decide, reaches_threshold
from components.detection.sanity import SANITY_PICTURES, check_sanity
from components.detection.shipped import peer_files, shipped_files
from components.detections import CLASS_NAMES, FACE, LICENSE_PLATE, Boxes, Detections, iou, pixel_mask
from components.errors import ModelError
from components.imaging.reading import Pixels
from components.settings import Params, Region, SafetyCheck
from tests.toy_model import SQUARE_PX, scene


@pytest.fixture(scope="module")
def shipped(params: Params) -> Cascade:
    """The model that comes with the installation."""
    return load_cascade(Bundle("shipped", "1", shipped_files()), params.detection)


@pytest.fixture(scope="module")
def peers(params: Params) -> Cascade:
    """CenterFace and platedet alone."""
    return load_cascade(Bundle("peers", "1", peer_files()), params.detection)


class Fixed:
    """A detector that finds the same in every picture it is shown."""

    def __init__(self, name: str, found: Detections) -> None:
        self.name, self.class_ids = name, (FACE, LICENSE_PLATE)
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


@pytest.mark.parametrize("name", ["shipped", "peers"])
def test_real_models_pass(request: pytest.FixtureRequest, params: Params, name: str) -> None:
    """What we ship, and what others ship, finds face and plate of the sanity pictures by every region's thresholds."""
    highest = max(params.regions.values(), key=lambda region: (region.face.threshold, region.license_plate.threshold))
    assert all(
        highest.rule(name).threshold >= region.rule(name).threshold
        for region in params.regions.values()
        for name in ("face", "license_plate")
    )
    check_sanity(request.getfixturevalue(name), highest, params.reading)


def test_a_blind_model_is_found_out(toy: Bundle, params: Params) -> None:
    """The toy model sees only magenta and cyan and must not work."""
    with pytest.raises(ModelError, match="does not find the face of the sanity picture"):
        check_sanity(load_cascade(toy, params.detection), params.regions["strict"], params.reading)


@pytest.mark.parametrize(("kept", "missed"), [(0, "license_plate"), (1, "face")])
def test_a_model_blind_to_one_class_is_found_out(peers: Cascade, params: Params, kept: int, missed: str) -> None:
    """One of two networks that know a class each does not pass, whichever it is."""
    half = Cascade((peers.detectors[kept],), peers.settings)
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


# The three looks

PICTURE = np.full((200, 240, 3), 120, np.uint8)
WINDOW = (160, 160, 3)  # one window on its canvas


class ByShape:
    """A detector that finds something else in each shape of picture."""

    name, class_ids = "platedet", (FACE, LICENSE_PLATE)

    def __init__(self, found: dict[tuple[int, ...], Detections]) -> None:
        self.found = found
        self.shown: list[tuple[int, ...]] = []

    def detect(self, pixels: Pixels, threshold: float) -> Detections:
        """What it has for this shape, if anything."""
        self.shown.append(pixels.shape)
        found = self.found.get(pixels.shape, Detections.empty())
        return found.select(found.confidence >= threshold)


@dataclass
class Judge:
    """A verifier that says what it is told, in the order of its proposals."""

    says: Sequence[float]
    asked: list[tuple[Pixels, Detections, bool]] = field(default_factory=list)

    def verify(self, pixels: Pixels, proposals: Detections, wraps: bool = False) -> np.ndarray:
        """One confidence for each proposal."""
        self.asked.append((pixels, proposals, wraps))
        return np.array(self.says, np.float32)


def looks(params: Params, found: Detections, judge: Judge | None = None, *safety: Any) -> Cascade:
    """A cascade of scripted networks, with bounds that no tuning moves."""
    settings = params.detection.model_copy(update={"safety_check": check_of(params)})
    return Cascade((Fixed("centerface", found),), settings, judge, safety)  # type: ignore[arg-type]


def check_of(params: Params, **changes: object) -> SafetyCheck:
    """A secondary check that asks from 0.03 on, trusts from 0.75 on, and is sure from 0.5 on."""
    both = {name: dict.fromkeys(CLASS_NAMES, bound) for name, bound in (("trusted_from", 0.75), ("sure_from", 0.5))}
    values = {
        **params.detection.safety_check.model_dump(),
        "asked_from": 0.03,
        "dismissed_from_px": dict.fromkeys(CLASS_NAMES, 0),
        "steep_plate_aspect": 0,
        "always_asked": (),
        "confirmed_odds": 1,
        **both,
        **changes,
    }
    return SafetyCheck.model_validate(values)


def asking(params: Params, safety_check: str, **changes: object) -> Region:
    """The rules of "eu" with a secondary check, and thresholds that no tuning moves."""
    region = params.regions["eu"]
    rules = {name: region.rule(name).model_copy(update={"threshold": 0.35}) for name in CLASS_NAMES}
    return region.model_copy(update={"safety_check": safety_check, **rules, **changes})


def one(confidence: float = 0.5, class_id: int = FACE) -> Detections:
    """One proposal of 40 px."""
    return Detections.of([100, 100, 140, 140], confidence, class_id)


def test_the_verifier_has_the_last_word(params: Params) -> None:
    """Its confidence decides whatever stage 1 had said, orders the list, and marks only what it confirms as its own."""
    found = Detections.of([[10, 10, 30, 30], [100, 100, 140, 140]], [0.75, 0.125], [FACE, LICENSE_PLATE])
    judge = Judge([0.125, 0.875])
    seen = looks(params, found, judge).examine(PICTURE, asking(params, "rejected"), wraps=False)
    assert seen.found.confidence.tolist() == seen.stage2.tolist() == [0.875, 0.125]
    assert seen.found.stage.tolist() == [2, 1]
    assert seen.found.class_id.tolist() == [LICENSE_PLATE, FACE]
    assert seen.found.xyxy.tolist() == [[100, 100, 140, 140], [10, 10, 30, 30]]
    assert seen.stage1.tolist() == [0.125, 0.75]
    assert np.isnan(seen.secondary).all()
    ((pixels, proposals, wraps),) = judge.asked
    assert pixels is PICTURE
    assert proposals.xyxy.tolist() == found.xyxy.tolist()
    assert not wraps


def test_without_verifier_stage_1_has_the_last_word(params: Params) -> None:
    """A model of detectors alone proposes what they find, as surely as they do, and nobody else has said anything."""
    found = Detections.of([[10, 10, 30, 30], [100, 100, 140, 140]], [0.125, 0.75], FACE)
    for safety_check in ("off", "rejected", "whole"):
        seen = looks(params, found).examine(PICTURE, asking(params, safety_check), sampled=True)
        assert seen.found.confidence.tolist() == seen.stage1.tolist() == [0.75, 0.125]
        assert seen.found.xyxy.tolist() == found.xyxy[::-1].tolist()
        assert seen.found.stage.tolist() == [1, 1]
        assert np.isnan([seen.stage2, seen.secondary]).all()


def test_what_the_verifier_rejects_and_others_are_sure_of_is_put_back(params: Params) -> None:
    """A sure answer gives its confidence and stage 3, and the box covers what was proposed and what was seen."""
    again = Fixed("platedet", Detections.of([30, 40, 120, 126], 0.5, FACE))
    found = Detections.concatenate([Detections.of([10, 10, 30, 30], 0.75, FACE), one(0.625)])
    region = asking(params, "rejected")
    seen = looks(params, found, Judge([0.375, 0.0625]), again).examine(PICTURE, region)
    assert seen.found.xyxy.tolist() == [[95, 100, 140, 143], [10, 10, 30, 30]]
    assert seen.found.confidence.tolist() == [0.5, 0.375]
    assert seen.found.stage.tolist() == [3, 2]
    assert seen.stage1.tolist() == [0.625, 0.75]
    assert seen.stage2.tolist() == [0.0625, 0.375]
    assert seen.secondary[0] == 0.5
    assert np.isnan(seen.secondary[1])
    assert decide(seen.found, region) == [Outcome.BLURRED] * 2
    assert again.shown == [WINDOW]


@pytest.mark.parametrize("class_id", [FACE, LICENSE_PLATE])
def test_each_class_has_its_own_bound_for_being_sure(params: Params, class_id: int) -> None:
    """From sure_from of its class on a proposal is put back; the other class's bound does not count."""
    check = check_of(params, sure_from={"face": 0.375, "license_plate": 0.625})
    bound = (0.375, 0.625)[class_id]
    for confidence in (bound, bound - 0.0625):
        again = Fixed("platedet", Detections.of([40, 40, 120, 120], confidence, class_id))
        cascade = looks(params, one(class_id=class_id), Judge([0.0625]), again)
        cascade = replace(cascade, settings=params.detection.model_copy(update={"safety_check": check}))
        seen = cascade.examine(PICTURE, asking(params, "rejected"))
        assert seen.found.stage.tolist() == [3 if confidence == bound else 1]


@pytest.mark.parametrize("confidence", [0.25, 0.0])
def test_what_others_doubt_stays_rejected(params: Params, confidence: float) -> None:
    """An unsure answer, and none, are listed and change neither the verifier's word nor the box."""
    again = Fixed("platedet", Detections.of([30, 40, 120, 126], 0.25, FACE) if confidence else Detections.empty())
    seen = looks(params, one(), Judge([0.0625]), again).examine(PICTURE, asking(params, "rejected"))
    assert seen.secondary.tolist() == [confidence]
    assert seen.found.confidence.tolist() == [0.0625]
    assert seen.found.xyxy.tolist() == [[100, 100, 140, 140]]
    assert seen.found.stage.tolist() == [1]


def test_only_what_is_rejected_and_not_hopeless_is_asked_about(params: Params) -> None:
    """From asked_from up to the region's threshold, and of the classes that the region hides, others are asked."""
    region, check = asking(params, "rejected"), check_of(params)
    only_plates = asking(params, "rejected", classes=("license_plate",))
    for confidence, rules, is_asked in (
        (check.asked_from, region, True),
        (check.asked_from * 0.9, region, False),
        (region.face.threshold * 0.99, region, True),
        (region.face.threshold, region, False),
        (region.face.threshold * 0.99, only_plates, False),
        (0.9, only_plates, False),
    ):
        again = Fixed("platedet", Detections.empty())
        seen = looks(params, one(), Judge([confidence]), again).examine(PICTURE, rules)
        assert len(again.shown) == is_asked, confidence
        assert np.isnan(seen.secondary[0]) != is_asked


@pytest.mark.parametrize("class_id", [FACE, LICENSE_PLATE])
@pytest.mark.parametrize("answer", [0.0, 0.25, 0.5, 0.875])
def test_what_the_verifier_doubts_others_decide(params: Params, answer: float, class_id: int) -> None:
    """Between the threshold and trusted_from a sure answer keeps a proposal hidden; with any other it is not."""
    seen_again = Detections.of([30, 40, 120, 126], answer, class_id) if answer else Detections.empty()
    region = asking(params, "doubtful")
    seen = looks(params, one(0.5, class_id), Judge([0.625]), Fixed("platedet", seen_again)).examine(PICTURE, region)
    assert decide(seen.found, region) == [Outcome.BLURRED if answer >= 0.5 else Outcome.BELOW_THRESHOLD]
    assert seen.stage2.tolist() == [0.625]
    assert seen.secondary.tolist() == [answer]
    assert seen.found.stage.tolist() == [2 if answer == 0.5 else 3]
    assert seen.found.xyxy.tolist() == [[95, 100, 140, 143] if answer >= 0.5 else [100, 100, 140, 140]]


@pytest.mark.parametrize(("width", "height", "is_asked"), [(16, 20, True), (20, 15.5, False), (15.5, 20, False)])
def test_small_objects_in_doubt_are_hidden_unasked(params: Params, width: float, height: float, is_asked: bool) -> None:
    """Below dismissed_from_px nobody can dismiss a proposal; what was rejected is still asked about."""
    found = Detections.of([[100, 100, 100 + width, 100 + height]], 0.5, FACE)
    settings = params.detection.model_copy(
        update={"safety_check": check_of(params, dismissed_from_px={"face": 16, "license_plate": 1000})}
    )
    for verified in (0.625, 0.25):
        blind = Fixed("platedet", Detections.empty())
        cascade = replace(looks(params, found, Judge([verified]), blind), settings=settings)
        seen = cascade.examine(PICTURE, asking(params, "doubtful"))
        assert len(blind.shown) == (is_asked or verified == 0.25)
        is_hidden = verified == 0.625 and not is_asked
        assert decide(seen.found, asking(params, "doubtful")) == [
            Outcome.BLURRED if is_hidden else Outcome.BELOW_THRESHOLD
        ]


@pytest.mark.parametrize(
    ("class_id", "width", "is_hidden"),
    [(LICENSE_PLATE, 47, True), (LICENSE_PLATE, 48, False), (FACE, 47, False)],
)
def test_nobody_dismisses_a_plate_that_is_seen_from_the_side(
    params: Params, class_id: int, width: int, is_hidden: bool
) -> None:
    """Others know few plates that are hardly wider than high: their silence about such a one says nothing."""
    found = Detections.of([[100, 100, 100 + width, 140]], 0.5, class_id)
    settings = params.detection.model_copy(update={"safety_check": check_of(params, steep_plate_aspect=1.2)})
    cascade = replace(looks(params, found, Judge([0.625]), Fixed("platedet", Detections.empty())), settings=settings)
    seen = cascade.examine(PICTURE, asking(params, "doubtful"))
    assert decide(seen.found, asking(params, "doubtful")) == [Outcome.BLURRED if is_hidden else Outcome.BELOW_THRESHOLD]


@pytest.mark.parametrize(("verified", "answer"), [(0.9, 0.5), (0.9, 0.0), (0.5, 0.5), (0.0625, 0.5)])
def test_what_is_confirmed_is_surer_than_before(params: Params, verified: float, answer: float) -> None:
    """Of a class that is always asked about, trusted ones are too; a sure answer raises the odds."""
    seen_again = Detections.of([[40, 40, 120, 120]], answer, LICENSE_PLATE) if answer else Detections.empty()
    again = Fixed("platedet", seen_again)
    check = check_of(params, always_asked=("license_plate",), confirmed_odds=8)
    cascade = replace(
        looks(params, one(0.5, LICENSE_PLATE), Judge([verified]), again),
        settings=params.detection.model_copy(update={"safety_check": check}),
    )
    (told,) = cascade.examine(PICTURE, asking(params, "doubtful")).found.confidence.tolist()
    assert len(again.shown) == 1
    odds = verified / (1 - verified) * (8 if answer else 1)
    assert told == pytest.approx(max(odds / (1 + odds), 0.5 if answer else 0), abs=1e-6)
    assert not cascade.examine(PICTURE, asking(params, "off")).secondary[0] >= 0


def test_nothing_that_is_asked_twice_is_dismissed_at_first_sight(params: Params) -> None:
    """What others see only with more around it stays; what was rejected anyway costs no second look."""

    class Hesitant(Fixed):
        def detect(self, pixels: Pixels, threshold: float) -> Detections:
            first = not self.shown
            return Detections.empty() if super().detect(pixels, threshold) is None or first else self.found

    seen_again = Detections.of([[60, 60, 100, 100]], 0.5, LICENSE_PLATE)
    check = check_of(params, asked_twice=("license_plate",))
    region = asking(params, "doubtful")
    for judge, looks_taken, outcome in ((0.625, 2, Outcome.BLURRED), (0.25, 1, Outcome.BELOW_THRESHOLD)):
        again = Hesitant("platedet", seen_again)
        cascade = replace(
            looks(params, one(0.5, LICENSE_PLATE), Judge([judge]), again),
            settings=params.detection.model_copy(update={"safety_check": check}),
        )
        seen = cascade.examine(PICTURE, region)
        assert (len(again.shown), decide(seen.found, region)) == (looks_taken, [outcome])


def test_what_is_dismissed_keeps_its_order_below_the_threshold(params: Params) -> None:
    """However close to being trusted, a dismissed proposal falls just below the threshold, the surer the higher."""
    says = [0.7499, 0.6, 0.45, 0.36, 0.34, 0.05]
    found = Detections.of([[20 + 30 * i, 20, 40 + 30 * i, 40] for i in range(len(says))], 0.5, FACE)
    region = asking(params, "doubtful")
    seen = looks(params, found, Judge(says), Fixed("platedet", Detections.empty())).examine(PICTURE, region)
    assert not reaches_threshold(seen.found, region).any()
    assert seen.found.confidence.max() < region.face.threshold
    dismissed = seen.found.confidence[np.isin(seen.stage2, np.float32(says[:4]))]
    assert (np.diff(dismissed) < 0).all()
    assert sorted(says) == pytest.approx(sorted(seen.stage2.tolist()))


@pytest.mark.parametrize(
    ("safety_check", "verified", "confidence", "wraps"),
    [
        ("doubtful", True, 0.75, False),
        ("rejected", True, 0.5, False),
        ("whole", True, 0.5, False),
        ("off", True, 0.5, False),
        ("doubtful", True, 0.5, True),
        ("doubtful", False, 0.5, False),
    ],
)
def test_nobody_dismisses_what_is_trusted_or_cannot_be_asked_about(
    params: Params, safety_check: str, verified: bool, confidence: float, wraps: bool
) -> None:
    """In doubt without a second look, the object is hidden: in other regions, panoramas, and without a verifier."""
    region = asking(params, safety_check)
    judge = Judge([confidence]) if verified else None
    blind = Fixed("platedet", Detections.empty())
    seen = looks(params, one(confidence), judge, blind).examine(PICTURE, region, wraps)
    assert decide(seen.found, region) == [Outcome.BLURRED]
    assert seen.found.confidence.tolist() == [confidence]


def test_what_others_are_sure_of_reaches_any_threshold(params: Params) -> None:
    """A region that asks for more than the secondary check's own bound still hides what that is sure of."""
    again = ByShape(
        {
            WINDOW: Detections.of([40, 40, 120, 120], 0.5, FACE),
            PICTURE.shape: Detections.of([10, 10, 40, 40], 0.5, LICENSE_PLATE),
        }
    )
    rule = params.regions["eu"].face.model_copy(update={"threshold": 0.9})
    region = asking(params, "whole", face=rule, license_plate=rule)
    seen = looks(params, one(), Judge([0.625]), again).examine(PICTURE, region)
    assert decide(seen.found, region) == [Outcome.BLURRED] * 2
    assert seen.found.stage.tolist() == [3, 3]


def test_what_stage_1_alone_rejects_is_asked_about_too(params: Params) -> None:
    """Without verifier the secondary check looks at what stage 1 was not sure enough of."""
    again = Fixed("platedet", Detections.of([40, 40, 120, 120], 0.75, FACE))
    seen = looks(params, one(0.125), None, again).examine(PICTURE, asking(params, "rejected"))
    assert seen.found.confidence.tolist() == [0.75]
    assert np.isnan(seen.stage2).all()


@pytest.mark.parametrize(("safety_check", "wraps"), [("off", False), ("rejected", True), ("whole", True)])
def test_where_there_is_no_secondary_check_nobody_is_asked(params: Params, safety_check: str, wraps: bool) -> None:
    """A region that wants none, and a panorama, get the verifier's word alone."""
    again = Fixed("platedet", Detections.of([40, 40, 120, 120], 0.75, FACE))
    judge = Judge([0.0625])
    seen = looks(params, one(), judge, again).examine(PICTURE, asking(params, safety_check), wraps)
    assert not again.shown
    assert np.isnan(seen.secondary).all()
    assert seen.found.confidence.tolist() == [0.0625]
    assert [wrapped for _, _, wrapped in judge.asked] == [wraps]


@pytest.mark.parametrize(
    ("safety_check", "sampled", "shown"),
    [
        ("off", True, [PICTURE.shape]),
        ("rejected", True, [WINDOW, PICTURE.shape]),
        ("whole", False, [WINDOW, PICTURE.shape]),
        ("whole", True, [WINDOW, PICTURE.shape]),
    ],
)
def test_a_look_at_the_whole_adds_what_stage_1_never_saw(
    params: Params, safety_check: str, sampled: bool, shown: list[tuple[int, ...]]
) -> None:
    """Sure finds elsewhere are new proposals of stage 3, unsure ones are not, and the windows are looked at as well."""
    elsewhere = Detections.of([[10, 10, 40, 40], [180, 20, 210, 50]], [0.75, 0.375], [LICENSE_PLATE, FACE])
    again = ByShape({PICTURE.shape: elsewhere})
    region = asking(params, safety_check)
    seen = looks(params, one(), Judge([0.0625]), again).examine(PICTURE, region, sampled=sampled)
    assert again.shown == shown
    assert seen.found.xyxy.tolist() == [[10, 10, 40, 40], [100, 100, 140, 140]]
    assert seen.found.class_id.tolist() == [LICENSE_PLATE, FACE]
    assert seen.found.confidence.tolist() == [0.75, 0.0625]
    assert seen.found.stage.tolist() == [3, 1]
    assert seen.stage1.tolist() == [0, 0.5]
    assert np.isnan(seen.stage2[0])
    assert seen.secondary.tolist() == [0.75, 0]
    assert decide(seen.found, region) == [Outcome.BLURRED, Outcome.BELOW_THRESHOLD]


def test_a_look_at_the_whole_puts_back_what_was_rejected(params: Params) -> None:
    """A sure find at a rejected proposal's place raises it and adds no second one; the surer of two looks counts."""
    for window, whole in ((0.25, 0.75), (0.875, 0.625), (0.625, 0.25)):
        again = ByShape(
            {
                WINDOW: Detections.of([30, 40, 120, 120], window, FACE),
                PICTURE.shape: Detections.of([100, 98, 140, 140], whole, FACE),
            }
        )
        seen = looks(params, one(), Judge([0.0625]), again).examine(PICTURE, asking(params, "whole"))
        assert seen.found.confidence.tolist() == seen.secondary.tolist() == [max(window, whole)]
        assert seen.found.stage.tolist() == [3]
        assert seen.found.xyxy.tolist() == [[95 if window >= 0.5 else 100, 98 if whole >= 0.5 else 100, 140, 140]]


def test_all_that_a_look_at_the_whole_is_sure_of_is_covered(params: Params) -> None:
    """Neither a surer proposal that shows a part of an object nor a neighbour at its place lets any of it be seen."""
    whole = Detections.of([[100, 60, 140, 150], [125, 100, 165, 140]], [0.75, 0.625], FACE)
    for verified in (0.875, 0.0625):
        again = ByShape({PICTURE.shape: whole})
        region = asking(params, "whole")
        seen = looks(params, one(), Judge([verified]), again).examine(PICTURE, region)
        assert seen.found.confidence[0] == max(verified, 0.75)
        blurred = seen.found.select([outcome is Outcome.BLURRED for outcome in decide(seen.found, region)])
        hidden = pixel_mask(blurred.xyxy, 240, 200)
        assert hidden[pixel_mask(whole.xyxy, 240, 200)].all()
        assert seen.found.stage[0] == (2 if verified == 0.875 else 3)


def test_the_list_is_in_the_order_of_the_last_confidence(params: Params, rng: np.random.Generator) -> None:
    """However the looks change the order, every column moves with its proposal and the strongest comes first."""
    boxes = np.array([[20 * i, 20 * j, 20 * i + 10, 20 * j + 10] for i in range(5) for j in range(4)], np.float32)
    found = Detections.of(boxes, np.linspace(0.9, 0.2, len(boxes)), np.arange(len(boxes)) % 2)
    says = rng.uniform(0, 1, len(boxes))
    again = ByShape({PICTURE.shape: Detections.of(boxes[::3], 0.55 + boxes[::3, 1] / 200, found.class_id[::3])})
    seen = looks(params, found, Judge(says), again).examine(PICTURE, asking(params, "whole"))
    rows = [int(np.flatnonzero((boxes == box).all(axis=1))[0]) for box in seen.found.xyxy]
    assert sorted(rows) == list(range(len(boxes)))
    assert (np.diff(seen.found.confidence) <= 0).all()
    assert seen.stage1.tolist() == found.confidence[rows].tolist()
    assert seen.stage2.tolist() == says.astype(np.float32)[rows].tolist()
    assert seen.found.class_id.tolist() == found.class_id[rows].tolist()
    assert ((seen.secondary >= 0.5) == (np.array(rows) % 3 == 0)).all()
    assert seen.found.confidence == pytest.approx(
        np.where(seen.secondary >= 0.5, np.fmax(seen.stage2, seen.secondary), seen.stage2)
    )


def test_detectors_without_tiles_are_shown_the_picture_at_its_scales(params: Params) -> None:
    """A detector that tile_px does not name sees a small picture enlarged and in an overview, others as it is."""
    scaled, tiled = Fixed("street", Detections.empty()), Fixed("centerface", Detections.empty())
    pixels = np.zeros((300, 600, 3), np.uint8)
    Cascade((scaled, tiled), params.detection).propose(pixels, params.regions["eu"])
    scales = params.detection.scales
    factor = scales.min_long_px / 600
    overview = (scales.overview_above_px // 2, scales.overview_above_px, 3)
    assert scaled.shown == [(round(300 * factor), round(600 * factor), 3), overview]
    assert tiled.shown == [pixels.shape]
