"""The figures of our own cascade and of its peers on the fixed test split, and the report: a stage of `dvc.yaml`.

python -m components.evaluation.evaluate --prepared FOLDER --stage1 FILE.onnx --verifier FILE.onnx --out FOLDER
    [--slices FOLDER] [--part test] [--without-peers]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from components.dataset.labels import LabelledImage, read_labels
from components.detection.bundle import ModelFile
from components.detection.region_rules import reaches_threshold
from components.detection.shipped import own_files, peer_files
from components.detections import CLASS_NAMES, Detections, intersections
from components.evaluation.detector_metrics import Figures, at_fpr, figures
from components.evaluation.gate_figures import export_figure
from components.evaluation.looks import Look, seen_by
from components.evaluation.night import at_night
from components.evaluation.object_table import measured
from components.evaluation.report.files import METRICS, write_report
from components.evaluation.report.report import OWN_TITLE, PEERS_TITLE, About, Subject, build_report, hashes
from components.evaluation.sightings import Sightings, Word, read_sightings
from components.evaluation.verdict import Figure
from components.settings import Metric, Region, load_params

_PEERS_FROM = 0.02  # the confidence from which their proposals are listed: to hide as much as ours they need them all
_TRUE_SHARE = 0.5  # of a label that a proposal covers, or of a proposal that lies in one: it is no false one


def evaluate(
    own: Sightings, stage1: Sightings, stage2: Sightings, peers: Sightings | None, truth: Sequence[LabelledImage],
    region: Region,
) -> Figures:  # fmt: skip
    """What each stage hides and misses, what stage 2 takes away, and what ours and the peers do at each other's FPR."""
    told: Figures = {
        "cascade": figures(truth, own, region),
        "stages_1_and_2": figures(truth, stage2, region),
        "stage_1": figures(truth, stage1, region),
        "verifier": {name: taken_away(truth, stage1, stage2, region, name) for name in CLASS_NAMES},
        "verifier_and_check": {name: taken_away(truth, stage1, own, region, name) for name in CLASS_NAMES},
    }
    if peers is not None:
        told["peers"] = figures(truth, peers, region)
        bound = told["peers"]["pixel_fpr"]
        told["cascade_at_peers_fpr"] = at_fpr(truth, own, region, 1.0 if bound is None else bound)
        bound = told["cascade"]["pixel_fpr"]
        told["peers_at_own_fpr"] = at_fpr(truth, peers, region, 1.0 if bound is None else bound)
    return told


def taken_away(
    truth: Sequence[LabelledImage], stage1: Sightings, later: Sightings, region: Region, name: str
) -> Figures:
    """Of what stage 1 has found, how much of the true a later look keeps, and how much of the false it removes.

    True objects are those that stage 1's proposals hide, of all confidences; kept are those still hidden at the
    region's threshold. False proposals touch no label and no ignored box, on pictures that are labelled completely.
    """
    every = region.model_copy(update={n: region.rule(n).model_copy(update={"threshold": 0.0}) for n in CLASS_NAMES})
    before, after = measured(truth, stage1, every).objects, measured(truth, later, region).objects
    own = before["class"] == name
    found = int((own & before["hidden"]).sum())
    kept = int((own & before["hidden"] & after["hidden"]).sum())
    false_before = false_after = 0
    for image in truth:
        if image.exhaustive >= set(CLASS_NAMES):
            class_id = CLASS_NAMES.index(name)
            false_before += len(_false(stage1[image.path].of_class(class_id), image))
            left = _false(later[image.path].of_class(class_id), image)
            false_after += int(reaches_threshold(left, region).sum())
    return {
        "true_found": found,
        "true_kept": kept,
        "kept_share": kept / found if found else None,
        "false_found": false_before,
        "false_removed": false_before - false_after,
        "removed_share": 1 - false_after / false_before if false_before else None,
    }


def _false(found: Detections, image: LabelledImage) -> Detections:
    known = np.concatenate([image.objects.xyxy, image.ignored])
    if not len(found) or not len(known):
        return found
    shared = intersections(found.xyxy, known)
    sides = found.xyxy[:, 2:] - found.xyxy[:, :2], known[:, 2:] - known[:, :2]
    own, theirs = (np.maximum(side.prod(axis=1), 1e-6) for side in sides)
    true = (shared / own[:, None] >= _TRUE_SHARE) | (shared / theirs[None] >= _TRUE_SHARE)
    return found.select(~true.any(axis=1))


