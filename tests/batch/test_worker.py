"""A worker brings every image to one end state, and publishes only what it has verified."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components import blurring as blurring_module
from components.batch import worker
from components.batch.journal import Journal
from components.batch.manifest import PUBLISHED, QUARANTINED, ImageRow, commit_manifest, read_rows
from components.batch.sources import list_images
from components.batch.storage import LocalStorage
from components.batch.work_order import WorkOrder
from components.batch.worker import load_blurring, process_image
from components.detection.cascade import Proposals
from components.detections import FACE, LICENSE_PLATE, Detections
from components.errors import Reason, StreetveilError
from components.settings import Params
from tests.conftest import encoded
from tests.toy_model import scene

MakeOrder = Callable[..., WorkOrder]


def process(order: WorkOrder, name: str = "a.png") -> ImageRow:
    """Process one file of the order's source."""
    image = next(image for image in list_images(order.source, Path("/nowhere")) if image.path == name)
    return process_image(order, load_blurring(order), Journal(order.destination, "shard"), image)


def test_an_image_is_published_with_all_that_is_known_of_it(order: MakeOrder, rng: np.random.Generator) -> None:
    """The row has hashes, size, boxes, scores, model and settings, and the squares are gone from the output."""
    made = order()
    pixels, boxes = scene(rng)
    (made.source / "a.png").write_bytes(encoded(pixels))
    found = process(made)
    assert (found.state, found.attempts, found.region, found.model_version) == (PUBLISHED, 1, "eu", "1")
    assert (found.width, found.height, found.image_format) == (160, 120, "PNG")
    assert found.params_sha256 == made.params.sha256()
    assert {p.class_name for p in found.proposals if p.outcome == "blurred"} == {"face", "license_plate"}
    assert {p.outcome for p in found.proposals} >= {"blurred", "below_threshold"}
    output = np.asarray(Image.open(io.BytesIO(made.destination.read("a.png"))))
    for x1, y1, x2, y2 in boxes:
        assert np.abs(output[y1:y2, x1:x2].astype(int) - pixels[y1:y2, x1:x2]).mean() > 20


class Scripted:
    """A cascade whose stages have said what they are told."""

    def __init__(self, seen: Proposals) -> None:
        self.seen = seen
        self.sampled: list[bool] = []

    def examine(self, pixels: object, region: object, wraps: bool, sampled: bool) -> Proposals:
        """What it was told, whatever the picture."""
        self.sampled.append(sampled)
        return self.seen


def test_each_stage_has_its_own_confidence_in_the_manifest(order: MakeOrder, rng: np.random.Generator) -> None:
    """A row lists what each stage has said of a proposal, which one decided, and None for those that were not asked."""
    made = order()
    (made.source / "a.png").write_bytes(encoded(scene(rng)[0]))
    nan = float("nan")
    said = np.array([[0.25, 0.0625, 0.75], [0.5, 0.625, nan], [0, nan, 0.5], [0.125, 0.125, 0.25]], np.float32)
    boxes = [[4 + 30 * i, 20, 24 + 30 * i, 40] for i in range(4)]
    found = Detections.of(boxes, [0.75, 0.625, 0.5, 0.125], [FACE, FACE, LICENSE_PLATE, FACE], [3, 2, 3, 1])
    cascade = Scripted(Proposals(found, *said.T))
    made_blurring = replace(load_blurring(made), cascade=cascade, redetect_share=0.0)  # type: ignore[arg-type]
    (image,) = list_images(made.source, Path("/nowhere"))
    process_image(made, made_blurring, Journal(made.destination, "shard"), image)
    commit_manifest(made.destination, "shard", Journal(made.destination, "shard").rows().values())  # type: ignore[arg-type]
    listed = [
        (p.stage, p.stage1_confidence, p.stage2_confidence, p.secondary_confidence, p.outcome)
        for p in read_rows(made.destination)["a.png"].proposals
    ]
    assert listed == [
        (3, 0.25, 0.0625, 0.75, "blurred"),
        (2, 0.5, 0.625, None, "blurred"),
        (3, 0.0, None, 0.5, "blurred"),
        (1, 0.125, 0.125, 0.25, "below_threshold"),
    ]


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_settings_say_how_many_pictures_are_looked_at_as_a_whole(
    order: MakeOrder, params: Params, rng: np.random.Generator, share: float
) -> None:
    """A worker takes the sample's share from the settings: with 1 every picture is in it, with 0 none."""
    check = params.detection.safety_check.model_copy(update={"sample_share": share})
    detection = params.detection.model_copy(update={"safety_check": check})
    made = order(params=params.model_copy(update={"detection": detection}))
    (made.source / "a.png").write_bytes(encoded(scene(rng)[0]))
    cascade = Scripted(Proposals.of_stage1(Detections.empty()))
    (image,) = list_images(made.source, Path("/nowhere"))
    made_blurring = replace(load_blurring(made), cascade=cascade)  # type: ignore[arg-type]
    process_image(made, made_blurring, Journal(made.destination, "shard"), image)
    assert set(cascade.sampled) == {share == 1}


