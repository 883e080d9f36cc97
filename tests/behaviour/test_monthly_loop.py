"""The whole monthly loop on toy pictures: a real chain, real labels, a real registry; only the networks are small."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import islice

import numpy as np
import pytest

from benchmarks.drift import days
from components.dataset.labelling.labelled import labelled_by_us
from components.detection.shipped import TRAINABLE
from components.loop_journal import LoopJournal, Result, open_loop
from components.monitoring.history import History
from components.monitoring.reference import REFERENCE_FILE, Reference
from components.registry import review
from components.registry.champion_weights import fetch_weights
from components.registry.entries import entries, entry_of
from components.registry.models import CHAMPION, PREVIOUS
from components.settings import PROJECT_ROOT, Params
from flows.monthly_loop import Loop
from flows.monthly_steps import PROMOTED, STOPPED, run_loop
from flows.monthly_waits import begin_wait, is_over
from tests.toy_project import Project, label, make_project, moved

pytestmark = pytest.mark.slow  # half a minute: DVC and MLflow start again and again

DAY = date(2026, 12, 1)


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, params: Params) -> Iterator[Project]:
    """One project for all loops of this file: they come one after another, as months do."""
    folder = tmp_path_factory.mktemp("monthly")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STREETVEIL_KEYS_DIR", str(folder / "keys"))
        patch.setenv("PYTHONPATH", str(PROJECT_ROOT))
        yield make_project(folder, params)


def drive(project: Project, people: Callable[[Loop, str], None], kills: bool = False) -> tuple[LoopJournal, str, int]:
    """Run a loop to its end; with kills it dies around each step and its entry, and each time the next run goes on."""
    died: set[str] = set()

    def die(moment: str) -> None:
        if kills and moment not in died:
            died.add(moment)
            raise Killed

    while True:
        with open_loop(project.folder / "loops", DAY) as journal:
            loop = project.loop(journal)

            def do(name: str, step: Callable[[Loop], Result], loop: Loop = loop) -> Result:
                die(f"before {name}")

                def work() -> Result:
                    result = step(loop)
                    die(f"after {name}, before it is noted")
                    return result

                result = loop.journal.once(name, work)
                die(f"after {name}, once it is noted")
                return result

            def wait(what: str, loop: Loop = loop) -> None:
                begin_wait(loop, what, datetime.now(UTC))
                if not is_over(loop, what, datetime.now(UTC)):
                    people(loop, what)

            try:
                return journal, run_loop(loop, do, wait), len(died)
            except Killed:
                continue


def look_for_weeks(project: Project, version: str) -> None:
    """The challenger has looked at as many nights as a reference is of."""
    history = History(project.folder / project.params.drift.folder)
    for night in islice(days(np.random.default_rng(1), 300), project.params.drift.reference_days):
        history.keep_night(replace(night, model_version=version))


def test_the_loop_ends_at_a_champion_wherever_it_dies(project: Project) -> None:
    """Killed between any two steps: one registration, every label once, one new champion with its reference."""
    labelled_days = []

    def people(loop: Loop, what: str) -> None:
        if what == "labels":
            label(project, loop, lambda box: box)
            labelled_days.append(loop.journal.key)
        if what == "review":
            version = str((loop.journal.result("register") or {})["version"])
            look_for_weeks(project, version)
            review.approve(project.registry, version, "ada")

    journal, outcome, deaths = drive(project, people, kills=True)
    assert (outcome, deaths) == (PROMOTED, 3 * 11)
    assert {entry.version for entry in entries(project.registry)} == {"1", "2"}
    assert project.registry.bundle(CHAMPION).version == "2"
    assert project.registry.bundle(PREVIOUS).version == "1"
    assert labelled_days == [journal.key]
    assert len(list(labelled_by_us(project.params.labelling, project.folder))) == 12
    tags = entry_of(project.registry, "2").tags
    assert tags["registration_key"] == journal.key
    assert (tags["gate_verdict"], tags["review_status"], tags["reviewer"]) == ("passed", "approved", "ada")
    assert tags["data_revision"] == (journal.result("labels") or {})["data_revision"]
    assert tags["data_revision"] != (journal.result("snapshot") or {})["data_revision"]
    assert (journal.result("labels") or {})["difference"].startswith("images: 12 added, 0 removed, 0 changed")
    assert journal.is_finished
    stored = project.registry.fetch("2", REFERENCE_FILE)
    assert stored is not None
    reference = Reference.from_json(stored.read_text())
    assert (reference.model_version, len(reference.days)) == ("2", project.params.drift.reference_days)
    begun_from = project.folder / "next_month"
    assert fetch_weights(project.registry, begun_from) == "version 2, the champion"
    for name, place in TRAINABLE.items():
        assert (begun_from / name).read_bytes() == (project.folder / "data/chain/toy" / place).read_bytes()


def test_broken_labels_are_stopped_by_the_gate(project: Project) -> None:
    """A challenger that was trained on labels that have slipped never becomes champion, and the reasons name recall."""
    if CHAMPION not in project.registry.aliases() or project.registry.bundle(CHAMPION).version == "1":
        pytest.fail("the first loop has not promoted")
    shutil.rmtree(project.folder / "data" / "labelled_by_us")
    project.publish("2026-12-30", seed=2)

    def people(loop: Loop, what: str) -> None:
        assert what == "labels", "nobody is asked to review what the gate has stopped"
        label(project, loop, moved)

    journal, outcome, _ = drive(project, people)
    assert outcome == STOPPED
    assert project.registry.bundle(CHAMPION).version == "2"
    reasons = (journal.result("gate") or {})["reasons"]
    assert any("faces" in reason.lower() for reason in reasons)
    assert any("plates" in reason.lower() for reason in reasons)
