"""The evaluation of registered models, without a server."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from components.dataset.labels import LabelledImage, read_labels
from components.detection.bundle import ModelFile
from components.detection.shipped import peer_files
from components.errors import StreetveilError
from components.evaluation.looks import Look, seen_by
from components.evaluation.reidentification.attack import reidentification
from components.evaluation.report.charts import MOST_MODELS
from components.evaluation.report.files import METRICS, PAGE, SLICES, VERDICT, report_figures, write_report
from components.evaluation.report.report import PEERS_TITLE, About, ModelReport, Report, Subject, build_report, hashes
from components.evaluation.sightings import read_sightings
from components.evaluation.speed import images_per_s
from components.evaluation.verdict import Figure
from components.registry.models import CHAMPION, Registry
from components.registry.references import PEERS, Reference, parse_reference
from components.settings import PROJECT_ROOT, Metric, Params


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that is evaluated.

    Attributes:
        key: its name in files.
        title: its name for people.
        files: its networks.
        registered: the model and the number of the version, if it is one.
        further: what was measured of it elsewhere, by the gates' keys.
    """

    key: str
    title: str
    files: tuple[ModelFile, ...]
    registered: Reference | None = None
    further: Mapping[str, Figure] = field(default_factory=dict)


def evaluate_models(
    names: Sequence[str], data: Path, part: str, folder: Path, region: str | None, params: Params, log_to_mlflow: bool
) -> Report:
    """Look, measure, write the report's folder, and log it beside every registered version.

    Args:
        names: the models, as `parse_reference` takes them; the first one is judged.
        data: a labels.json, or a folder of the prepare stage.
        part: of that folder.
        folder: gets the report.
        region: whose rules apply; None for the default ones.
        params: all settings.
        log_to_mlflow: log it.

    Raises:
        StreetveilError: a model or the labels cannot be read.
    """
    if len(set(names)) != len(names) or len(names) > MOST_MODELS:
        raise StreetveilError(f"name at most {MOST_MODELS} models, each of them once")
    candidates = [candidate(name, params) for name in names]
    work = folder.with_name(f"{folder.name}.work")
    champion = _champion_of(candidates)
    report = evaluate_candidates(candidates, data, part, folder, params, region=region, champion=champion, work=work)
    for one, model in zip(candidates, report.models, strict=True):
        if log_to_mlflow and one.registered:
            registry = Registry.of(one.registered.name)
            registry.log_report(one.registered.wanted, folder, (PAGE, METRICS, SLICES, VERDICT), _gate_figures(model))
    return report


def evaluate_candidates(
    candidates: Sequence[Candidate], data: Path, part: str, folder: Path, params: Params, *, work: Path,
    champion: str | None, region: str | None = None,
) -> Report:  # fmt: skip
    """Look, measure, and write the report's folder.

    Args:
        candidates: the first one is judged.
        data, part, folder, region, params: as in `evaluate_models`.
        champion: the key of the one that the others must not be worse than.
        work: a folder for what was seen, so that nothing is looked at twice.

    Raises:
        StreetveilError: the labels cannot be read.
    """
    region_name, rules = params.region(region)
    settings_sha256 = params.sha256()
    params = params.model_copy(update={"default_region": region_name})  # what models are looked at with
    truth = labelled(data, part)
    # How faces are hidden is the region's, whatever the model.
    hidden = {Metric.REIDENTIFICATION_RATIO.value: reidentification(truth, rules, params.reading)}
    subjects = [_seen(one, truth, params, work, hidden) for one in candidates]
    about = About(_shown(data), part if data.is_dir() else "all", region_name, settings_sha256)
    report = build_report(subjects, truth, params, about, champion)
    write_report(report, params.gate, folder)
    figures = json.dumps(report_figures(report), indent=1, ensure_ascii=False)
    (folder / METRICS).write_text(figures + "\n", encoding="utf-8")
    return report


def candidate(name: str, params: Params) -> Candidate:
    """The model that a name stands for.

    Raises:
        StreetveilError: it stands for none.
    """
    reference = parse_reference(name, params.registry.model_name)
    if reference is None:
        return Candidate(PEERS, PEERS_TITLE, peer_files())
    bundle = Registry.of(reference.name).bundle(reference.wanted)
    title = f"{bundle.name}, version {bundle.version}"
    return Candidate(f"{bundle.name}-{bundle.version}", title, bundle.files, Reference(bundle.name, bundle.version))


def labelled(data: Path, part: str) -> list[LabelledImage]:
    """The labelled pictures of a prepared folder's part, or of a labels.json beside its pictures."""
    if data.is_dir():
        file = data / f"{part}.json"
        if not file.exists():
            raise StreetveilError(f"{data} has no {part}.json: name a folder of the prepare stage, or a labels.json")
        return list(read_labels(file, folder=""))
    return list(read_labels(data, folder=_from_project(data.resolve().parent)))


def _seen(
    one: Candidate, truth: Sequence[LabelledImage], params: Params, folder: Path, hidden: Mapping[str, Figure]
) -> Subject:
    look = Look(one.key, one.files, truth)
    file = seen_by(look, params, folder)
    speed = {Metric.IMAGES_PER_S.value: images_per_s(look, params, file)}
    return Subject(one.key, one.title, read_sightings(file), hashes(one.files), {**hidden, **speed, **one.further})


def _gate_figures(model: ModelReport) -> dict[str, float]:
    """By names that MLflow takes."""
    return {
        re.sub(r"[^\w.\- /]", "_", f"gate.{row.key}", flags=re.ASCII): row.measured
        for row in model.gate.rows
        if row.measured is not None
    }


def _champion_of(candidates: Sequence[Candidate]) -> str | None:
    """The key of the one that is @champion, if it is among them: the others must not be worse than it."""
    registered = [(one.key, one.registered) for one in candidates if one.registered]
    champions = {name: Registry.of(name).aliases().get(CHAMPION) for name in {entry.name for _, entry in registered}}
    return next((key for key, entry in registered if champions[entry.name] == entry.wanted), None)


def _from_project(folder: Path) -> str:
    """A folder's path from the project's, where it lies in it."""
    return folder.relative_to(PROJECT_ROOT).as_posix() if folder.is_relative_to(PROJECT_ROOT) else folder.as_posix()


def _shown(data: Path) -> str:
    """How a page names the data: without the machine's folders."""
    path = _from_project(data.resolve())
    return Path(path).name if Path(path).is_absolute() else path
