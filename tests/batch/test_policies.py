"""A run that was told no region gives each picture its own, and no place is written down."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.batch.journal import Journal
from components.batch.manifest import ImageRow, comparable, encode_manifest, read_rows
from components.batch.sources import ImageRef, list_images
from components.batch.storage import LocalStorage, open_destination
from components.batch.summary import region_words
from components.batch.tally import tally_of
from components.batch.work_order import WorkOrder
from components.batch.worker import load_blurring, process_image
from components.detection.bundle import Bundle
from components.detections import FACE, Detections
from components.service.worker import ServiceOrder
from components.settings import Params, Policies
from tests.archives import publish_day
from tests.toy_model import scene

GPS_IFD = 0x8825
BERLIN = {1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0)}
BOSTON = {1: "N", 2: (42.0, 21.0, 36.0), 3: "W", 4: (71.0, 3.0, 36.0)}
EUROPE = {"region": "eu", "box": {"west": -10, "south": 36, "east": 30, "north": 70}}


@pytest.fixture
def by_place(params: Params) -> Params:
    """Settings by which Europe is eu, a folder of tests strict, and the rest of the world us."""
    policies = Policies.model_validate({"border_km": 5, "rules": [{"region": "strict", "folder": "tests"}, EUROPE]})
    return params.model_copy(update={"policies": policies, "default_region": "us"})


def write(path: Path, gps: dict[int, object] | None, seed: int = 0) -> None:
    """A picture with a face, taken at a place."""
    pixels, _ = scene(np.random.default_rng(seed), 200, 150, faces=1, plates=0)
    image = Image.fromarray(pixels)
    exif = image.getexif()
    if gps:
        exif.get_ifd(GPS_IFD).update(gps)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, quality=95, exif=exif.tobytes())


def test_each_picture_has_its_region_in_its_row(tmp_path: Path, by_place: Params, toy: Bundle) -> None:
    """By folder, by place, by default and in doubt; a broken file has the strictest that its folder leaves open."""
    write(tmp_path / "in" / "berlin.jpg", BERLIN)
    write(tmp_path / "in" / "boston.jpg", BOSTON, 1)
    write(tmp_path / "in" / "nowhere.jpg", None, 2)
    write(tmp_path / "in" / "tests" / "boston.jpg", BOSTON, 3)
    (tmp_path / "in" / "broken.jpg").write_bytes((tmp_path / "in" / "boston.jpg").read_bytes()[:2000])
    (tmp_path / "in" / "empty.jpg").touch()
    publish_day(tmp_path / "in", tmp_path / "out", toy, by_place, None)
    rows = read_rows(LocalStorage(tmp_path / "out"))
    assert {path: (row.region, row.region_by) for path, row in rows.items()} == {
        "berlin.jpg": ("eu", "place"),
        "boston.jpg": ("us", "default"),
        "nowhere.jpg": ("eu", "doubt"),
        "tests/boston.jpg": ("strict", "folder"),
        "broken.jpg": ("us", "default"),  # its GPS is whole, the picture is not
        "empty.jpg": ("eu", "doubt"),
    }
    assert region_words(tally_of(list(rows.values()))) == "by the policies: 3 eu, 2 us, 1 strict; 2 in doubt"


def test_the_region_decides_what_is_hidden(tmp_path: Path, by_place: Params, toy: Bundle) -> None:
    """A face between two regions' thresholds is hidden in the stricter one alone, and hidden by its own rules."""
    faces = {name: by_place.regions[name].face.threshold for name in ("eu", "us")}
    confidence = sum(faces.values()) / 2

    class Unsure:
        def examine(self, pixels: object, region: object, wraps: bool, sampled: bool) -> object:
            from components.detection.cascade import Proposals

            return Proposals.of_stage1(Detections.of([[20, 20, 80, 80]], confidence, FACE))

    order = WorkOrder(
        tmp_path / "in", open_destination(tmp_path / "out"), None, by_place, toy, b"k" * 32, "test"
    )  # fmt: skip
    blurring = load_blurring(order)
    object.__setattr__(blurring, "cascade", Unsure())
    outcomes = {}
    for name, gps in (("berlin", BERLIN), ("boston", BOSTON)):
        write(tmp_path / "in" / f"{name}.jpg", gps)
    for image in list_images(tmp_path / "in", tmp_path / "out"):
        row = process_image(order, blurring, Journal(order.destination, "s"), image)
        outcomes[image.path] = (row.state, row.proposals[0].outcome)
    assert outcomes == {
        "berlin.jpg": ("published", "blurred"),
        "boston.jpg": ("published", "below_threshold"),
    }


