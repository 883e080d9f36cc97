"""The steps of the monthly loop and their order, without a server: each does its work once for each loop."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from components.batch.run import code_revision
from components.batch.shadow import read_comparison
from components.batch.storage import LocalStorage
from components.dataset import versions
from components.dataset.labelling import desk, sampling
from components.dataset.labelling.labelled import sets
from components.evaluation.bias import bias
from components.evaluation.evaluate import of_export
from components.evaluation.report.files import PAGE
from components.evaluation.slices import MORE_OFTEN
from components.evaluation.verdict import Overall
from components.loop_journal import Result
from components.monitoring.distributions import DayProfile
from components.monitoring.drift import compare as compare_days
from components.monitoring.history import History, reference_for
from components.monitoring.reference import Reference
from components.registry import review
from components.registry.candidate import Status
from components.registry.champion_weights import attach_weights
from components.registry.models import CHAMPION
from flows.evaluation_run import Candidate, evaluate_candidates
from flows.monthly_loop import Loop, desk_of, verdict_of, version_of

STOPPED, PROMOTED, REJECTED, LEFT = "stopped by the gate", "promoted", "rejected", "left to the reviewer"


Do = Callable[[str, Callable[[Loop], Result]], Result]
Wait = Callable[[str], None]


def run_loop(loop: Loop, do: Do, wait: Wait) -> str:
    """Take every step in its order.

    Args:
        loop: the loop.
        do: does a step under a name, or tells what it came to before.
        wait: comes back when `is_over` says so for a name, or a person does not want to wait any longer.

    Returns:
        What the loop has come to.
    """

    def wait_before(step: str, what: str) -> None:
        if loop.journal.result(step) is None:
            wait(what)

    do("snapshot", take_snapshot)
    if do("sample", draw)["images"]:
        wait_before("labels", "labels")
    do("labels", note_labels)
    do("chain", reproduce)
    _forget_another_champion(loop)
    do("evaluate", evaluate)
    do("bias", find_bias)
    do("drift", find_drift)
    verdict = do("gate", judge)
    do("register", register)
    if verdict["overall"] == Overall.FAILED.value:
        loop.journal.finish(STOPPED)
        return STOPPED
    wait_before("shadow", "shadow")
    do("shadow", keep_shadow)
    wait_before("promote", "review")
    outcome = str(do("promote", promote)["outcome"])
    loop.journal.finish(outcome)
    return outcome


def take_snapshot(loop: Loop) -> Result:
    """Version what is labelled so far, and keep its labels beside the journal for the difference."""
    places = sets(loop.params.labelling, loop.project)
    before = loop.journal.folder / "before"
    shutil.rmtree(before, ignore_errors=True)
    for place in places:
        (before / place.name).mkdir(parents=True)
        shutil.copy(place / "labels.json", before / place.name)
    return {"data_revision": _snapshot(loop)}


def draw(loop: Loop) -> Result:
    """Draw pictures for people to label; none if nothing is published."""
    folders, settings = loop.published(), loop.params.labelling
    if not folders:
        return {"sample": None, "images": 0, "reasons": {}}
    originals = loop.project / loop.params.retraining.originals
    sample = sampling.draw_sample(
        folders, originals, settings, loop.journal.key, params=loop.params, project=loop.project
    )
    reasons = Counter(image.reason for image in sample.images)
    return {"sample": sample.sample_id, "images": len(sample.images), "reasons": dict(reasons)}


def note_labels(loop: Loop) -> Result:
    """Version the labelled set again, with the difference that people's labels make."""
    place = desk_of(loop)
    state = desk.state(place) if place else "none"
    revision = _snapshot(loop)
    after = loop.project / loop.params.labelling.labelled
    told = versions.difference(loop.journal.folder / "before", after).text()
    return {"labels": state, "data_revision": revision, "difference": told}


def reproduce(loop: Loop) -> Result:
    """Let DVC recompute what has changed."""
    versions.reproduce([loop.params.retraining.target], loop.project, loop.on_line)
    return {"networks": {file.path.name: file.sha256 for file in loop.trained(loop.chain)}}


