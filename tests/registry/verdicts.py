"""Verdicts for tests: passed, failed, and one that could not be decided."""

from __future__ import annotations

from components.evaluation.gate import judge
from components.evaluation.verdict import Figure, Verdict
from components.settings import Gate, Metric

GATES = (
    Gate(metric=Metric.FACE_OBJECT_RECALL, at_least=0.9, max_regression=0.02),
    Gate(metric=Metric.PIXEL_FPR, at_most=0.02),
)


def verdict(recall: float = 0.95, fpr: float | None = 0.01) -> Verdict:
    """What the gate says of a recall of faces and a pixel FPR, beside a champion that hides 94 % of the faces."""
    figures = {
        "face.object_recall": Figure(recall, (recall - 0.02, recall + 0.02), 1000, 50, "faces"),
        "pixel_fpr": Figure(
            fpr, None, 40, 30, "completely labelled pictures", note="" if fpr else "nothing is labelled"
        ),
    }
    champion = {"face.object_recall": Figure(0.94, (0.92, 0.96), 1000, 50, "faces")}
    return judge(figures, champion, GATES)
