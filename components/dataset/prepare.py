"""The first stage of the chain: labelled sets are read, checked, split and counted.

python -m components.dataset.prepare [--profile NAME] [--out FOLDER]

The folder, `data/prepared` by default, gets a `labels.json` for each part of the split, with paths from the project's
folder, and the data card. Pictures stay where they are. The same pictures, labels and settings give the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from components.dataset.data_card import data_card, markdown
from components.dataset.formats.labelled_set import read_set
from components.dataset.labels import LabelledImage, write_labels
from components.dataset.perceptual_hash import perceptual_hash
from components.dataset.splits import PARTS, Member, split
from components.errors import StreetveilError
from components.settings import PROJECT_ROOT, Dataset, LabelledSet, load_params


@dataclass(frozen=True, slots=True)
class Seen:
    """What looking at a picture tells.

    Attributes:
        sha256: of the file, hex.
        look: its perceptual hash.
        mean_luma: mean brightness, 0 to 255.
    """

    sha256: str
    look: int
    mean_luma: float


def prepare(dataset: Dataset, out: Path, project: Path = PROJECT_ROOT) -> dict[str, int]:
    """Write the parts of the split and the data card.

    Args:
        dataset: the settings.
        out: the folder to write to; files of an earlier run are replaced.
        project: the folder that all paths start from.

    Returns:
        The number of pictures in each part.

    Raises:
        StreetveilError: a set is missing, a label is broken, or a picture is missing or of another size than labelled.
    """
    sets, folder = chosen_sets(dataset, project)
    images: list[LabelledImage] = []
    members: list[Member] = []
    for labelled_set in sets:
        for image in read_set(labelled_set, project, folder):
            seen = look_at(project / image.path, image)
            images.append(_completed(image, seen))
            members.append(_member(image, seen, labelled_set))
    _refuse_twice(image.path for image in images)
    places = split(members, dataset.test_share, dataset.val_share, dataset.duplicate_bits)
    parts: dict[str, list[LabelledImage]] = {part: [] for part in PARTS}
    for image, place in sorted(zip(images, places, strict=True), key=lambda pair: pair[0].path):
        parts[place.part].append(replace(image, attributes={**image.attributes, "group": place.group}))
    out.mkdir(parents=True, exist_ok=True)
    for part, chosen in parts.items():
        write_labels(out / f"{part}.json", chosen)
    card = data_card(parts, dataset.dark_luma)
    names = ", ".join(labelled_set.name for labelled_set in sets)
    (out / "data_card.json").write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n", "utf-8")
    (out / "data_card.md").write_text(markdown(card, f"Data card: {names}"), "utf-8")
    return {part: len(chosen) for part, chosen in parts.items()}


def chosen_sets(dataset: Dataset, project: Path = PROJECT_ROOT) -> tuple[tuple[LabelledSet, ...], str | None]:
    """The sets that can be used, and what stands for `{folder}` in their paths: without the folder, the stand-ins.

    What our own people have labelled stands beside either, as soon as there is some.
    """
    own = tuple(one for one in dataset.own_sets if (project / one.pictures / "labels.json").is_file())
    if dataset.folder is not None and (project / dataset.folder).is_dir():
        return (*dataset.sets, *own), dataset.folder
    return (*dataset.stand_in_sets, *own), None


def look_at(path: Path, image: LabelledImage) -> Seen:
    """Read a picture and compare its size with the labels'.

    Raises:
        StreetveilError: it is missing or broken, or its labels were made for another size.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StreetveilError(f"{path}: cannot be read ({error.strerror}); restore it or remove its labels") from error
    try:
        grey = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE) if content else None
    except cv2.error:
        grey = None
    if grey is None:
        raise StreetveilError(f"{path}: is not a picture that can be read; replace it or remove its labels")
    height, width = grey.shape
    if (width, height) != (image.width, image.height):
        raise StreetveilError(
            f"{path}: is {width}×{height} px, and its labels were made for {image.width}×{image.height} px; "
            "scale the boxes, or take the picture that was labelled"
        )
    look = perceptual_hash(np.asarray(grey, np.uint8))
    return Seen(hashlib.sha256(content).hexdigest(), look, round(float(grey.mean()), 1))


def _completed(image: LabelledImage, seen: Seen) -> LabelledImage:
    luma = seen.mean_luma if image.mean_luma is None else image.mean_luma
    return replace(image, mean_luma=luma, attributes={**image.attributes, "sha256": seen.sha256})


def _member(image: LabelledImage, seen: Seen, labelled_set: LabelledSet) -> Member:
    # A file's content is its key, not its path: who moves or renames pictures keeps the split.
    key = f"video {image.source}/{image.video}" if image.video else f"file {seen.sha256}"
    look = seen.look if labelled_set.compare_looks else None
    shares = labelled_set.shares
    return Member(key, look, labelled_set.part, (shares.test, shares.val) if shares else None)


def _refuse_twice(paths: Iterable[str]) -> None:
    known: set[str] = set()
    for path in paths:
        if path in known:
            raise StreetveilError(f"{path}: is labelled twice; remove one of its entries, or one of two equal sets")
        known.add(path)


def main() -> None:
    """Prepare what a profile learns from."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", default="full")
    parser.add_argument("--out", type=Path, default=PROJECT_ROOT / "data" / "prepared")
    given = parser.parse_args()
    settings = load_params().of_profile(given.profile).dataset
    chosen, real = chosen_sets(settings)
    if real is None and settings.folder is not None:
        print(f"{settings.folder} is not there: {', '.join(s.name for s in chosen)} serve instead", file=sys.stderr)
    print(", ".join(f"{number} {part}" for part, number in prepare(settings, given.out).items()))


if __name__ == "__main__":
    main()
