"""What our own people have labelled: pictures and `labels.json`, in a folder for what chance drew and one for the rest.

What active learning chose never tests a model, so the two are sets of their own in `params.yaml` (`dataset.own_sets`).
Pictures are written first and the labels that name them replace the old ones at once: whoever is interrupted leaves the
labels of before, and pictures that nobody names until the import is done again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from components.dataset.labelling.files import make_private, write_whole
from components.dataset.labelling.sample import Sample, SampledImage, is_random
from components.dataset.labels import LabelledBox, LabelledImage, labelled_image, labels_text, read_labels
from components.detections import CLASS_NAMES
from components.errors import StreetveilError
from components.settings import PROJECT_ROOT, Labelling

RANDOM_SET, CHOSEN_SET = "random", "chosen"
_SETS = (RANDOM_SET, CHOSEN_SET)
_LABELS = "labels.json"


@dataclass(frozen=True, slots=True)
class Answer:
    """What people say of a picture: all faces and plates that it shows.

    Attributes:
        image: the picture.
        boxes: those, and what is to be ignored; none at all is an answer too.
    """

    image: SampledImage
    boxes: tuple[LabelledBox, ...]


def set_of(image: SampledImage) -> str:
    """Which of the two sets a picture belongs to."""
    return RANDOM_SET if is_random(image) else CHOSEN_SET


def labelled_by_us(settings: Labelling, project: Path = PROJECT_ROOT) -> Iterator[LabelledImage]:
    """All that our own people have labelled so far; paths start in the folder of either set.

    Raises:
        StreetveilError: labels are broken.
    """
    for name in _SETS:
        file = project / settings.labelled / name / _LABELS
        if file.is_file():
            yield from read_labels(file, folder="")


def sets(settings: Labelling, project: Path = PROJECT_ROOT) -> list[Path]:
    """The folders of those sets that there are."""
    places = [project / settings.labelled / name for name in _SETS]
    return [place for place in places if (place / _LABELS).is_file()]


def land(answers: Sequence[Answer], sample: Sample, desk: Path, settings: Labelling, project: Path) -> None:
    """Put answers into the labelled set; those that an earlier import gave of the same pictures are replaced.

    Raises:
        StreetveilError: an original is no longer at the desk, or nothing can be written. Labels are as before.
    """
    for name in _SETS:
        own = [answer for answer in answers if set_of(answer.image) == name]
        if own:
            _land(own, sample, desk, project / settings.labelled / name)


def _land(answers: Iterable[Answer], sample: Sample, desk: Path, place: Path) -> None:
    file = place / _LABELS
    images = {image.path: image for image in read_labels(file, folder="")} if file.is_file() else {}
    try:
        make_private(place / "pictures")
        for answer in answers:
            path = f"pictures/{Path(answer.image.file).name}"
            _put(desk / answer.image.file, place / path)
            images[path] = _labelled(answer, sample, path)
        write_whole(file, labels_text(images[path] for path in sorted(images)))
    except OSError as error:
        raise StreetveilError(f"{error.filename or place}: {error.strerror}; labels are as before") from error


def is_within_reach(image: SampledImage, desk: Path, settings: Labelling, project: Path) -> bool:
    """Its picture is at the desk, or in the labelled set already."""
    kept = project / settings.labelled / set_of(image) / "pictures" / Path(image.file).name
    return (desk / image.file).is_file() or kept.is_file()


def answered(sample: Sample, settings: Labelling, project: Path) -> set[str]:
    """The ids of the sample's pictures that have landed."""
    landed = (
        image for image in labelled_by_us(settings, project) if image.attributes.get("sample") == sample.sample_id
    )
    return {Path(image.path).stem for image in landed}


def _put(source: Path, target: Path) -> None:
    if not source.is_file() and target.is_file():  # labels are corrected after the desk was cleared
        return
    content = source.read_bytes()
    if not target.is_file() or hashlib.sha256(target.read_bytes()).digest() != hashlib.sha256(content).digest():
        write_whole(target, content)


def _labelled(answer: Answer, sample: Sample, path: str) -> LabelledImage:
    image = answer.image
    return labelled_image(
        path,
        (image.width, image.height),
        f"{set_of(image)}_by_us",
        answer.boxes,
        exhaustive=frozenset(CLASS_NAMES),  # whoever labels a picture marks all that it shows
        region=image.region,
        mean_luma=image.brightness,
        attributes={"sample": sample.sample_id, "reason": image.reason, "original": image.sha256},
    )
