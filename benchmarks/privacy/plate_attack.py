"""Two attackers on hidden plates: a reader of text, and one that knows font, place and all signs but one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.privacy.gallery import read_rgb
from benchmarks.privacy.methods import CLEAR
from benchmarks.privacy.plate_reader import (
    SIGNS,
    accuracy_by_chance,
    character_accuracy,
    edit_distance,
    only_signs,
    read_plate,
)
from components.dataset.plates import STYLES, plate_text, render_plate
from components.evaluation.reidentification.draws import Views
from components.evaluation.reidentification.hiding import NO_NOISE, Method, fresh_noise
from components.evaluation.reidentification.photograph import Photograph, cut_out
from components.evaluation.reidentification.pixel_attack import likelihood_scores, noise_model
from components.evaluation.reidentification.rates import binomial_upper_bound, credits_of
from components.imaging.noise import NoiseSource
from components.imaging.reading import Pixels

_SURE = 0.95  # confidence from which the reading of a clear plate counts as its text
_SHORTEST = 5  # signs; shorter readings are mostly of something else
_STYLE = STYLES["us-ca"]
_VIEW_PX = (64, 16)  # width and height to which a hidden plate is reduced
_COARSE_PX = (8, 4)  # as with faces: the random methods have nothing finer
_OWN_DRAWS = 1500


@dataclass(frozen=True, slots=True)
class PlateResult:
    """One attacker against one way of hiding plates.

    Attributes:
        method: the way of hiding.
        attacker: `reader, real`, `reader, rendered` or `template`.
        plates: how many.
        read: share of plates that were read without a mistake; None where one sign is asked for.
        accuracy: of characters.
        chance: the accuracy that has nothing to do with the plate.
        upper: the one-sided 95 % bound on the accuracy, where the attacker names one sign.
    """

    method: str
    attacker: str
    plates: int
    read: float | None
    accuracy: float
    chance: float
    upper: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Plate:
    """A photograph of a plate, and its text."""

    photograph: Photograph
    text: str


def real_plates(folder: Path, count: int, rng: np.random.Generator) -> tuple[list[Plate], int]:
    """Plates that the reader is sure of, with its reading as their text, and how many were looked at."""
    entries = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
    places = [(e["file"], box["box"]) for e in entries for box in e["boxes"] if box["cls"] == "license_plate"]
    sure: list[Plate] = []
    looked_at = 0
    for i in rng.permutation(len(places)):
        file, box = places[i]
        plate = cut_out(read_rgb(folder / file), box)
        if plate.height_px < 16:
            continue
        looked_at += 1
        reading = read_plate(_inside(plate.pixels, plate))
        if reading.confidence >= _SURE and len(reading.text) >= _SHORTEST:
            sure.append(Plate(plate, reading.text))
        if len(sure) == count:
            break
    return sure, looked_at


def rendered_plates(count: int, height_px: int, rng: np.random.Generator) -> list[Plate]:
    """Plates of one country whose text is known."""
    texts = [plate_text(_STYLE, rng) for _ in range(count)]
    return [Plate(_rendered(text, height_px), only_signs(text)) for text in texts]


def attack_by_reading(
    plates: Sequence[Plate], kind: str, methods: Sequence[Method], rng: np.random.Generator
) -> Iterator[PlateResult]:
    """Clear plates first, then every way of hiding them."""
    truths = [plate.text for plate in plates]
    for method in (None, *methods):
        readings = [read_plate(_hidden(plate.photograph, method, fresh_noise(rng))).text for plate in plates]
        accuracies = [character_accuracy(*pair) for pair in zip(readings, truths, strict=True)]
        yield PlateResult(
            method.name if method else CLEAR,
            f"reader, {kind}",
            len(plates),
            float(np.mean([edit_distance(*pair) == 0 for pair in zip(readings, truths, strict=True)])),
            float(np.mean(accuracies)),
            accuracy_by_chance(readings, truths),
        )


def attack_by_template(method: Method, count: int, draws: int, height_px: int, rng: np.random.Generator) -> PlateResult:
    """Name one sign of each plate, all others known, by the likelihood of every candidate under the same hiding."""
    size = _COARSE_PX if method.random else _VIEW_PX
    draws = draws if method.random else 1
    some = _rendered(plate_text(_STYLE, rng), height_px)
    own = _draws(some, method, _OWN_DRAWS if method.random else 1, size, rng)
    noise = noise_model(own, _view(some, method, NO_NOISE, size)[None])
    credits: list[float] = []
    for _ in range(count):
        text = plate_text(_STYLE, rng)
        place = int(rng.integers(len(text)))
        candidates = [_rendered(text[:place] + sign + text[place + 1 :], height_px) for sign in SIGNS]
        truth = int(rng.integers(len(SIGNS)))
        expected = np.array([_view(candidate, method, NO_NOISE, size) for candidate in candidates])
        tested = _draws(candidates[truth], method, draws, size, rng)
        scores = likelihood_scores(tested, expected, noise)
        credits += credits_of(scores, np.array([truth])).ravel().tolist()
    rate = float(np.mean(credits))
    blind = all(credit == 1 / len(SIGNS) for credit in credits)  # all candidates alike, always: chance by arithmetic
    bound = rate if blind else binomial_upper_bound(int(np.ceil(sum(credits) - 1e-6)), len(credits))
    return PlateResult(method.name, "template", count, None, rate, 1 / len(SIGNS), bound)


def _rendered(text: str, height_px: int) -> Photograph:
    large = render_plate(_STYLE, text)
    width_px = round(large.shape[1] * height_px / large.shape[0])
    plate = cv2.resize(large, (width_px, height_px), interpolation=cv2.INTER_AREA)
    pad_y, pad_x = height_px // 2, width_px // 2
    pixels = cv2.copyMakeBorder(plate, pad_y, pad_y, pad_x, pad_x, cv2.BORDER_CONSTANT, value=(90, 92, 96))
    return Photograph(
        np.asarray(pixels, np.uint8), np.array([pad_x, pad_y, pad_x + width_px, pad_y + height_px], np.int32)
    )


def _hidden(plate: Photograph, method: Method | None, noise: NoiseSource) -> Pixels:
    if method is None:
        return _inside(plate.pixels, plate)
    height, width = plate.pixels.shape[:2]
    area = np.clip(method.area(plate.box), 0, [width, height, width, height]).astype(np.int32)
    return _inside(method.hide(plate.pixels, area, noise), plate)


def _view(plate: Photograph, method: Method, noise: NoiseSource, size: tuple[int, int]) -> NDArray[np.float32]:
    view = cv2.resize(_hidden(plate, method, noise).astype(np.float32), size, interpolation=cv2.INTER_AREA)
    return np.asarray(view, np.float32)


def _draws(plate: Photograph, method: Method, n: int, size: tuple[int, int], rng: np.random.Generator) -> Views:
    return np.array([[_view(plate, method, fresh_noise(rng), size) for _ in range(n)]])


def _inside(pixels: Pixels, plate: Photograph) -> Pixels:
    x1, y1, x2, y2 = plate.box
    return pixels[y1:y2, x1:x2]
