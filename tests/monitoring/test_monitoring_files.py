"""What deploy/monitoring says of metrics is what is exported: names, labels, and a test for every alert."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from components.batch.manifest import PUBLISHED, QUARANTINED
from components.batch.tally import STAGES
from components.detections import CLASS_NAMES
from components.errors import Reason
from components.monitoring.drift import DriftReport
from components.monitoring.overview import Disk, Overview
from components.monitoring.overview_metrics import overview_measures
from components.monitoring.prometheus import ServiceMetrics, exposition
from components.monitoring.run_metrics import run_measures
from components.monitoring.run_record import KINDS, STATES
from components.monitoring.user_reports import Kind, ReportCounts, State
from components.registry.standing import Standing, Waiting
from components.settings import PROJECT_ROOT
from tests.monitoring.runs import record

MONITORING = PROJECT_ROOT / "deploy" / "monitoring"
TESTS = [Path(__file__).with_name(name) for name in ("alerts.test.yml", "alerts_of_days.test.yml")]
_METRIC = re.compile(r"\bstreetveil_\w+(?:\{[^}]*\})?")
_OF_PROMETHEUS = {"job", "instance"}


def everything() -> Overview:
    """An installation of which everything is known."""
    reports = ReportCounts({(kind, state): 1 for kind in Kind for state in State}, (60.0, 120.0), 5.0)
    standing = Standing(None, "3", 1.0, "2", (Waiting("4", 2.0, "passed"),))
    drift = DriftReport("2026-02-28", "3", "warning", ())
    run = (Path("2026-02-28"), record())
    return Overview(10.0, (run,), ("2026-02-27",), standing, drift, reports, (Disk("published", 1, 2),))


@cache
def exported() -> dict[str, list[dict[str, str]]]:
    """The labels of every sample that runs, `streetveil status` and the service export, by its name."""
    service = ServiceMetrics(1, "3", "eu")
    service.request("/blur/", 200, 0.1)
    service.picture({"decode": 1.0, "detect": 2.0}, [("face", "model", 0.9), ("license_plate", "person", 1.0)])
    seen = everything()
    assert seen.reports is not None
    texts = (
        exposition(run_measures(record(fallback_reason="hash"))),
        exposition(overview_measures(seen)),
        service.text(seen.reports, 0),
    )
    found: dict[str, list[dict[str, str]]] = {}
    for text in texts:
        for family in text_string_to_metric_families(text.decode()):
            for sample in family.samples:
                found.setdefault(sample.name, []).append(dict(sample.labels))
    return found


def expressions() -> Iterator[tuple[str, str]]:
    """Every PromQL expression of the alerts and of the dashboard, with where it stands."""
    for name, rule in rules().items():
        yield name, rule["expr"]
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]


def rules() -> dict[str, dict[str, Any]]:
    """The alerts by name."""
    groups = yaml.safe_load((MONITORING / "streetveil.rules.yml").read_text(encoding="utf-8"))["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def dashboard() -> dict[str, Any]:
    """The dashboard."""
    return json.loads((MONITORING / "grafana-dashboard.json").read_text(encoding="utf-8"))


def selectors(expression: str) -> Iterator[tuple[str, set[str]]]:
    """Every metric of ours in an expression, with the labels that are asked of it."""
    for found in _METRIC.findall(expression):
        name, _, asked = found.partition("{")
        yield name, set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", asked)) - _OF_PROMETHEUS


@pytest.mark.parametrize(("where", "expression"), expressions())
def test_every_metric_and_label_that_is_asked_for_is_exported(where: str, expression: str) -> None:
    """A renamed metric or label cannot leave an alert silent or a panel empty."""
    for name, labels in selectors(expression):
        assert name in exported(), where
        assert labels <= set(exported()[name][0]), (where, name)


def test_the_search_sees_every_metric() -> None:
    """The check above is not blind: it finds names and labels within functions, and knows a wrong name."""
    told = 'sum by (le) (rate(streetveil_a_bucket{job="x", le=~"1|2"}[5m])) / on () streetveil_b > 3'
    assert list(selectors(told)) == [("streetveil_a_bucket", {"le"}), ("streetveil_b", set())]
    assert "streetveil_b" not in exported()


def test_every_metric_is_on_the_dashboard_or_in_an_alert() -> None:
    """Nothing is exported that nobody looks at, but for what a person may ask of Prometheus by hand."""
    asked = {name for _, expression in expressions() for name, _ in selectors(expression)}
    ours = {name for name in exported() if name.startswith("streetveil_") and not name.endswith("_created")}
    by_hand = {
        "streetveil_run_model_info", "streetveil_run_started_timestamp_seconds",
        "streetveil_run_finished_before_images",
    }  # fmt: skip
    of_histograms = {name for name in ours if name.removesuffix("_count").removesuffix("_sum") != name}
    assert ours - asked - of_histograms == by_hand


def test_names_follow_prometheus_rules() -> None:
    """Base units, `_total` for counters alone, and a word for people at every metric."""
    assert not [name for name in exported() if re.search(r"_(ms|percent|mib|minutes|hours|days_ago)(_|$)", name)]
    counters = {name for name in exported() if name.endswith("_total") and name.startswith("streetveil_")}
    assert len(counters) >= 8
    measures = [*run_measures(record()), *overview_measures(everything())]
    assert all(measure.told.endswith(".") for measure in measures)
    assert {f"streetveil_{m.name}_total" for m in measures if m.kind == "counter"} <= counters


def test_no_label_can_hold_personal_data() -> None:
    """Every label's value comes from a fixed list, or is a number, a model's version or a region of params.yaml."""
    lists = {
        "run": set(KINDS), "state": {*STATES, *map(str, State), PUBLISHED, QUARANTINED}, "reason": None,
        "stage": set(STAGES),
        "class": set(CLASS_NAMES), "kind": set(map(str, Kind)), "level": {"none", "warning", "alarm"},
        "folder": {"originals", "published", "state"}, "by": {"model", "person"}, "route": {"/blur/"}, "region": {"eu"},
    }  # fmt: skip
    codes = {*map(str, Reason), "busy", "too_many_requests", "unauthorized", "upload_timeout", "stopping"}
    for name, samples in exported().items():
        for labels in samples:
            for label, value in labels.items():
                if label in ("quantile", "le", "version", "status"):
                    assert value == "+Inf" or float(value) >= 0, name
                else:
                    assert value in (lists[label] or codes), (name, label, value)
    assert "anna" not in str(exported())


def test_every_alert_has_a_test_that_makes_it_fire_and_one_that_does_not() -> None:
    """Promtool is shown each alert in its condition and beside it, and each alert says what to do."""
    fires: dict[str, list[bool]] = {name: [] for name in rules()}
    for file in TESTS:
        for test in yaml.safe_load(file.read_text(encoding="utf-8"))["tests"]:
            for case in test["alert_rule_test"]:
                fires[case["alertname"]].append(bool(case["exp_alerts"]))
    assert all(sorted(cases) == [False, True] for cases in fires.values()), fires
    for rule in rules().values():
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert set(rule["annotations"]) == {"summary", "todo"}


def test_the_docs_name_every_alert_and_every_metric() -> None:
    """docs/monitoring.md has a line for each of them."""
    text = (PROJECT_ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
    assert [name for name in rules() if name not in text] == []
    ours = {re.sub(r"_(bucket|count|sum)$", "", name) for name in exported() if name.startswith("streetveil_")}
    ours = {name for name in ours if not name.endswith("_created")}
    assert [name for name in sorted(ours) if f"`{name}`" not in text] == []


def test_the_dashboard_is_laid_out_without_overlaps() -> None:
    """Panels lie side by side on 24 columns, have an id, a title and a unit, and ask one chosen data source."""
    taken: set[tuple[int, int]] = set()
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
        if panel["type"] != "row":
            assert panel["fieldConfig"]["defaults"]["unit"]
            assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}