def test_the_attempt_is_counted_before_the_file_is_decoded(
    order: MakeOrder, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the decoder is reached, the journal already holds the attempt."""
    made = order()
    (made.source / "a.png").write_bytes(encoded(scene(rng)[0]))
    seen: list[dict[str, int]] = []

    def dying_decode(*_: object) -> None:
        seen.append(Journal(made.destination, "shard").attempts())
        raise KeyboardInterrupt

    monkeypatch.setattr(blurring_module, "decode", dying_decode)
    with pytest.raises(KeyboardInterrupt):
        process(made)
    assert seen == [{"a.png": 1}]


def test_an_image_that_used_up_its_attempts_is_not_decoded_again(order: MakeOrder, rng: np.random.Generator) -> None:
    """After three deaths the fourth call quarantines the image unread."""
    made = order()
    (made.source / "a.png").write_bytes(encoded(scene(rng)[0]))
    for _ in range(made.params.batch.max_attempts):
        Journal(made.destination, "shard").begin("a.png")
    found = process(made)
    assert (found.state, found.reason, found.attempts) == (QUARANTINED, Reason.DECODER_CRASH, 3)
    assert not made.destination.exists("a.png")


@pytest.mark.parametrize("stage", ["decode", "publish", "verify_output"])
@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("bug"), ValueError("odd")])
def test_whatever_fails_nothing_is_published(
    order: MakeOrder, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, stage: str, error: Exception
) -> None:
    """Any failure at any stage ends in quarantine with a reason, and an older output of the image goes too."""
    made = order()
    (made.source / "a.png").write_bytes(encoded(scene(rng)[0]))
    made.destination.write("a.png", b"an older output")

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(blurring_module, stage, fail)
    found = process(made)
    wanted = Reason.OUT_OF_MEMORY if isinstance(error, MemoryError) else Reason.INTERNAL_ERROR
    assert (found.state, found.reason) == (QUARANTINED, wanted)
    assert found.detail
    assert not made.destination.exists("a.png")


class FullDisk(LocalStorage):
    """A disk without room for pictures."""

    def write(self, path: str, content: bytes, durable: bool = True) -> None:
        """Fail for outputs; journals still fit."""
        if not path.startswith(".streetveil/"):
            raise OSError(28, "No space left on device")
        super().write(path, content, durable)


class ForgetfulDisk(LocalStorage):
    """A disk that loses the end of what it is given."""

    def write(self, path: str, content: bytes, durable: bool = True) -> None:
        """Write all but the last byte of outputs."""
        super().write(path, content if path.startswith(".streetveil/") else content[:-1], durable)


def test_a_full_disk_stops_the_run_and_blames_no_image(order: MakeOrder, rng: np.random.Generator) -> None:
    """When the destination has no room the run fails with a remedy; the image keeps its chance."""
    made = order()
    (made.source / "a.png").write_bytes(encoded(scene(rng)[0]))
    full = replace(made, destination=FullDisk(made.destination.root))  # type: ignore[attr-defined]
    with pytest.raises(StreetveilError, match="make room"):
        process(full)
    assert Journal(made.destination, "shard").rows() == {}


def test_an_output_that_the_disk_did_not_keep_is_taken_back(order: MakeOrder, rng: np.random.Generator) -> None:
    """What is read back must equal what was written, or it does not stay."""
    made = order()
    (made.source / "a.png").write_bytes(encoded(scene(rng)[0]))
    found = process(replace(made, destination=ForgetfulDisk(made.destination.root)))  # type: ignore[attr-defined]
    assert (found.state, found.reason) == (QUARANTINED, Reason.VERIFICATION_FAILED)
    assert not made.destination.exists("a.png")


def test_secrets_do_not_show_in_logs(order: MakeOrder) -> None:
    """What Prefect or a traceback may print of an order and its recipe does not hold the key."""
    made = order(run_key=b"s3cret" * 6)
    assert "s3cret" not in repr(made)
    assert "s3cret" not in repr(load_blurring(made))


def test_a_worker_must_be_started() -> None:
    """Work without a loaded model is a programming error, not an unblurred picture."""
    with pytest.raises(RuntimeError, match="start_worker"):
        worker.work("shard", None)  # type: ignore[arg-type]
