"""`streetveil quarantine` and `streetveil allow` as a user types them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from components.detection.bundle import Bundle
from components.settings import Params
from flows.cli import app
from tests.archives import publish_day, write_scenes

UNTIL = (datetime.now(UTC).date() + timedelta(days=30)).isoformat()


def streetveil(*arguments: object) -> tuple[int, str]:
    """Exit status and everything that was printed."""
    ran = CliRunner().invoke(app, [*map(str, arguments)])
    return ran.exit_code, ran.output


@pytest.fixture
def published(
    tmp_path: Path, params: Params, toy: Bundle, monkeypatch: pytest.MonkeyPatch, _wide_terminal: None
) -> Path:
    """A destination with a large picture, a broken one and an empty one, and a book of its own."""
    monkeypatch.setenv("STREETVEIL_EXEMPTIONS", str(tmp_path / "exemptions.jsonl"))
    write_scenes(tmp_path / "in", [(1, 0)], seed=3)
    with Image.open(tmp_path / "in" / "0.jpg") as small:
        large = Image.fromarray(np.full((900, 1200, 3), 120, np.uint8))
        large.paste(small, (0, 0))
    large.save(tmp_path / "in" / "0.jpg", quality=95)
    (tmp_path / "in" / "broken.jpg").write_bytes((tmp_path / "in" / "0.jpg").read_bytes()[:900])
    (tmp_path / "in" / "empty.jpg").touch()
    publish_day(tmp_path / "in", tmp_path / "out", toy, params)
    return tmp_path / "out"


def test_what_waits_is_listed_shown_and_given_up(published: Path) -> None:
    """List by reason, show the history, discard by name and reason; then it waits no longer, and says who and why."""
    status, told = streetveil("quarantine", "list", published)
    assert status == 0
    assert "2 quarantined: 1 decode_refused, 1 empty" in told
    listed = json.loads(streetveil("quarantine", "list", published, "--reason", "empty", "--json")[1])
    assert [entry["path"] for entry in listed] == ["empty.jpg"]
    assert streetveil("quarantine", "list", published, "--reason", "mood")[0] == 1
    discarded = streetveil("quarantine", "discard", published, "broken.jpg", "--why", "sent twice", "--by", "ada")
    assert discarded == (0, "1 discarded\n")
    assert "broken.jpg" not in streetveil("quarantine", "list", published)[1]
    assert "ada" in streetveil("quarantine", "list", published, "--all")[1]
    shown = json.loads(streetveil("quarantine", "show", published, "broken.jpg")[1])
    assert [entry["reason"] for entry in shown["history"]] == ["decode_refused", "discarded"]
    assert streetveil("verify", published)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["discard", "broken.jpg"], 2, "--why"),
        (["discard", "broken.jpg", "--why", " "], 1, "--by and --why"),
        (["discard", "0.jpg", "--why", "x"], 1, "not in quarantine: 0.jpg"),
        (["show", "nothing.jpg"], 1, "no image 'nothing.jpg'"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(
    published: Path, arguments: list[str], status: int, message: str
) -> None:
    """A discard without a reason, of a published image, and an image that there is not."""
    command, *left = arguments
    told = streetveil("quarantine", command, published, *left)
    assert told[0] == status
    assert message in told[1]


def test_an_exemption_is_granted_used_listed_and_ended(
    published: Path, tmp_path: Path, params: Params, toy: Bundle
) -> None:
    """Add, blur anew, count its use, end: the face stays exactly as long as somebody says so."""
    row = json.loads(streetveil("quarantine", "show", published, "0.jpg")[1])
    blurred = [p for p in row["proposals"] if p["outcome"] == "blurred"]
    sides = [min(p["x1"] for p in blurred), min(p["y1"] for p in blurred)]
    sides += [max(p["x2"] for p in blurred), max(p["y2"] for p in blurred)]
    box = ",".join(f"{side:g}" for side in (sides[0] - 5, sides[1] - 5, sides[2] + 5, sides[3] + 5))
    box = ",".join(str(max(0.0, float(side))) for side in box.split(","))
    options = ("--class", "face", "--until", UNTIL, "--why", "a statue", "--by", "ada")
    status, told = streetveil("allow", "add", published, "0.jpg", box, *options)
    assert status == 0, told
    assert "of this one file" in told
    exemption = told.split()[1].rstrip(":")
    publish_day(tmp_path / "in", tmp_path / "again", toy, params)
    listed = streetveil("allow", "list", "--published", tmp_path / "again")[1]
    for word in ("in force", exemption, "by ada: a statue", UNTIL, "used 1 times"):
        assert word in listed
    ended = streetveil("allow", "end", exemption, tmp_path / "again", "--why", "gone", "--by", "bert")
    assert ended == (0, f"exemption {exemption}: ended; hidden again in 1 images\n")
    assert streetveil("allow", "list")[1] == "nothing is exempt\n"
    (entry,) = json.loads(streetveil("allow", "list", "--all", "--json")[1])
    assert (entry["state"], entry["note"]) == ("ended", "; ended by bert: gone")
    assert streetveil("verify", tmp_path / "again")[0] == 0


@pytest.mark.parametrize(
    ("pictures", "box", "options", "message"),
    [
        ("0.jpg", "0,0,1200,900", {}, "100.0% of the picture"),
        ("*.jpg", "0,0,20,20", {}, "names no folder"),
        ("*/*.jpg", "0,0,20,20", {}, "no picture '*/*.jpg'"),
        ("0.jpg", "0,0,20", {}, "is not x1,y1,x2,y2"),
        ("0.jpg", "nan,0,20,20", {}, "box"),
        ("0.jpg", "0,0,20,20", {"--class": "dog"}, "--class is one of face, license_plate"),
        ("0.jpg", "0,0,20,20", {"--until": "2999-01-01"}, "exemptions.max_days"),
        ("0.jpg", "0,0,20,20", {"--until": "2020-01-01"}, "exemptions.max_days"),
        ("0.jpg", "0,0,20,20", {"--why": " "}, "names nobody or no reason"),
        ("broken.jpg", "0,0,20,20", {}, "no picture 'broken.jpg'"),
    ],
)
def test_abuse_is_told_and_grants_nothing(
    published: Path, tmp_path: Path, pictures: str, box: str, options: dict[str, str], message: str
) -> None:
    """A whole picture, any camera, no end, no reason: an error in one line, and no book."""
    given = {"--class": "face", "--until": UNTIL, "--why": "a statue", "--by": "ada", **options}
    status, told = streetveil(
        "allow", "add", published, pictures, box, *(word for pair in given.items() for word in pair)
    )
    assert status == 1, told
    assert message in told
    assert len(told.strip().splitlines()) == 1
    assert not (tmp_path / "exemptions.jsonl").exists()
