"""A gap between people is found where it can be, and never where there are too few to say."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from scipy.stats import hypergeom

from components.evaluation.bias import bias
from components.evaluation.intervals import wilson
from components.evaluation.slices import COLUMNS, _corrected, slice_table, worst


def objects(hidden: int, count: int, **marks: object) -> pd.DataFrame:
    """Faces of which some are hidden."""
    rows: dict[str, Any] = {"class": "face", "source": "s", "size": "8–16 px", "px": 100, **marks}
    told = pd.DataFrame([rows] * count)
    told["hidden"] = [True] * hidden + [False] * (count - hidden)
    told["covered_px"] = told["hidden"] * 100
    return told


def table(n: int, shares: tuple[float, float] = (0.95, 0.75), **marks: object) -> pd.DataFrame:
    """So many faces with a mask and without one, of which other shares are hidden."""
    with_mask, without = (round(share * n) for share in shares)
    return pd.concat([objects(without, n, mask="with", **marks), objects(with_mask, n, mask="without", **marks)])


def test_a_planted_gap_is_found() -> None:
    """Of 300 with a mask and 300 without, 20 points less are told as missed more often, and the others as less."""
    told = bias(table(300))["face"]["mask"]
    assert told["with"]["verdict"] == "missed more often"
    assert told["without"]["verdict"] == "missed less often"
    assert told["with"]["gap"] == pytest.approx(-0.2)
    assert told["without"]["gap"] == pytest.approx(0.2)
    assert (told["with"]["low"], told["with"]["high"]) == wilson(225, 300)


def test_the_same_gap_among_few_is_too_few_to_say() -> None:
    """With 30 of each there is no verdict and no p, which would look like a pass or a finding; the limit is 50."""
    for slice_told in bias(table(30))["face"]["mask"].values():
        assert slice_told["verdict"] == "too few to say: 30 objects"
        assert not {"p", "gap"} & set(slice_told)
    assert "too few" in bias(table(49))["face"]["mask"]["with"]["verdict"]
    assert "p" in bias(table(50))["face"]["mask"]["with"]


def test_no_gap_is_called_none() -> None:
    """Equal shares are no gap, whatever their number."""
    told = bias(table(300, (0.9, 0.9)))["face"]["mask"]
    assert {part["verdict"] for part in told.values()} == {"no gap seen"}


def test_what_nobody_labels_is_not_assessed() -> None:
    """An attribute without a column, or without a value in it, is named as not assessed and is no pass."""
    told = bias(table(60, gender=None))["face"]
    for attribute in ("gender", "age", "skin_type", "region"):
        assert told[attribute] == "not assessed"
    assert "verdict" in told["mask"]["with"]


def test_one_slice_alone_has_nothing_to_compare_with() -> None:
    """Where all objects share a value there are none to compare with, and it says so."""
    assert bias(table(60))["face"]["source"]["s"]["verdict"] == "too few to say: 0 objects"


def test_objects_that_do_not_say_are_on_neither_side() -> None:
    """Faces whose labels are silent belong to no slice and not to the others'."""
    silent = objects(0, 500, mask=None)
    told = bias(pd.concat([table(300, (0.9, 0.9)), silent]))["face"]["mask"]
    assert set(told) == {"with", "without"}
    assert told["with"]["gap"] == 0


def test_classes_are_compared_within_themselves() -> None:
    """Plates are no measure for faces: each class has its own rest."""
    plates = table(300, (0.2, 0.2)).assign(**{"class": "license_plate"})
    told = bias(pd.concat([table(300, (0.9, 0.9)), plates]))
    assert told["face"]["mask"]["with"]["gap"] == told["license_plate"]["mask"]["with"]["gap"] == 0
    assert told["license_plate"]["mask"]["with"]["object_recall"] == 0.2


def test_holm_by_hand() -> None:
    """0.01, 0.02, 0.03 and 0.005 become 0.03, 0.04, 0.04 and 0.02: each step's factor, never below the one before."""

    def corrected(p: list[float], gap: list[float]) -> pd.DataFrame:
        return _corrected(pd.DataFrame({"p": p, "gap": gap, "verdict": None}, columns=list(COLUMNS)))

    told = corrected([0.01, 0.02, 0.03, 0.005], [-1, 1, -1, 1])
    assert told["p"].tolist() == pytest.approx([0.03, 0.04, 0.04, 0.02])
    assert told["verdict"].tolist() == ["missed more often", "missed less often"] * 2
    many = corrected([0.03, 0.9, 0.8], [-1, -1, -1])
    assert many["p"].tolist() == pytest.approx([0.09, 1, 1])
    assert set(many["verdict"]) == {"no gap seen"}


def test_pictures_do_not_hide_a_gap_between_people() -> None:
    """Many slices of pictures leave the correction of the slices of people as it is."""
    rows = table(60, (0.8, 0.6))
    alone = bias(rows)["face"]["mask"]["with"]["p"]
    rows["size"] = ["8–16 px", "16–32 px"] * 60
    rows["source"] = ["a"] * 60 + ["b"] * 60
    assert bias(rows)["face"]["mask"]["with"]["p"] == alone


def test_the_worst_slice_is_one_that_can_tell() -> None:
    """A slice of 10 that is always missed is too small to be the worst; the next one is named."""
    rows = slice_table(pd.concat([table(300), objects(0, 10, mask="incorrect")]))
    (found,) = worst(rows).to_dict("records")
    assert (found["class"], found["attribute"], found["value"]) == ("face", "mask", "with")
    assert len(worst(slice_table(table(10)))) == 0


def test_p_is_fishers_times_the_number_of_comparisons() -> None:
    """Of two comparisons with the same p, Fisher's two-sided sum over the tables doubles."""
    told = bias(table(60, (0.8, 0.6)))["face"]["mask"]
    law = hypergeom(120, 84, 60)  # of 120 faces 84 are hidden, and 60 have a mask
    least = law.pmf(36) * (1 + 1e-9)
    by_hand = sum(law.pmf(k) for k in range(61) if law.pmf(k) <= least)
    assert told["with"]["p"] == pytest.approx(2 * by_hand, rel=1e-6)


@pytest.mark.filterwarnings("ignore:.*found in sys.modules")
def test_the_command_reads_what_the_evaluation_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the table of objects to a file; the country NA is a country, and an empty field is no answer."""
    rows = pd.concat([table(60, region="NA"), table(60, region="ro"), table(60, region=None)])
    rows.to_csv(tmp_path / "objects.csv", index=False)
    monkeypatch.setattr(sys, "argv", ["bias", str(tmp_path / "objects.csv"), str(tmp_path / "bias.json")])
    runpy.run_module("components.evaluation.bias", run_name="__main__")
    told = json.loads((tmp_path / "bias.json").read_text())["face"]
    assert {name: part["objects"] for name, part in told["region"].items()} == {"NA": 120, "ro": 120}
    assert told["mask"]["with"]["verdict"] == "missed more often"
    assert told["skin_type"] == "not assessed"