def with_tilts(images: Sequence[LabelledImage]) -> list[LabelledImage]:
    """Rendered plates with the slices that they are counted in: the tilt in two halves, as in the goals."""

    def marked(marks: Mapping[str, Any]) -> dict[str, object]:
        tilt = "0–30°" if float(marks["tilt_deg"]) <= 30 else "30–90°"
        return {**marks, "tilt": tilt, "square": "two lines" if marks["square"] else "one line"}

    return [replace(image, marks=tuple(marked(marks) for marks in image.marks)) for image in images]


def main() -> None:
    """Measure everything; write metrics.json, objects.csv with a line for every labelled object, and the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", default="full")
    parser.add_argument("--prepared", type=Path, required=True)
    parser.add_argument("--part", default="test")
    parser.add_argument("--stage1", type=Path, required=True)
    parser.add_argument("--verifier", type=Path, required=True)
    parser.add_argument("--slices", type=Path)
    parser.add_argument("--without-peers", action="store_true")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    params = load_params().of_profile(given.profile)
    truth = list(read_labels(given.prepared / f"{given.part}.json", folder=""))
    tilted = (
        with_tilts(list(read_labels(given.slices / "labels.json", folder=str(given.slices)))) if given.slices else []
    )
    own, peers = own_files(given.stage1, given.verifier), peer_files()
    looks = [Look("own", own, truth), Look("own_night", own, truth, at_night), Look("own_tilted", own, tilted)]
    if not given.without_peers:
        looks += [
            Look("peers", peers, truth, proposal_threshold=_PEERS_FROM), Look("peers_tilted", peers, tilted)
        ]  # fmt: skip
    folder = given.out.with_name(f"{given.out.name}.work")
    files = {look.name: seen_by(look, params, folder) for look in looks}
    told = report(files, truth, tilted, params.region(None)[1])
    about = About(given.prepared.as_posix(), given.part, params.default_region, params.sha256())
    page = build_report(_subjects(files, own, peers, given.stage1.parent), truth, params, about)
    write_report(page, params.gate, given.out)
    page.judged.objects.to_csv(given.out / "objects.csv", index=False)
    told["gate"] = {model.key: model.gate.as_figures() for model in page.models}
    (given.out / METRICS).write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _subjects(
    files: Mapping[str, Path], own: Sequence[ModelFile], peers: Sequence[ModelFile], optimised: Path
) -> list[Subject]:
    """Our own cascade, which is judged, and its peers, as far as they have looked."""
    subjects = [Subject("own", OWN_TITLE, read_sightings(files["own"]), hashes(own), of_export(optimised))]
    if "peers" in files:
        subjects.append(Subject("peers", PEERS_TITLE, read_sightings(files["peers"]), hashes(peers)))
    return subjects


def of_export(optimised: Path) -> dict[str, Figure]:
    """What the shipped file lacks of the trained network, by the tables of the optimise stage; nothing without them."""
    table, chosen = (optimised / name for name in ("candidates.json", "chosen.json"))
    if not table.exists() or not chosen.exists():
        return {}
    reference = json.loads(table.read_text(encoding="utf-8"))["rows"][0]
    return {Metric.EXPORT_RECALL_LOSS.value: export_figure(json.loads(chosen.read_text(encoding="utf-8")), reference)}


def report(
    files: Mapping[str, Path], truth: Sequence[LabelledImage], tilted: Sequence[LabelledImage], region: Region
) -> Figures:
    """All figures, from what was seen."""

    def read(name: str, word: Word = "last") -> Sightings | None:
        return read_sightings(files[name], word) if name in files else None

    def of_own(word: Word) -> Sightings:
        return read_sightings(files["own"], word)

    told = evaluate(of_own("last"), of_own("stage1"), of_own("stage2"), read("peers"), truth, region)
    told["night_simulated"] = figures(truth, read_sightings(files["own_night"]), region)
    for name in ("own_tilted", "peers_tilted"):
        seen = read(name)
        if tilted and seen is not None:
            told[name] = figures(tilted, seen, region)
    return told


if __name__ == "__main__":
    main()
