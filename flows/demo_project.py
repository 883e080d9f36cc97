"""The project in which the loop's demo runs: a copy below `data`, with a small budget and a model of its own."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from components.dataset import versions
from components.dataset.demo_day import write_demo_day
from components.dataset.demo_month import Month, write_month
from components.dataset.labels import LabelledImage, read_labels
from components.errors import StreetveilError
from components.settings import PROJECT_ROOT, load_params

PROJECT = PROJECT_ROOT / "data" / "demo_loop"
MODEL, REAL_MODEL = "streetveil-demo", "streetveil-demo-real"
DAY = date(2024, 2, 29)
_FOLDER, _ANSWERS = "data/labelled", "data/answers.json"
_LOOKS = ("taught.work", "evaluation.work")  # of the chain: what was seen, named after all that decides it


@dataclass(frozen=True, slots=True)
class Real:
    """Real labelled pictures, and how many of them are learnt from.

    Attributes:
        folder: with the sets of `dataset` in params.yaml.
        pictures: to begin with, beside the test part and the day's.
        tested: of the test part, at most; None for all.
        epochs: of stage 1.
        broken: all labels that are learnt from lack the faces.
    """

    folder: Path
    pictures: int
    tested: int | None
    epochs: int
    broken: bool


def make_project(real: Real | None) -> Month | None:
    """Make it anew; only what models have seen is kept, as it is named after the pictures and the networks.

    Args:
        real: the labelled pictures; without, rendered ones serve.

    Returns:
        What was laid out of the labelled pictures; None without any.

    Raises:
        StreetveilError: the labelled pictures cannot be used.
    """
    if real is not None and not real.folder.is_dir():
        raise StreetveilError(f"{real.folder} is not there: name the folder of labelled pictures")
    _clear(PROJECT)
    for folder in ("components", "flows", "data/hand_labels"):
        shutil.copytree(PROJECT_ROOT / folder, PROJECT / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (PROJECT / "data" / "labelled_by_us").mkdir()
    told = _yaml("params.yaml")
    month = _lay_out(real) if real is not None else None
    params = small_params(told) if real is None or month is None else real_params(told, real, month)
    _write("params.yaml", params)
    _write("dvc.yaml", small_chain(_yaml("dvc.yaml")))
    versions.begin(PROJECT)
    return month


def small_params(told: dict[str, Any]) -> dict[str, Any]:
    """A model of its own, one epoch, and all of a day's pictures for labels and shadow."""
    told["registry"]["model_name"] = MODEL
    told["profiles"]["rendered"] |= {"epochs": 1, "short_images": 8}
    told["optimisation"] |= {"calibration_images": 16, "epochs": 1}
    told["verifier"]["continued"] |= {"epochs": 1}
    told["verifier"]["examples"]["canvases"] |= {"train": 24, "val": 8}
    told["retraining"] |= {"check_s": 2, "profile": "rendered", "target": "bias@rendered"}
    told["labelling"]["random_share"] = 1
    told["shadow"]["share"] = 1
    return told


def real_params(told: dict[str, Any], real: Real, month: Month) -> dict[str, Any]:
    """The same on real pictures: more of them, the frozen test part whole, and the gate as it is.

    The chain ends at the networks: its own evaluation would look at the test part several times more.
    """
    told = small_params(told)
    told["registry"]["model_name"] = REAL_MODEL
    told["profiles"]["monthly"] |= {"epochs": real.epochs, "short_images": 40}
    told["optimisation"] |= {"calibration_images": 60, "validation_images": 60}
    told["verifier"]["continued"] |= {"epochs": 3}
    told["verifier"]["examples"]["canvases"] |= {"train": 150, "val": 50}
    told["retraining"] |= {"profile": "monthly", "target": "train_stage2@monthly"}
    told["dataset"]["sets"] = [one.model_dump(mode="json", exclude_none=True) for one in month.sets]
    for own in told["dataset"]["own_sets"]:  # two runs are compared: the test part is the folder's, and stays so
        own["shares"] = {"test": 0, "val": 0.1}
    return told


def small_chain(told: dict[str, Any]) -> dict[str, Any]:
    """Without the tables that a person reads: what each feature is worth, peers, tilted plates."""
    stages = told["stages"]
    stages["train_stage2"]["do"]["cmd"] = stages["train_stage2"]["do"]["cmd"].replace("--ablate", "")
    evaluate = stages["evaluate"]["do"]
    evaluate["cmd"] = evaluate["cmd"].replace("--slices data/plate_slices", "--without-peers")
    evaluate["deps"].remove("data/plate_slices")
    return told


def incoming(day: date) -> Path:
    """Where a day's pictures lie, in the project that this runs in."""
    return PROJECT_ROOT / load_params().daily.source.format(day=day.isoformat())


def answers() -> dict[str, LabelledImage]:
    """What the labeller knows, in the project that this runs in; nothing on rendered pictures."""
    file = PROJECT_ROOT / _ANSWERS
    return {image.path: image for image in read_labels(file, folder="")} if file.is_file() else {}


def write_rendered_day(day: date) -> None:
    """A day of photographs that come with libraries, and rendered plates."""
    write_demo_day(incoming(day))


def _lay_out(real: Real) -> Month:
    (PROJECT / _FOLDER).symlink_to(real.folder.resolve())
    dataset = load_params().dataset.model_copy(update={"folder": _FOLDER})
    day = PROJECT / load_params().daily.source.format(day=DAY.isoformat())
    day.mkdir(parents=True)
    return write_month(dataset, PROJECT, day, PROJECT / _ANSWERS, real.pictures, real.tested, real.broken)


def _clear(project: Path) -> None:
    """Remove it, but for what was seen."""
    kept = project.with_name(f"{project.name}.kept")
    for place in [place for name in _LOOKS for place in project.glob(f"data/chain/*/{name}")]:
        (kept / place.relative_to(project)).parent.mkdir(parents=True, exist_ok=True)
        place.rename(kept / place.relative_to(project))
    shutil.rmtree(project, ignore_errors=True)
    project.parent.mkdir(parents=True, exist_ok=True)
    if kept.exists():
        kept.rename(project)


def _yaml(name: str) -> Any:
    return yaml.safe_load((PROJECT_ROOT / name).read_text(encoding="utf-8"))


def _write(name: str, told: dict[str, Any]) -> None:
    (PROJECT / name).write_text(yaml.safe_dump(told, sort_keys=False, allow_unicode=True), encoding="utf-8")
