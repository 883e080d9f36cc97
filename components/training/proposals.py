"""Examples for stage 2: what stage 1 proposes in labelled pictures, and what people say of it.

python -m components.training.proposals --prepared FOLDER --taught FILE --stage1 FILE.onnx --out FOLDER [--profile NAME]

The examples show people: keep them with the pictures.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from components.detection.bundle import Bundle, load_cascade
from components.detection.proposal_features import Features, features
from components.detection.shipped import own_files
from components.detections import Detections
from components.imaging.reading import Pixels, decode
from components.settings import ProposalExamples, Reading, load_params
from components.training.checkpoint import read_arrays, write_arrays
from components.training.images import TrainingImage, images_sha256
from components.training.parts import arguments, training_parts
from components.training.verifier.examples import Examples, Labels, concatenate, label
from components.training.verifier.hard_negatives import empty_places, photographs

Proposer = Callable[[Pixels], Detections]

_PICTURES_A_SHARD = 50
_BOXES_A_PHOTOGRAPH = 20  # of each class, in pictures that show nothing


def examples_of(
    truth: TrainingImage, pixels: Pixels, propose: Proposer, settings: ProposalExamples, picture: int, varied: bool
) -> Examples:
    """The examples of one picture: stage 1's proposals and, for training, places without objects.

    Args:
        truth: the labels.
        pixels: uint8 [h, w, 3] RGB, of the labelled size.
        propose: stage 1, down to a low confidence.
        settings: how examples are made.
        picture: the number that they are kept under; it decides what chance does.
        varied: for training: limit the negatives, add others. Without it, all proposals are kept as they are.
    """
    proposals = propose(pixels)
    labels = label(proposals, truth, settings)
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
    nothing = label(made, truth, settings)
    added = _examples(features(pixels, made, proposals), nothing, made, picture, proposed=False)
    return concatenate([told.select(kept), added.select(nothing.weight > 0)])


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


def write_examples(
    images: Sequence[TrainingImage],
    propose: Proposer,
    proposer: str,
    settings: ProposalExamples,
    limits: Reading,
    folder: Path,
    part: str,
    varied: bool,
) -> Iterator[Path]:
    """Write the examples of a part of the split in shards; shards that are there already are not made again.

    Args:
        images: the pictures with their labels.
        propose: stage 1, down to a low confidence.
        proposer: what names it, such as the hash of its files.
        settings: how examples are made.
        limits: bounds on what is decoded.
        folder: for the shards.
        part: of the split; begins their names.
        varied: for training, see `examples_of`.

    Yields:
        Each shard's file.
    """
    for start in range(0, len(images), _PICTURES_A_SHARD):
        chosen = images[start : start + _PICTURES_A_SHARD]
        file = _shard(folder, part, start // _PICTURES_A_SHARD)
        identity = _identity(settings, proposer, varied, images_sha256(chosen))
        if not (file.exists() and read_arrays(file)[1].get("identity") == identity):
            made = [
                examples_of(image, decode(image.path.read_bytes(), limits).pixels, propose, settings, number, varied)
                for number, image in enumerate(chosen, start)
            ]
            write_arrays(file, concatenate(made).arrays(), {"identity": identity, "pictures": len(chosen)})
        yield file
    surplus = -(-len(images) // _PICTURES_A_SHARD)  # of an earlier call with more pictures
    while _shard(folder, part, surplus).exists():
        _shard(folder, part, surplus).unlink()
        surplus += 1


def _shard(folder: Path, part: str, number: int) -> Path:
    return folder / f"{part}-{number:05d}.npz"


def write_photographs(propose: Proposer, proposer: str, settings: ProposalExamples, folder: Path) -> Path:
    """Write the examples of pictures that show neither people nor plates, for training."""
    file = folder / "train-empty.npz"
    many = settings.model_copy(update={"random_boxes": _BOXES_A_PHOTOGRAPH})
    identity = _identity(many, proposer, True, "photographs")
    if not (file.exists() and read_arrays(file)[1].get("identity") == identity):
        made = []
        for number, (name, pixels) in enumerate(photographs(), 1):
            truth = TrainingImage.of(Path(name), (pixels.shape[1], pixels.shape[0]), [], [])
            made.append(examples_of(truth, pixels, propose, many, 2**31 - number, varied=True))
        write_arrays(file, concatenate(made).arrays(), {"identity": identity, "pictures": len(made)})
    return file


def _identity(settings: ProposalExamples, proposer: str, varied: bool, images: str) -> str:
    facts = [settings.model_dump(mode="json"), proposer, varied, images]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


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
    proposer = "+".join((bundle.files[0].sha256, detection.model_dump_json(), region.model_dump_json()))
    training, validation = training_parts(given.prepared, given.taught, params)
    print(write_photographs(propose, proposer, settings, given.out).name, flush=True)
    for part, images in (("val", validation), ("train", training)):
        for file in write_examples(
            images, propose, proposer, settings, params.reading, given.out, part, varied=part == "train"
        ):
            print(file.name, flush=True)


if __name__ == "__main__":
    main()
