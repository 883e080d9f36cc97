"""What a comparison came to, as a person reads it: one sentence, and the most conspicuous tests."""

from __future__ import annotations

from components.monitoring.drift import DriftReport, Finding

_SHOWN = 12
COLUMNS = ("distribution", "statistic", "distance", "usual up to", "p (Holm)", "values", "level")


def sentence(report: DriftReport) -> str:
    """The verdict in one line."""
    of = f"{report.day}, model version {report.model_version}"
    if not report.tests:
        return f"nothing could be compared on {of}: {'; '.join(report.skipped) or 'the reference is empty'}"
    if report.level == "none":
        return f"no drift on {of} ({len(report.tests)} tests)"
    names = list(dict.fromkeys(finding.name for finding in report.findings if finding.level == report.level))
    return f"{report.level} on {of}: {', '.join(names)}"


def cells(test: Finding) -> tuple[str, ...]:
    """A test's row, one cell a column."""
    return (
        test.name,
        test.statistic,
        f"{test.distance:.3f}",
        f"{test.usual:.3f}",
        f"{test.p_value:.2g}",
        str(test.values),
        test.level,
    )


def shown(report: DriftReport) -> tuple[Finding, ...]:
    """The tests that are worth a person's time: all findings, and at least the most conspicuous ones."""
    return report.tests[: max(_SHOWN, len(report.findings))]


def markdown(report: DriftReport) -> str:
    """The page on Prefect."""
    head = f"# Drift: {report.level}\n\n{sentence(report)}\n"
    table = "\n".join(f"| {' | '.join(cells(test))} |" for test in shown(report))
    columns = f"\n| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}\n{table}\n" if table else ""
    skipped = "".join(f"\n- not compared: {reason}" for reason in report.skipped)
    return f"{head}{columns}{skipped}"
