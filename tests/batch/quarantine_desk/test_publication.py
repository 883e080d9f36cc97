"""A person's word publishes a picture through a run's own steps, and nothing else does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from components import blurring
from components.batch.audit import audit
from components.batch.journal import Journal
from components.batch.lookup import history, valid_row
from components.batch.manifest import PUBLISHED, ImageRow, Proposal, commit_manifest
from components.batch.places import held
from components.batch.quarantine import discard
from components.batch.quarantine_desk import publication
from components.batch.quarantine_desk.drafts import Draft, Region, keep_draft, read_draft
from components.batch.quarantine_desk.looking import Look, look_at
from components.batch.quarantine_desk.publication import Desk, finish_interrupted, publish
from components.batch.second_look import HELD_BACK
from components.errors import ImageFault, Reason, StreetveilError
from components.imaging.reading import decode

DRAWN = Region("license_plate", 600, 500, 700, 560)


def seen(desk: Desk, path: str = "a.jpg") -> Look:
    """A look at a picture of the desk."""
    row = valid_row(desk.storage, path)
    assert row is not None
    look = look_at(desk.engine, row)
    assert isinstance(look, Look)
    return look


def draft(look: Look, *drawn: Region, removed: tuple[Region, ...] = (), path: str = "a.jpg") -> Draft:
    """A decision about a picture."""
    return Draft(path, look.input_sha256, 1, drawn, removed)


def moved(desk: Desk, region: Region, path: str = "a.jpg") -> float:
    """By how much the published picture differs from its original in a region, grey levels."""
    limits = desk.engine.order.params.reading
    source = desk.engine.order.source
    assert isinstance(source, Path)
    sides = [decode(content, limits).pixels for content in ((source / path).read_bytes(), desk.storage.read(path))]
    before, after = (side[region.y1 : region.y2, region.x1 : region.x2].astype(np.float32) for side in sides)
    return float(np.abs(before - after).mean())


def test_what_was_found_and_drawn_is_hidden(desk: Desk) -> None:
    """The manifest says published, by whom and what a person drew; nothing lies around afterwards."""
    look = seen(desk)
    assert len(look.found) >= 2
    decision = draft(look, DRAWN)
    keep_draft(desk.storage, decision)
    desk.storage.write(f"{HELD_BACK}/a.jpg", b"an older output")
    row = publish(desk, decision, look)
    stands = valid_row(desk.storage, "a.jpg")
    assert stands is not None
    assert (stands.output_sha256, stands.detail) == (row.output_sha256, row.detail)
    assert (row.state, row.reason) == (PUBLISHED, None)
    assert row.detail is not None
    assert row.detail.startswith("ada, ")
    assert "1 drawn, 0 removed (was timeout: as the night has told)" in row.detail
    (drawn,) = [one for one in row.proposals if one.stage == 4]
    assert (drawn.class_name, drawn.x1, drawn.y2, drawn.outcome) == ("license_plate", 600, 560, "blurred")
    assert all(moved(desk, one.region) > 20 for one in look.found)
    assert moved(desk, DRAWN) > 5
    assert moved(desk, Region("face", 900, 700, 1000, 800)) < 2
    assert read_draft(desk.storage, "a.jpg") is None
    assert not desk.storage.exists(f"{HELD_BACK}/a.jpg")
    assert list(audit(desk.storage)) == []
    assert not Journal.shard_ids(desk.storage)
    assert [old.state for _, old in history(desk.storage, "b.jpg")] == ["quarantined"]


def test_what_was_removed_stays_visible_as_an_exemption(desk: Desk) -> None:
    """Only the removed region is left, by an exemption for this one file that names the person."""
    look = seen(desk)
    first = look.found[0].region
    row = publish(desk, draft(look, removed=(first,)), look)
    (entry,) = desk.book.entries()
    assert (entry.exemption.by, entry.exemption.input_sha256, entry.ended) == ("ada", look.input_sha256, None)
    assert row.state == PUBLISHED
    assert row.exemptions() == {entry.exemption.id}
    others = [one.region for one in look.found if one.region != first]
    assert others
    assert all(moved(desk, region) > 20 for region in others if not overlaps(region, first))


def overlaps(one: Region, other: Region) -> bool:
    """Whether two regions share a pixel."""
    return one.x1 < other.x2 and other.x1 < one.x2 and one.y1 < other.y2 and other.y1 < one.y2


def test_an_output_that_fails_its_proof_stays_in_quarantine(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new row says why, nothing is published, the draft stays, and what was granted for it is ended."""

    def refused(*_: object) -> None:
        raise ImageFault(Reason.VERIFICATION_FAILED, "the area still shows the original")

    monkeypatch.setattr(blurring, "verify_output", refused)
    look = seen(desk)
    decision = draft(look, DRAWN, removed=(look.found[0].region,))
    keep_draft(desk.storage, decision)
    row = publish(desk, decision, look)
    assert (row.state, row.reason) == ("quarantined", "verification_failed")
    stands = valid_row(desk.storage, "a.jpg")
    assert stands is not None
    assert (stands.reason, stands.detail) == (row.reason, row.detail)
    assert not desk.storage.exists("a.jpg")
    assert read_draft(desk.storage, "a.jpg") == decision
    assert desk.book.granted() == ()
    assert list(audit(desk.storage)) == []