def evaluate(loop: Loop) -> Result:
    """Measure the new model and the champion on the same frozen test pictures; the report says what each came to."""
    test = loop.chain / "prepared"
    # Under the name by which the chain has looked: what it saw is not looked at again.
    new = Candidate("own", "the new model", loop.trained(loop.chain), further=of_export(loop.chain / "optimised"))
    bundle = loop.registry.bundle(CHAMPION)
    champion = Candidate(CHAMPION, f"version {bundle.version}, the champion", bundle.files)
    work = loop.chain / "evaluation.work"
    report = evaluate_candidates(
        [new, champion], test, "test", loop.evaluation, loop.params, work=work, champion=CHAMPION
    )
    report.judged.objects.to_csv(loop.evaluation / "objects.csv", index=False)
    digest = hashlib.sha256((test / "test.json").read_bytes()).hexdigest()
    return {"champion": bundle.version, "test_sha256": digest, "test_images": report.images}


def find_bias(loop: Loop) -> Result:
    """Groups that the new model misses more often than all others together."""
    import pandas as pd

    objects = pd.read_csv(loop.evaluation / "objects.csv", keep_default_na=False, na_values=[""])
    told = bias(objects)
    (loop.evaluation / "bias.json").write_text(json.dumps(told, indent=1, ensure_ascii=False), encoding="utf-8")
    return {"missed_more_often": list(_missed_more_often(told))}


def find_drift(loop: Loop) -> Result:
    """How far the last day is from what the champion was promoted on, if that is known."""
    reference, days = _usual(loop, loop.registry.version_of(CHAMPION))
    if reference is None or not days:
        return {"level": "unknown", "day": None, "findings": []}
    report = compare_days(reference, days, loop.params.drift)
    return {"level": report.level, "day": report.day, "findings": [finding.name for finding in report.findings]}


def judge(loop: Loop) -> Result:
    """The gate's word on the new model."""
    verdict = verdict_of(loop)
    return {"overall": verdict.overall.value, "passed": verdict.passed, "reasons": list(verdict.reasons)}


def register(loop: Loop) -> Result:
    """Register the new model as @challenger, once for this loop."""
    data = (loop.journal.result("labels") or {})["data_revision"]
    provenance = review.Provenance(data_revision=data, git_revision=code_revision(), params_sha256=loop.params.sha256())
    version = review.register_challenger(
        loop.registry, loop.trained(loop.chain), verdict_of(loop), provenance, loop.evaluation / PAGE, loop.journal.key
    )
    attach_weights(loop.registry, version, loop.chain)
    return {"version": version}


def note_shadow(loop: Loop) -> Result:
    """What the nights since have said of the new model beside the champion."""
    version = version_of(loop)
    nights = (read_comparison(LocalStorage(folder), version) for folder in loop.published())
    told = [night for night in nights if night is not None]
    return {"images": sum(one.images for one in told), "nights": [asdict(one) for one in told]}


def keep_shadow(loop: Loop) -> Result:
    """The same, which from now on travels with the version."""
    told, file = note_shadow(loop), loop.journal.folder / "shadow.json"
    file.write_text(json.dumps(told, indent=1), encoding="utf-8")
    loop.registry.attach(version_of(loop), file)
    return told


def promote(loop: Loop) -> Result:
    """Do what the reviewer has decided."""
    version = version_of(loop)
    review.promote_approved(loop.registry)
    status = review.show(loop.registry, version).review_status
    if loop.registry.bundle(CHAMPION).version == version:
        reference, _ = _usual(loop, version)
        known = len(reference.days) if reference else 0
        return {"outcome": PROMOTED, "review_status": status, "reference_days": known}
    return {"outcome": REJECTED if status == Status.REJECTED else LEFT, "review_status": status}


def _usual(loop: Loop, version: str) -> tuple[Reference | None, list[DayProfile]]:
    """What a version's days are compared with, stored with it once it is complete, and these days."""
    settings = loop.params.drift
    history = History(loop.project / settings.folder)
    days = history.days(version, until=datetime.now(UTC).date().isoformat())
    return reference_for(version, days, history, loop.registry, settings), days


def _forget_another_champion(loop: Loop) -> None:
    """What was measured beside a champion that is none any more is measured again."""
    kept = loop.journal.result("evaluate")
    if kept and loop.journal.result("register") is None and kept["champion"] != loop.registry.version_of(CHAMPION):
        loop.journal.forget("evaluate", "bias", "drift", "gate")


def _snapshot(loop: Loop) -> str:
    return versions.snapshot(sets(loop.params.labelling, loop.project), loop.project)


def _missed_more_often(told: dict[str, Any]) -> Iterable[str]:
    for class_name, attributes in told.items():
        for attribute, values in attributes.items():
            if isinstance(values, dict):
                worse = [value for value, row in values.items() if row["verdict"] == MORE_OFTEN]
                yield from (f"{class_name} {attribute}={value}" for value in worse)
