"""Each picture has one region: that of the first rule that applies, and the strictest of those that may."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from components.detection.policies import Choice, ChosenBy, choose, inside
from components.errors import StreetveilError
from components.imaging.metadata.location import Location
from components.settings import PROJECT_ROOT, Params, Policies, load_params

SHIPPED = load_params(PROJECT_ROOT / "params.yaml")
RAW: dict[str, Any] = yaml.safe_load((PROJECT_ROOT / "params.yaml").read_text(encoding="utf-8"))
EUROPE = {"box": {"west": -10, "south": 36, "east": 30, "north": 70}, "region": "eu"}
TRIANGLE = {"polygon": [[0, 0], [20, 0], [0, 20]], "region": "us"}
BERLIN, BOSTON = Location(52.5, 13.4), Location(42.4, -71.1)


def with_rules(*rules: dict[str, Any], border_km: float = 0.0, default: str = "us") -> Params:
    """The shipped settings with these policies."""
    policies = Policies.model_validate({"border_km": border_km, "rules": list(rules)})
    return SHIPPED.model_copy(update={"policies": policies, "default_region": default})


def loaded(folder: Path, key: str, value: object) -> Params:
    """The shipped settings from a file with one value changed."""
    values = copy.deepcopy(RAW)
    place = values
    *folders, last = key.split(".")
    for step in folders:
        place = place[step]
    place[last] = value
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return load_params(path)


@pytest.mark.parametrize(
    ("path", "place", "expected"),
    [
        ("a.jpg", BERLIN, Choice("eu", ChosenBy.PLACE)),
        ("a.jpg", BOSTON, Choice("us", ChosenBy.DEFAULT)),
        ("tests/a.jpg", BOSTON, Choice("strict", ChosenBy.FOLDER)),
        ("tests/day/a.jpg", BERLIN, Choice("strict", ChosenBy.FOLDER)),
        ("tests.jpg", BERLIN, Choice("eu", ChosenBy.PLACE)),
        ("day/tests/a.jpg", BERLIN, Choice("eu", ChosenBy.PLACE)),
        ("tests/a.jpg", None, Choice("strict", ChosenBy.FOLDER)),
        ("a.jpg", None, Choice("eu", ChosenBy.DOUBT)),
    ],
)
def test_the_first_rule_that_applies_decides(path: str, place: Location | None, expected: Choice) -> None:
    """A folder before a place, a place before the default, and no folder of another depth."""
    assert choose(with_rules({"folder": "tests", "region": "strict"}, EUROPE), path, place) == expected


def test_order_matters() -> None:
    """Of two rules that both apply, the one that stands first decides."""
    inner = {"box": {"west": 10, "south": 50, "east": 15, "north": 55}, "region": "us"}
    assert choose(with_rules(EUROPE, inner), "a.jpg", BERLIN).region == "eu"
    assert choose(with_rules(inner, EUROPE), "a.jpg", BERLIN).region == "us"


def test_without_rules_there_is_the_default_alone() -> None:
    """As shipped, a picture without a place is no doubt."""
    assert choose(with_rules(), "a.jpg", None) == Choice("us", ChosenBy.DEFAULT)


def test_a_folder_before_a_place_needs_no_place() -> None:
    """A folder's rule is sure where GPS is missing; behind a place's rule it is one of several."""
    folder = {"folder": "camera-*/front", "region": "us"}
    assert choose(with_rules(folder, EUROPE), "camera-7/front/a.jpg", None) == Choice("us", ChosenBy.FOLDER)
    assert choose(with_rules(EUROPE, folder), "camera-7/front/a.jpg", None) == Choice("eu", ChosenBy.DOUBT)


PLACES = st.builds(Location, st.floats(-89, 89), st.floats(-180, 180))
RULES = st.lists(
    st.one_of(
        st.builds(
            lambda region, west, south, width, height: {
                "region": region,
                "box": {"west": west, "south": south, "east": west + width, "north": south + height},
            },
            st.sampled_from(["strict", "eu", "us"]), st.integers(-170, 100), st.integers(-80, 40),
            st.integers(1, 79), st.integers(1, 39),
        ),
        st.builds(
            lambda region, folder: {"region": region, "folder": folder},
            st.sampled_from(["strict", "eu", "us"]), st.sampled_from(["a", "b", "a/c", "*"]),
        ),
    ),
    max_size=5,
)  # fmt: skip
PATHS = st.sampled_from(["x.jpg", "a/x.jpg", "a/c/x.jpg", "b/x.jpg"])


@given(RULES, PATHS, PLACES, st.floats(0, 500))
def test_doubt_never_hides_less(rules: list[dict[str, Any]], path: str, place: Location, border_km: float) -> None:
    """Without a place, or near a border, the region is as strict as the one that the true place would have given."""
    sure = choose(with_rules(*rules), path, place).region
    for doubted in (
        choose(with_rules(*rules), path, None),
        choose(with_rules(*rules, border_km=border_km), path, place),
        choose(with_rules(*rules), path, replace(place, error_km=border_km)),
    ):
        assert SHIPPED.regions[doubted.region].is_as_strict_as(SHIPPED.regions[sure])


@given(RULES, PATHS, PLACES)
def test_a_picture_has_the_region_of_exactly_one_rule(rules: list[dict[str, Any]], path: str, place: Location) -> None:
    """Away from borders, the region is that of the first rule whose words hold, counted by hand."""

    def holds(rule: dict[str, Any]) -> bool:
        if "box" in rule:
            box = rule["box"]
            return bool(box["west"] < place.longitude < box["east"] and box["south"] < place.latitude < box["north"])
        wanted, folders = rule["folder"].split("/"), path.split("/")[:-1]
        return len(folders) >= len(wanted) and all(w in ("*", f) for w, f in zip(wanted, folders, strict=False))

    edges = [edge for rule in rules if "box" in rule for edge in rule["box"].items()]
    if any(abs((place.longitude if side in ("west", "east") else place.latitude) - at) < 0.01 for side, at in edges):
        return
    expected = next((rule["region"] for rule in rules if holds(rule)), "us")
    assert choose(with_rules(*rules), path, place).region == expected


@given(st.floats(0.5, 19), st.floats(0.5, 19))
def test_a_polygon_is_what_its_corners_enclose(longitude: float, latitude: float) -> None:
    """Of a right triangle, the places below its long side are in it, and no others."""
    if abs(longitude + latitude - 20) < 0.01:
        return
    chosen = choose(with_rules(TRIANGLE, default="strict"), "a.jpg", Location(latitude, longitude))
    assert chosen.region == ("us" if longitude + latitude < 20 else "strict")


@pytest.mark.parametrize(
    ("longitude", "within"), [(179.5, True), (-179.5, True), (170.5, True), (160, False), (0, False)]
)
@pytest.mark.parametrize(
    "area",
    [
        {"box": {"west": 170, "south": -20, "east": -170, "north": -10}},
        {"polygon": [[170, -20], [190, -20], [190, -10], [170, -10]]},
        {"polygon": [[-190, -20], [-170, -20], [-170, -10], [-190, -10]]},
    ],
)
def test_an_area_may_lie_across_the_date_line(area: dict[str, Any], longitude: float, within: bool) -> None:
    """A box from 170° to -170°, and polygons beyond ±180°, are small areas there and not the rest of the world."""
    chosen = choose(with_rules({**area, "region": "eu"}), "a.jpg", Location(-15, longitude))
    assert (chosen.region == "eu") is within


@pytest.mark.parametrize(
    ("place", "region"),
    [
        (Location(52.5, 29.96), "eu"),  # 2.7 km inside
        (Location(52.5, 30.04), "eu"),  # 2.7 km outside
        (Location(52.5, 30.2), "us"),  # 14 km outside
        (Location(52.5, 30.2, error_km=20), "eu"),  # the file says that it may be inside
    ],
)
def test_near_a_border_the_strictest_decides(place: Location, region: str) -> None:
    """On both sides of a border, as far as it or the file's own error reaches, the stricter region is taken."""
    assert choose(with_rules(EUROPE, border_km=5), "a.jpg", place).region == region


