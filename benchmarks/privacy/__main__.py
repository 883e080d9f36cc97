"""Attack the hiding of faces and plates, and write what came out.

    python -m benchmarks.privacy --data PATH/street_privacy --out FOLDER [--parts faces plates sweep report]

A part that is run again replaces its own numbers in FOLDER/attack.json; `--heights` and `--methods` cut a part small.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from benchmarks.privacy.attack_file import add_part, read_attack
from benchmarks.privacy.cell_sweep import noise_needed, sweep
from benchmarks.privacy.chart import draw_chart
from benchmarks.privacy.face_attack import OTHER, SAME, Effort, attack_faces
from benchmarks.privacy.gallery import read_faces
from benchmarks.privacy.looks import draw_looks
from benchmarks.privacy.methods import CLEAR, Method, methods
from benchmarks.privacy.plate_attack import attack_by_reading, attack_by_template, real_plates, rendered_plates
from benchmarks.privacy.tables import all_tables
from components.evaluation.reidentification.photograph import at_height
from components.evaluation.reidentification.scenes import scenes_of
from components.settings import load_params

PARTS = ("faces", "plates", "sweep", "report")
HEIGHTS_PX = (80, 200, 400)
_PLATE_PX = 60


def main() -> None:
    """Run the parts that are asked for."""
    arguments = _arguments()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    file = arguments.out / "attack.json"
    if "faces" in arguments.parts:
        _attack_faces(arguments, file)
    if "plates" in arguments.parts:
        _attack_plates(arguments, file)
    if "sweep" in arguments.parts:
        params = load_params()
        dilation = params.regions[params.default_region].face.dilation
        people = [at_height(face, 200) for face in read_faces(arguments.data / "faces", arguments.people)]
        facts = {"people": len(people), "height_px": 200, "dilation": dilation, "seed": arguments.seed}
        add_part(file, "needed", noise_needed(people, dilation, seed=arguments.seed), facts)
        add_part(file, "sweep", sweep(people, dilation, seed=arguments.seed), facts)
    if "report" in arguments.parts:
        _report(arguments.out, read_attack(file))


def _attack_faces(arguments: argparse.Namespace, file: Path) -> None:
    people = read_faces(arguments.data / "faces", arguments.people)
    effort = Effort(arguments.draws, arguments.own_draws, arguments.recogniser_draws)
    facts = {"people": len(people), "seed": arguments.seed}
    for height_px in arguments.heights:
        scenes = scenes_of(people, height_px)
        for method in _chosen(arguments):
            print(f"{method.name}, {height_px} px", flush=True)
            add_part(file, "faces", attack_faces(scenes, height_px, method, effort, arguments.seed), facts)


def _chosen(arguments: argparse.Namespace) -> list[Method]:
    return [m for m in methods(load_params()) if not arguments.methods or m.name in arguments.methods]


def _attack_plates(arguments: argparse.Namespace, file: Path) -> None:
    rng = np.random.default_rng(arguments.seed)
    real, looked_at = real_plates(arguments.data / "plates", arguments.plates, rng)
    facts = {"seed": arguments.seed, "real": len(real), "looked_at": looked_at, "height_px": _PLATE_PX}
    chosen = [method for method in _chosen(arguments) if method.name != CLEAR]  # the reader sees clear ones first
    rendered = rendered_plates(arguments.plates, _PLATE_PX, rng)
    add_part(file, "plates", attack_by_reading(real, "real", chosen, rng), facts)
    add_part(file, "plates", attack_by_reading(rendered, "rendered", chosen, rng), facts)
    template = (attack_by_template(method, arguments.plates // 2, 20, _PLATE_PX, rng) for method in chosen)
    add_part(file, "plates", template, facts)


def _report(folder: Path, attack: dict[str, Any]) -> None:
    """Tables, charts, and what hiding looks like."""
    (folder / "attack.md").write_text(all_tables(attack), encoding="utf-8")
    draw_looks(methods(load_params()), folder / "attack_looks.jpg")
    if "faces" in attack:
        people = attack["facts"]["faces"]["people"]
        for gallery in (SAME, OTHER):
            draw_chart(attack["faces"], gallery, people, folder / f"attack_{gallery.replace(' ', '_')}.png")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder street_privacy")
    parser.add_argument("--out", type=Path, required=True, help="where attack.json, tables and figures go")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--heights", nargs="+", type=int, default=HEIGHTS_PX, help="heights of faces, px")
    parser.add_argument("--methods", nargs="+", default=(), help="names of methods; all by default")
    parser.add_argument("--people", type=int, default=240)
    parser.add_argument("--draws", type=int, default=40, help="tested draws a person")
    parser.add_argument("--own-draws", type=int, default=20, help="the attacker's own draws a person")
    parser.add_argument("--recogniser-draws", type=int, default=20, help="draws a person that the recogniser sees")
    parser.add_argument("--plates", type=int, default=120)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
