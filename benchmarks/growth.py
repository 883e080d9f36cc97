"""How a run grows: with images, megapixels, objects and workers; how it starts, and what is not the workers' own work.

    python -m benchmarks.growth [--parts images megapixels objects workers start flow] [--images N …]

Each part prints a table. Sizes take turns, image by image, in processes of their own that are there from beginning to
end; so do one worker, two workers, and as many processes that do nothing but run the networks. Days of many images are
links to a few small pictures under other names. Where a figure is processor time, a busy machine says nearly the same.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from benchmarks.machine import machine
from benchmarks.pictures import jpeg
from benchmarks.processes import by_size, by_workers
from benchmarks.tables import spread, table
from components.settings import PROJECT_ROOT

_LINKED = 20  # small pictures that a day of links is made of
_LINKED_MEGAPIXELS = 0.01
_POLL_S = 0.2


def fill_with_links(folder: Path, images: int, megapixels: float = _LINKED_MEGAPIXELS, objects: int = 1) -> None:
    """A day of so many pictures that takes the room of a few."""
    (folder / "made").mkdir(parents=True)
    made = [folder / "made" / f"{number}.jpg" for number in range(min(_LINKED, images))]
    for number, file in enumerate(made):
        file.write_bytes(jpeg(number, megapixels, objects))
    for number in range(images):
        camera = folder / "day" / f"camera-{number // 1000:03d}"
        if number % 1000 == 0:
            camera.mkdir(parents=True)
        (camera / f"{number:07d}.jpg").hardlink_to(made[number % len(made)])


def peaks(process: subprocess.Popen[str]) -> tuple[float, float]:
    """Peak resident memory, MiB, of a process and of its largest child, until it ends."""
    parent = child = 0.0
    watched = psutil.Process(process.pid)
    while process.poll() is None:
        parent = max(parent, peak_mib(watched.pid))
        for one in _children(watched):
            child = max(child, peak_mib(one))
        time.sleep(_POLL_S)
    return parent, child


def _children(process: psutil.Process) -> list[int]:
    try:
        return [one.pid for one in process.children(recursive=True)]
    except psutil.Error:
        return []


def peak_mib(pid: int) -> float:
    """The kernel's own high-water mark; 0 of a process that has ended."""
    try:
        told = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in told.splitlines() if line.startswith("VmHWM")), 0.0)


def environment(folder: Path) -> dict[str, str]:
    """Keys, registry and telemetry of this benchmark alone; the shipped model is registered on first use."""
    return os.environ | {
        "STREETVEIL_KEYS_DIR": str(folder / "keys"),
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
        "STREETVEIL_MLFLOW_ARTIFACTS": str(folder / "artifacts"),
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "240",
        "PREFECT_LOGGING_LEVEL": "ERROR",
        "OMP_NUM_THREADS": "1",
    }


def blur(folder: Path, source: Path, name: str, workers: int) -> tuple[dict, float, float, float]:
    """`streetveil blur`: its summary, wall time in s, and peak memory of parent and largest worker in MiB."""
    command = [sys.executable, "-m", "flows.cli", "blur", str(source), str(folder / name), "--json", "-w", str(workers)]
    start_s = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment(folder), cwd=PROJECT_ROOT)
    told: list[str] = []
    reader = threading.Thread(target=lambda: told.append(process.stdout.read() if process.stdout else ""))
    reader.start()
    parent, child = peaks(process)
    reader.join()
    return json.loads(told[0]), time.perf_counter() - start_s, parent, child


def by_images(sizes: Sequence[int], workers: int) -> str:
    """Memory and time of runs over more and more images."""
    rows = []
    for images in sizes:
        with TemporaryDirectory(dir="/var/tmp") as name:
            folder = Path(name)
            fill_with_links(folder, images)
            blur(folder, folder / "made", "warm", workers)
            summary, wall_s, parent, child = blur(folder, folder / "day", "out", workers)
            published = summary["published"]
            rows.append(
                (
                    f"{images:,}",
                    published,
                    f"{wall_s:.0f}",
                    f"{wall_s / images * 1000:.1f}",
                    f"{parent:.0f}",
                    f"{child:.0f}",
                )
            )
    return table(("images", "published", "s", "ms an image", "parent, peak MiB", "largest worker, peak MiB"), rows)