def test_a_region_that_is_given_holds_for_every_picture(tmp_path: Path, by_place: Params, toy: Bundle) -> None:
    """`--region` is stronger than any policy, and the row says that it was given."""
    write(tmp_path / "in" / "berlin.jpg", BERLIN)
    publish_day(tmp_path / "in", tmp_path / "out", toy, by_place, "us")
    (row,) = read_rows(LocalStorage(tmp_path / "out")).values()
    assert (row.region, row.region_by) == ("us", "given")


def test_no_place_is_written_down(
    tmp_path: Path, by_place: Params, toy: Bundle, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the manifest, nor the journal, nor a log has the coordinates; the published picture keeps them."""
    write(tmp_path / "in" / "berlin.jpg", BERLIN)
    with caplog.at_level("DEBUG"):
        publish_day(tmp_path / "in", tmp_path / "out", toy, by_place, None)
    (row,) = read_rows(LocalStorage(tmp_path / "out")).values()
    columns = {key: value for key, value in comparable([row])[0].items() if key not in ("proposals", "brightness")}
    told = json.dumps(columns) + caplog.text
    for trace in ("52.5", "13.4", "latitude", "31.0"):
        assert trace not in told
    with Image.open(io.BytesIO((tmp_path / "out" / "berlin.jpg").read_bytes())) as published:
        assert [float(part) for part in published.getexif().get_ifd(GPS_IFD)[2]] == [52.0, 31.0, 12.0]


def test_a_journal_of_a_run_with_another_way_to_choose_is_not_taken_over(
    tmp_path: Path, by_place: Params, toy: Bundle
) -> None:
    """Who interrupts a run by `--region us` and goes on by the policies gets each picture's own, and vice versa."""
    row = ImageRow(
        "a.jpg", "published", None, None, 1, "us", toy.name, toy.version, by_place.sha256(), "test", 7, 8,
        region_by="given",
    )  # fmt: skip
    image = ImageRef("a.jpg", 7, 8)

    def order(region: str | None) -> WorkOrder:
        return WorkOrder(tmp_path, open_destination(tmp_path / "out"), region, by_place, toy, b"", "test")

    chosen = ImageRow.from_dict({**row.to_dict(), "region_by": "place"})
    assert order("us").would_write(row, image)
    assert not order("eu").would_write(row, image)
    assert not order(None).would_write(row, image)
    assert order(None).would_write(chosen, image)
    assert not order("us").would_write(chosen, image)


def test_manifests_from_before_are_read(tmp_path: Path) -> None:
    """A manifest of schema version 2, without the new columns, is read; nothing is made up for them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from components.batch.manifest import MANIFESTS, Proposal

    proposal = Proposal("face", 1, 2, 3, 4, 1, 0.5, None, None, "blurred")
    row = ImageRow("a.jpg", "published", None, None, 1, "eu", "m", "1", "p", "c", 1, 1, proposals=(proposal,))
    table = pq.read_table(pa.BufferReader(encode_manifest("s", [row], 1)))
    listed = [[{k: v for k, v in one.items() if k != "exemption"} for one in table["proposals"][0].as_py()]]
    old = table.drop_columns(["region_by", "proposals"]).append_column("proposals", pa.array(listed))
    old = old.replace_schema_metadata({**table.schema.metadata, b"schema_version": b"2"})
    sink = pa.BufferOutputStream()
    pq.write_table(old, sink)
    storage = open_destination(tmp_path)
    storage.write(f"{MANIFESTS}/s.parquet", sink.getvalue().to_pybytes())
    (read,) = read_rows(storage).values()
    assert (read.region_by, read.exemptions(), read.blurred("face")) == (None, set(), 1)


def test_the_service_chooses_by_place_too(by_place: Params, toy: Bundle, tmp_path: Path) -> None:
    """A picture that comes without a folder has the region of its place, and the strictest without one."""
    order = ServiceOrder(toy, by_place, None)
    for name, gps, region in (("a", BERLIN, "eu"), ("b", BOSTON, "us"), ("c", None, "eu")):
        write(tmp_path / f"{name}.jpg", gps)
        assert order.region_of((tmp_path / f"{name}.jpg").read_bytes()) is by_place.regions[region]
    assert order.region_of(b"") is by_place.regions["eu"]
    assert order.region_words == "by the policies"
