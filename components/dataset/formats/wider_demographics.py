"""How faces of WIDER FACE are perceived: gender, age and skin type, as marks of the labelled faces.

The file of Dooley et al. (2022, "Robustness Disparities in Face Detection") has a line for each face of the validation
part: `,file,perceived_gender,perceived_age,perceived_skin,face`, the last being the face's place in its picture's
annotation, from 0. What annotators were not sure of is no mark. All of it is perceived by others, never self-reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pandas as pd

from components.dataset.formats.wider_face import PLACE
from components.dataset.labels import LabelledImage
from components.errors import StreetveilError

_MARKS = {"perceived_gender": "gender", "perceived_age": "age", "perceived_skin": "skin_type"}
_PREFIX = "images/"
_NOT_SURE = "Not Sure"

Perceived = Mapping[tuple[str, int], Mapping[str, str]]  # by picture and place


def read_perceived(file: Path) -> Perceived:
    """What is perceived of each face, by its picture's path and its place there.

    Raises:
        StreetveilError: the file cannot be read, lacks a column, or speaks twice of one face.
    """
    try:
        # Only "Not Sure" is no answer; an empty field or a word like NA would be a damaged file.
        rows = pd.read_csv(file, dtype=str, keep_default_na=False)
        places = rows["face"].astype(int)
        paths = rows["file"].str.removeprefix(_PREFIX)
        told = rows[list(_MARKS)].rename(columns=_MARKS)
    except (OSError, ValueError, KeyError) as error:
        raise StreetveilError(
            f"{file}: no demographics of WIDER FACE ({error}); take the CSV file as it was published"
        ) from error
    keys = list(zip(paths, places, strict=True))
    if len(set(keys)) < len(keys):
        raise StreetveilError(f"{file}: speaks twice of one face; take the CSV file as it was published")
    return {
        key: {str(name): value for name, value in row.items() if value != _NOT_SURE}
        for key, row in zip(keys, told.to_dict("records"), strict=True)
    }


def with_perceived(images: Iterable[LabelledImage], perceived: Perceived) -> Iterator[LabelledImage]:
    """Pictures of `read_wider_face` with what is perceived of their faces; other faces keep the marks they have.

    Args:
        images: with paths as in WIDER FACE's own files, and marks that name each face's place.
        perceived: what is known of which face.
    """
    for image in images:
        marks = [{**mark, **perceived.get((image.path, _place(mark)), {})} for mark in image.marks]
        yield replace(image, marks=tuple(marks))


def _place(mark: Mapping[str, object]) -> int:
    return int(str(mark[PLACE]))
