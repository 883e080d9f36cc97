"""A day's distributions, counted from its manifests: how sure the stages are, what is found, how large, the light.

Every quantity is counted on one fixed grid, so days add up, a day of ten million images is as small as one of a
thousand, and nothing in it shows anybody.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from components.batch.manifest import LOOKED_AT, PUBLISHED, manifest_paths, read_manifest, shadow_paths
from components.batch.places import Place, name_of, written
from components.batch.storage import Storage
from components.detections import CLASS_NAMES
from components.errors import StreetveilError

_STAGES = ("stage1", "stage2", "secondary")
_TIMES = ("read_ms", "decode_ms", "detect_ms", "publish_ms", "verify_ms", "write_ms")

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Grid:
    """How a quantity is counted.

    Attributes:
        edges: of the bins, ascending, float64 [k + 1]; what lies outside counts in the first or last bin.
        is_ratio: distances are doublings, as for sizes and times, and not differences.
    """

    edges: NDArray[np.float64]
    is_ratio: bool = False

    @property
    def positions(self) -> NDArray[np.float64]:
        """Where each bin lies on the scale of distances: its middle, or that of the logarithms to base 2; [k]."""
        scale = np.log2(self.edges) if self.is_ratio else self.edges
        return (scale[:-1] + scale[1:]) / 2

    def count(self, values: NDArray[np.floating[Any]]) -> Counts:
        """How many of the values lie in each bin, int64 [k]; NaN is no value."""
        known = values[~np.isnan(values)]
        return np.histogram(np.clip(known, self.edges[0], self.edges[-1]), self.edges)[0].astype(np.int64)


_CONFIDENCE = Grid(np.linspace(0, 1, 51))
# By the last part of a distribution's name.
GRIDS: Mapping[str, Grid] = {
    **{f"{stage}_confidence": _CONFIDENCE for stage in _STAGES},
    "objects_per_image": Grid(np.arange(-0.5, 32)),
    "size_px": Grid(2.0 ** np.arange(1, 12.01, 0.25), is_ratio=True),
    "brightness": Grid(np.linspace(0, 256, 65)),
    "latency_ms": Grid(2.0 ** np.arange(0, 17.01, 0.25), is_ratio=True),
}


def grid_of(name: str) -> Grid:
    """The grid of a distribution, such as "eu/face/size_px"."""
    return GRIDS[name.rsplit("/", 1)[-1]]


@dataclass(frozen=True, slots=True)
class DayProfile:
    """The distributions of the images that one model version looked at on one day.

    Attributes:
        day: its name, such as "2026-02-28".
        model_version: in the registry.
        images: how many were published.
        counts: by the distribution's name, region/quantity or region/class/quantity; as many as its grid has bins.
    """

    day: str
    model_version: str
    images: int
    counts: Mapping[str, tuple[int, ...]]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        counts = {name: list(values) for name, values in sorted(self.counts.items())}
        return {"day": self.day, "model_version": self.model_version, "images": self.images, "counts": counts}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> DayProfile:
        """The inverse of `to_dict`.

        Raises:
            ValueError: something is missing, or was counted on another grid.
        """
        try:
            counts = {str(name): tuple(map(int, of)) for name, of in values["counts"].items()}
            wrong = [name for name, of in counts.items() if len(of) != len(grid_of(name).positions) or min(of) < 0]
            profile = cls(str(values["day"]), str(values["model_version"]), int(values["images"]), counts)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"no profile of a day: {type(error).__name__} {error}") from error
        if wrong:
            raise ValueError(f"{', '.join(wrong)}: counted on another grid")
        return profile


def profile_of(tables: Iterable[pa.Table], day: str, state: str = PUBLISHED) -> DayProfile:
    """Count a day, one manifest after the other.

    Only what was published counts: what is quarantined has reasons, not distributions. An image that was published
    a second time after its file had changed counts twice, which no distribution notices.

    Args:
        tables: the day's manifests, as `read_manifest` gives them; those of older releases may lack columns.
        day: its name.
        state: of the rows that count.

    Returns:
        The profile under the model version that looked at most of the images; others' images do not count.

    Raises:
        StreetveilError: nothing was published.
    """
    images: Counter[str] = Counter()
    counts: dict[str, dict[str, Counts]] = defaultdict(dict)
    for table in tables:
        counting = table.filter(pc.equal(table["state"], state))
        for version in pc.unique(counting["model_version"]).to_pylist():
            of_version = counting.filter(pc.equal(counting["model_version"], version))
            images[version] += len(of_version)
            for name, counted in _counted(of_version).items():
                before = counts[version].get(name)
                counts[version][name] = counted if before is None else before + counted
    if not images:
        raise StreetveilError(f"{day}: no manifest lists a {state} image; drift is checked after the day's run")
    version, number = images.most_common(1)[0]
    return DayProfile(day, version, number, {name: tuple(of.tolist()) for name, of in counts[version].items()})


def profile_of_folder(published: Place) -> DayProfile:
    """Count a day from the place that its run has written; the last part of its name is the day's.

    Raises:
        StreetveilError: no run has written it, a manifest cannot be read, or nothing was published.
    """
    storage = written(published)
    return profile_of((read_manifest(storage, path) for path in manifest_paths(storage)), name_of(published))


def profile_of_shadow(storage: Storage, version: str, day: str) -> DayProfile:
    """Count what a challenger has seen of a day. It has no latency: who only looks is faster than who publishes.

    Raises:
        StreetveilError: it has looked at nothing, or its files cannot be read.
    """
    tables = (read_manifest(storage, path).drop_columns(list(_TIMES)) for path in shadow_paths(storage, version))
    return profile_of(tables, day, LOOKED_AT)


def _counted(table: pa.Table) -> dict[str, Counts]:
    """The counts of one model version's rows, by name."""
    counted = {}
    for region in pc.unique(table["region"]).to_pylist():
        rows = table.filter(pc.equal(table["region"], region))
        for name, values in {**_of_images(rows), **_of_proposals(rows)}.items():
            counted[f"{region}/{name}"] = grid_of(name).count(values)
    return counted


