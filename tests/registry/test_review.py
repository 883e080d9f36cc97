"""Candidates, decisions and aliases on a real MLflow store: whatever goes wrong, the champion is unchanged."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from components.detection.bundle import ModelFile
from components.errors import ModelError, StreetveilError
from components.evaluation.verdict import Verdict
from components.registry import lock as lock_module
from components.registry import transaction
from components.registry.candidate import Tag
from components.registry.entries import entries, entry_of, set_alias, set_tag
from components.registry.lock import review_lock
from components.registry.models import CHALLENGER, CHAMPION, PREVIOUS, Registry
from components.registry.review import (
    Provenance,
    approve,
    pending,
    promote_approved,
    register_challenger,
    reject,
    reviewed,
    rollback,
    show,
)
from components.registry.transaction import unfinished
from tests.registry.verdicts import verdict
from tests.toy_model import toy_bundle

MADE_OF = Provenance("data-1", "code-1", "params-1")
PASSED, FAILED, UNDECIDED = "2", "3", "4"
VERDICTS = {PASSED: verdict(), FAILED: verdict(recall=0.8), UNDECIDED: verdict(fpr=None)}


@dataclass(frozen=True)
class Shop:
    """A registry with a champion and three candidates, and how it was at first."""

    registry: Registry
    files: tuple[ModelFile, ...]
    tags: dict[str, dict[str, str]]
    artifacts: dict[Path, bytes]

    def state(self) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
        """All aliases, and all tags of all versions."""
        return self.registry.aliases(), {one.version: dict(one.tags) for one in entries(self.registry)}

    def reset(self) -> None:
        """Everything as it was at first."""
        for path, content in self.artifacts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        for entry in entries(self.registry):
            before = self.tags.get(entry.version, {})
            for key in {*entry.tags, *before}:
                if entry.tags.get(key) != before.get(key):
                    set_tag(self.registry, entry.version, key, before.get(key))
        set_alias(self.registry, CHAMPION, "1")
        set_alias(self.registry, CHALLENGER, UNDECIDED)
        if PREVIOUS in self.registry.aliases():
            set_alias(self.registry, PREVIOUS, None)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Version 1 is champion; 2 has passed the gate, 3 has failed it, and of 4 not all could be decided."""
    folder = tmp_path_factory.mktemp("review")
    files = toy_bundle(folder / "toy").files
    registry = Registry("toy", f"sqlite:///{folder}/mlflow.db", str(folder / "artifacts"))
    assert registry.register(files, alias=CHAMPION) == "1"
    page = folder / "report.html"
    page.write_text("<p>the report</p>")
    for version, told in VERDICTS.items():
        assert register_challenger(registry, files, told, MADE_OF, page, f"loop-{version}") == version
    kept = {path: path.read_bytes() for path in (folder / "artifacts").rglob("*") if path.is_file()}
    return Shop(registry, files, {one.version: dict(one.tags) for one in entries(registry)}, kept)


@pytest.fixture
def shop(made: Shop) -> Iterator[Shop]:
    """That registry; what a test changes is put back."""
    yield made
    made.reset()


def artifact(shop: Shop, version: str, name: str) -> Path:
    """A file that is kept beside a version, or one of its networks."""
    networks = {file.path.name: file.path for file in shop.registry.bundle(version).files}
    run = entry_of(shop.registry, version).run_id
    return networks.get(name) or next(path for path in shop.artifacts if path.name == name and run in path.parts)


def test_a_candidate_is_registered_with_all_that_a_reviewer_needs(shop: Shop) -> None:
    """Tags, the verdict to the last figure, a page, the report, a description with the table, and @challenger."""
    candidate = show(shop.registry, FAILED)
    assert candidate.verdict == VERDICTS[FAILED]
    assert (candidate.gate_verdict, candidate.review_status, candidate.problem) == ("failed", "pending", None)
    assert (candidate.provenance, candidate.compared_with) == (MADE_OF, "1")
    assert shop.registry.aliases() == {CHAMPION: "1", CHALLENGER: UNDECIDED}
    assert [one.version for one in pending(shop.registry)] == [UNDECIDED, FAILED, PASSED]
    assert [one.version for one in reviewed(shop.registry)] == [UNDECIDED, FAILED, PASSED, "1"]
    assert "80.0" in artifact(shop, FAILED, "verdict.html").read_text(encoding="utf-8")
    assert artifact(shop, FAILED, "report.html").read_text() == "<p>the report</p>"
    with shop.registry.connected("read") as client:
        told = client.get_model_version("toy", FAILED).description
    assert "| Faces | at least 90" in told
    assert "14 points worse than the champion" in told


