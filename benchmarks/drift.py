"""How soon drift is seen, and how often where there is none: a parametric model of days, manifests without pictures.

    python -m benchmarks.drift [--references N] [--days N] [--images N]

Each reference is another one, with its own days after it, undisturbed or changed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from components.batch.manifest import SCHEMA
from components.detections import CLASS_NAMES
from components.evaluation.intervals import wilson
from components.monitoring.distributions import DayProfile, profile_of
from components.monitoring.drift import Level, compare
from components.monitoring.reference import Reference, reference_of
from components.settings import Drift, load_params

_PROPOSAL = SCHEMA.field("proposals").type.value_type
_UNSEEN = 5000  # far from the seeds of the trials that chose the settings
_MS = ("read_ms", "decode_ms", "detect_ms", "publish_ms", "verify_ms", "write_ms")


@dataclass(frozen=True, slots=True)
class Street:
    """What a day's pictures are like: the means around which days, pictures and objects differ.

    Attributes:
        objects: of a picture, by class.
        clutter: proposals of a picture that are nothing, by class.
        size_px: the median of the objects' sizes.
        brightness: mean luma.
        sureness: what is added to the log-odds of every confidence.
        detect_ms: the median time.
        small_lost_below_px: half of the objects of this size are not proposed at all.
    """

    objects: tuple[float, float] = (0.9, 0.6)
    clutter: tuple[float, float] = (2.0, 1.2)
    size_px: tuple[float, float] = (30.0, 38.0)
    brightness: float = 112.0
    sureness: float = 0.0
    detect_ms: float = 900.0
    small_lost_below_px: float = 4.0


Change = Callable[[Street, int], Street]  # and the days since it began, from 0 on


def fog(street: Street, day: int) -> Street:
    """A veil: brighter, everything less sure, what is small or far is gone."""
    return replace(street, brightness=street.brightness + 22, sureness=-0.7, small_lost_below_px=14)


def night(street: Street, day: int) -> Street:
    """The cars drive in the dark."""
    busy = (street.objects[0] * 0.6, street.objects[1] * 0.8)
    return replace(street, brightness=street.brightness - 65, sureness=-0.6, objects=busy)


def camera(street: Street, day: int) -> Street:
    """A wider lens with a brighter picture: everything is smaller by a quarter, and a little less sure."""
    sizes = (street.size_px[0] * 0.75, street.size_px[1] * 0.75)
    return replace(street, size_px=sizes, brightness=street.brightness + 8, sureness=-0.2)


def creep(street: Street, day: int) -> Street:
    """A lens that gets dirty, or a model that the world grows away from: each day a hundredth, in log-odds two."""
    return replace(street, sureness=-0.02 * day, small_lost_below_px=street.small_lost_below_px * 1.01**day)


CHANGES: dict[str, Change] = {"fog": fog, "night": night, "camera change": camera, "slow creep": creep}


def days(rng: np.random.Generator, images: int, change: Change | None = None, after: int = 0) -> Iterator[DayProfile]:
    """The profiles of days without end; see `manifests`."""
    for day, table in enumerate(manifests(rng, images, change, after)):
        yield profile_of([table], f"day {day}")


def manifests(
    rng: np.random.Generator, images: int, change: Change | None = None, after: int = 0
) -> Iterator[pa.Table]:
    """The manifests of days without end.

    Each has its own weather, traffic and route, much like those of the day before; weekends have fewer cars.

    Args:
        rng: what decides.
        images: of a day, by which it differs by a tenth.
        change: what happens to the street from day number `after` on.
        after: see there.
    """
    state = rng.normal(size=4)
    day = 0
    while True:
        state = 0.5 * state + np.sqrt(0.75) * rng.normal(size=4)
        weekend = day % 7 >= 5
        street = Street()
        if change and day >= after:
            street = change(street, day - after)
        busy = np.exp(0.12 * state[0] + np.array([0.1, -0.2]) * weekend)
        street = replace(
            street,
            objects=tuple(np.array(street.objects) * busy),
            brightness=street.brightness + 9 * state[1],
            sureness=street.sureness + 0.08 * state[2] + 0.004 * 9 * state[1],
            size_px=tuple(np.array(street.size_px) * np.exp(0.05 * state[3])),
            detect_ms=street.detect_ms * float(np.exp(0.03 * rng.normal())),
        )
        yield manifest(rng, street, round(images * float(np.exp(0.1 * rng.normal()))))
        day += 1


def manifest(rng: np.random.Generator, street: Street, images: int) -> pa.Table:
    """The columns of a day's manifest that drift is seen in."""
    brightness = np.clip(rng.normal(street.brightness, 28, images), 2, 253)
    rate = rng.gamma(1.5, 1 / 1.5, images)  # streets differ in how much there is to see
    parts = [
        _proposals(rng, street, class_id, is_object, rng.poisson(rate * mean[class_id]), brightness)
        for class_id in range(len(CLASS_NAMES))
        for is_object, mean in ((True, street.objects), (False, street.clutter))
    ]
    merged = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    order = np.argsort(merged["image"], kind="stable")
    merged = {key: column[order] for key, column in merged.items()}
    offsets = np.searchsorted(merged["image"], np.arange(images + 1)).astype(np.int32)
    struct = pa.StructArray.from_arrays(
        [
            pa.array(merged.get(field.name, [None] * len(order)), from_pandas=True).cast(field.type)
            for field in _PROPOSAL
        ],
        fields=list(_PROPOSAL),
    )
    columns = {
        "state": pa.array(["published"] * images),
        "region": pa.array(["strict"] * images),
        "model_version": pa.array(["1"] * images),
        "brightness": pa.array(brightness, pa.float32()),
        "proposals": pa.ListArray.from_arrays(pa.array(offsets), struct),
    }
    median_ms = {"read_ms": 8, "decode_ms": 30, "publish_ms": 60, "verify_ms": 40, "write_ms": 12}
    for name in _MS:
        ms = median_ms.get(name, street.detect_ms) * np.exp(0.35 * rng.normal(size=images))
        columns[name] = pa.array(ms, pa.float32())
    return pa.table(columns)