def _of_images(rows: pa.Table) -> dict[str, NDArray[np.float64]]:
    """One value an image."""
    found = {}
    if "brightness" in rows.column_names:
        found["brightness"] = _numbers(rows["brightness"])
    times = [np.nan_to_num(_numbers(rows[name])) for name in _TIMES if name in rows.column_names]
    if times:
        found["latency_ms"] = np.sum(times, axis=0)
    return found


def _of_proposals(rows: pa.Table) -> dict[str, NDArray[np.float64]]:
    """The values of all proposals by class, and how many objects of each class an image has."""
    lists = rows["proposals"].combine_chunks()
    of_image, proposals = pc.list_parent_indices(lists).to_numpy(), pc.list_flatten(lists)
    column = {field.name: proposals.field(field.name) for field in proposals.type}
    x1, y1, x2, y2 = (_numbers(column[side]) for side in ("x1", "y1", "x2", "y2"))
    size_px = np.sqrt(np.maximum(x2 - x1, 0) * np.maximum(y2 - y1, 0))
    blurred = _truths(pc.equal(column["outcome"], "blurred"))
    found = {}
    for class_name in CLASS_NAMES:
        of_class = _truths(pc.equal(column["class_name"], class_name))
        for stage in _STAGES:
            if f"{stage}_confidence" in column:
                found[f"{class_name}/{stage}_confidence"] = _numbers(column[f"{stage}_confidence"])[of_class]
        found[f"{class_name}/size_px"] = size_px[of_class & blurred]
        images = of_image[of_class & blurred].astype(np.int64)
        found[f"{class_name}/objects_per_image"] = np.bincount(images, minlength=len(rows)).astype(np.float64)
    return found


def _numbers(column: pa.Array | pa.ChunkedArray) -> NDArray[np.float64]:
    """A column as float64; null is NaN."""
    return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)


def _truths(column: pa.Array) -> NDArray[np.bool_]:
    return np.asarray(column.to_numpy(zero_copy_only=False), bool)
