"""Samples hold what is worth a label, each picture once, with its reason, and chance apart from choice."""

from __future__ import annotations

import json
import stat
from collections import Counter
from pathlib import Path

import pytest

from components.batch.manifest import QUARANTINED, Proposal, commit_manifest, encode_manifest
from components.batch.storage import LocalStorage
from components.dataset.labelling import sampling
from components.dataset.labelling.sample import read_sample
from components.dataset.labelling.sampling import draw_sample
from components.errors import StreetveilError
from components.settings import Params
from tests.dataset.labelling.night import (
    CONFIRMED,
    DRAWN_AT,
    NEAR,
    PUT_BACK,
    REJECTED,
    SURE,
    drawn,
    night,
    row,
    settings,
)


def test_each_reason_takes_the_pictures_that_have_it(tmp_path: Path, params: Params) -> None:
    """Disagreements, doubt, reports, a challenger and scarce slices are found where they are, and nowhere else."""
    kinds: dict[str, tuple[Proposal, ...]] = {
        "near": (NEAR,), "rejected": (REJECTED,), "put_back": (PUT_BACK,), "confirmed": (CONFIRMED,), "sure": (SURE,),
        "told": (), "seen": (SURE,), "empty": (),
    }  # fmt: skip
    published, originals = night(tmp_path, kinds)
    report = {"path": "2026-02-01/camera/told.png", "x0": 1, "y0": 2, "x1": 9, "y1": 12, "class": "face"}
    (tmp_path / "reports.jsonl").write_text(json.dumps(report) + "\n" + json.dumps({"path": "nowhere.png"}) + "\n")
    shadow = published / ".streetveil" / "shadow" / "2" / "part.parquet"
    shadow.parent.mkdir(parents=True)
    said = [row("camera/seen.png", b"", (), state="looked_at"), row("camera/sure.png", b"", (SURE,), state="looked_at")]
    shadow.write_bytes(encode_manifest("part", said, 1))
    own = settings(params, random_share=0.0, budgets={"few_labels": 0})
    sample = draw_sample(
        [published], originals, own, "s", params=params, reports=tmp_path / "reports.jsonl", project=tmp_path
    )
    assert {Path(image.path).stem: image.reason for image in sample.images} == {
        "told": "user_report",
        "seen": "challenger_disagreement",
        "put_back": "secondary_disagreement",
        "rejected": "stage2_disagreement",
        "near": "near_threshold",
    }
    assert (sample.population, sample.unknown_reports) == (8, 1)
    (told,) = (image for image in sample.images if image.reason == "user_report")
    assert [(box.class_name, box.x1, box.y2, box.confidence) for box in told.boxes] == [("face", 1, 12, None)]


def test_scarce_slices_are_filled_until_they_have_enough(tmp_path: Path, params: Params) -> None:
    """A class without labels is wanted; once its slices have enough, it is not."""
    published, originals = night(tmp_path, {"face": (SURE,), "plate": (CONFIRMED,)})
    own = settings(params, random_share=0.0)
    sample, _, _ = drawn(tmp_path / "other", params)
    assert sample.by_reason() == {"random": 6}
    first = draw_sample([published], originals, own, "a", params=params, project=tmp_path)
    assert first.by_reason() == {"few_labels": 2}
    from components.dataset.labels import LabelledBox, labelled_image

    boxes = [LabelledBox((5, 5, 25, 30), "face"), LabelledBox((8, 20, 40, 30), "license_plate")]
    labelled = [labelled_image("x", (64, 48), "s", boxes, region="eu", night=False)]
    own_project = tmp_path / "second"
    second = draw_sample([published], originals, own, "a", params=params, project=own_project, labelled=labelled)
    assert second.images == ()


def test_chance_is_uniform_reproducible_and_blind(tmp_path: Path, params: Params) -> None:
    """Over many seeds each picture is drawn about equally often, whatever the model saw; a budget cuts."""
    published, originals = night(tmp_path, {f"{i}": (NEAR,) if i % 2 else () for i in range(10)})
    own = settings(params, budgets={"random": 3, "near_threshold": 0, "few_labels": 0})
    counts: Counter[str] = Counter()
    for seed in range(40):
        sample = draw_sample([published], originals, own, str(seed), params=params, project=tmp_path / str(seed))
        assert len(sample.images) <= 3
        counts.update(image.path for image in sample.images)
    # 40 draws of 3 in 10 (of about 5 that the share lets through): 12 each, standard deviation below 3.
    assert len(counts) == 10
    assert min(counts.values()) >= 3
    assert max(counts.values()) <= 22