def _proposals(
    rng: np.random.Generator,
    street: Street,
    class_id: int,
    is_object: bool,
    of_image: NDArray[np.int64],
    brightness: NDArray[np.float64],
) -> dict[str, NDArray[np.generic]]:
    image = np.repeat(np.arange(len(of_image)), of_image)
    size = street.size_px[class_id] * np.exp(0.75 * rng.normal(size=len(image)))
    seen = rng.random(len(image)) > 0.5 * (size < street.small_lost_below_px)
    light = -0.5 * ((brightness[image] - 118) / 50) ** 2
    of_all = (
        street.sureness + light + 0.35 * np.log2(size / street.size_px[class_id]) + 0.6 * rng.normal(size=len(size))
    )
    truth = 1.6 if is_object else -1.6
    stage1 = _share(truth * 0.9 + of_all + 0.8 * rng.normal(size=len(size)))
    seen &= stage1 > 0.1
    stage2 = _share(truth * 1.5 + 1.2 * of_all + 0.9 * rng.normal(size=len(size)))
    secondary = _share(truth * 1.3 + of_all + rng.normal(size=len(size)))
    asked = (stage2 > 0.06) & (stage2 < 0.8)
    sure = np.where(asked, np.maximum(secondary, 0.1), stage2)
    x1, y1 = rng.uniform(0, 1800, len(size)), rng.uniform(0, 900, len(size))
    columns: dict[str, NDArray[np.generic]] = {
        "image": image,
        "class_name": np.full(len(size), CLASS_NAMES[class_id]),
        "x1": x1,
        "y1": y1,
        "x2": x1 + size,
        "y2": y1 + size,
        "stage": np.where(asked, 3, 2).astype(np.int8),
        "stage1_confidence": stage1,
        "stage2_confidence": stage2,
        "secondary_confidence": np.where(asked, secondary, np.nan),
        "outcome": np.where(sure > 0.3, "blurred", "below_threshold"),
    }
    return {key: column[seen] for key, column in columns.items()}


def _share(log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-log_odds)))


def levels(profiles: Sequence[DayProfile], settings: Drift) -> list[Level]:
    """What each day after the reference's comes to."""
    first = settings.reference_days
    reference: Reference = reference_of(profiles[:first])
    known = range(first, len(profiles))
    return [compare(reference, profiles[: day + 1], settings).level for day in known]


def delay_days(found: Sequence[Level], wanted: frozenset[Level]) -> int | None:
    """On which day of a change it was told, 1 being its first; None if it never was."""
    return next((day for day, level in enumerate(found, 1) if level in wanted), None)


def _undisturbed(references: int, count: int, images: int, settings: Drift) -> None:
    found: list[Level] = []
    alarmed = 0
    for seed in range(references):
        profiles = list(islice(days(np.random.default_rng(_UNSEEN + seed), images), settings.reference_days + count))
        of_reference = levels(profiles, settings)
        alarmed += "alarm" in of_reference
        found += of_reference
    print(f"{references} references, {count} undisturbed days after each, {images} images a day")
    for name, wanted in (("warning or alarm", {"warning", "alarm"}), ("alarm", {"alarm"})):
        n = sum(level in wanted for level in found)
        low, high = wilson(n, len(found)) or (0.0, 1.0)
        print(f"| {name} | {n} of {len(found)} days | {n / len(found):.4f} | {low:.4f} to {high:.4f} |")
    print(f"references with an alarm: {alarmed} of {references}")


def _changed(name: str, references: int, count: int, images: int, settings: Drift) -> None:
    delays: dict[str, list[float]] = {"warning": [], "alarm": []}
    for seed in range(references):
        rng = np.random.default_rng(2 * _UNSEEN + seed)
        stream = days(rng, images, CHANGES[name], settings.reference_days)
        found = levels(list(islice(stream, settings.reference_days + count)), settings)
        delays["warning"].append(delay_days(found, frozenset({"warning", "alarm"})) or np.inf)
        delays["alarm"].append(delay_days(found, frozenset({"alarm"})) or np.inf)
    cells = []
    for of_level in delays.values():
        low, median, high = np.quantile(of_level, [0, 0.5, 1], method="inverted_cdf")
        cells.append(f"{median:.0f} ({low:.0f} to {high:.0f})")
    print(f"| {name} | {' | '.join(cells)} | {sum(np.isfinite(delays['alarm']))} of {references} |", flush=True)


def main() -> None:
    """Print the figures as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--references", type=int, default=10)
    parser.add_argument("--days", type=int, default=200)
    parser.add_argument("--images", type=int, default=500)
    given = parser.parse_args()
    settings = load_params().drift
    _undisturbed(given.references, given.days, given.images, settings)
    print("\n| change | days to warning | days to alarm | alarmed within the days looked at |\n|---|---|---|---|")
    for name in CHANGES:
        count = 60 if name == "slow creep" else 10
        _changed(name, given.references, count, given.images, settings)


if __name__ == "__main__":
    main()
