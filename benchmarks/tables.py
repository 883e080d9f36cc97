"""How benchmarks tell what they found: tables in Markdown, medians with their quartiles."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

Row = Sequence[object]


def table(head: Sequence[str], rows: Sequence[Row]) -> str:
    """Markdown."""
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows]) + "\n"


def spread(values: Sequence[float], digits: int = 0) -> str:
    """Median, and in brackets the quartiles."""
    p25, median, p75 = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else [values[0]] * 3
    return f"{median:.{digits}f} ({p25:.{digits}f}–{p75:.{digits}f})"