def test_distances_are_kilometres() -> None:
    """A degree of longitude is half as long at 60° as at the equator."""
    box = ((0.0, -10.0), (40.0, -10.0), (40.0, 10.0), (0.0, 10.0))
    north = ((0.0, 50.0), (40.0, 50.0), (40.0, 70.0), (0.0, 70.0))
    assert inside(Location(0, 1), box) == pytest.approx(111.2, rel=0.01)
    assert inside(Location(60, 1), north) == pytest.approx(55.6, rel=0.01)
    assert inside(Location(0, -1), box) == pytest.approx(-111.2, rel=0.01)


def test_regions_are_compared_key_by_key(params: Params) -> None:
    """Strict hides what eu hides, and eu what us hides; two regions can both not be the stricter one."""
    strict, eu, us = (params.regions[name] for name in ("strict", "eu", "us"))
    assert strict.is_as_strict_as(eu)
    assert eu.is_as_strict_as(us)
    assert not us.is_as_strict_as(eu)
    assert eu.is_as_strict_as(eu)
    plates = eu.model_copy(update={"license_plate": eu.license_plate.model_copy(update={"threshold": 0.9})})
    faces = eu.model_copy(update={"face": eu.face.model_copy(update={"depicted_from_px": 100})})
    assert not plates.is_as_strict_as(faces)
    assert not faces.is_as_strict_as(plates)
    only_faces = strict.model_copy(update={"classes": ("face",)})
    assert not only_faces.is_as_strict_as(us)
    weaker = strict.model_copy(update={"obfuscation": strict.obfuscation.model_copy(update={"cell_contrast": 0.5})})
    assert not weaker.is_as_strict_as(us)


