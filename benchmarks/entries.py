"""What planning, committing, summing up and verifying a day cost, from ten thousand images to ten million.

The images are simulated by what a listing and a manifest say of them; every other byte is the product's own work. Each
size and step is a process of its own, so that its peak memory is its own.

    python -m benchmarks.entries --images 10000 100000 1000000
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from components.batch.audit import audit
from components.batch.index import indexed, valid_rows
from components.batch.manifest import PUBLISHED, QUARANTINED, ImageRow, Proposal, commit_manifest
from components.batch.plan import plan_day
from components.batch.sources import ImageRef
from components.batch.storage import LocalStorage
from components.batch.summary import summarise
from components.batch.tally import Tally, tally_of

SHARD_SIZE = 1000
OBJECTS = 3  # proposals of an image
_ONE_IN = 200  # is quarantined


@dataclass(frozen=True, slots=True)
class SimulatedStorage(LocalStorage):
    """A destination whose manifests are real files, and whose outputs are names in a listing."""

    images: int

    def write(self, path: str, content: bytes, durable: bool = True) -> None:
        """Without waiting for the disk, whose speed is not what is measured."""
        LocalStorage.write(self, path, content, durable=False)

    def list(self, prefix: str) -> Iterator[str]:
        """As a destination lists itself: the outputs, when everything is asked for, then what is really there."""
        if not prefix:
            yield from (image.path for image in listing(self.images) if _is_published(image))
        yield from LocalStorage.list(self, prefix)


def listing(images: int) -> Iterator[ImageRef]:
    """The day's originals: sequences of 5,000 pictures."""
    for i in range(images):
        name = f"sequence-{i // 5000:05d}/2026-02-28T{i % 86_400:05d}-{i:08d}.jpg"
        yield ImageRef(name, 3_000_000 + i % 9973, 10**18 + i)


def _is_published(image: ImageRef) -> bool:
    return image.modified_ns % _ONE_IN != 0


def _row(image: ImageRef) -> ImageRow:
    digest = hashlib.sha256(image.path.encode()).hexdigest()
    told = {"region": "strict", "model_name": "street", "model_version": "7", "params_sha256": digest[:8] * 8}
    common = dict(path=image.path, attempts=1, code_revision="benchmark", input_size_bytes=image.size_bytes,
                  input_modified_ns=image.modified_ns, input_sha256=digest, **told)  # fmt: skip
    if not _is_published(image):
        return ImageRow(state=QUARANTINED, reason="decode_refused", detail="simulated", **common)
    at = float(image.size_bytes % 2000)
    proposal = Proposal("face", at, at, at + 30, at + 40, 2, 0.9, 0.8, None, "blurred")
    return ImageRow(
        state=PUBLISHED, reason=None, detail=None, output_sha256=digest[::-1], output_size_bytes=image.size_bytes,
        blurring_id=digest[:32], image_format="JPEG", width=2560, height=1920, orientation=1, is_panorama=False,
        written="in_place", redetected=False, brightness=at / 10, proposals=(proposal,) * OBJECTS, read_ms=1 + at / 100,
        decode_ms=20.0, detect_ms=100 + at / 10, publish_ms=9.0, verify_ms=25.0, write_ms=3.0, **common,
    )  # fmt: skip


def _plan_new(images: int, storage: LocalStorage) -> int:
    """List a day of which nothing is done, and cut it into shards."""
    plan = plan_day(listing(images), {}, SHARD_SIZE)
    assert plan.images_left == sum(len(shard.images) for shard in plan.shards) == images
    return images


def _commit(images: int, storage: LocalStorage) -> int:
    """Write the manifests and add up what the run came to, as the nightly run does, and summarise it."""
    tally = Tally()
    for shard in plan_day(listing(images), {}, SHARD_SIZE).shards:
        rows = [_row(image) for image in shard.images]
        commit_manifest(storage, shard.id, rows)
        tally += tally_of(rows)
    told = {"model": "street version 7", "region": "strict", "min_published_share": 0.99}
    summary = summarise(tally, finished_before=0, duration_s=1, **told)  # type: ignore[arg-type]
    assert summary.inputs == images
    return images


def _plan_again(images: int, storage: LocalStorage) -> int:
    """List a day that is finished: every image is looked up in the manifests, and every output in a listing."""
    with indexed(storage) as index:
        index.note_there(storage.list(""))
        plan = plan_day(listing(images), index, SHARD_SIZE)
    assert (plan.images_left, plan.finished_before) == (0, images)
    return images


def _report(images: int, storage: LocalStorage) -> int:
    """Go through all valid rows for those in quarantine, as `streetveil quarantine list` does."""
    quarantined = sum(row.state == QUARANTINED for row in valid_rows(storage))
    assert quarantined == sum(not _is_published(image) for image in listing(images))
    return images


def _verify(images: int, storage: LocalStorage) -> int:
    """Hold a destination against its manifests both ways; the outputs' bytes, which are not there, are not read."""
    findings = list(audit(storage, fault_of=lambda storage, row: None))
    assert not findings
    return images


STEPS: dict[str, Callable[[int, LocalStorage], int]] = {
    "plan a new day": _plan_new,
    "commit and sum up": _commit,
    "plan a finished day": _plan_again,
    "list quarantine": _report,
    "verify, without reading": _verify,
}


def measure(step: str, images: int, folder: Path) -> dict[str, float]:
    """Take a step in this process; time in s, and how much its peak memory is above that of the loaded program, MiB."""
    storage = SimulatedStorage(folder, images)
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start_s, start_cpu_s = time.perf_counter(), time.process_time()
    STEPS[step](images, storage)
    wall_s, cpu_s = time.perf_counter() - start_s, time.process_time() - start_cpu_s
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"wall_s": wall_s, "cpu_s": cpu_s, "peak_mib": peak_kib / 1024, "grown_mib": (peak_kib - before_kib) / 1024}


def _table(found: dict[tuple[str, int], dict[str, float]], sizes: list[int]) -> str:
    lines = ["| step | images | s | processor s | µs an image | peak MiB |", "|---|---|---|---|---|---|"]
    for step in STEPS:
        for images in sizes:
            if (step, images) in found:
                told = found[step, images]
                per_image = told["cpu_s"] * 1e6 / images
                cells = f"{told['wall_s']:.1f} | {told['cpu_s']:.1f} | {per_image:.1f} | {told['peak_mib']:.0f}"
                lines.append(f"| {step} | {images:,} | {cells} |")
    return "\n".join(lines)


def main() -> None:
    """Measure every step at every size, each in a process of its own, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--folder", type=Path, default=Path("data/benchmark_entries"), help="For manifests; emptied.")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.one, arguments.images[0], arguments.folder)))
        return
    found = {}
    print(f"{platform.platform()}, Python {platform.python_version()}, {time.strftime('%Y-%m-%d')}", flush=True)
    for images in arguments.images:
        shutil.rmtree(arguments.folder, ignore_errors=True)
        for step in STEPS:
            command = [sys.executable, "-m", "benchmarks.entries", "--one", step, "--images", str(images)]
            command += ["--folder", str(arguments.folder)]
            answer = subprocess.run(command, capture_output=True, text=True, check=True)
            found[step, images] = json.loads(answer.stdout)
            print(f"{images:>10,} {step:<24} {answer.stdout.strip()}", file=sys.stderr, flush=True)
    shutil.rmtree(arguments.folder, ignore_errors=True)
    print(_table(found, arguments.images))


if __name__ == "__main__":
    main()
