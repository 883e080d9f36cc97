"""The attack on labelled pictures' own faces, as a figure for the gate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from components.dataset.labels import LabelledImage
from components.detections import CLASS_NAMES
from components.evaluation.intervals import wilson
from components.evaluation.reidentification.draws import clear_views, expected_views, hidden_views, smaller
from components.evaluation.reidentification.hiding import Method, by_rule
from components.evaluation.reidentification.photograph import Photograph, cut_out
from components.evaluation.reidentification.pixel_attack import correlation_scores, likelihood_scores, noise_model
from components.evaluation.reidentification.rates import Rate, rate_of
from components.evaluation.reidentification.scenes import Scenes, scenes_of
from components.evaluation.verdict import Figure
from components.imaging.reading import decode
from components.settings import PROJECT_ROOT, Reading, Region

LEAST_PEOPLE = 20
_MOST_PEOPLE = 60
_SMALLEST_PX = 40
_HEIGHT_PX = 80
_DRAWS = 40  # of each person, and as many of the attacker's own
_VIEW_PX, _LOOKED_PX, _MEASURED_PX = 32, 16, 8  # as fine as in benchmarks/privacy


@dataclass(frozen=True, slots=True)
class _Face:
    """The largest face of a picture: where, and how high, px."""

    image: LabelledImage
    sides: list[float]
    height_px: float


def reidentification(truth: Sequence[LabelledImage], region: Region, reading: Reading, seed: int = 1) -> Figure:
    """How many times as often as by guessing a hidden face is named, by the better of two attackers.

    Both hold the very photographs; one only looks, the other knows all but the key and is as good as any where noise is
    normal. The wider attack, with a recogniser and a network, is `benchmarks/privacy`.

    Args:
        truth: labelled pictures, with paths from the project's folder.
        region: whose rules hide.
        reading: bounds on what is decoded.
        seed: of the keys.

    Returns:
        Rank-1 ÷ chance, and how far it may be from the truth.
    """
    faces = list(_largest(truth))
    if len(faces) < LEAST_PEOPLE:
        few = f"too few pictures with a face from {_SMALLEST_PX} px on ({len(faces)}, {LEAST_PEOPLE} are needed)"
        return Figure(None, lacking=few)
    photographs = [_photograph(face, reading) for face in faces[:_MOST_PEOPLE]]
    method = by_rule("ours", "ours", region.obfuscation, region.face.dilation)
    rate = attacked(scenes_of(photographs, _HEIGHT_PX), method, seed)
    low, _ = wilson(round(rate.rank1 * rate.trials), rate.trials) or (0.0, 1.0)
    interval = min(low, rate.rank1) / rate.chance, rate.upper / rate.chance
    note = "by the better of two who hold the very photographs"
    return Figure(rate.rank1 / rate.chance, interval, len(photographs), LEAST_PEOPLE, "faces", note=note)


def attacked(scenes: Scenes, method: Method, seed: int) -> Rate:
    """What the better of the two attackers comes to."""
    rng = np.random.default_rng(seed)
    tested, own = (hidden_views(scenes, method, _DRAWS, _VIEW_PX, rng) for _ in range(2))
    seen, known, expected = (
        smaller(views, _MEASURED_PX) for views in (tested, own, expected_views(scenes, method, _VIEW_PX))
    )
    informed = rate_of(likelihood_scores(seen, expected, noise_model(known, expected)))
    naive = rate_of(correlation_scores(smaller(tested, _LOOKED_PX), clear_views(scenes, method, _LOOKED_PX)))
    return max(informed, naive, key=lambda rate: rate.rank1)


def _largest(truth: Sequence[LabelledImage]) -> Iterator[_Face]:
    """The largest face of each picture, the largest first, one of each video: nobody shall be in it twice."""
    found = sorted(
        (face for image in truth if (face := _largest_of(image))), key=lambda face: (-face.height_px, face.image.path)
    )
    videos: set[str] = set()
    for face in found:
        video = face.image.video
        if video is None or video not in videos:
            videos.update([video] if video else [])
            yield face


def _largest_of(image: LabelledImage) -> _Face | None:
    """The largest face that is wholly in a picture and large enough."""
    faces = image.objects.of_class(CLASS_NAMES.index("face")).xyxy.tolist()
    inside = [_Face(image, box, box[3] - box[1]) for box in faces if min(box) >= 0 and _ends_within(box, image)]
    large = [face for face in inside if min(face.height_px, face.sides[2] - face.sides[0]) >= _SMALLEST_PX]
    return max(large, key=lambda face: face.height_px, default=None)


def _ends_within(box: list[float], image: LabelledImage) -> bool:
    return box[2] <= image.width and box[3] <= image.height


def _photograph(face: _Face, reading: Reading) -> Photograph:
    return cut_out(decode((PROJECT_ROOT / face.image.path).read_bytes(), reading).pixels, face.sides)