def test_a_worker_that_dies_of_it_leaves_it_in_quarantine(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault that comes in place of an answer becomes the row's reason."""
    look = seen(desk)

    def dead(*_: object, **__: object) -> None:
        raise ImageFault(Reason.DECODER_CRASH, "the worker died on it 1 times")

    monkeypatch.setattr(publication, "work_by_hand", dead)
    assert publish(desk, draft(look), look).reason == "decoder_crash"
    assert list(audit(desk.storage)) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("file", "has changed since it was looked at"),
        ("decided", "no longer waits in quarantine"),
        ("outside", "a region lies outside of a.jpg"),
        ("large", "exemptions.max_area_share"),
        ("run", "a run works on this destination"),
    ],
)
def test_what_must_not_be_decided_changes_nothing(desk: Desk, change: str, message: str) -> None:
    """A changed file, a decision of others, a region outside, too much left visible, a run: refused, and no new row."""
    look = seen(desk)
    decision = draft(look, DRAWN)
    source = desk.engine.order.source
    assert isinstance(source, Path)
    if change == "file":
        (source / "a.jpg").write_bytes((source / "b.jpg").read_bytes())
    elif change == "decided":
        discard(desk.storage, ["a.jpg"], "bert", "useless")
    elif change == "outside":
        decision = draft(look, Region("face", 1300, 10, 1400, 60))
    elif change == "large":
        whole = Region("face", 0, 0, 1200, 900)
        look = Look(look.picture, 1200, 900, look.input_sha256, (type(look.found[0])(whole, 0.9),), None)
        decision = draft(look, removed=(whole,))
    before = history(desk.storage, "a.jpg")
    if change == "run":
        with held(desk.storage, lambda: None), pytest.raises(StreetveilError, match=message):
            publish(desk, decision, look)
    else:
        with pytest.raises(StreetveilError, match=message):
            publish(desk, decision, look)
    assert history(desk.storage, "a.jpg") == before
    assert not desk.storage.exists("a.jpg")
    assert not Journal.shard_ids(desk.storage)
    assert desk.book.granted() == ()


@pytest.mark.parametrize("died_after", ["attempt", "output", "row"])
def test_a_desk_that_dies_leaves_nothing_half_done(
    desk: Desk, died_after: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was proved and noted is committed at the next start; anything less is taken back, and waits again."""
    look = seen(desk)

    class DiedError(BaseException):
        pass

    def die(*_: object, **__: object) -> ImageRow:
        raise DiedError

    target = {"attempt": (blurring, "publish"), "output": (Journal, "end"), "row": (publication, "_committed")}
    with monkeypatch.context() as broken:
        broken.setattr(*target[died_after], die)
        with pytest.raises(DiedError):
            publish(desk, draft(look, DRAWN), look)
    assert desk.storage.exists("a.jpg") == (died_after != "attempt")
    assert finish_interrupted(desk.storage) == (died_after == "row")
    row = valid_row(desk.storage, "a.jpg")
    assert row is not None
    assert row.state == (PUBLISHED if died_after == "row" else "quarantined")
    assert list(audit(desk.storage)) == []
    assert not Journal.shard_ids(desk.storage)
    assert finish_interrupted(desk.storage) == 0


def test_what_only_the_manifest_knows_is_hidden_too(desk: Desk) -> None:
    """An object of an earlier look that the detectors do not find now is shown, hidden, and may be removed."""
    row = valid_row(desk.storage, "a.jpg")
    assert row is not None
    before = Proposal("license_plate", 600.4, 500.2, 699.5, 559.8, 1, 0.8, None, None, "blurred")
    commit_manifest(desk.storage, "backfill-1", [replace(row, proposals=(before,))])
    look = seen(desk)
    (known,) = [one for one in look.found if one.only_before]
    assert known.region == DRAWN
    published = publish(desk, draft(look), look)
    assert published.state == PUBLISHED
    assert moved(desk, DRAWN) > 5