def test_a_second_registration_of_one_loop_registers_nothing(shop: Shop) -> None:
    """The same key gives the first version; an alias that a kill left out is set, a later one is not moved."""
    assert register_challenger(shop.registry, shop.files, VERDICTS[PASSED], MADE_OF, None, "loop-2") == PASSED
    assert len(entries(shop.registry)) == 4
    assert shop.registry.aliases()[CHALLENGER] == UNDECIDED
    set_alias(shop.registry, CHALLENGER, None)
    register_challenger(shop.registry, shop.files, VERDICTS[UNDECIDED], MADE_OF, None, "loop-4")
    assert shop.registry.aliases()[CHALLENGER] == UNDECIDED


def test_an_approval_moves_all_aliases_and_says_who_and_when(shop: Shop) -> None:
    """The candidate is champion, the champion previous; the name is stored; a second approval is refused."""
    set_alias(shop.registry, CHALLENGER, PASSED)
    approve(shop.registry, PASSED, "ada")
    assert shop.registry.aliases() == {CHAMPION: PASSED, PREVIOUS: "1"}
    candidate = show(shop.registry, PASSED)
    assert (candidate.review_status, candidate.reviewer, candidate.override) == ("approved", "ada", None)
    assert "ada: approved" in candidate.history[-1]
    with pytest.raises(StreetveilError, match="is @champion already"):
        approve(shop.registry, PASSED, "bob")


@pytest.mark.parametrize(
    ("version", "reviewer", "reason", "override", "words"),
    [
        (FAILED, "ada", "it looks fine", False, "the gate failed: Faces: failed"),
        (FAILED, "ada", None, True, "by name and with a reason"),
        (FAILED, " ", "it looks fine", True, "needs a name"),
        (UNDECIDED, "ada", None, False, "not decided: Background: not assessed"),
        ("9", "ada", None, False, "there is no version 9"),
        ("1", "ada", None, True, "is @champion already"),
    ],
)
def test_what_may_not_be_promoted_is_not(
    shop: Shop, version: str, reviewer: str, reason: str | None, override: bool, words: str
) -> None:
    """Each is an error that says why, and no alias and no tag changes."""
    before = shop.state()
    with pytest.raises(StreetveilError, match=words):
        approve(shop.registry, version, reviewer, reason, override)
    assert shop.state() == before


def test_an_override_is_stored_with_its_name_and_reason(shop: Shop) -> None:
    """What was accepted stands in the version's tags, with who and why; the undecided needs a reason alone."""
    approve(shop.registry, FAILED, "ada", "the old one\nis broken", override=True)
    candidate = show(shop.registry, FAILED)
    assert "the gate failed" in (candidate.override or "")
    assert (candidate.reviewer, candidate.reason) == ("ada", "the old one\nis broken")
    assert "because the old one is broken (accepted:" in candidate.history[-1]
    shop.reset()
    approve(shop.registry, UNDECIDED, "bob", "counted by hand")
    assert "not decided" in (show(shop.registry, UNDECIDED).override or "")
    assert shop.registry.aliases()[CHAMPION] == UNDECIDED


def test_a_verdict_beside_another_champion_counts_no_more(shop: Shop) -> None:
    """Once one candidate is champion, another that was compared with its predecessor needs an override."""
    approve(shop.registry, PASSED, "ada")
    before = shop.state()
    with pytest.raises(StreetveilError, match="was compared with version 1, and @champion is version 2"):
        approve(shop.registry, UNDECIDED, "bob", "fine")
    assert shop.state() == before


@pytest.mark.parametrize("name", ["verdict.json", "magenta.onnx"])
@pytest.mark.parametrize("how", ["vanished", "changed"])
def test_a_vanished_or_changed_artifact_is_never_promoted(shop: Shop, name: str, how: str) -> None:
    """Without the verdict or a network that was registered, not even an override helps; the list says what is wrong."""
    file = artifact(shop, PASSED, name)
    if how == "vanished":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes().replace(b'"passed"', b'"PASSED"') + b" ")
    before = shop.state()
    with pytest.raises(ModelError, match=r"again|do not use it|anew"):
        approve(shop.registry, PASSED, "ada", "it was fine yesterday", override=True)
    assert shop.state() == before
    assert bool(show(shop.registry, PASSED).problem) is (name == "verdict.json")


class OutageError(Exception):
    """What a registry that goes away in the middle raises; no StreetveilError on purpose."""


