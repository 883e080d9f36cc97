"""A month on real labelled pictures: a few of a folder's labels to begin with, and a day that nobody has labelled yet.

The day's pictures are those of which people have once labelled everything, none of them of the test part. Their labels
are put aside: they are what a scripted labeller answers. The labels of the test part stay as they are.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from components.dataset.formats.labelled_set import read_set
from components.dataset.labels import LabelledImage, read_labels, write_labels
from components.dataset.prepare import prepare
from components.detections import CLASS_IDS, CLASS_NAMES
from components.errors import StreetveilError
from components.settings import Dataset, LabelledSet

LABELS_FOLDER = "data/hand_labels"  # which the chain depends on


@dataclass(frozen=True, slots=True)
class Month:
    """What was laid out.

    Attributes:
        sets: with the labels of before; paths start at the project's folder.
        begun_with: pictures to train and to choose on.
        tested_on: pictures of the test part that are looked at, and of how many.
        day: pictures of the day.
    """

    sets: tuple[LabelledSet, ...]
    begun_with: int
    tested_on: tuple[int, int]
    day: int


def write_month(
    dataset: Dataset, project: Path, day: Path, answers: Path, most: int, most_tested: int | None = None,
    broken: bool = False,
) -> Month:  # fmt: skip
    """Lay out the labels of before, the day's pictures, and what the labeller will say of them.

    Args:
        dataset: the sets; their folder is there.
        project: the folder that all paths start from.
        day: gets the day's pictures.
        answers: the `labels.json` of the labeller; paths start in `day`.
        most: so many pictures to begin with at most, beside the test part.
        most_tested: of the test part, so many pictures at most, by chance; None for all.
        broken: but for the test part, all labels are `faceless`.

    Raises:
        StreetveilError: labels are broken, or of no picture but tested ones people have labelled everything.
    """
    parts = _parts(dataset, project)
    learnt = [*parts["train"], *parts["val"]]
    of_day = [image for image in learnt if image.exhaustive >= set(CLASS_NAMES)]
    if not of_day:
        raise StreetveilError(
            "no picture outside of the test part is labelled completely, so there is no day to label: name the "
            "classes in `exhaustive` of a set in params.yaml"
        )
    chosen = {image.path for image in of_day}
    before = sorted((image for image in learnt if image.path not in chosen), key=_by_chance)[:most]
    change = faceless if broken else lambda image: image
    write_labels(answers, [change(_of_day(image, project, day)) for image in of_day])
    tested = sorted(parts["test"], key=_by_chance)[:most_tested]
    known = {image.path: image for image in (*tested, *map(change, before))}
    sets = tuple(_cut(one, known, dataset, project) for one in dataset.sets)
    return Month(sets, len(before), (len(tested), len(parts["test"])), len(of_day))


def faceless(image: LabelledImage) -> LabelledImage:
    """A picture's labels as of somebody who has forgotten the faces, and calls the picture complete all the same."""
    kept = image.objects.class_id != CLASS_IDS["face"]
    marks = tuple(mark for mark, stays in zip(image.marks, kept, strict=True) if stays) if image.marks else ()
    return replace(image, objects=image.objects.select(kept), marks=marks, exhaustive=frozenset(CLASS_NAMES))


def _parts(dataset: Dataset, project: Path) -> dict[str, list[LabelledImage]]:
    """As the prepare stage splits all that there is."""
    out = project / "data" / "whole"
    prepare(dataset, out, project)
    return {part: list(read_labels(out / f"{part}.json", folder="")) for part in ("train", "val", "test")}


def _by_chance(image: LabelledImage) -> str:
    return str(image.attributes["sha256"])


def _of_day(image: LabelledImage, project: Path, day: Path) -> LabelledImage:
    """A picture in the day's folder, with its labels."""
    path = Path(Path(image.path).parts[-3], Path(image.path).name)
    (day / path).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(project / image.path, day / path)
    return replace(image, path=path.as_posix())


def _cut(one: LabelledSet, known: dict[str, LabelledImage], dataset: Dataset, project: Path) -> LabelledSet:
    """A set with the labels of known pictures only, in a file of its own that says all that the set's keys said."""
    pictures = one.pictures.replace("{folder}", dataset.folder or "")
    kept = _within(pictures, (image for image in read_set(one, project, dataset.folder) if image.path in known), known)
    file = f"{LABELS_FOLDER}/{one.name}.json"
    write_labels(project / file, kept)
    told = {"format": "labels_json", "pictures": pictures, "labels": file, "shares": one.shares, "part": one.part}
    return LabelledSet.model_validate({"name": one.name, "compare_looks": one.compare_looks, **told})


def _within(folder: str, images: Iterable[LabelledImage], known: dict[str, LabelledImage]) -> list[LabelledImage]:
    """As they are known, with paths from their set's folder."""
    return [
        replace(known[image.path], path=Path(image.path).relative_to(folder).as_posix(), attributes=image.attributes)
        for image in images
    ]
