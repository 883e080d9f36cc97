"""The sentences hold the figures, and say what they do not know."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.errors import StreetveilError
from components.evaluation.gate_text import percent, verdict_sentence
from components.evaluation.report.files import report_figures, write_report
from components.evaluation.report.report import About, build_report
from components.evaluation.report.summary import cannot_be_said, sentences
from components.settings import Params
from tests.evaluation.report.small_report import small_report


def test_the_sentences_say_what_was_measured(tmp_path: Path, params: Params) -> None:
    """Three of six faces stay visible, the peers leave one, and nobody knows of age."""
    report = small_report(tmp_path, params)
    told = " ".join(sentences(report))
    assert "Of 100 faces, 50 stay visible" in told
    assert "measured on 6)" in told
    assert "Peers leaves 17 of 100 visible" in told
    assert "Of 100 licence plates, 0 stay visible" in told
    unsaid = " ".join(cannot_be_said(report))
    assert "gender, age" in unsaid
    assert "by mask" in unsaid
    assert "must not be promoted" in verdict_sentence(report.judged.gate)


def test_shares_are_never_rounded_to_nothing_without_a_word() -> None:
    """What is not known is a dash, and digits can be chosen."""
    assert percent(None) == "–"
    assert percent(float("nan")) == "–"
    assert percent(0.1234) == "12.3\N{NO-BREAK SPACE}%"
    assert percent(0.1234, 0) == "12\N{NO-BREAK SPACE}%"


def test_the_files_beside_the_page(tmp_path: Path, params: Params) -> None:
    """slices.csv names the model in each row, curves have a hundred thresholds, and figures hold the gate."""
    report = small_report(tmp_path, params)
    write_report(report, params.gate, tmp_path / "out")
    rows = (tmp_path / "out" / "slices.csv").read_text().splitlines()
    assert rows[0].startswith("model,class,attribute,value,objects")
    assert {row.split(",")[0] for row in rows[1:]} == {"own", "peers"}
    curve = (tmp_path / "out" / "curves" / "own_face.csv").read_text().splitlines()
    assert len(curve) == 101
    assert curve[1].startswith("0.01000,")
    figures = report_figures(report)
    assert figures["own"]["gate"]["overall"] == "failed"
    assert figures["peers"]["face"]["object_recall"] == pytest.approx(5 / 6)


def test_no_picture_is_an_error_with_a_remedy(params: Params) -> None:
    """There is no report on nothing."""
    with pytest.raises(StreetveilError, match="name a set that has some"):
        build_report([], [], params, About("pictures", "test", "strict", ""))
