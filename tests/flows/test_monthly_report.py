"""What the monthly loop puts on its run's page can be read."""

from __future__ import annotations

from pathlib import Path

from components.evaluation.gate_text import verdict_sentence
from flows.monthly_report import outcome_markdown, step_line, step_markdown
from tests.registry.verdicts import verdict


def test_the_outcome_says_which_version_what_is_wrong_with_it_and_where_to_look() -> None:
    """The word, the version, the sentence of the gate, what failed before what passed, and where to look closer."""
    judged = verdict(recall=0.95, fpr=0.3)
    text = outcome_markdown("2026-12-01-ab", "stopped by the gate", "4", judged, Path("data/loops/report.html"))
    assert text.startswith("# Loop 2026-12-01-ab: stopped by the gate\n")
    assert verdict_sentence(judged) in text
    assert "streetveil review show 4" in text
    assert "data/loops/report.html" in text
    assert text.index("| Background |") < text.index("| Faces |")


def test_a_step_is_told_in_a_line_and_as_a_table() -> None:
    """Lists are one entry a line, long texts a block of their own, and nothing breaks the table."""
    result = {"labels": "imported", "data_revision": "ab", "difference": "images: 2 added\n+ a|b", "empty": []}
    assert step_line("labels", result) == "images: 2 added"
    page = step_markdown("labels", result)
    assert "| data revision | ab |" in page
    assert "| empty | none |" in page
    assert "## difference\n\n```\nimages: 2 added\n+ a|b\n```" in page
    assert step_line("bias", {"missed_more_often": ["face mask=with"]}) == "1 group is missed more often"
    assert step_line("bias", {"missed_more_often": []}) == "no group is missed more often"