def start_up(rounds: int) -> str:
    """From the command to its end: the help, a folder of one small picture, and one where all is done."""
    taken: dict[str, list[float]] = {}
    with TemporaryDirectory() as name:
        folder = Path(name)
        fill_with_links(folder, 1)
        blur(folder, folder / "day", "warm", 1)
        commands = {
            "`streetveil --help`": ["--help"],
            "one picture of 0.01 MP": ["blur", str(folder / "day"), "OUT", "-w", "1", "--json"],
            "nothing left to do": ["blur", str(folder / "day"), str(folder / "warm"), "-w", "1", "--json"],
        }
        for number in range(rounds):
            for what, arguments in commands.items():
                told = [str(folder / f"out-{number}") if one == "OUT" else one for one in arguments]
                before = os.times()
                start_s = time.perf_counter()
                subprocess.run(
                    [sys.executable, "-m", "flows.cli", *told], env=environment(folder), cwd=PROJECT_ROOT,
                    stdout=subprocess.DEVNULL, check=True,
                )  # fmt: skip
                after = os.times()
                taken.setdefault(f"{what}, wall", []).append(time.perf_counter() - start_s)
                cpu_s = after.children_user - before.children_user + after.children_system - before.children_system
                taken.setdefault(f"{what}, processor", []).append(cpu_s)
    rows = [(what, spread(taken[f"{what}, wall"], 1), spread(taken[f"{what}, processor"], 1)) for what in commands]
    return table(("command", "s", "processor s"), rows)


_FLOW = """
import json, os, sys, time
from pathlib import Path
from flows.daily_blur import daily_blur
from components.batch.manifest import read_rows
from components.batch.storage import LocalStorage
source, out, workers = sys.argv[1], sys.argv[2], int(sys.argv[3])
start = time.perf_counter()
daily_blur(day="2026-02-28", source=source, destination=out, region="strict", workers=workers)
wall = time.perf_counter() - start
own = time.process_time()
rows = read_rows(LocalStorage(Path(out))).values()
names = ("read_ms", "decode_ms", "detect_ms", "publish_ms", "verify_ms", "write_ms")
stages = sum(getattr(row, name) or 0 for row in rows for name in names) / 1000
print(json.dumps({"wall_s": wall, "flow_cpu_s": own, "stages_s": stages, "images": len(rows)}))
"""


def flow(images: int, megapixels: float, workers: int) -> str:
    """The nightly flow over one shard: its own process and Prefect's server, beside the workers."""
    with TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        fill_with_links(folder, images, megapixels, 5)
        blur(folder, folder / "made", "warm", workers)
        command = [sys.executable, "-c", _FLOW, str(folder / "day"), str(folder / "out"), str(workers)]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=environment(folder), cwd=PROJECT_ROOT
        )
        spent = _processor_time(process)
        said = process.stdout.read() if process.stdout else ""
    told = json.loads(said.strip().splitlines()[-1])
    flow_s, server_s, workers_s = told["flow_cpu_s"], spent["server"], spent["workers"]
    whole = flow_s + server_s + workers_s
    rows = [
        ("workers", f"{workers_s:.1f}", f"{workers_s / whole:.1%}"),
        ("the flow: start, plan, reading outputs again, manifest, report", f"{flow_s:.1f}", f"{flow_s / whole:.1%}"),
        ("Prefect's server", f"{server_s:.1f}", f"{server_s / whole:.1%}"),
    ]
    what = (
        f"{told['images']:,} images of {megapixels:g} MP in one shard, {workers} workers: {told['wall_s']:.0f} s of "
        f"wall time, of which the workers' stages fill {told['stages_s'] / workers:.0f} s.\n\n"
    )
    return what + table(("who", "processor s", "share"), rows)


def _processor_time(process: subprocess.Popen[str]) -> dict[str, float]:
    """Processor time of a flow's children: the server it starts, and all others, which are workers."""
    latest: dict[int, tuple[str, float]] = {}
    watched = psutil.Process(process.pid)
    while process.poll() is None:
        for pid in _children(watched):
            try:
                one = psutil.Process(pid)
                kind = "server" if "prefect" in " ".join(one.cmdline()) else "workers"
                latest[pid] = kind, sum(one.cpu_times()[:2])
            except psutil.Error:
                continue
        time.sleep(_POLL_S)
    return {kind: sum(s for told, s in latest.values() if told == kind) for kind in ("server", "workers")}


def main() -> None:
    """Print the tables that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = ("images", "megapixels", "objects", "workers", "start", "flow")
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts)
    parser.add_argument("--images", type=int, nargs="+", default=[100, 1000, 10_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0, help="How long a turn of one or two processes lasts.")
    parser.add_argument("--flow-images", type=int, default=1000)
    parser.add_argument("--flow-megapixels", type=float, default=1.0)
    given = parser.parse_args()
    print(machine("prefect"), flush=True)
    made: dict[str, Callable[[], str]] = {
        "images": lambda: by_images(given.images, 2),
        "megapixels": lambda: by_size([(size, 5) for size in (0.3, 1, 2, 5, 12)], 3, given.rounds),
        "objects": lambda: by_size([(5, objects) for objects in (0, 1, 5, 25)], 3, given.rounds),
        "workers": lambda: by_workers(given.seconds, given.rounds),
        "start": lambda: start_up(given.rounds),
        "flow": lambda: flow(given.flow_images, given.flow_megapixels, 2),
    }
    for part in given.parts:
        print(f"### {part}, load {os.getloadavg()[0]:.1f}\n\n{made[part]()}", flush=True)


if __name__ == "__main__":
    main()
