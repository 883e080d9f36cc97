"""Examples for stage 2: what stage 1 proposes in labelled pictures, and what people say of it.

python -m components.training.proposals --prepared FOLDER --taught FILE --stage1 FILE.onnx --out FOLDER [--profile NAME]

The examples show people: keep them with the pictures.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from components.detection.bundle import Bundle, load_cascade
from components.detection.proposal_features import Features, features
from components.detection.shipped import own_files
from components.detections import Detections, pixel_boxes
from components.imaging.reading import Pixels, decode
from components.settings import ProposalExamples, Reading, Training, load_params
from components.training.checkpoint import read_arrays, write_arrays
from components.training.images import TrainingImage, images_sha256
from components.training.parts import arguments, training_parts
from components.training.verifier.examples import Examples, Labels, concatenate, label
from components.training.verifier.hard_negatives import empty_places, photographs
from components.training.yolo.pictures import CanvasDataset

Proposer = Callable[[Pixels], Detections]

_PICTURES_A_SHARD = 50
_FIRST_CANVAS = 2**24  # the number of a canvas; pictures are numbered from 0
_UNKNOWN_SHARE = 0.3  # of a proposal, from which it speaks of a place where nobody knows
_BOXES_A_PHOTOGRAPH = 20  # of each class, in pictures that show nothing


def examples_of(
    truth: TrainingImage,
    pixels: Pixels,
    propose: Proposer,
    settings: ProposalExamples,
    picture: int,
    varied: bool,
    uncounted: NDArray[np.uint8] | None = None,
) -> Examples:
    """The examples of one picture: stage 1's proposals and, for training, places without objects.

    Args:
        truth: the labels.
        pixels: uint8 [h, w, 3] RGB, of the labelled size.
        propose: stage 1, down to a low confidence.
        settings: how examples are made.
        picture: the number that they are kept under; it decides what chance does.
        varied: for training: limit the negatives, add others. Without it, all proposals are kept as they are.
        uncounted: uint8 [h, w], where nobody knows what is background: bit c speaks of class c.
    """
    proposals = propose(pixels)
    labels = _counted(label(proposals, truth, settings), proposals, uncounted)
    told = _examples(features(pixels, proposals), labels, proposals, picture, proposed=True)
    if not varied:
        return told
    rng = np.random.default_rng((settings.seed, picture))
    negative = np.flatnonzero(~labels.is_object & (labels.weight > 0))
    left_out = rng.permutation(negative)[settings.max_negatives :]
    kept = np.ones(len(told), bool)
    kept[left_out] = False
    kept &= labels.weight > 0
    made = empty_places(truth, proposals, settings, rng)
    nothing = _counted(label(made, truth, settings), made, uncounted)
    added = _examples(features(pixels, made, proposals), nothing, made, picture, proposed=False)
    return concatenate([told.select(kept), added.select(nothing.weight > 0)])


def _counted(labels: Labels, proposals: Detections, uncounted: NDArray[np.uint8] | None) -> Labels:
    """Labels of which those that lie where nobody knows count neither way."""
    if uncounted is None or not len(proposals):
        return labels
    height, width = uncounted.shape
    unknown = np.zeros(len(proposals), bool)
    for i in np.flatnonzero(~labels.is_object):
        for x1, y1, x2, y2 in pixel_boxes(proposals.xyxy[i : i + 1], width, height):
            bits = uncounted[y1:y2, x1:x2] >> proposals.class_id[i] & 1
            unknown[i] = bits.mean() > _UNKNOWN_SHARE
    return replace(labels, weight=np.where(unknown, 0, labels.weight).astype(np.float32))


def _examples(told: Features, labels: Labels, proposals: Detections, picture: int, proposed: bool) -> Examples:
    n = len(proposals)
    return Examples(
        told,
        labels,
        proposals.class_id,
        proposals.confidence,
        np.full(n, picture, np.int32),
        np.full(n, proposed),
    )


@dataclass(frozen=True, slots=True)
class Making:
    """What examples are made with.

    Attributes:
        propose: stage 1, down to a low confidence.
        proposer: what names it, such as the hash of its files.
        settings: how examples are made.
        folder: for the shards.
    """

    propose: Proposer
    proposer: str
    settings: ProposalExamples
    folder: Path

    def identity(self, varied: bool, images: str) -> str:
        """The hash of everything that decides a shard, given what names its pictures."""
        settings = self.settings.model_dump(mode="json", exclude={"canvases"})
        facts = [settings, self.proposer, varied, images]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def write_examples(
    images: Sequence[TrainingImage], making: Making, limits: Reading, part: str, varied: bool
) -> Iterator[Path]:
    """Write the examples of a part of the split in shards.

    Args:
        images: the pictures with their labels.
        making: what examples are made with.
        limits: bounds on what is decoded.
        part: of the split; begins their names.
        varied: for training, see `examples_of`.

    Yields:
        Each shard's file.
    """

    def made(number: int) -> Examples:
        image = images[number]
        pixels = decode(image.path.read_bytes(), limits).pixels
        return examples_of(image, pixels, making.propose, making.settings, number, varied)

    def identity(start: int, stop: int) -> str:
        return making.identity(varied, images_sha256(images[start:stop]))

    yield from _write_shards(making.folder, part, len(images), identity, made)


def write_canvases(
    images: Sequence[TrainingImage], making: Making, training: Training, part: str, count: int, varied: bool
) -> Iterator[Path]:
    """Write examples of canvases of views: objects of all sizes, in all lights, with rendered plates among them.

    Labelled plates are few, and nearly all of one size and light; what is learnt from them alone fails on the next
    camera.

    Args:
        images: the pictures that views are taken from.
        making: what examples are made with.
        training: how views vary.
        part: of the split; begins the shards' names.
        count: of canvases.
        varied: for training, see `examples_of`.

    Yields:
        Each shard's file.
    """
    canvases = making.settings.canvases
    views = training.views.model_copy(update={"min_view_share": canvases.min_view_share})
    varying = training.model_copy(update={"views": views, "canvas_px": canvases.side_px})
    shown = CanvasDataset(images, varying)
    whole = making.identity(varied, f"{varying.model_dump_json()} {images_sha256(images)}")

    def made(number: int) -> Examples:
        shown.epoch, index = divmod(number, len(images))
        view = shown.canvas(index)
        side = len(view.pixels)
        truth = TrainingImage.of(Path("canvas"), (side, side), view.boxes, view.class_id, view.box_weight)
        place = _FIRST_CANVAS + number
        return examples_of(truth, view.pixels, making.propose, making.settings, place, varied, view.uncounted)

    yield from _write_shards(making.folder, f"{part}-canvas", count, lambda *_: whole, made)


def _write_shards(
    folder: Path, part: str, count: int, identity: Callable[[int, int], str], made: Callable[[int], Examples]
) -> Iterator[Path]:
    """Shards that are there already are not made again, and those of an earlier call with more pictures go."""
    for start in range(0, count, _PICTURES_A_SHARD):
        stop = min(count, start + _PICTURES_A_SHARD)
        file, name = _shard(folder, part, start // _PICTURES_A_SHARD), identity(start, stop)
        facts = {"identity": name, "pictures": stop - start}
        if not (file.exists() and read_arrays(file)[1] == facts):
            write_arrays(file, concatenate(made(number) for number in range(start, stop)).arrays(), facts)
        yield file
    surplus = -(-count // _PICTURES_A_SHARD)
    while _shard(folder, part, surplus).exists():
        _shard(folder, part, surplus).unlink()
        surplus += 1


def _shard(folder: Path, part: str, number: int) -> Path:
    return folder / f"{part}-{number:05d}.npz"


def write_photographs(making: Making) -> Path:
    """Write the examples of pictures that show neither people nor plates, for training."""
    file = making.folder / "train-empty.npz"
    many = replace(making, settings=making.settings.model_copy(update={"random_boxes": _BOXES_A_PHOTOGRAPH}))
    identity = many.identity(True, "photographs")
    if not (file.exists() and read_arrays(file)[1].get("identity") == identity):
        made = []
        for number, (name, pixels) in enumerate(photographs(), 1):
            truth = TrainingImage.of(Path(name), (pixels.shape[1], pixels.shape[0]), [], [])
            made.append(examples_of(truth, pixels, many.propose, many.settings, 2**31 - number, varied=True))
        write_arrays(file, concatenate(made).arrays(), {"identity": identity, "pictures": len(made)})
    return file


def main() -> None:
    """Make the examples of the pictures for training and validation; the test split is not looked at."""
    parser = arguments(__doc__)
    parser.add_argument("--stage1", type=Path, required=True)
    given = parser.parse_args()
    params = load_params().of_profile(given.profile)
    settings = params.verifier.examples
    bundle = Bundle("stage1", "?", own_files(given.stage1, None)[:1])
    detection = params.detection.model_copy(update={"proposal_threshold": settings.proposal_threshold})
    region = params.region(None)[1]
    propose = partial(load_cascade(bundle, detection).propose, region=region)
    proposer = "+".join(
        (bundle.files[0].sha256, detection.model_dump_json(), region.model_dump_json(exclude_none=True))
    )
    making = Making(propose, proposer, settings, given.out)
    training, validation = training_parts(given.prepared, given.taught, params)
    print(write_photographs(making).name, flush=True)
    for part, images, count in (
        ("val", validation, settings.canvases.val),
        ("train", training, settings.canvases.train),
    ):
        varied = part == "train"
        for file in write_canvases(images, making, params.training, part, count, varied):
            print(file.name, flush=True)
        for file in write_examples(images, making, params.reading, part, varied):
            print(file.name, flush=True)


if __name__ == "__main__":
    main()
