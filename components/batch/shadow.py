"""What a challenger would have said of the day: some of its originals, looked at once more and never published.

The challenger's words are kept with the columns of a manifest, in files of their own beside the manifests. Only images
that the champion has published are looked at, each at most once by each challenger, in worker processes.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice

import numpy as np

from components.batch.engines.local import local_engine
from components.batch.index import valid_rows
from components.batch.manifest import (
    LOOKED_AT,
    PUBLISHED,
    SHADOWS,
    ImageRow,
    encode_manifest,
    read_manifest,
    shadow_paths,
)
from components.batch.proposal_rows import listed
from components.batch.sources import ImageRef, read_image
from components.batch.storage import Storage
from components.batch.work_order import WorkOrder
from components.batch.worker import held
from components.blurring import find
from components.detection.bundle import Bundle
from components.detection.region_rules import Outcome
from components.detections import CLASS_NAMES, iou
from components.errors import ImageFault, Reason
from components.imaging.reading import decode
from components.settings import Shadow

_COMPARISON = "comparison.json"
_PART_SIZE = 200  # images that an interruption costs at most
_SAME_OBJECT_IOU = 0.5


@dataclass(frozen=True, slots=True)
class ClassComparison:
    """Objects of one class that two models would hide in the same pictures."""

    both: int
    only_champion: int
    only_challenger: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """A challenger beside the champion, on the same pictures.

    Attributes:
        challenger, champion: the versions.
        images: that both have looked at.
        faults: images that the challenger could not look at in this run, by reason.
        classes: by name.
        champion_ms, challenger_ms: median time of the detectors for a picture; None without pictures.
    """

    challenger: str
    champion: str
    images: int
    faults: dict[str, int]
    classes: dict[str, ClassComparison]
    champion_ms: float | None
    challenger_ms: float | None


def chosen(rows: Iterable[ImageRow], share: float) -> list[ImageRow]:
    """The published images that a share falls on, by the hash of the original: the same ones for every model.

    The hash's second word decides, since the first one says which outputs are looked at again: the samples are
    independent of each other.
    """
    return [
        row
        for row in rows
        if row.state == PUBLISHED and row.input_sha256 and int(row.input_sha256[8:16], 16) < share * 2**32
    ]


def cast_shadow(order: WorkOrder, challenger: Bundle, settings: Shadow, workers: int) -> Comparison:
    """Let a challenger look at its share of a finished day, and keep what it says.

    Args:
        order: of the day's run.
        challenger: another version than the run's.
        settings: how many images.
        workers: processes.

    Raises:
        OSError: nothing can be written beside the manifests.
    """
    storage, version = order.destination, challenger.version
    kept = read_shadow(storage, version)
    ours = (row for row in valid_rows(storage) if row.model_version == order.bundle.version)
    published, wanted = _of_interest(ours, kept, settings)
    left = [row for row in wanted if not _is_of(kept.get(row.path), row)]
    faults: Counter[str] = Counter()
    if left:
        # Nothing is published, so no secret is needed.
        with local_engine(replace(order, bundle=challenger, run_key=b""), min(workers, len(left))) as engine:
            for part in _parts(left):
                words = [word for _, word in engine.each(look, part)]
                faults.update(str(word.reason) for word in words if isinstance(word, ImageFault))
                _keep(storage, version, [word for word in words if isinstance(word, ImageRow)])
    told = compare(published, read_shadow(storage, version), order.bundle.version, version, dict(faults))
    storage.write(f"{SHADOWS}/{version}/{_COMPARISON}", json.dumps(asdict(told), indent=1).encode())
    return told


def _of_interest(
    rows: Iterable[ImageRow], kept: Mapping[str, ImageRow], settings: Shadow
) -> tuple[dict[str, ImageRow], list[ImageRow]]:
    """Of a day's rows, those that were looked at or will be, by path, and those that a challenger is to have seen."""
    published: dict[str, ImageRow] = {}
    wanted: list[ImageRow] = []
    for row in rows:
        is_wanted = len(wanted) < settings.max_images and bool(chosen([row], settings.share))
        if is_wanted:
            wanted.append(row)
        if is_wanted or row.path in kept:
            published[row.path] = row
    return published, wanted


