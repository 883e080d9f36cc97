"""Draw a labelling sample from published pictures, and lay its originals out at a private desk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from components.dataset.labelling import desk
from components.dataset.labelling.files import write_whole
from components.dataset.labelling.labelled import labelled_by_us
from components.dataset.labelling.published import STATE_FOLDER, PublishedImage, published_images, shadow_images
from components.dataset.labelling.reasons import Rules, count_slices
from components.dataset.labelling.reports import UserReport, read_reports
from components.dataset.labelling.sample import SAMPLE_FILE, Sample, is_random, read_sample, sample_json
from components.dataset.labelling.shortlist import shortlist
from components.dataset.labelling.taking import take
from components.dataset.labels import LabelledImage
from components.errors import StreetveilError
from components.settings import PROJECT_ROOT, Labelling, Params, load_params

Originals = Callable[[Path], Path] | Path


def draw_sample(
    published: Sequence[Path],
    originals: Originals,
    settings: Labelling,
    seed: str,
    *,
    params: Params | None = None,
    reports: Path | None = None,
    shadow: Path | None = None,
    labelled: Iterable[LabelledImage] | None = None,
    project: Path = PROJECT_ROOT,
    now: datetime | None = None,
) -> Sample:
    """Draw a sample and lay it out as `<labelling.folder>/<sample id>/`; the same seed and folders give the same one.

    Args:
        published: folders that a run has written.
        originals: the folder of originals for each of them, or a pattern in which `{day}` stands for its name.
        settings: budgets, shares and folders.
        seed: of the draw.
        params: the regions' thresholds, and limits for reading; `params.yaml` by default.
        reports: what users report, see `components.dataset.labelling.reports`.
        shadow: what a challenger says, a file or folder with a manifest's columns; by default what lies beside the
            manifests.
        labelled: all that is labelled, to know which slices have too few; what our own people have labelled by default.
        project: the folder that the settings' folders start from.
        now: the moment that retention counts from; by default the present.

    Raises:
        StreetveilError: there is nothing to draw from, or nothing can be written.
    """
    folders = [folder.resolve() for folder in published]
    sample_id = _id(seed, folders)
    place = desk.desk_of(sample_id, settings, project)
    if (place / SAMPLE_FILE).is_file():  # laid out before an interruption
        sample = read_sample(place)
        desk.record(sample, settings, project)
        return sample
    params = params or load_params()
    told = read_reports(reports) if reports is not None else []
    known = labelled if labelled is not None else labelled_by_us(settings, project)
    rules = _rules(folders, params, settings, told, shadow, known)
    listed = shortlist(_all_images(folders), rules, settings, seed)
    if not listed.population:
        raise StreetveilError("no published picture in these folders: name folders of finished runs")
    before = _drawn_before(settings, project)
    with desk.drafted(place.parent, sample_id) as draft:
        sources = {folder: originals_of(originals, folder) for folder in folders}
        taken = take(listed, rules, params.model_copy(update={"labelling": settings}), sources, before, draft)
        unknown = sum(report.path not in listed.reported for report in told)
        sample = Sample(
            1, sample_id, seed, now or datetime.now(UTC), tuple(map(str, folders)), listed.population,
            taken.unavailable, taken.similar, unknown, taken.images,
        )  # fmt: skip
        write_whole(draft / SAMPLE_FILE, sample_json(sample))
    desk.record(sample, settings, project)
    return sample


def originals_of(pattern: Originals, published: Path) -> Path:
    """The folder of a published folder's originals."""
    if callable(pattern):
        return pattern(published)
    return Path(str(pattern).replace("{day}", published.name))


def _id(seed: str, folders: Sequence[Path]) -> str:
    return hashlib.sha256("\n".join([seed, *sorted(map(str, folders))]).encode()).hexdigest()[:16]


def _all_images(folders: Iterable[Path]) -> Iterator[PublishedImage]:
    for folder in folders:
        yield from published_images(folder)


def _rules(
    folders: Sequence[Path], params: Params, settings: Labelling, told: Sequence[UserReport], shadow: Path | None,
    labelled: Iterable[LabelledImage],
) -> Rules:  # fmt: skip
    by_path: dict[str, list[UserReport]] = {}
    for report in told:
        by_path.setdefault(report.path, []).append(report)
    dark_luma = params.dataset.dark_luma
    said = {
        (folder.name, path): image
        for folder in folders
        for path, image in shadow_images(shadow or folder / STATE_FOLDER / "shadow").items()
    }
    counts = count_slices(labelled, dark_luma)
    return Rules(params.regions, settings.near_threshold_width, settings.few_labels, dark_luma, counts, by_path, said)


def _drawn_before(settings: Labelling, project: Path) -> dict[str, bool]:
    """The originals of earlier samples, by hash, and whether they were drawn blindly.

    What was only chosen can be drawn blindly later: left out, it would bias the estimate. The split keeps both apart.
    """
    before: dict[str, bool] = {}
    for file in sorted(desk.records(settings, project).glob("*.json")):
        for image in read_sample(file).images:
            before[image.sha256] = before.get(image.sha256, False) or is_random(image)
    return before