@pytest.mark.parametrize(
    ("check", "other", "is_as_strict"),
    [
        ("whole", "off", True), ("whole", "rejected", True), ("whole", "doubtful", True), ("whole", "whole", True),
        ("rejected", "doubtful", True),
        ("rejected", "off", True), ("rejected", "whole", False), ("doubtful", "off", False), ("off", "doubtful", False),
    ],
)  # fmt: skip
def test_a_check_that_may_dismiss_is_no_stricter_than_none(
    params: Params, check: str, other: str, is_as_strict: bool
) -> None:
    """Only checks that put back and dismiss nothing are above others."""
    one, two = (params.regions["eu"].model_copy(update={"safety_check": kind}) for kind in (check, other))
    assert one.is_as_strict_as(two) is is_as_strict


def test_of_two_that_cannot_be_compared_a_third_is_the_strictest(params: Params) -> None:
    """Where neither of two regions is above the other, doubt takes one that is above both."""
    eu = params.regions["eu"]
    plates = eu.model_copy(update={"license_plate": eu.license_plate.model_copy(update={"threshold": 0.9})})
    faces = eu.model_copy(update={"face": eu.face.model_copy(update={"threshold": 0.9})})
    known = params.model_copy(update={"regions": {"p": plates, "f": faces, "strict": params.regions["strict"]}})
    assert known.strictest(["p", "f"]) == "strict"
    assert known.strictest(["p"]) == "p"


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"region": "mars", "folder": "a"}, r"policies\.rules\.0\.region: no region 'mars'; there are eu, strict, us"),
        ({"region": "eu"}, r"policies\.rules\.0: .*name one of folder, box or polygon"),
        ({**TRIANGLE, "folder": "a"}, r"policies\.rules\.0: .*folder and polygon"),
        ({"region": "eu", "folder": "/a"}, r"policies\.rules\.0: .*folder"),
        ({"region": "eu", "folder": "a/**"}, r"policies\.rules\.0: .*folder"),
        ({"region": "eu", "folder": "../a"}, r"policies\.rules\.0: .*folder"),
        ({"region": "eu", "polygon": [[0, 0], [1, 0]]}, r"policies\.rules\.0\.polygon"),
        ({"region": "eu", "polygon": [[0, 0], [1, 95], [0, 1]]}, r"policies\.rules\.0\.polygon\.1\.1"),
        ({"region": "eu", "box": {"west": 1, "south": 2, "east": 3}}, r"policies\.rules\.0\.box\.north"),
        ({"region": "eu", "box": {"west": 1, "south": 9, "east": 3, "north": 2}}, r"policies\.rules\.0\.box: .*south"),
        ({"region": "eu", "box": {"west": 1, "south": 2, "east": 3, "north": 4}, "country": "x"}, r"rules\.0\.country"),
    ],
)  # fmt: skip
def test_a_wrong_rule_is_named(tmp_path: Path, rule: dict[str, Any], message: str) -> None:
    """An error says which rule is wrong, and which of its keys."""
    with pytest.raises(StreetveilError, match=message):
        loaded(tmp_path, "policies.rules", [rule])


def test_policies_in_which_doubt_has_no_region_are_refused(tmp_path: Path) -> None:
    """Where no region is as strict as all that may apply, the settings say so, and not a picture of the night."""
    regions = copy.deepcopy(RAW["regions"])
    regions["strict"]["face"]["threshold"] = 0.5
    regions["eu"]["license_plate"]["threshold"] = 0.5
    values = copy.deepcopy(RAW)
    values["regions"] = regions
    values["policies"]["rules"] = [EUROPE]
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    with pytest.raises(StreetveilError, match=r"policies\.rules: no region is as strict as each of eu, strict"):
        load_params(path)