def test_no_picture_is_drawn_twice(tmp_path: Path, params: Params) -> None:
    """Neither within a sample nor by a later one; the same seed gives the sample that is there, not another one."""
    published, originals = night(tmp_path, {f"{i}": (NEAR,) for i in range(12)})
    again, _ = night(tmp_path, {f"{i}": (NEAR,) for i in range(12)}, "2026-02-02")
    own = settings(params, budgets={"random": 3, "near_threshold": 4, "few_labels": 0})
    samples = [draw_sample([published, again], originals, own, s, params=params, project=tmp_path) for s in "abca"]
    assert samples[3] == samples[0]
    hashes = [[image.sha256 for image in sample.images] for sample in samples[:3]]
    assert all(len(set(own_hashes)) == len(own_hashes) for own_hashes in hashes)
    chosen = [{image.sha256 for image in sample.images if image.reason != "random"} for sample in samples[:3]]
    assert not chosen[1] & set(hashes[0])
    assert not chosen[2] & {*hashes[0], *hashes[1]}


def test_what_is_gone_changed_alike_or_superseded_is_passed_over(tmp_path: Path, params: Params) -> None:
    """Only originals that the manifest still speaks of are laid out, as they were, each look once."""
    published, originals = night(tmp_path, dict.fromkeys(("gone", "changed", "alike", "fine", "late"), (NEAR,)))
    incoming = tmp_path / "incoming" / "2026-02-01" / "camera"
    (incoming / "gone.png").unlink()
    (incoming / "changed.png").write_bytes((incoming / "fine.png").read_bytes())
    copy = (incoming / "fine.png").read_bytes() + b"\0"
    (incoming / "copy.png").write_bytes(copy)
    late = row("camera/late.png", b"", (), state=QUARANTINED, input_sha256=None)
    commit_manifest(LocalStorage(published), "retried", [late, row("camera/copy.png", copy, (NEAR,))])
    own = settings(params, random_share=0.0, budgets={"few_labels": 0})
    sample = draw_sample([published], originals, own, "s", params=params, project=tmp_path)
    names = {Path(image.path).stem for image in sample.images}
    assert "alike" in names
    assert len(names & {"fine", "copy"}) == 1
    assert len(names) == 2
    assert (sample.unavailable, sample.similar) == (2, 1)


def test_the_desk_is_private_and_whole(tmp_path: Path, params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the owner reads it, files are the originals; an interruption leaves no desk, and a new call makes it."""

    def interrupted(*_: object) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(sampling, "sample_json", interrupted)
        with pytest.raises(KeyboardInterrupt):
            drawn(tmp_path, params)
    assert list((tmp_path / "data" / "labelling").iterdir()) == []
    sample, desk, _ = drawn(tmp_path, params)
    assert stat.S_IMODE(desk.stat().st_mode) == stat.S_IMODE((desk / "originals").stat().st_mode) == 0o700
    for image in sample.images:
        file = desk / image.file
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert file.read_bytes() == (tmp_path / "incoming" / "2026-02-01" / image.path).read_bytes()
    assert read_sample(desk) == sample
    assert sample.drawn_at == DRAWN_AT


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "r.jsonl:1: not JSON"),
        ("[]", "r.jsonl:1: a report needs the picture's `path`"),
        ('{"path": "a", "class": "dog"}', "r.jsonl:1: class 'dog' is none of face, license_plate"),
        ('{"path": "a", "x0": 1}', "r.jsonl:1: not a number"),
    ],
)
def test_a_broken_report_is_named(tmp_path: Path, params: Params, line: str, message: str) -> None:
    """A line that cannot be understood is an error with its number, so that no report is lost in silence."""
    published, originals = night(tmp_path, {"a": ()})
    (tmp_path / "r.jsonl").write_text(line)
    with pytest.raises(StreetveilError, match=message):
        draw_sample([published], originals, settings(params), "s", params=params, reports=tmp_path / "r.jsonl")


def test_a_folder_without_manifests_or_with_a_damaged_one_is_refused(tmp_path: Path, params: Params) -> None:
    """The message names the folder or the file."""
    with pytest.raises(StreetveilError, match="has no manifests"):
        draw_sample([tmp_path], tmp_path, settings(params), "s", params=params, project=tmp_path)
    published, originals = night(tmp_path, {"a": ()})
    (published / ".streetveil" / "manifests" / "shard.parquet").write_bytes(b"PAR1")
    with pytest.raises(StreetveilError, match=r"shard\.parquet cannot be read"):
        draw_sample([published], originals, settings(params), "s", params=params, project=tmp_path)
