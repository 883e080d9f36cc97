"""A model's look at a set of pictures, kept in a folder that is named after everything that decides what it sees."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from components.dataset.labels import LabelledImage
from components.detection.bundle import Bundle, ModelFile, load_cascade
from components.evaluation.sightings import look_at
from components.imaging.reading import Pixels
from components.settings import PROJECT_ROOT, Detection, Params, Region


@dataclass(frozen=True, slots=True)
class Look:
    """One model's look at one set of pictures.

    Attributes:
        name: of the file that keeps it.
        files: the model.
        images: the pictures.
        changed: what is done to their pixels before.
        region: the rules that it looks by; the default region's if left out.
        proposal_threshold: the confidence from which proposals are listed; the settings' own if left out.
    """

    name: str
    files: tuple[ModelFile, ...]
    images: Sequence[LabelledImage]
    changed: Callable[[Pixels, str], Pixels] | None = None
    region: Region | None = None
    proposal_threshold: float | None = None

    def detection(self, params: Params) -> Detection:
        """How pictures are shown to it."""
        if self.proposal_threshold is None:
            return params.detection
        return params.detection.model_copy(update={"proposal_threshold": self.proposal_threshold})


def seen_by(look: Look, params: Params, folder: Path) -> Path:
    """Look, or go on looking; the file of sightings. Another model, setting or picture begins another one."""
    region = look.region or params.region(None)[1]
    cascade = load_cascade(Bundle(look.name, "?", look.files), look.detection(params))
    file = folder / _key(look, params) / f"{look.name}.jsonl"
    look_at(look.images, lambda pixels: cascade.examine(pixels, region), params.reading, file, look.changed)
    return file


def _key(look: Look, params: Params) -> str:
    # Looks are taken by the CPU, whatever a GPU would compute in. Models of stage 1 alone, as our peers, are never
    # asked whether they doubt: what decides that is none of theirs.
    stands_alone = all(file.role == "stage1" for file in look.files)
    unused = {"gpu_precision", "safety_check"} if stands_alone else {"gpu_precision"}
    digest = hashlib.sha256(look.detection(params).model_dump_json(exclude=unused).encode())
    digest.update((look.region or params.region(None)[1]).model_dump_json(exclude_none=True).encode())
    for file in look.files:
        digest.update(f"{file.role} {file.sha256}".encode())
    for image in look.images:
        digest.update(f"{image.path} {_content(image)}".encode())
    return digest.hexdigest()[:12]


def _content(image: LabelledImage) -> str:
    """The hash of a picture's file, as the prepare stage has taken it or anew: a path may get another picture."""
    known = image.attributes.get("sha256")
    return str(known) if known else hashlib.sha256((PROJECT_ROOT / image.path).read_bytes()).hexdigest()