def look(row: ImageRow) -> ImageRow:
    """Look at an original in a started worker.

    Raises:
        ImageFault: it has changed since it was published, or cannot be looked at.
    """
    order, blurring = held()
    image = ImageRef(row.path, row.input_size_bytes, row.input_modified_ns)
    source_bytes = read_image(order.source, image, order.params.reading.max_file_mib)
    if hashlib.sha256(source_bytes).hexdigest() != row.input_sha256:
        raise ImageFault(Reason.UNREADABLE, "is not the file that was published; leave originals until the run ends")
    picture = decode(source_bytes, order.params.reading)
    choice = order.choice(row.path, source_bytes)
    own = blurring.of_region(order.params.regions[choice.region])
    start = time.perf_counter()
    proposals, outcomes, _ = find(picture, own, order.exemptions_for(row.path, picture.sha256))
    return order.row(
        image,
        1,
        LOOKED_AT,
        choice,
        input_sha256=picture.sha256,
        image_format=picture.format,
        width=picture.width,
        height=picture.height,
        orientation=picture.orientation,
        is_panorama=picture.is_panorama,
        brightness=row.brightness,
        proposals=listed(proposals, outcomes),
        detect_ms=(time.perf_counter() - start) * 1000,
    )


def read_shadow(storage: Storage, version: str) -> dict[str, ImageRow]:
    """What a challenger has said of the images of a destination, by path.

    Raises:
        StreetveilError: one of its files is damaged.
    """
    tables = [read_manifest(storage, path) for path in shadow_paths(storage, version)]
    return {row["path"]: ImageRow.from_dict(row) for table in tables for row in table.to_pylist()}


def read_comparison(storage: Storage, version: str) -> Comparison | None:
    """What a challenger's look at a destination came to; None if it has not looked."""
    try:
        told = json.loads(storage.read(f"{SHADOWS}/{version}/{_COMPARISON}"))
    except FileNotFoundError:
        return None
    classes = {name: ClassComparison(**counts) for name, counts in told["classes"].items()}
    return Comparison(**{**told, "classes": classes})


def compare(
    published: Mapping[str, ImageRow], shadow: Mapping[str, ImageRow], champion: str, challenger: str,
    faults: dict[str, int],
) -> Comparison:  # fmt: skip
    """Hold a challenger's words against the manifest's; see `Comparison`."""
    pairs = [(published[path], row) for path, row in sorted(shadow.items()) if _is_of(row, published.get(path))]
    classes = {
        name: ClassComparison(*(sum(counts) for counts in zip(*(_objects(*pair, name) for pair in pairs), strict=True)))
        if pairs
        else ClassComparison(0, 0, 0)
        for name in CLASS_NAMES
    }
    champion_ms, challenger_ms = (_median_ms(rows) for rows in zip(*pairs, strict=True)) if pairs else (None, None)
    return Comparison(challenger, champion, len(pairs), faults, classes, champion_ms, challenger_ms)


def _objects(champion: ImageRow, challenger: ImageRow, name: str) -> tuple[int, int, int]:
    """Objects of a class in one picture that both would hide, that one would, and that the other would."""
    ours, theirs = (
        np.array([(p.x1, p.y1, p.x2, p.y2) for p in row.proposals if _is_hidden(p.class_name, p.outcome, name)])
        for row in (champion, challenger)
    )
    if not len(ours) or not len(theirs):
        return 0, len(ours), len(theirs)
    same = iou(ours.astype(np.float32), theirs.astype(np.float32)) >= _SAME_OBJECT_IOU
    seen_by_both = int(same.any(axis=1).sum())
    return seen_by_both, len(ours) - seen_by_both, int((~same.any(axis=0)).sum())


def _is_hidden(class_name: str, outcome: str, wanted: str) -> bool:
    return class_name == wanted and outcome == Outcome.BLURRED


def _is_of(shadow: ImageRow | None, row: ImageRow | None) -> bool:
    """Whether both speak of the same original."""
    return shadow is not None and row is not None and shadow.input_sha256 == row.input_sha256


def _median_ms(rows: Sequence[ImageRow]) -> float | None:
    told = [row.detect_ms for row in rows if row.detect_ms is not None]
    return float(np.median(told)) if told else None


def _parts(rows: Sequence[ImageRow]) -> Iterator[list[ImageRow]]:
    left = iter(rows)
    while part := list(islice(left, _PART_SIZE)):
        yield part


def _keep(storage: Storage, version: str, rows: Sequence[ImageRow]) -> None:
    if rows:
        name = hashlib.sha256("\n".join(row.path for row in rows).encode()).hexdigest()[:16]
        storage.write(f"{SHADOWS}/{version}/{name}.parquet", encode_manifest(name, rows, time.time_ns()))