def breaking_at(monkeypatch: pytest.MonkeyPatch, step: int, forever: bool = False) -> list[int]:
    """From here on, the nth write of a transaction fails; forever: and all after it, as after a kill."""
    count = [0]
    for name in ("set_alias", "set_tag"):
        real = getattr(transaction, name)

        def write(*arguments: object, real: object = real) -> None:
            count[0] += 1
            if count[0] == step or (forever and count[0] > step):
                raise OutageError if not forever else StreetveilError("the registry does not answer")
            real(*arguments)  # type: ignore[operator]

        monkeypatch.setattr(transaction, name, write)
    return count


def act(shop: Shop, action: str) -> None:
    """One of the decisions."""
    if action == "approve":
        approve(shop.registry, PASSED, "ada", "better")
    elif action == "reject":
        reject(shop.registry, UNDECIDED, "ada", "worse")
    else:
        rollback(shop.registry, "ada", "misses faces")


@pytest.mark.parametrize(
    "action",
    ["approve", *(pytest.param(action, marks=pytest.mark.slow) for action in ("reject", "rollback"))],
)
def test_an_error_at_any_step_undoes_all_of_them(shop: Shop, action: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever write fails, aliases and tags are as before, nothing is left under way, and it can be done again."""
    if action == "rollback":
        approve(shop.registry, PASSED, "ada")
    before, steps = shop.state(), 0
    while True:
        steps += 1
        with monkeypatch.context() as patched:
            written = breaking_at(patched, steps)
            try:
                act(shop, action)
                break
            except OutageError:
                pass
        assert shop.state() == before, f"step {steps}"
        assert unfinished(shop.registry) is None
    assert steps > 6
    assert written[0] == steps - 1
    assert shop.state() != before


def test_a_killed_approval_is_undone_by_whoever_comes_next(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the registry gone from any step on, nothing can be undone; the next look at the list does."""
    before = shop.state()
    for step in (3, 11, 14):
        with monkeypatch.context() as patched:
            breaking_at(patched, step, forever=True)
            with pytest.raises(StreetveilError, match="Nor could that be undone"):
                act(shop, "approve")
        assert unfinished(shop.registry) is not None
        assert shop.registry.aliases()[CHAMPION] in ("1", PASSED)
        reviewed(shop.registry)
        assert shop.state() == before, f"step {step}"
    with monkeypatch.context() as patched:
        breaking_at(patched, 12, forever=True)
        with pytest.raises(StreetveilError):
            act(shop, "approve")
    set_alias(shop.registry, CHAMPION, FAILED)  # somebody has moved it by hand since: that stays
    reviewed(shop.registry)
    assert shop.registry.aliases()[CHAMPION] == FAILED


def test_of_two_reviewers_at_once_one_succeeds(shop: Shop) -> None:
    """Two approvals of two versions at the same moment: one champion, the other one is told, and its tags are clean."""
    start, errors = threading.Barrier(2), []

    def run(version: str, name: str) -> None:
        start.wait()
        try:
            approve(shop.registry, version, name, "counted by hand")
        except StreetveilError as error:
            errors.append((version, str(error)))

    threads = [threading.Thread(target=run, args=pair) for pair in ((PASSED, "ada"), (UNDECIDED, "bob"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ((loser, told),) = errors
    (winner,) = {PASSED, UNDECIDED} - {loser}
    assert "at this moment" in told or "locked" in told or "was compared with version 1" in told
    assert shop.registry.aliases()[CHAMPION] == winner
    assert shop.registry.aliases()[PREVIOUS] == "1"
    assert show(shop.registry, loser).review_status == "pending"


def test_a_lock_names_its_holder_and_runs_out(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """While ada reviews nobody else does; after a kill her lock runs out, and is left behind nowhere."""
    before = shop.state()
    with review_lock(shop.registry, "ada"), pytest.raises(StreetveilError, match="ada is reviewing toy"):
        approve(shop.registry, PASSED, "bob")
    assert shop.state() == before
    monkeypatch.setattr(lock_module, "LOCK_S", -1)
    killed = review_lock(shop.registry, "carl")
    killed.__enter__()
    monkeypatch.undo()
    approve(shop.registry, PASSED, "bob")
    with shop.registry.connected("list") as client:
        assert [model.name for model in client.search_registered_models()] == ["toy"]


def test_a_rejection_keeps_its_reason_and_cannot_be_slipped_past(shop: Shop) -> None:
    """A rejected candidate is no challenger; approving it later needs an override."""
    reject(shop.registry, UNDECIDED, "ada", "hides shop signs")
    assert shop.registry.aliases() == {CHAMPION: "1"}
    told = show(shop.registry, UNDECIDED)
    assert (told.review_status, told.reviewer, told.reason) == ("rejected", "ada", "hides shop signs")
    with pytest.raises(StreetveilError, match="rejected by ada: hides shop signs"):
        approve(shop.registry, UNDECIDED, "bob", "no")
    set_tag(shop.registry, UNDECIDED, Tag.STATUS, "approved")
    assert promote_approved(shop.registry) is None
    assert "rejected by ada" in (show(shop.registry, UNDECIDED).problem or "")
    with pytest.raises(StreetveilError, match="takes it back"):
        reject(shop.registry, "1", "ada", "old")
    approve(shop.registry, UNDECIDED, "bob", "signs may go", override=True)
    assert shop.registry.aliases()[CHAMPION] == UNDECIDED


def test_a_rollback_goes_back_one_promotion_at_a_time(shop: Shop) -> None:
    """Two promotions are taken back in turn, each with its reason; then there is nothing to go back to."""
    approve(shop.registry, PASSED, "ada")
    approve(shop.registry, FAILED, "ada", "try it", override=True)
    assert rollback(shop.registry, "bob", "misses faces in fog") == PASSED
    assert shop.registry.aliases()[PREVIOUS] == "1"
    assert show(shop.registry, FAILED).review_status == "rolled_back"
    assert rollback(shop.registry, "bob", "that one, too") == "1"
    assert PREVIOUS not in shop.registry.aliases()
    with pytest.raises(StreetveilError, match="no @previous"):
        rollback(shop.registry, "bob", "again")
    assert promote_approved(shop.registry) is None
    assert shop.registry.aliases()[CHAMPION] == "1"


def test_a_rollback_to_a_broken_model_is_refused(shop: Shop) -> None:
    """If a network of @previous has vanished, the champion stays."""
    approve(shop.registry, PASSED, "ada")
    before = shop.state()
    artifact(shop, "1", "cyan.onnx").unlink()
    with pytest.raises(ModelError):
        rollback(shop.registry, "bob", "misses faces")
    assert shop.state() == before


def test_what_is_approved_on_the_page_is_promoted_at_the_next_check(shop: Shop) -> None:
    """A passed verdict needs the status alone; the check after that finds nothing to do."""
    assert promote_approved(shop.registry) is None
    set_tag(shop.registry, PASSED, Tag.STATUS, "approved")
    assert promote_approved(shop.registry) == PASSED
    assert shop.registry.aliases()[CHAMPION] == PASSED
    assert show(shop.registry, PASSED).reviewer == "somebody on the MLflow page"
    assert promote_approved(shop.registry) is None


def test_what_is_not_passed_needs_more_on_the_page(shop: Shop) -> None:
    """A failed verdict goes back to pending with the reasons in a tag; an undecided one needs a name and a reason."""
    for version in (FAILED, UNDECIDED):
        set_tag(shop.registry, version, Tag.STATUS, "approved")
    assert promote_approved(shop.registry) is None
    assert shop.registry.aliases()[CHAMPION] == "1"
    assert {show(shop.registry, version).review_status for version in (FAILED, UNDECIDED)} == {"pending"}
    assert "the gate failed" in (show(shop.registry, FAILED).problem or "")
    assert "the tags reviewer and review_reason" in (show(shop.registry, UNDECIDED).problem or "")
    for tag, value in ((Tag.REVIEWER, "ada"), (Tag.REASON, "counted by hand"), (Tag.STATUS, "approved")):
        set_tag(shop.registry, UNDECIDED, tag, value)
    assert promote_approved(shop.registry) == UNDECIDED
    told = show(shop.registry, UNDECIDED)
    assert (told.reviewer, told.reason, told.problem) == ("ada", "counted by hand", None)


def test_a_deleted_version_is_told_and_changes_nothing(shop: Shop) -> None:
    """A version that is gone from MLflow can be neither shown, approved nor rejected."""
    verdict_made: Verdict = VERDICTS[PASSED]
    version = register_challenger(shop.registry, shop.files, verdict_made, MADE_OF, None, "deleted")
    with shop.registry.connected("delete") as client:
        client.delete_model_version("toy", version)
    before = shop.state()
    for act_on in (show, lambda r, v: approve(r, v, "ada"), lambda r, v: reject(r, v, "ada", "x")):
        with pytest.raises(StreetveilError, match="was deleted, or never registered"):
            act_on(shop.registry, version)
    assert shop.state() == before
