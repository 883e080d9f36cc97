"""What the page of an evaluation is made of, from what models saw and what labels say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pandas as pd

from components.dataset.labels import LabelledImage
from components.detection.bundle import ModelFile
from components.detections import CLASS_NAMES
from components.errors import StreetveilError
from components.evaluation.curves import curve, table
from components.evaluation.detector_metrics import Figures, figures_of
from components.evaluation.gate import judge
from components.evaluation.gate_figures import gate_figures
from components.evaluation.object_table import measured
from components.evaluation.report.gallery import Gallery, gallery
from components.evaluation.sightings import Sightings
from components.evaluation.skin_tone import with_skin_tones
from components.evaluation.slices import slice_table
from components.evaluation.verdict import Figure, Verdict
from components.settings import Gate, Params, Region

OWN_TITLE, PEERS_TITLE = "Streetveil", "CenterFace + platedet"


@dataclass(frozen=True, slots=True)
class Subject:
    """A model, and what it saw.

    Attributes:
        key: its name in files, such as "own".
        title: its name for people.
        seen: what it found in each picture, by the picture's path.
        facts: what else is to be known of it, such as its version and hashes: name and value.
        further: what was measured of it elsewhere, by the gates' keys.
    """

    key: str
    title: str
    seen: Sightings
    facts: tuple[tuple[str, str], ...] = ()
    further: Mapping[str, Figure] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class ModelReport:
    """Everything that was measured of one model.

    Attributes:
        key, title, facts: as of its `Subject`.
        figures: from `detector_metrics`.
        objects: one row an object, with its marks.
        slices: from `slices.slice_table`.
        curves: by class, from `curves.table`.
        gate: what it reaches, and what not.
    """

    key: str
    title: str
    facts: tuple[tuple[str, str], ...]
    figures: Figures
    objects: pd.DataFrame
    slices: pd.DataFrame
    curves: Mapping[str, pd.DataFrame]
    gate: Verdict


@dataclass(frozen=True, slots=True)
class About:
    """On what, and under which rules, it was measured.

    Attributes:
        data: the labelled set's name.
        part: of it.
        region: whose rules apply, by name.
        params_sha256: of the settings.
    """

    data: str
    part: str
    region: str
    params_sha256: str


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """The whole page. The first model is the one that is judged; the others stand beside it.

    Attributes:
        about: on what it was measured.
        images, complete_images: how many pictures, and how many of them with every face and plate labelled.
        models: at least one.
        gallery: pictures of the judged model.
    """

    about: About
    images: int
    complete_images: int
    models: tuple[ModelReport, ...]
    gallery: Gallery

    @property
    def judged(self) -> ModelReport:
        """The model that the gate is about."""
        return self.models[0]


def hashes(files: Sequence[ModelFile]) -> tuple[tuple[str, str], ...]:
    """What a page tells of a model's files: the name and the sha256 of each."""
    return tuple((file.path.name, f"sha256 {file.sha256[:16]}") for file in files)


def build_report(
    subjects: Sequence[Subject], truth: Sequence[LabelledImage], params: Params, about: About,
    champion: str | None = None,
) -> Report:  # fmt: skip
    """Measure all models, and pick the pictures of the first one.

    Args:
        subjects: the models; the first one is judged.
        truth: the labelled pictures.
        params: all settings.
        about: on what, and under which rules.
        champion: the key of the subject that the others must not be worse than; None if there is none.

    Raises:
        StreetveilError: there is no picture to measure on.
    """
    if not truth:
        raise StreetveilError(f"no labelled picture in {about.data}, part {about.part}: name a set that has some")
    region = params.region(about.region)[1]
    marked = with_skin_tones(truth, params.reading)
    complete = sum(image.exhaustive >= set(CLASS_NAMES) for image in truth)
    told = {subject.key: model_report(subject, marked, region, params.gate) for subject in subjects}
    models = tuple(_against(told.get(champion or ""), model, params.gate) for model in told.values())
    shown = gallery([subject.seen for subject in subjects], truth, params, region)
    return Report(about, len(truth), complete, models, shown)


def model_report(
    subject: Subject, truth: Sequence[LabelledImage], region: Region, gates: Sequence[Gate]
) -> ModelReport:
    """Everything that is measured of one model alone; truth: with the marks that it is to be sliced by."""
    both = measured(truth, subject.seen, region)
    figures, slices = figures_of(both, region), slice_table(both.objects)
    curves = {name: table(curve(truth, subject.seen, region, name)) for name in CLASS_NAMES}
    judged = judge({**gate_figures(figures, slices), **subject.further}, None, gates)
    return ModelReport(subject.key, subject.title, subject.facts, figures, both.objects, slices, curves, judged)


def _against(champion: ModelReport | None, model: ModelReport, gates: Sequence[Gate]) -> ModelReport:
    """A model that is judged again, beside the champion; the champion itself is left as it is."""
    if champion is None or champion is model:
        return model
    return replace(model, gate=judge(model.gate.figures, champion.gate.figures, gates))
