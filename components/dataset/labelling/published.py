"""Published pictures as their manifests tell of them, one after another: a month has hundreds of millions.

`docs/manifest.md` describes the files. Unlike the nightly run, which needs all rows of a day at once, this reads a few
columns of one shard at a time. An image can stand in several manifests; `superseded` finds the few that matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from components.errors import StreetveilError

STATE_FOLDER = Path(".streetveil")
_PUBLISHED = "published"
_BLURRED = "blurred"
_COLUMNS = (
    "path", "state", "region", "model_name", "model_version", "input_sha256", "image_format", "width", "height",
    "orientation", "brightness", "proposals",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Proposed:
    """A proposal, as a manifest lists it; px of the upright picture."""

    class_name: str
    x1: float
    y1: float
    x2: float
    y2: float
    stage: int
    stage1_confidence: float
    stage2_confidence: float | None
    secondary_confidence: float | None
    outcome: str

    @property
    def is_blurred(self) -> bool:
        """It was hidden."""
        return self.outcome == _BLURRED


@dataclass(frozen=True, slots=True)
class PublishedImage:
    """A published picture.

    Attributes:
        folder: that it was published to.
        path: in that folder, and in the originals'.
        committed_ns: when its manifest was.
        sha256: of the original.
        model: name and version.
        brightness: mean luma, 0 to 255.
    """

    folder: Path
    path: str
    committed_ns: int
    sha256: str
    image_format: str
    width: int
    height: int
    orientation: int
    region: str
    model: str
    brightness: float | None
    proposals: tuple[Proposed, ...]

    def hidden(self, class_name: str) -> list[Proposed]:
        """The objects of a class that were blurred."""
        return [proposal for proposal in self.proposals if proposal.is_blurred and proposal.class_name == class_name]


def published_images(folder: Path) -> Iterator[PublishedImage]:
    """All published pictures of a run, shard by shard; what was done again later comes twice.

    Raises:
        StreetveilError: the folder has no manifests, or one cannot be read.
    """
    files = _manifests(folder)
    if not files:
        raise StreetveilError(f"{folder} has no manifests: name a folder that `streetveil blur` or a night has written")
    for file in files:
        yield from _images(file, folder, _PUBLISHED)


def shadow_images(place: Path) -> dict[str, PublishedImage]:
    """What a challenger has said of pictures, by path; nothing if there is no such place.

    Args:
        place: a file, or a folder with files below it, with the columns of a manifest.

    Raises:
        StreetveilError: a file cannot be read.
    """
    files = [place] if place.is_file() else sorted(place.rglob("*.parquet"))
    return {image.path: image for file in files for image in _images(file, place, None)}


def superseded(folder: Path, images: Mapping[str, int]) -> set[str]:
    """Which pictures stand in a later manifest too, so that what was read of them no longer holds.

    Args:
        folder: that they were published to.
        images: by path, when the manifest that they were read from was committed.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted, found = pa.array(list(images), pa.string()), set()
    for file in _manifests(folder):
        with _opened(file) as opened:
            committed_ns = _committed_ns(opened)
            paths = opened.read(columns=["path"]).column("path")
        for path in paths.filter(pc.is_in(paths, value_set=wanted)).to_pylist():
            if committed_ns > images[path]:
                found.add(path)
    return found


def _manifests(folder: Path) -> list[Path]:
    return sorted((folder / STATE_FOLDER / "manifests").glob("*.parquet"))


def _images(file: Path, folder: Path, state: str | None) -> Iterator[PublishedImage]:
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        with _opened(file) as opened:
            committed_ns = _committed_ns(opened)
            for batch in opened.iter_batches(columns=list(_COLUMNS)):
                kept = batch if state is None else batch.filter(pc.equal(batch.column("state"), state))
                yield from (_image(row, folder, committed_ns) for row in kept.to_pylist())
    except (pa.ArrowException, OSError, KeyError, TypeError) as error:
        raise StreetveilError(f"{file} cannot be read as a manifest ({error}); restore it, or blur again") from error


def _opened(file: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(file)
    except (pa.ArrowException, OSError) as error:
        raise StreetveilError(f"{file} cannot be read as a manifest ({error}); restore it, or blur again") from error


def _committed_ns(opened: Any) -> int:
    return int((opened.schema_arrow.metadata or {}).get(b"committed_ns", b"0"))


_PROPOSED = [field.name for field in fields(Proposed)]


def _image(row: Mapping[str, Any], folder: Path, committed_ns: int) -> PublishedImage:
    return PublishedImage(
        folder=folder,
        path=row["path"],
        committed_ns=committed_ns,
        sha256=row["input_sha256"] or "",
        image_format=row["image_format"] or "",
        width=row["width"] or 0,
        height=row["height"] or 0,
        orientation=row["orientation"] or 1,
        region=row["region"],
        model=f"{row['model_name']} {row['model_version']}",
        brightness=row["brightness"],
        proposals=_proposed(row["proposals"] or ()),
    )


def _proposed(listed: Iterable[Mapping[str, Any]]) -> tuple[Proposed, ...]:
    return tuple(Proposed(**{name: proposal[name] for name in _PROPOSED}) for proposal in listed)
