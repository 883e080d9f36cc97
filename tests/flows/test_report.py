"""`streetveil report` and `streetveil api` as a user types them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from components.batch.journal import Journal
from components.batch.manifest import commit_manifest
from components.batch.sources import list_images
from components.batch.storage import open_destination
from components.batch.work_order import WorkOrder
from components.batch.worker import load_blurring, process_image
from components.detection.bundle import Bundle
from components.settings import Params
from flows.cli import app
from tests.conftest import encoded
from tests.toy_model import scene

BOX = "4,90,40,116"


@pytest.fixture
def published(
    tmp_path: Path, params: Params, toy: Bundle, monkeypatch: pytest.MonkeyPatch, _own_environment: None
) -> Path:
    """A destination with one image, and reports of its own."""
    monkeypatch.setenv("STREETVEIL_REPORTS", str(tmp_path / "reports.sqlite"))
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.jpg").write_bytes(encoded(scene(np.random.default_rng(7))[0], "JPEG", quality=95))
    storage = open_destination(tmp_path / "day")
    order = WorkOrder(tmp_path / "in", storage, "eu", params, toy, b"k" * 32, "test")
    (image,) = list_images(order.source, tmp_path / "day")
    commit_manifest(storage, "shard", [process_image(order, load_blurring(order), Journal(storage, "shard"), image)])
    Journal(storage, "shard").clear()
    return tmp_path / "day"


def streetveil(*arguments: object) -> tuple[int, str]:
    """Exit status and everything that was printed."""
    ran = CliRunner().invoke(app, [*map(str, arguments)])
    return ran.exit_code, ran.output


def test_a_report_goes_its_way_by_commands(published: Path, tmp_path: Path) -> None:
    """Add, list, confirm, apply, export, reject: each says what it did, and the file is hidden at confirm."""
    before = (published / "a.jpg").read_bytes()
    status, told = streetveil("report", "add", published, "a.jpg", BOX)
    assert status == 0, told
    assert "reported 2 times" in streetveil("report", "add", published, "a.jpg", BOX)[1]
    (report,) = json.loads(streetveil("report", "list", "--json")[1])
    assert (report["state"], report["times"], report["place"]["image"]) == ("new", 2, "a.jpg")
    assert report["id"] in streetveil("report", "list")[1]

    assert streetveil("report", "confirm", report["id"], "--by", "ada") == (0, f"report {report['id']}: fixed\n")
    assert (published / "a.jpg").read_bytes() != before
    assert streetveil("verify", published)[0] == 0
    assert streetveil("report", "list")[1].strip() == "nothing waits"
    assert "1 of 1" in streetveil("report", "apply")[1]
    assert streetveil("report", "export", tmp_path / "out/reports.jsonl")[0] == 0
    (line,) = (tmp_path / "out/reports.jsonl").read_text().splitlines()
    assert json.loads(line) == {"path": "day/a.jpg", "x0": 4, "y0": 90, "x1": 40, "y1": 116, "class": "face"}

    wrong = streetveil("report", "add", published, "a.jpg", BOX, "--kind", "wrong_blur")[1].split()[1].rstrip(":")
    assert "stays as it is" in streetveil("report", "confirm", wrong)[1]
    assert streetveil("report", "reject", wrong, "--reason", "a mistake") == (0, f"report {wrong}: rejected\n")


def test_a_confirmed_report_whose_image_is_gone_is_tried_again_later(published: Path) -> None:
    """`confirm` fails and keeps the decision; `apply` tells it with status 1, and mends it once the file is back."""
    streetveil("report", "add", published, "a.jpg", BOX)
    (report,) = json.loads(streetveil("report", "list", "--json")[1])
    (published / "a.jpg").rename(published / "away")
    assert streetveil("report", "confirm", report["id"])[0] == 1
    assert streetveil("report", "apply")[0] == 1
    (published / "away").rename(published / "a.jpg")
    assert streetveil("report", "apply")[0] == 0
    (mended,) = json.loads(streetveil("report", "list", "--all", "--json")[1])
    assert mended["state"] == "fixed"


@pytest.mark.parametrize(
    "arguments",
    [
        ("report", "confirm", "0123456789ab"),
        ("report", "add", "DAY", "b.jpg", BOX),
        ("report", "add", "DAY", "a.jpg", "1,2,3"),
        ("report", "add", "DAY", "a.jpg", BOX, "--class", "dog"),
        ("api", "--no-token", "--host", "0.0.0.0"),
        ("api", "--host", "192.0.2.1", "--port", "0"),
        ("api", "--key-file", "DAY/none"),
    ],
)
def test_mistakes_are_told_in_one_line(published: Path, arguments: tuple[str, ...]) -> None:
    """Whatever is wrong with a command ends with status 1 and one line that says what to do."""
    told = [argument.replace("DAY", str(published)) for argument in arguments]
    status, output = streetveil(*told)
    assert status == 1
    assert output.count("error:") == 1
    assert "Traceback" not in output


def test_an_exposed_service_never_goes_without_a_good_token(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that is too short is refused before anything listens."""
    monkeypatch.setenv("STREETVEIL_API_TOKENS", "ada:short")
    status, output = streetveil("api")
    assert (status, "openssl rand" in output) == (1, True)
